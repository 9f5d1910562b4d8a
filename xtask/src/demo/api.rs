//! The requests the demo makes: the platform's, and the administrator's that look at
//! what came of them. What is set up, `hookswitch apply` does.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use ureq::Agent;
use ureq::http::Response;

use crate::server::Server;

/// Bounds the demo, should a notice never be handled.
const HANDLED_LIMIT: Duration = Duration::from_secs(30);

/// A server as its administrator sees it.
pub(super) struct Api<'server> {
    server: &'server Server,
    agent: Agent,
}

/// What a webhook was answered.
pub(super) struct Answered {
    pub(super) status: u16,
    /// As it was sent.
    pub(super) text: String,
    /// The same as JSON; null when it is none.
    pub(super) body: Value,
    pub(super) event: String,
}

impl<'server> Api<'server> {
    pub(super) fn new(server: &'server Server) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_mins(1)))
            .build()
            .new_agent();
        Self { server, agent }
    }

    /// Sends a payload as the platform would.
    pub(super) fn hook(&self, path: &str, payload: &Value) -> Result<Answered> {
        let mut response = self.agent.post(self.url(path)).send_json(payload)?;
        let event = response.headers().get("x-hookswitch-event");
        let event = event
            .and_then(|id| id.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let text = response.body_mut().read_to_string()?;
        Ok(Answered {
            status: response.status().as_u16(),
            body: serde_json::from_str(&text).unwrap_or_default(),
            text,
            event,
        })
    }

    /// One event, once it is answered or handled, and what it owes is delivered.
    pub(super) fn settled_event(&self, id: &str) -> Result<Value> {
        let deadline = Instant::now() + HANDLED_LIMIT;
        loop {
            let path = format!("/api/v1/events/{id}");
            let response = self
                .agent
                .get(self.url(&path))
                .header("authorization", self.bearer())
                .call()?;
            let event = success(response).with_context(|| format!("GET {path}"))?;
            let mut deliveries = event["deliveries"].as_array().into_iter().flatten();
            let owes = deliveries.any(|delivery| delivery["state"] == "owed");
            if event["state"] != "accepted" && !owes {
                return Ok(event);
            }
            ensure!(
                Instant::now() < deadline,
                "event {id} is not handled and delivered in {HANDLED_LIMIT:?}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server.url)
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.server.token)
    }
}

fn success(mut response: Response<ureq::Body>) -> Result<Value> {
    let status = response.status();
    let text = response.body_mut().read_to_string()?;
    ensure!(status.is_success(), "the server answers {status}: {text}");
    serde_json::from_str(&text).context("the answer is no JSON")
}
