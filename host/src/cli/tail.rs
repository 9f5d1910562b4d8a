//! `hookswitch tail`: what happens on a running server, as it happens.

use std::collections::HashSet;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use futures_util::StreamExt as _;
use http::HeaderValue;
use serde_json::Value;
use sse_stream::{Sse, SseStream};
use tokio::time::timeout;
use url::form_urlencoded::Serializer;

use super::client::{Client, NoStream, Server};
use super::entries::{self, text};
use crate::egress::ResponseBody;

/// Show calls, decisions, plugins' log lines and deliveries of a running server as they
/// happen, until Ctrl-C.
#[derive(Debug, Args)]
pub(super) struct Tail {
    #[command(flatten)]
    server: Server,
    /// Only what came in by that source (name or id).
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// Only what belongs to that call.
    #[arg(long, value_name = "ID")]
    call: Option<String>,
    /// Only what belongs to events of that kind, such as call.start.
    #[arg(long)]
    kind: Option<String>,
    /// Only what that plugin says and decides.
    #[arg(long, value_name = "NAME")]
    plugin: Option<String>,
    /// No log lines below that level: trace, debug, info, warn, error.
    #[arg(long)]
    level: Option<String>,
    /// Print the API's messages instead of text, one a line.
    #[arg(long)]
    json: bool,
}

/// Pauses between attempts to connect again.
const SHORTEST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(10);
/// A server is never silent for so long: a stream has a sign of life every 15 s.
const SILENCE: Duration = Duration::from_mins(1);

impl Tail {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let ended = runtime.block_on(async {
            tokio::select! {
                ended = self.follow() => ended,
                interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
            }
        });
        match ended {
            Err(error) if nobody_reads(&error) => Ok(ExitCode::SUCCESS),
            ended => ended.map(|()| ExitCode::SUCCESS),
        }
    }

    /// Shows what comes, and connects again whenever the stream ends.
    async fn follow(&self) -> anyhow::Result<()> {
        let client = self.server.client()?;
        let path = self.path(&client).await?;
        let mut shown = Shown::new(self.json);
        let mut pause = SHORTEST;
        let mut away = false;
        loop {
            match client.stream(&path, shown.last.as_ref()).await {
                Ok(stream) => {
                    if away {
                        say("connected again");
                    }
                    pause = SHORTEST;
                    shown.all(stream).await?;
                    say("the server has ended the stream, or is gone; connecting again");
                    away = true;
                }
                Err(NoStream::NotNow(_)) if away => {}
                Err(NoStream::NotNow(error) | NoStream::Refused(error)) => return Err(error),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST);
        }
    }

    async fn path(&self, client: &Client) -> anyhow::Result<String> {
        let source = match &self.source {
            Some(source) => Some(source_id(client, source).await?),
            None => None,
        };
        let mut query = Serializer::new(String::new());
        for (name, value) in [
            ("source", &source),
            ("call", &self.call),
            ("kind", &self.kind),
            ("plugin", &self.plugin),
            ("level", &self.level),
        ] {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        Ok(format!("/events/stream?{}", query.finish()))
    }
}

/// People know sources by their names, the API by their ids.
async fn source_id(client: &Client, given: &str) -> anyhow::Result<String> {
    const LIST: &str = "/sources?limit=200";
    if given.starts_with("src_") {
        return Ok(given.to_owned());
    }
    let mut path = LIST.to_owned();
    loop {
        let page = client.get(&path).await?;
        let sources = page["data"].as_array();
        let found = sources.into_iter().flatten().find(|it| it["name"] == given);
        if let Some(id) = found.and_then(|source| source["id"].as_str()) {
            return Ok(id.to_owned());
        }
        let cursor = page["next_cursor"].as_str().with_context(|| {
            format!("there is no source {given:?}: give its name or its id (GET /api/v1/sources)")
        })?;
        path = format!("{LIST}&cursor={cursor}");
    }
}

/// What was shown, and how.
struct Shown {
    json: bool,
    /// The id of the last message that had one.
    last: Option<HeaderValue>,
    seen: Seen,
}

impl Shown {
    fn new(json: bool) -> Self {
        Self {
            json,
            last: None,
            seen: Seen::default(),
        }
    }

    /// Shows a stream to its end. Fails only if that cannot be shown.
    async fn all(&mut self, mut stream: SseStream<ResponseBody>) -> anyhow::Result<()> {
        while let Ok(Some(Ok(message))) = timeout(SILENCE, stream.next()).await {
            self.one(&message)?;
        }
        Ok(())
    }

    fn one(&mut self, message: &Sse) -> anyhow::Result<()> {
        if let Some(id) = &message.id {
            self.last = HeaderValue::from_str(id).ok();
        }
        let Some(data) = &message.data else {
            return Ok(());
        };
        let entry: Value = serde_json::from_str(data).context("the server sends no JSON")?;
        if !self.seen.first_time(&entry) {
            return Ok(());
        }
        let mut out = anstream::stdout().lock();
        if self.json {
            writeln!(out, "{data}")?;
        } else {
            let at = text(&entry["at"]);
            let time = at.get(11..23).unwrap_or("            ");
            writeln!(out, "{}", entries::line(time, &entry, true))?;
        }
        out.flush()?;
        Ok(())
    }
}

/// What was shown of late: around a reconnection, messages may come twice.
#[derive(Default)]
struct Seen {
    now: HashSet<String>,
    before: HashSet<String>,
}

impl Seen {
    /// Half of what is remembered at most.
    const MOST: usize = 20_000;

    fn first_time(&mut self, entry: &Value) -> bool {
        if entry["type"] == "gap" {
            return true;
        }
        let name = ["type", "event", "delivery", "number"].map(|field| entry[field].to_string());
        let name = name.join(" ");
        if self.before.contains(&name) || !self.now.insert(name) {
            return false;
        }
        if self.now.len() >= Self::MOST {
            self.before = std::mem::take(&mut self.now);
        }
        true
    }
}

/// Whether what was to read this has left, as `head` does: no reason to complain.
fn nobody_reads(error: &anyhow::Error) -> bool {
    let broken = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    error.downcast_ref::<io::Error>().is_some_and(broken)
}

/// Beside what is shown.
fn say(what: &str) {
    // When nobody sees it, that is no reason to stop.
    let _ = writeln!(io::stderr(), "hookswitch: {what}");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_is_shown_once_however_often_it_comes() {
        let mut seen = Seen::default();
        let event = json!({"type": "event", "event": "evt_1"});
        let line = |number| json!({"type": "log", "event": "evt_1", "number": number});
        let gap = json!({"type": "gap", "missed": 1});
        for (entry, expected) in [
            (&event, true),
            (&line(0), true),
            (&line(1), true),
            (&event, false),
            (&line(1), false),
            (&gap, true),
            (&gap, true),
        ] {
            assert_eq!(seen.first_time(entry), expected, "{entry}");
        }
        for number in 2..Seen::MOST {
            assert!(seen.first_time(&line(number)));
        }
        assert!(!seen.first_time(&event), "it is still remembered");
        assert!(seen.now.len() + seen.before.len() <= 2 * Seen::MOST);
    }
}
