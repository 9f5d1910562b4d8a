//! `cargo xtask demo`: the whole of Hookswitch on this machine, from nothing.
//!
//! Builds the guests and the host, starts it on an empty store, uploads and binds
//! the example plugins, sends what the platform sends, and compares each answer
//! with the expected one. Neighbours: `guests` and `host` build, `server` runs the
//! host; below, in reading order: `api` talks to it, `receiver` is whom notices are
//! delivered to, `scenario` says what is sent and expected, `expected` compares, `table`
//! and `next` print.

mod api;
mod expected;
mod next;
mod receiver;
mod scenario;
mod table;

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use self::api::Api;
use self::expected::Expected;
use self::scenario::Step;
use self::table::Row;
use crate::guests::{self, Guests};
use crate::host;
use crate::server::{self, Server};
use crate::terminal::say;

/// What `cargo xtask demo` was told.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Options {
    /// End after the table, with status 0 only if every answer was the expected one
    #[arg(long)]
    exit: bool,
}

impl Options {
    /// To end after the table.
    pub fn exit() -> Self {
        Self { exit: true }
    }
}

/// Builds everything and runs the demo.
pub fn run(options: Options) -> Result<()> {
    say("Building the example plugins (WebAssembly).");
    guests::ensure()?;
    say("Building the host. The first time takes some minutes: it contains a compiler.");
    run_on(&host::ensure()?, options)
}

/// Runs the demo on a host that is built already.
pub fn run_on(host: &Path, options: Options) -> Result<()> {
    let guests = guests::ensure()?;
    let directory = tempfile::TempDir::with_prefix("hookswitch-demo-")?;
    let address = if options.exit {
        server::ANY_FREE_PORT
    } else {
        server::address()
    };
    let configuration = directory.path().join(server::CONFIGURATION);
    std::fs::write(configuration, receiver::CONFIGURATION)?;
    let mut server = Server::start(host, directory.path(), address)?;
    say(format!(
        "\nHookswitch listens on {}, with an empty store.",
        server.url
    ));

    let api = Api::new(&server);
    let source = set_up(&api, &guests)?;
    say("Sending what the platform sends:\n");
    let rows = scenario::steps()?
        .iter()
        .map(|step| play(&api, &source.hook_path, step))
        .collect::<Result<Vec<_>>>()?;
    say(table::render(&rows));
    report(&rows)?;

    if options.exit {
        return server.stop();
    }
    say(next::commands(
        &server,
        &source,
        host,
        &guests.path("start-gate")?,
    ));
    server.stay()
}

/// The source whose hook the payloads are sent to.
struct Source {
    id: String,
    hook_path: String,
}

/// Creates the source, uploads each plugin and binds it.
fn set_up(api: &Api<'_>, guests: &Guests) -> Result<Source> {
    // Who sends the same call again by hand wants to see it decided again.
    let wanted = json!({"name": "demo-line", "repeat_window_ms": 0});
    let created = api.create("/sources", &wanted)?;
    let text = |field: &str| -> Result<String> {
        let value = created[field]
            .as_str()
            .with_context(|| format!("the source has no {field}"));
        Ok(value?.to_owned())
    };
    let source = Source {
        id: text("id")?,
        hook_path: text("hook_path")?,
    };
    say(format!("Created source {}.", source.id));

    let receiver = receiver::start()?;
    for name in scenario::ENDPOINTS {
        // The plugin says what is delivered there; by themselves they want nothing else.
        let filter = json!({"kinds": ["call.completed"]});
        let url = format!("http://{receiver}/{name}");
        let endpoint = json!({"name": name, "url": url, "filter": filter});
        api.create("/endpoints", &endpoint)?;
    }
    say(format!(
        "Created the endpoints {}, which a receiver at {receiver} stands in for.",
        scenario::ENDPOINTS.join(", ")
    ));

    for (plugin, config) in scenario::plugins() {
        let component = std::fs::read(guests.path(plugin)?)
            .with_context(|| format!("the component of {plugin} cannot be read"))?;
        let version = api.upload(plugin, &component)?;
        let binding = json!({
            "plugin": plugin, "selector": {"source": source.id}, "config": config,
            "grants": {"kv": {}}
        });
        api.create("/bindings", &binding)?;
        let exports = version["exports"].as_array().into_iter().flatten();
        let exports: Vec<&str> = exports.filter_map(Value::as_str).collect();
        say(format!(
            "Uploaded and bound {plugin} ({} kB): {}.",
            component.len() / 1000,
            exports.join(", ")
        ));
    }
    Ok(source)
}

/// Sends one payload, waits until it is settled, and judges what came of it.
fn play(api: &Api<'_>, hook_path: &str, step: &Step) -> Result<Row> {
    let answered = api.hook(hook_path, &step.payload)?;
    let event = api.settled_event(&answered.event)?;
    let decision = &event["decision"];
    let plugin = decision["invocations"]
        .as_array()
        .and_then(|all| all.last());
    Ok(Row {
        event: step.event,
        plugin: plugin
            .and_then(|one| one["plugin"].as_str())
            .unwrap_or("none")
            .to_owned(),
        answer: match step.expected {
            Expected::Reply(_) => answered.text.clone(),
            Expected::NoAnswer => table::no_answer(answered.status),
            Expected::Delivered { .. } | Expected::Unchanged => table::notice(&event),
        },
        milliseconds: decision["elapsed_us"].as_f64().unwrap_or_default() / 1000.0,
        difference: step.expected.difference(&answered, &event),
    })
}

/// Fails with every difference between what came and what was expected.
fn report(rows: &[Row]) -> Result<()> {
    let differences: Vec<String> = rows
        .iter()
        .filter_map(|row| Some(format!("{}: {}", row.event, row.difference.as_ref()?)))
        .collect();
    if differences.is_empty() {
        say(format!(
            "Every answer was the expected one ({} of {0}).",
            rows.len()
        ));
        return Ok(());
    }
    bail!(
        "not every answer was the expected one:\n{}",
        differences.join("\n")
    )
}
