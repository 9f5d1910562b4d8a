//! `cargo xtask demo`: the whole of Hookswitch on this machine, from nothing.
//!
//! Builds the guests and the host, starts it on an empty store, has `hookswitch apply` set
//! up what `demo/hookswitch.toml` says, sends what the platform sends, and compares each answer
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
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use self::api::Api;
use self::expected::Expected;
use self::scenario::Step;
use self::table::Row;
use crate::guests::{self, Guests};
use crate::host::{self, workspace};
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
    let demo = set_up(host, &server, &guests)?;
    say("Sending what the platform sends:\n");
    let rows = scenario::steps()?
        .iter()
        .map(|step| play(&api, &demo.hook_path, step))
        .collect::<Result<Vec<_>>>()?;
    say(table::render(&rows));
    report(&rows)?;

    if options.exit {
        return server.stop();
    }
    say(next::commands(
        &server,
        &demo,
        host,
        &guests.path("start-gate")?,
    ));
    server.stay()
}

/// What there is to try once everything is set up.
struct Demo {
    hook_path: String,
    /// Where deliveries go.
    receiver: String,
}

/// Has the host itself set everything up, as a user would: by `hookswitch apply`.
fn set_up(host: &Path, server: &Server, guests: &Guests) -> Result<Demo> {
    let receiver = format!("http://{}", receiver::start()?);
    let file = workspace()?.join("demo/hookswitch.toml");
    say(format!(
        "hookswitch apply demo/hookswitch.toml, with a receiver at {receiver} for deliveries:"
    ));
    let folder = guests.path("start-gate")?;
    let folder = folder.parent().context("a guest lies in a folder")?;
    let applied = Command::new(host)
        .arg("apply")
        .arg(file)
        .arg("--json")
        .env("HOOKSWITCH_SERVER", &server.url)
        .env("HOOKSWITCH_TOKEN", &server.token)
        .env_remove("HOOKSWITCH_PROFILE")
        .env_remove("HOOKSWITCH_ORGANIZATION")
        .env("DEMO_GUESTS", folder)
        .env("DEMO_RECEIVER", &receiver)
        .stderr(Stdio::inherit())
        .output()
        .context("the host does not start")?;
    ensure!(applied.status.success(), "hookswitch apply failed");
    let report: Value = serde_json::from_slice(&applied.stdout)?;
    let changes = report["changes"].as_array().context("no changes")?;
    for change in changes {
        let text = |field: &str| change[field].as_str().unwrap_or_default().to_owned();
        say(format!("  {} {}", text("kind"), text("name")));
    }
    let source = changes.iter().find(|change| change["kind"] == "source");
    let source = source.context("no source came into being")?;
    let hook_path = source["answer"]["hook_path"].as_str();
    let hook_path = hook_path.context("the source has no hook_path")?;
    Ok(Demo {
        hook_path: hook_path.to_owned(),
        receiver,
    })
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
