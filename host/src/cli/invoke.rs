//! `hookswitch invoke`: one call of a plugin without a server, for authors.
//!
//! It is the server's own way, with a store in a temporary folder: a source, an
//! upload, a binding, and the payload through [`Switch::receive`].

use std::collections::BTreeMap;
use std::collections::HashSet;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use bytes::Bytes;
use clap::Args;
use ipnet::IpNet;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::runtime::Handle;
use uuid::Uuid;

use crate::app::engine_options;
use crate::call::{Arrival, Decided, Received, Switch, WaysOut};
use crate::config::{CompileLimits, Limits};
use crate::domain::Json;
use crate::domain::binding::{Selector, Settings};
use crate::domain::decision::{Answer, Decision, Invocation, Why};
use crate::domain::event::Kind;
use crate::domain::grant::http::{Destination, Host, HostPattern, HttpGrant};
use crate::domain::grant::{Granted, KvGrant};
use crate::domain::id::{BindingId, OrganizationId, PluginId, SourceId};
use crate::domain::limits::{CallLimits, Limits as CallAsked};
use crate::domain::log::LogLine;
use crate::domain::plugin::Name;
use crate::domain::repeat::RepeatWindow;
use crate::egress::{Egress, EgressOptions, Target};
use crate::ingest::{Inbound, Reply};
use crate::runtime::Runtime;
use crate::store::{
    By, Creation, Durability, KeySource, NewBinding, NewSource, OpenStore, Store, TokenHash,
    Upload, Uploaded,
};

/// Call a plugin once with a payload, and print the reply the platform would get.
#[derive(Debug, Args)]
pub(super) struct Invoke {
    /// The component.
    #[arg(value_name = "PLUGIN.wasm")]
    plugin: PathBuf,
    /// The platform's payload (JSON).
    #[arg(long, value_name = "FILE")]
    payload: PathBuf,
    /// A setting of the binding; a value that is JSON is taken as JSON.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = setting)]
    settings: Vec<(String, serde_json::Value)>,
    /// A host the plugin may send requests to: https://api.example.com.
    #[arg(long, value_name = "URL", value_parser = http_grant)]
    http: Vec<HttpGrant>,
    /// A network that it may reach although it is private: 127.0.0.0/8.
    #[arg(long, value_name = "CIDR")]
    allow: Vec<IpNet>,
    /// The platform the payload is from.
    #[arg(long, value_name = "NAME", default_value = "dasha")]
    dialect: String,
    /// What calls start with where the platform does not say it (JSON).
    #[arg(long, value_name = "JSON", value_parser = object)]
    agent_config: Option<Json>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

fn setting(text: &str) -> Result<(String, serde_json::Value), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    if key.is_empty() {
        return Err("the key before = is empty".to_owned());
    }
    let value = serde_json::from_str(value).unwrap_or_else(|_| serde_json::Value::from(value));
    Ok((key.to_owned(), value))
}

fn object(text: &str) -> Result<Json, String> {
    match RawValue::from_string(text.to_owned()) {
        Ok(json) if crate::domain::is_object(&json) => Ok(json),
        Ok(_) => Err("expected a JSON object".to_owned()),
        Err(error) => Err(format!("this is not JSON: {error}")),
    }
}

/// Everything at one origin.
fn http_grant(text: &str) -> Result<HttpGrant, String> {
    let uri = text.parse().map_err(|_| "expected an URL")?;
    let target = Target::parse(&uri).map_err(|error| error.to_string())?;
    let Destination { scheme, host, port } = target.destination();
    let host = match host {
        Host::Name(name) => HostPattern::try_from(name.to_owned()).map_err(|e| e.to_string())?,
        Host::Address(address) => HostPattern::Address(address),
    };
    Ok(HttpGrant {
        host,
        scheme,
        port: Some(port),
        methods: None,
        headers: BTreeMap::new(),
    })
}

impl Invoke {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let component = read(&self.plugin)?;
        let payload = read(&self.payload)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        let (received, decided) = runtime.block_on(self.call(component, payload))?;
        let result = Shown::new(&received, decided);
        let mut out = std::io::stdout().lock();
        if self.json {
            serde_json::to_writer_pretty(&mut out, &result)?;
            writeln!(out)?;
        } else {
            result.print(&mut out)?;
        }
        out.flush()?;
        result.verify()
    }

    async fn call(&self, component: Bytes, payload: Bytes) -> anyhow::Result<(Received, Decided)> {
        let folder = tempfile::tempdir()?;
        let limits = Limits {
            concurrent_calls: 4,
            concurrent_notices: 1,
            ..Limits::default()
        };
        let runtime = Arc::new(Runtime::new(engine_options(
            &limits,
            CallLimits::CEILINGS,
            CompileLimits::default(),
            folder.path(),
        ))?);
        let open =
            OpenStore::open(folder.path(), Durability::Process, &KeySource::DataFolder).await?;
        let source = self.set_up(&open.store, &runtime, component).await?;
        let options = EgressOptions {
            allow: self.allow.clone(),
            ..EgressOptions::default()
        };
        let ways_out = WaysOut {
            plugins: Egress::new(&options, runtime.connections())?,
            endpoints: Egress::new(&options, Handle::current())?,
        };
        let switch = Arc::new(Switch::new(open.store.clone(), runtime, ways_out));
        let inbound = Inbound {
            headers: http::HeaderMap::new(),
            body: payload,
            peer: LOCAL,
        };
        let mut received = switch.receive(source, inbound, Arrival::now()).await?;
        let decided = match received.decided.take() {
            Some(decided) => decided,
            None => handle(&open.store, &switch).await?,
        };
        Ok((received, decided))
    }

    async fn set_up(
        &self,
        store: &Store,
        runtime: &Arc<Runtime>,
        component: Bytes,
    ) -> anyhow::Result<SourceId> {
        let now = Timestamp::now();
        let organization = OrganizationId::from(Uuid::now_v7());
        store
            .add_operator(TokenHash::of("invoke"), "invoke", None, organization, now)
            .await?;
        let Some(dialect) = crate::ingest::dialect(&self.dialect) else {
            bail!(
                "there is no dialect {:?}; there is: {}",
                self.dialect,
                crate::ingest::names()
            );
        };
        let source = NewSource {
            id: SourceId::from(Uuid::now_v7()),
            organization,
            name: name("invoke")?,
            dialect: self.dialect.clone(),
            proof: Vec::new(),
            patience: dialect.patience(),
            repeat_window: RepeatWindow::default(),
            agent_config: self.agent_config.clone(),
            rate: None,
            verdicts: crate::domain::decision::Verdicts::default(),
            created_at: now,
        };
        let id = source.id;
        let creation = Creation::of_host(organization, now);
        store.create_source(source, creation).await?;
        let inspection = runtime
            .inspect(component.clone(), organization, HashSet::new())
            .await
            .with_context(|| format!("{} cannot be a plugin", self.plugin.display()))?;
        let plugin = PluginId::from(Uuid::now_v7());
        let upload = Upload {
            organization,
            plugin: plugin_name(&self.plugin)?,
            new_plugin: plugin,
            inspection,
            bytes: component,
        };
        let uploaded = store.upload(upload, By::of_host(organization, now)).await?;
        let (Uploaded::New(version) | Uploaded::Known(version)) = uploaded;
        let binding = NewBinding {
            id: BindingId::from(Uuid::now_v7()),
            organization,
            plugin,
            version: version.number,
            selector: Selector::default(),
            config: Settings(self.settings.iter().cloned().collect()),
            on_failure: crate::domain::decision::OnFailure::default(),
            limits: CallAsked::default(),
            // An author wants to see what the plugin does; its space is empty anyway.
            granted: Granted {
                kv: Some(KvGrant::default()),
                http: self.http.clone(),
            },
            created_at: now,
        };
        let creation = Creation::of_host(organization, now);
        store.create_binding(binding, creation).await?;
        Ok(id)
    }
}

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn read(path: &Path) -> anyhow::Result<Bytes> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(bytes.into())
}

fn name(text: &str) -> anyhow::Result<Name> {
    Ok(text.parse()?)
}

/// The plugin's name in the output: its file's, as far as that can be a name.
fn plugin_name(path: &Path) -> anyhow::Result<Name> {
    let stem = path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or("plugin");
    let text: String = stem
        .to_ascii_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(63)
        .collect();
    name(text.trim_start_matches('-')).or_else(|_| name("plugin"))
}

/// Does at once what a server's worker does after the acknowledgement.
async fn handle(store: &Store, switch: &Switch) -> anyhow::Result<Decided> {
    let now = Timestamp::now();
    let until = now + jiff::SignedDuration::from_mins(1);
    let claimed = store.claim_notices(now, until, 1).await?;
    let notice = claimed
        .first()
        .ok_or_else(|| anyhow!("the notice was not stored"))?;
    Ok(switch.handle(notice).await?)
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Shown {
    reply: ShownReply,
    outcome: &'static str,
    reason: Option<&'static str>,
    answer: Answer,
    log: Vec<LogLine>,
    invocations: Vec<Invocation>,
    elapsed_us: u64,
    #[serde(skip)]
    why: Option<Why>,
    /// Of what the payload is about.
    #[serde(skip)]
    kind: Kind,
}

#[derive(Debug, Serialize)]
struct ShownReply {
    status: u16,
    body: Option<Json>,
}

impl Shown {
    fn new(received: &Received, decided: Decided) -> Self {
        let Decision {
            kind,
            outcome,
            answer,
            invocations,
            elapsed,
            ..
        } = decided.decision;
        let reply = match &received.reply {
            Reply::Body(body) => ShownReply {
                status: 200,
                body: Some(body.clone()),
            },
            Reply::Unavailable => ShownReply {
                status: 503,
                body: None,
            },
        };
        let why = outcome.why();
        Self {
            reply,
            outcome: outcome.as_str(),
            reason: why.map(Why::as_str),
            answer,
            log: decided.log.into_iter().map(|(_, line)| line).collect(),
            invocations,
            elapsed_us: elapsed.as_micros() as u64,
            why,
            kind,
        }
    }

    fn print(&self, out: &mut impl std::io::Write) -> anyhow::Result<()> {
        match &self.reply.body {
            Some(body) => writeln!(out, "{}", body.get())?,
            None => writeln!(
                out,
                "(no answer: HTTP 503, the platform's own fallback acts)"
            )?,
        }
        if let Answer::Event(answer) = &self.answer {
            writeln!(out, "event  {}", serde_json::to_string(answer)?)?;
        }
        for line in &self.log {
            writeln!(out, "log    {:5}  {}", line.level.as_str(), line.message)?;
        }
        match self.why {
            Some(Why::AllPassed) => {
                writeln!(out, "note   the plugin passed: this is the default verdict")?;
            }
            Some(Why::ForwardUnavailable | Why::ForwardFailed) => {
                writeln!(
                    out,
                    "note   the plugin forwarded: this is the default verdict"
                )?;
            }
            Some(Why::NoBinding | Why::PluginFailed | Why::Interrupted) | None => {}
        }
        for called in &self.invocations {
            let milliseconds = called.elapsed.as_secs_f64() * 1000.0;
            let memory = called.memory_bytes as f64 / f64::from(1 << 20);
            writeln!(
                out,
                "time   {milliseconds:.2} ms in {}, {memory:.1} MiB",
                called.handler.interface()
            )?;
        }
        Ok(())
    }

    /// Whether the plugin did its part.
    fn verify(&self) -> anyhow::Result<ExitCode> {
        let failure = self
            .invocations
            .iter()
            .find_map(|called| called.error.as_ref());
        match (self.why, failure) {
            (Some(Why::NoBinding), _) => {
                bail!(
                    "the plugin exports no {}, which a {} needs; the reply is the default verdict",
                    self.kind.handler().interface(),
                    self.kind
                )
            }
            (Some(Why::PluginFailed | Why::Interrupted), Some(failure)) => {
                bail!("the plugin failed, the reply is the default verdict: {failure}")
            }
            (Some(Why::PluginFailed | Why::Interrupted), None) => bail!("the plugin failed"),
            (Some(Why::AllPassed | Why::ForwardUnavailable | Why::ForwardFailed) | None, _) => {
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}
