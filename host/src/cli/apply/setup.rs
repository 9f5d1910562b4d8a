//! What a file says shall be set up, in the API's own forms.
//!
//! Everything is read through the types that the server itself uses, so that a mistake is
//! found before anything is sent, and a field that is left out has its default.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::document::Document;
use super::fill::{Unfilled, fill};
use crate::domain::binding::Settings as Config;
use crate::domain::decision::{OnFailure, Verdicts};
use crate::domain::endpoint::Settings;
use crate::domain::event::Kind;
use crate::domain::grant::Granted;
use crate::domain::limits::Limits;
use crate::domain::plugin::Name;
use crate::domain::proof::{Credential, Proof};
use crate::domain::rate::PerSecond;
use crate::domain::repeat::RepeatWindow;
use crate::domain::source::Patience;
use crate::ingest::{self, Dialect};
use crate::json::{self, ReadError};

/// Everything in a file.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) secrets: BTreeMap<Name, Confidential>,
    pub(super) sources: BTreeMap<Name, Source>,
    pub(super) plugins: BTreeMap<Name, Plugin>,
    pub(super) endpoints: BTreeMap<Name, Endpoint>,
    pub(super) bindings: Vec<Binding>,
}

/// A text that is filled in only when it is sent: who changes nothing needs no secrets.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Confidential(String);

impl std::fmt::Debug for Confidential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(confidential)")
    }
}

impl Confidential {
    pub(super) fn text(&self, folder: &Path) -> Result<String, Unfilled> {
        fill(&self.0, folder)
    }
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Source {
    dialect: String,
    pub(super) proof: Vec<Proof<Confidential>>,
    timeouts_ms: Timeouts,
    margin_ms: u32,
    repeat_window_ms: u32,
    rate_per_second: Option<PerSecond>,
    agent_config: Option<Value>,
    verdicts: Verdicts,
}

impl Default for Source {
    fn default() -> Self {
        Self {
            dialect: "dasha".to_owned(),
            proof: Vec::new(),
            timeouts_ms: Timeouts::default(),
            margin_ms: Patience::default().margin_ms,
            repeat_window_ms: RepeatWindow::default().ms(),
            rate_per_second: None,
            agent_config: None,
            verdicts: Verdicts::default(),
        }
    }
}

/// Each that is left out is the platform's own.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Timeouts {
    start: Option<u32>,
    transfer: Option<u32>,
    tool: Option<u32>,
}

impl Source {
    /// Its fields but for the proof, as the API shows them.
    pub(super) fn fields(&self) -> Value {
        // The server says what is wrong with one that does not exist.
        let platform = ingest::dialect(&self.dialect).map(Dialect::patience);
        let platform = platform.unwrap_or_default();
        json!({
            "dialect": self.dialect,
            "timeouts_ms": {
                "start": self.timeouts_ms.start.unwrap_or(platform.start_ms),
                "transfer": self.timeouts_ms.transfer.unwrap_or(platform.transfer_ms),
                "tool": self.timeouts_ms.tool.unwrap_or(platform.tool_ms),
            },
            "margin_ms": self.margin_ms,
            "repeat_window_ms": self.repeat_window_ms,
            "rate_per_second": self.rate_per_second,
            "agent_config": self.agent_config,
            "verdicts": self.verdicts,
        })
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plugin {
    /// Where the component is, from the file's own folder.
    pub(super) file: PathBuf,
}

#[derive(Debug)]
pub(super) struct Endpoint {
    /// Unless it is said, what has become of it stays: a server disables endpoints itself.
    enabled: Option<bool>,
    settings: Settings,
    pub(super) proof: Vec<Credential<Confidential>>,
    /// Of the first one; later `hookswitch endpoint rotate` is the way.
    pub(super) signing_secret: Option<Confidential>,
}

impl Endpoint {
    fn read(name: &Name, mut fields: BTreeMap<String, Box<RawValue>>) -> Result<Self, ReadError> {
        let path = format!("endpoints.{name}");
        let at = |field: &str| format!("{path}.{field}");
        let mut raw = |field: &str| fields.remove(field).map(|raw| (raw, at(field)));
        let enabled = match raw("enabled") {
            Some((raw, at)) => Some(json::part(&raw, &at)?),
            None => None,
        };
        let proof = match raw("proof") {
            Some((raw, at)) => json::part(&raw, &at)?,
            None => Vec::new(),
        };
        let signing_secret = match raw("signing_secret") {
            Some((raw, at)) => Some(json::part(&raw, &at)?),
            None => None,
        };
        let rest = serde_json::value::to_raw_value(&fields).map_err(ReadError::NotJson)?;
        let settings: Settings = json::part(&rest, &path)?;
        let checked = settings.check();
        checked.map_err(|error| ReadError::invalid(at(error.field), error.to_string()))?;
        Ok(Self {
            enabled,
            settings,
            proof,
            signing_secret,
        })
    }

    /// Its fields but for the secrets, as the API shows them; null is a default.
    pub(super) fn fields(&self) -> Value {
        let mut fields = json!(self.settings);
        if let Some(enabled) = self.enabled {
            fields["enabled"] = enabled.into();
        }
        for optional in ["body", "rate_per_second"] {
            // Indexing makes a field that is not there null.
            let _ = &mut fields[optional];
        }
        fields
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Binding {
    pub(super) plugin: Name,
    #[serde(default)]
    pub(super) version: Wanted,
    #[serde(default)]
    pub(super) selector: Selector,
    #[serde(default)]
    config: Config,
    #[serde(default)]
    on_failure: OnFailure,
    #[serde(default)]
    limits: Limits,
    #[serde(default)]
    grants: Granted,
}

/// Which version a binding shall run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub(super) enum Wanted {
    /// The file's, if the plugin is in it; else the one it runs, the newest at first.
    #[default]
    Unsaid,
    /// The component that this file names.
    File,
    Latest,
    Number(u32),
}

impl TryFrom<Value> for Wanted {
    type Error = &'static str;
    fn try_from(value: Value) -> Result<Self, Self::Error> {
        match (value.as_str(), value.as_u64()) {
            (Some("file"), _) => Ok(Self::File),
            (Some("latest"), _) => Ok(Self::Latest),
            (_, Some(number)) if number > 0 => {
                let number = number.try_into();
                number.map(Self::Number).map_err(|_| "is too large")
            }
            _ => Err("expected the number of a version, \"latest\", or \"file\""),
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Selector {
    /// Its name or id.
    pub(super) source: Option<String>,
    agent: Option<String>,
    kind: Option<Kind>,
    tool: Option<String>,
}

impl Selector {
    /// As the API shows it.
    pub(super) fn shown(&self, source: Option<&str>) -> Value {
        let Self {
            source: _,
            agent,
            kind,
            tool,
        } = self;
        json!({"source": source, "agent": agent, "kind": kind, "tool": tool})
    }
}

impl Binding {
    /// Its fields but for plugin, version and selector, as the API shows them.
    pub(super) fn fields(&self) -> Value {
        json!({
            "config": self.config,
            "on_failure": self.on_failure,
            "limits": self.limits,
            "grants": self.grants,
        })
    }
}

/// The file's own form.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Form {
    secrets: BTreeMap<Name, Confidential>,
    sources: BTreeMap<Name, Source>,
    plugins: BTreeMap<Name, Plugin>,
    endpoints: BTreeMap<Name, BTreeMap<String, Box<RawValue>>>,
    bindings: Vec<Binding>,
}

impl Setup {
    pub(super) fn read(document: &Document) -> anyhow::Result<Self> {
        let mut value = document.json()?;
        fill_all(&mut value, &mut Vec::new(), document.folder())
            .map_err(|(field, error)| document.error(&field, error.to_string()))?;
        form(&value).map_err(|error| match error {
            ReadError::MissingField { field } => document.error(&field, "is missing"),
            ReadError::InvalidField { field, problem } => document.error(&field, problem),
            other => other.into(),
        })
    }
}

fn form(value: &Value) -> Result<Setup, ReadError> {
    let form: Form = json::object(&value.to_string())?;
    let endpoints = form.endpoints.into_iter();
    let endpoints = endpoints.map(|(name, fields)| {
        let endpoint = Endpoint::read(&name, fields)?;
        Ok((name, endpoint))
    });
    Ok(Setup {
        secrets: form.secrets,
        sources: form.sources,
        plugins: form.plugins,
        endpoints: endpoints.collect::<Result<_, ReadError>>()?,
        bindings: form.bindings,
    })
}

/// Fills in every text but those that are confidential.
fn fill_all(
    value: &mut Value,
    path: &mut Vec<String>,
    folder: &Path,
) -> Result<(), (String, Unfilled)> {
    if is_confidential(path) {
        return Ok(());
    }
    match value {
        Value::String(text) => {
            *text = fill(text, folder).map_err(|error| (path.join("."), error))?;
        }
        Value::Array(items) => {
            for (at, item) in items.iter_mut().enumerate() {
                let named = path.pop().unwrap_or_default();
                path.push(format!("{named}[{at}]"));
                fill_all(item, path, folder)?;
                path.pop();
                path.push(named);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                path.push(name.clone());
                fill_all(field, path, folder)?;
                path.pop();
            }
        }
        _ => {}
    }
    Ok(())
}

fn is_confidential(path: &[String]) -> bool {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match path.as_slice() {
        ["secrets", ..] => true,
        ["sources" | "endpoints", _, field, ..] => {
            *field == "proof" || field.starts_with("proof[") || *field == "signing_secret"
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::proof::HoldsSecrets as _;

    fn read(text: &str) -> anyhow::Result<Setup> {
        Setup::read(&Document::new(Path::new("setup.toml"), text.to_owned()))
    }

    #[test]
    fn mistakes_are_refused_with_their_place() {
        for (text, said) in [
            ("[source.main]", "setup.toml:1:2: source: unknown field"),
            (
                "[sources.main]\nmargin = 1",
                "setup.toml:2:1: sources.main.margin: unknown field",
            ),
            (
                "[sources.main.timeouts_ms]\nstart = -1",
                "setup.toml:2:1: sources.main.timeouts_ms.start: invalid value",
            ),
            (
                "[[sources.main.proof]]\ntype = \"hmac\"\nsecrets = []",
                "setup.toml:1:1: sources.main.proof[0].header: is missing",
            ),
            (
                "[sources.Main]",
                "setup.toml:1:10: sources.Main: a name has 1 to 63",
            ),
            (
                "[endpoints.crm]\nurl = \"https://example.com\"\nretries = 3",
                "setup.toml:3:1: endpoints.crm.retries: unknown field",
            ),
            (
                "[endpoints.crm]\nurl = \"https://example.com\"\ntimeout_ms = 5",
                "setup.toml:3:1: endpoints.crm.timeout_ms: must be 100 to",
            ),
            (
                "[endpoints.crm]",
                "setup.toml:1:12: endpoints.crm.url: is missing",
            ),
            (
                "[[bindings]]\nplugin = \"gate\"\n[[bindings]]\nplugin = \"gate\"\nversion = \"new\"",
                "setup.toml:5:1: bindings[1].version: expected the number of a version",
            ),
            (
                "[[bindings]]\nplugin = \"gate\"\n[bindings.grants.kv]\nrows = 1",
                "setup.toml:4:1: bindings[0].grants.kv.rows: unknown field",
            ),
            (
                "[plugins.gate]\nfile = \"${env:HOOKSWITCH_NOBODY_SETS}\"",
                "setup.toml:2:1: plugins.gate.file: the environment has no variable",
            ),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.starts_with(said), "{text}\n{error}");
        }
    }

    #[test]
    fn what_is_confidential_is_filled_in_only_when_it_is_sent() {
        let setup = read(
            "[secrets]\ncrm = \"${env:HOOKSWITCH_NOBODY_SETS}\"\n\
             [[sources.main.proof]]\ntype = \"header\"\nname = \"X-Key\"\n\
             values = [\"${env:HOOKSWITCH_NOBODY_SETS}\"]",
        )
        .unwrap();
        let proof = &setup.sources.values().next().unwrap().proof[0];
        let shown = json!({"type": "header", "name": "x-key"});
        assert_eq!(json!(proof.shown()), shown);
        assert!(proof.map(|value| value.text(Path::new("."))).is_err());
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        let setup = read("[sources.main]\n[endpoints.crm]\nurl = \"https://example.com\"").unwrap();
        let source = setup.sources.values().next().unwrap().fields();
        assert_eq!(source["timeouts_ms"]["start"], 10_000);
        assert_eq!(source["verdicts"]["start"]["decision"], "accept");
        let endpoint = setup.endpoints.values().next().unwrap().fields();
        assert_eq!(endpoint["method"], "POST");
        assert!(endpoint.as_object().unwrap()["rate_per_second"].is_null());
        assert!(source.as_object().unwrap()["agent_config"].is_null());
        let vapi = read("[sources.main]\ndialect = \"vapi\"\ntimeouts_ms.tool = 9000").unwrap();
        let timeouts = &vapi.sources.values().next().unwrap().fields()["timeouts_ms"];
        assert_eq!(
            (&timeouts["start"], &timeouts["tool"]),
            (&json!(7_500), &json!(9_000))
        );
    }
}
