//! One who listens to a server's stream of what happens.
//!
//! Neighbours: `live` tests the stream, `tail` the command that reads it.

use std::time::Duration;

use futures::StreamExt as _;
use reqwest::Method;
use serde_json::Value;
use sse_stream::{Sse, SseStream};
use tokio::time::timeout;

use crate::server::Server;

/// Bounds a test that would otherwise wait for ever.
const LIMIT: Duration = Duration::from_mins(1);

pub(crate) struct Listener {
    stream: SseStream<reqwest::Body>,
    /// The id that the last message with an id had.
    pub(crate) last: String,
}

/// One message.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) name: String,
    pub(crate) data: Value,
}

impl Message {
    pub(crate) fn text(&self, field: &str) -> &str {
        self.data[field].as_str().unwrap_or_default()
    }
}

impl Server {
    /// Listens, as the administrator.
    pub(crate) async fn listen(&self, query: &str) -> Listener {
        let request = self.admin(Method::GET, &format!("/events/stream?{query}"));
        Listener::begin(request).await
    }

    /// Listens once more, from behind the message with that id on.
    pub(crate) async fn listen_again(&self, last: &str) -> Listener {
        let request = self.admin(Method::GET, "/events/stream");
        Listener::begin(request.header("last-event-id", last)).await
    }
}

impl Listener {
    pub(crate) async fn begin(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.expect("the server answers");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut listener = Self {
            stream: SseStream::new(response.into()),
            last: String::new(),
        };
        // First comes an id alone.
        let first = listener.block().await.expect("a first block");
        assert_eq!((first.data, first.event), (None, None));
        listener
    }

    /// What comes next; none if the stream has ended.
    async fn block(&mut self) -> Option<Sse> {
        let block = timeout(LIMIT, self.stream.next()).await;
        let block = block.expect("something comes, or the stream ends")?.ok()?;
        if let Some(id) = &block.id {
            self.last.clone_from(id);
        }
        Some(block)
    }

    /// The next message; none if the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        let block = self.block().await?;
        let data = block.data.expect("a message has data");
        let data: Value = serde_json::from_str(&data).expect("the data is JSON");
        let name = block.event.expect("a message has a type");
        assert_eq!(data["type"], name);
        Some(Message { name, data })
    }

    /// The messages up to one of that name about that event, which is the last of them.
    pub(crate) async fn until(&mut self, name: &str, event: &str) -> Vec<Message> {
        let mut messages = Vec::new();
        loop {
            let message = self.next().await.expect("the stream goes on");
            let found = message.name == name && message.text("event") == event;
            messages.push(message);
            if found {
                return messages;
            }
        }
    }
}

/// The names of the messages about an event.
pub(crate) fn names(messages: &[Message], event: &str) -> Vec<String> {
    let about = messages.iter().filter(|it| it.text("event") == event);
    about.map(|message| message.name.clone()).collect()
}
