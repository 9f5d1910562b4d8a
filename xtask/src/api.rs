//! The requests of the administrator and of the platform.
//!
//! Unlike the demo's, a refusal here is an answer like every other. Neighbours: `hostile`,
//! `faults` and `bench`.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use ureq::Agent;
use ureq::http::Response;

/// Bounds a request that a server never answers; longer than it may take to compile.
const LIMIT: Duration = Duration::from_mins(3);

/// A server as its administrator and a platform see it.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    url: String,
    bearer: String,
    agent: Agent,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// The body as JSON; null when it is none.
    pub(crate) body: Value,
    /// The event's id, for a hook's reply.
    pub(crate) event: String,
}

impl Reply {
    /// The body of a success.
    pub(crate) fn success(self) -> Result<Value> {
        ensure!(
            (200..300).contains(&self.status),
            "the server answers {}: {}",
            self.status,
            self.body
        );
        Ok(self.body)
    }
}

impl Api {
    pub(crate) fn new(url: &str, token: &str) -> Self {
        Self {
            url: url.to_owned(),
            bearer: format!("Bearer {token}"),
            agent: agent(),
        }
    }

    pub(crate) fn get(&self, path: &str) -> Result<Reply> {
        let request = self.agent.get(format!("{}/api/v1{path}", self.url));
        read(request.header("authorization", &self.bearer).call()?)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Reply> {
        let request = self.agent.post(format!("{}/api/v1{path}", self.url));
        read(
            request
                .header("authorization", &self.bearer)
                .send_json(body)?,
        )
    }

    /// Changes a thing, whatever its revision.
    pub(crate) fn patch(&self, path: &str, change: &Value) -> Result<Reply> {
        let request = self.agent.patch(format!("{}/api/v1{path}", self.url));
        let request = request.header("if-match", "*");
        read(
            request
                .header("authorization", &self.bearer)
                .send_json(change)?,
        )
    }

    pub(crate) fn delete(&self, path: &str) -> Result<Reply> {
        let request = self.agent.delete(format!("{}/api/v1{path}", self.url));
        read(request.header("authorization", &self.bearer).call()?)
    }

    /// Uploads bytes as the next version of a plugin.
    pub(crate) fn upload(&self, plugin: &str, bytes: &[u8]) -> Result<Reply> {
        let path = format!("{}/api/v1/plugins/{plugin}/versions", self.url);
        let request = self.agent.post(path).content_type("application/wasm");
        read(request.header("authorization", &self.bearer).send(bytes)?)
    }

    /// Sends a payload as the platform would.
    pub(crate) fn hook(&self, path: &str, payload: &Value) -> Result<Reply> {
        let url = format!("{}{path}", self.url);
        read(self.agent.post(url).send_json(payload)?)
    }

    /// Creates a source, a binding, …, and gives the text of one of its fields.
    pub(crate) fn create(&self, path: &str, body: &Value, field: &str) -> Result<String> {
        let created = self.post(path, body)?.success();
        let created = created.with_context(|| format!("POST {path}"))?;
        let text = created[field].as_str();
        Ok(text
            .with_context(|| format!("what POST {path} created has no {field}"))?
            .to_owned())
    }
}

/// A client whose connections stay open.
///
/// Each part of a request has its limit. One for all of it would have the client start a
/// thread for each request, to look the host up in.
pub(crate) fn agent() -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(LIMIT))
        .timeout_send_request(Some(LIMIT))
        .timeout_send_body(Some(LIMIT))
        .timeout_recv_response(Some(LIMIT))
        .timeout_recv_body(Some(LIMIT))
        .max_idle_connections_per_host(16)
        .max_idle_connections(16)
        .build()
        .new_agent()
}

fn read(mut response: Response<ureq::Body>) -> Result<Reply> {
    let event = response.headers().get("x-hookswitch-event");
    let event = event
        .and_then(|id| id.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let status = response.status().as_u16();
    let text = response.body_mut().read_to_string()?;
    Ok(Reply {
        status,
        body: serde_json::from_str(&text).unwrap_or_default(),
        event,
    })
}
