//! Reads the API's streams of server-sent events.

use anyhow::anyhow;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use http_body_util::{BodyExt as _, Collected, Limited};
use sse_stream::SseStream;
use tokio::time::timeout;

use super::{Client, MOST, PATIENCE};
use crate::egress::{Outgoing, ResponseBody};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Why a stream has not begun.
#[derive(Debug)]
pub(in crate::cli) enum NoStream {
    /// It may if it is tried again.
    NotNow(anyhow::Error),
    Refused(anyhow::Error),
}

impl Client {
    /// Listens to a stream, from behind the message with that id on.
    pub(in crate::cli) async fn stream(
        &self,
        path: &str,
        last: Option<&HeaderValue>,
    ) -> Result<SseStream<ResponseBody>, NoStream> {
        let mut headers = HeaderMap::new();
        self.identify(&mut headers);
        if let Some(last) = last {
            headers.insert(LAST_EVENT_ID, last.clone());
        }
        let outgoing = Outgoing {
            method: Method::GET,
            target: self.target(path).map_err(NoStream::Refused)?,
            headers,
            body: None,
        };
        let response = self.begin(outgoing).await.map_err(NoStream::NotNow)?;
        let status = response.status();
        if status.is_success() {
            return Ok(SseStream::new(response.into_body()));
        }
        let body = Limited::new(response.into_body(), MOST).collect().await;
        let body = body.map(Collected::to_bytes).unwrap_or_default();
        let problem = self.answer(status, &body).err();
        let problem = problem.unwrap_or_else(|| anyhow!("{} answered {status}", self.base));
        if status.is_server_error() {
            Err(NoStream::NotNow(problem))
        } else {
            Err(NoStream::Refused(problem))
        }
    }

    /// Sends a request and waits for the beginning of its answer.
    async fn begin(&self, outgoing: Outgoing) -> anyhow::Result<http::Response<ResponseBody>> {
        let base = &self.base;
        let begun = timeout(PATIENCE, self.egress.send(outgoing)).await;
        let begun = begun.map_err(|_elapsed| {
            let seconds = PATIENCE.as_secs();
            anyhow!("{base} has not answered within {seconds} seconds")
        })?;
        begun.map_err(|error| self.unreachable(error))
    }
}
