//! A server under attack: mounting an attack on it, and striking.
//!
//! Neighbours: `corpus` says what is mounted and how it has to end, `api` makes the
//! requests.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::adversary::Adversary;
use super::corpus::{self, Attack, Outcome};
use crate::api::{Api, Reply};
use crate::guests::{self, Guests};
use crate::host;

/// The plugin that behaves.
pub(super) const GOOD_PLUGIN: &str = "start-gate";

/// What the verdict of an attack's binding says.
const VERDICT: &str = "the plugin failed";

/// A server, and what attacks on it are made of.
#[derive(Debug)]
pub struct Target {
    pub(super) api: Api,
    materials: Materials,
    adversary: Adversary,
    start: Value,
}

/// What the bytes of some attacks are made of.
#[derive(Debug)]
pub(super) struct Materials {
    guests: Guests,
    /// The server's own data.
    data: PathBuf,
}

impl Materials {
    pub(super) fn guest(&self, name: &str) -> Result<Vec<u8>> {
        std::fs::read(self.guests.path(name)?)
            .with_context(|| format!("the guest {name} cannot be read"))
    }

    /// The compiled form of one of the server's plugins.
    pub(super) fn compiled_code(&self) -> Result<Vec<u8>> {
        let file = first_below(&self.data.join("compiled"), "cwasm")?;
        let file = file.context("the server has compiled nothing yet")?;
        std::fs::read(&file).with_context(|| format!("{} cannot be read", file.display()))
    }
}

fn first_below(folder: &Path, extension: &str) -> Result<Option<PathBuf>> {
    let entries = std::fs::read_dir(folder);
    for entry in entries.with_context(|| format!("{} cannot be read", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            if let Some(found) = first_below(&path, extension)? {
                return Ok(Some(found));
            }
        } else if path.extension().is_some_and(|found| found == extension) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// An attack that is mounted: bytes ready to be uploaded, or bindings to be called.
#[derive(Debug)]
pub struct Armed<'target> {
    target: &'target Target,
    plugin: &'static str,
    means: Means,
}

#[derive(Debug)]
enum Means {
    Upload(Vec<u8>),
    Calls { source: String, hook_path: String },
}

impl Target {
    /// A server that was started on [`CONFIGURATION`](super::CONFIGURATION), with its
    /// data in that folder. It gets the plugin that behaves.
    pub fn new(url: &str, token: &str, data: &Path) -> Result<Self> {
        let materials = Materials {
            guests: guests::ensure()?,
            data: data.to_owned(),
        };
        let api = Api::new(url, token);
        let good = materials.guest(GOOD_PLUGIN)?;
        api.upload(GOOD_PLUGIN, &good)?.success()?;
        let start = host::workspace()?.join("tests/fixtures/dasha/start.json");
        Ok(Self {
            api,
            materials,
            adversary: Adversary::start()?,
            start: serde_json::from_slice(&std::fs::read(start)?)?,
        })
    }

    /// Every attack there is.
    pub fn attacks(&self) -> Result<Vec<Attack>> {
        Ok(corpus::attacks(self.adversary.port))
    }

    /// How many requests got through to where none may.
    pub fn trespasses(&self) -> usize {
        self.adversary.trespasses()
    }

    /// Mounts an attack: uploads it and binds it that many times, each for an agent of
    /// its own, so that the circuit breaker of one does not spare the server the next.
    ///
    /// An attack that has to be refused is only made ready.
    pub fn arm(&self, attack: &Attack, bindings: usize) -> Result<Armed<'_>> {
        let bytes = attack.bytes(&self.materials)?;
        let means = match attack.expected {
            corpus::Expected::Refused(_) => Means::Upload(bytes),
            _ => self.bind(attack, &bytes, bindings)?,
        };
        Ok(Armed {
            target: self,
            plugin: attack.name,
            means,
        })
    }

    fn bind(&self, attack: &Attack, bytes: &[u8], bindings: usize) -> Result<Means> {
        let uploaded = self.api.upload(attack.name, bytes)?.success();
        uploaded.context("the attack is refused at upload, before it can be called")?;
        let created = self.api.post("/sources", &source(attack.name))?;
        let created = created.success()?;
        let text = |field: &str| created[field].as_str().map(str::to_owned);
        let source = text("id").context("the source has no id")?;
        for n in 0..bindings {
            let mut binding = attack.binding.clone();
            binding["plugin"] = json!(attack.name);
            binding["selector"] = json!({"source": source, "agent": agent(n)});
            binding["on_failure"] = json!({"start": {"decision": "reject", "reason": VERDICT}});
            self.api.create("/bindings", &binding, "id")?;
        }
        Ok(Means::Calls {
            hook_path: text("hook_path").context("the source has no hook_path")?,
            source,
        })
    }

    /// Checks that a good plugin is answered: the server is up, and works.
    pub fn check_good_plugin(&self) -> Result<()> {
        let source = self.api.post("/sources", &source("good"))?;
        let source = source.success()?;
        let binding = json!({"plugin": GOOD_PLUGIN, "selector": {"source": source["id"]}});
        self.api.create("/bindings", &binding, "id")?;
        let hook_path = source["hook_path"].as_str().context("no hook_path")?;
        let reply = self.api.hook(hook_path, &self.start)?;
        let answer = reply.success()?;
        ensure!(
            answer == json!({"accept": true}),
            "the good plugin answers {answer}"
        );
        let id = source["id"].as_str().context("no id")?;
        self.api.delete(&format!("/sources/{id}"))?.success()?;
        Ok(())
    }

    /// What is sent to an attack's hook.
    pub(super) fn start_of(&self, agent: &str) -> Value {
        let mut start = self.start.clone();
        start["agentId"] = json!(agent);
        start
    }
}

/// A source on which every request runs the plugin, though the same one is sent again
/// and again.
pub(super) fn source(name: &str) -> Value {
    json!({"name": name, "repeat_window_ms": 0})
}

fn agent(n: usize) -> String {
    format!("agent_{n}")
}

impl Armed<'_> {
    /// Strikes once by the binding of that number, and says how it ended.
    pub fn strike(&self, binding: usize) -> Result<Outcome> {
        let reply = self.send(binding)?;
        match &self.means {
            Means::Upload(_) if reply.status < 300 => bail!("the upload is taken"),
            Means::Upload(_) => Ok(Outcome::Refused {
                status: reply.status,
                code: reply.body["code"].as_str().unwrap_or_default().to_owned(),
            }),
            Means::Calls { .. } => self.came_of(&reply),
        }
    }

    /// Strikes once, and does not look at what comes of it.
    pub(super) fn send(&self, binding: usize) -> Result<Reply> {
        let api = &self.target.api;
        match &self.means {
            Means::Upload(bytes) => api.upload(self.plugin, bytes),
            Means::Calls { hook_path, .. } => {
                api.hook(hook_path, &self.target.start_of(&agent(binding)))
            }
        }
    }

    /// Whether each strike is a call, and so needs a binding that is not worn out.
    pub(super) fn calls(&self) -> bool {
        matches!(self.means, Means::Calls { .. })
    }

    fn came_of(&self, reply: &Reply) -> Result<Outcome> {
        ensure!(
            !reply.event.is_empty(),
            "the hook answers {}: {}",
            reply.status,
            reply.body
        );
        let path = format!("/events/{}", reply.event);
        let event = self.target.api.get(&path)?.success()?;
        let invocation = &event["decision"]["invocations"][0];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match invocation["outcome"].as_str() {
            Some("answered") => Ok(Outcome::Answered {
                error: reply.body["additionalData"]["error"]
                    .as_str()
                    .map(str::to_owned),
            }),
            Some("failed") => Ok(Outcome::Failed {
                code: text(&invocation["error"]["code"]),
                message: text(&invocation["error"]["message"]),
                memory_bytes: invocation["memory_bytes"].as_u64().unwrap_or_default(),
                verdict_stands: reply.body == json!({"accept": false, "reasonMessage": VERDICT}),
            }),
            _ => bail!("the attack was not called: {event}"),
        }
    }

    /// Takes the attack down: its source, and with it its bindings.
    pub fn disarm(self) -> Result<()> {
        if let Means::Calls { source, .. } = &self.means {
            let path = format!("/sources/{source}");
            let reply = self.target.api.delete(&path)?;
            ensure!(reply.status == 204, "DELETE {path}: {}", reply.body);
        }
        Ok(())
    }
}
