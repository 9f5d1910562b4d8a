//! The server that is measured, with what it is asked about set up.

use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::load::{Load, Sample, Target};
use super::stage::{Rounds, Stage};
use crate::api::Api;
use crate::server::{self, Server};

const TOKEN: &str = "admin-token-of-the-bench";

/// Setting up takes many requests. The limit is of the API's tokens, not of webhooks.
const QUICK_SET_UP: &str = "[limits]\napi_requests_per_second = 1000000\n";

/// By which the platform signs.
pub(super) const KEY: &str = "a secret of the platform";

/// A running server.
pub(super) struct Subject {
    pub(super) server: Server,
    pub(super) api: Api,
    folder: TempDir,
    host: std::path::PathBuf,
}

/// Memory that is resident.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resident {
    pub(super) whole_kb: f64,
    /// Of this, what is not backed by a file. The rest the system may drop when it needs
    /// room, as it can read compiled code again.
    pub(super) own_kb: f64,
}

/// A source as it was created.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) id: String,
    pub(super) path: String,
}

impl Subject {
    /// On an empty store, with default settings but for these.
    pub(super) fn start(stage: &Stage, settings: &str) -> Result<Self> {
        let folder = Stage::folder()?;
        let configuration = format!("{settings}\n{QUICK_SET_UP}");
        std::fs::write(folder.path().join(server::CONFIGURATION), configuration)?;
        let host = stage.programs.host.clone();
        let server = Server::start_with_token(
            Command::new(&host),
            folder.path(),
            server::ANY_FREE_PORT,
            TOKEN,
        )?;
        Ok(Self {
            api: Api::new(&server.url, TOKEN),
            server,
            folder,
            host,
        })
    }

    /// Stops it, and starts it again on what it has stored.
    pub(super) fn restart(&mut self) -> Result<()> {
        self.server.stop()?;
        self.server = Server::start_with_token(
            Command::new(&self.host),
            self.folder.path(),
            server::ANY_FREE_PORT,
            TOKEN,
        )?;
        self.api = Api::new(&self.server.url, TOKEN);
        Ok(())
    }

    /// A source, with or without proof of origin.
    pub(super) fn source(&self, name: &str, proven: bool) -> Result<Source> {
        let proof = json!([{"type": "hmac", "header": "X-Blackbox-Signature", "secrets": [KEY]}]);
        let proof = if proven { proof } else { json!([]) };
        let created = self
            .api
            .post("/sources", &json!({"name": name, "proof": proof}))?;
        let created = created.success()?;
        let text = |field: &str| {
            let text = created[field].as_str().map(str::to_owned);
            text.with_context(|| format!("the source has no {field}"))
        };
        Ok(Source {
            id: text("id")?,
            path: text("hook_path")?,
        })
    }

    /// Uploads a guest and binds it for a source.
    pub(super) fn bind(
        &self,
        stage: &Stage,
        guest: &str,
        source: &Source,
        settings: &Value,
    ) -> Result<()> {
        let uploaded = self.api.upload(guest, &stage.component(guest)?)?;
        uploaded.success()?;
        let binding = json!({
            "plugin": guest, "selector": {"source": source.id}, "config": settings,
            "grants": {"kv": {}},
        });
        self.api.create("/bindings", &binding, "id").map(drop)
    }

    /// What asks a source with one payload.
    pub(super) fn target(
        &self,
        source: &Source,
        payload: &Value,
        expected: Option<&str>,
    ) -> Target {
        Target {
            url: self.server.url.clone(),
            samples: vec![Sample::post(&source.path, payload)],
            token: None,
            key: Some(KEY.to_owned()),
            expected: expected.map(str::to_owned),
        }
    }

    /// Sends many requests to its API.
    pub(super) fn send_all(&self, stage: &Stage, samples: Vec<Sample>) -> Result<()> {
        if samples.is_empty() {
            return Ok(());
        }
        let load = Load {
            most: Some(samples.len() as u64),
            ..Load::full(64)
        };
        let target = self.api_target(samples);
        target.ask(&stage.programs, load, Rounds::once()).map(drop)
    }

    /// What asks its API.
    pub(super) fn api_target(&self, samples: Vec<Sample>) -> Target {
        Target {
            url: self.server.url.clone(),
            samples,
            token: Some(TOKEN.to_owned()),
            key: None,
            expected: None,
        }
    }

    /// What is resident of its memory.
    pub(super) fn resident(&self) -> Result<Resident> {
        let path = format!("/proc/{}/status", self.server.id());
        let status = std::fs::read_to_string(&path)?;
        let figure = |name: &str| -> Result<f64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.map(|rest| rest.trim_start_matches(':').trim());
            let number = number.and_then(|rest| rest.trim_end_matches(" kB").parse().ok());
            number.with_context(|| format!("{path} has no {name}"))
        };
        Ok(Resident {
            whole_kb: figure("VmRSS")?,
            own_kb: figure("RssAnon")?,
        })
    }
}
