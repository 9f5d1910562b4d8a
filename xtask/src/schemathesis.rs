//! `cargo xtask schemathesis`: the API held against its own description by other people's
//! program, Schemathesis from the Python registry.
//!
//! A server is started with one of everything in it, so that more than "not found" is
//! seen. Neighbour: `guests::languages` installs its tools in the same way.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::api::Api;
use crate::guests::languages::package::{self, Package};
use crate::guests::{self, lock, repository, target_folder};
use crate::host;
use crate::server::{self, Server};
use crate::terminal::say;

/// What `cargo xtask schemathesis` was told.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Options {
    /// Requests made up for each operation, about.
    #[arg(long, default_value_t = 50)]
    examples: u32,
    /// Make the same requests as another time.
    #[arg(long)]
    seed: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            examples: 50,
            seed: None,
        }
    }
}

/// The pin, and what Schemathesis is told of uploads.
const FOLDER: &str = "tests/schemathesis";
const SCHEMATHESIS: Package = Package {
    name: "schemathesis",
    needs: "python3",
    pins: &["requirements.txt"],
    install: package::install_with_pip,
};

/// No server error, and nothing that the description does not say.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_headers_conformance,response_schema_conformance,unsupported_method";

const TOKEN: &str = "admin-token-of-schemathesis";

pub fn run(options: Options) -> Result<()> {
    run_on(&host::ensure()?, options)
}

/// The same on a host that is built already.
pub fn run_on(host: &Path, options: Options) -> Result<()> {
    let root = repository();
    let tools = target_folder(&root).join("schemathesis");
    std::fs::create_dir_all(&tools)?;
    let installed = {
        let _lock = lock(&tools)?;
        SCHEMATHESIS.installed(&root, FOLDER, &tools)?
    };
    let guests = guests::ensure()?;
    let component = guests.path("start-gate")?;
    let directory = TempDir::with_prefix("hookswitch-schemathesis-")?;
    // It asks as fast as it can.
    let fast = "[limits]\napi_requests_per_second = 1000000\n";
    std::fs::write(directory.path().join(server::CONFIGURATION), fast)?;
    let mut server = Server::start_with_token(
        Command::new(host),
        directory.path(),
        server::ANY_FREE_PORT,
        TOKEN,
    )?;
    let known = one_of_everything(&Api::new(&server.url, TOKEN), &component)?;
    let configuration = directory.path().join("schemathesis.toml");
    std::fs::write(&configuration, told(&known))?;
    let mut command = Command::new(installed.join("bin/schemathesis"));
    command
        .arg("--config-file")
        .arg(&configuration)
        .args(["run", &format!("{}/openapi.json", server.url)])
        .args(["--header", &format!("Authorization: Bearer {TOKEN}")])
        .args(["--checks", CHECKS])
        // It has no end.
        .args(["--exclude-path", "/api/v1/events/stream"])
        .args(["--phases", "examples,coverage,fuzzing"])
        .args(["--max-examples", &options.examples.to_string()])
        .args(["--request-timeout", "60", "--suppress-health-check", "all"])
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("PYTHONPATH", root.join(FOLDER))
        .env("HOOKSWITCH_COMPONENT", &component)
        .current_dir(directory.path());
    if let Some(seed) = options.seed {
        command.args(["--seed", &seed.to_string()]);
    }
    let status = command.status().context("schemathesis does not start")?;
    let runs = server.runs();
    ensure!(runs, "the server has ended; it says:\n{}", server.log());
    server.stop()?;
    ensure!(status.success(), "schemathesis found something: {status}");
    say("schemathesis found nothing");
    Ok(())
}

/// Puts one of everything into a server, and gives their names by the lists they are in.
fn one_of_everything(api: &Api, component: &Path) -> Result<Vec<(&'static str, String)>> {
    let payload = repository().join("tests/fixtures/dasha/completed.json");
    let payload: Value = serde_json::from_slice(&std::fs::read(payload)?)?;
    api.upload("gate", &std::fs::read(component)?)?.success()?;
    let source = json!({"name": "line"});
    let hook = api.create("/sources", &source, "hook_path")?;
    let sources = api.get("/sources")?.success()?;
    let binding = api.create("/bindings", &json!({"plugin": "gate"}), "id")?;
    let endpoint = json!({"name": "crm", "url": "https://example.invalid/"});
    let endpoint = api.create("/endpoints", &endpoint, "id")?;
    let event = api.hook(&hook, &payload)?.event;
    let job = json!({"since": "2026-01-01T00:00:00Z"});
    let job = api.create(&format!("/endpoints/{endpoint}/recover"), &job, "id")?;
    let token = json!({"label": "another", "scope": "viewer"});
    let token = api.create("/tokens", &token, "id")?;
    let organization = api.create("/organizations", &json!({"name": "acme"}), "id")?;
    let deliveries = api.get("/deliveries")?.success()?;
    let first = |page: &Value| page["data"][0]["id"].as_str().map(str::to_owned);
    Ok(vec![
        ("sources", first(&sources).context("no source")?),
        ("bindings", binding),
        ("endpoints", endpoint),
        ("deliveries", first(&deliveries).context("no delivery")?),
        ("events", event),
        ("jobs", job),
        ("tokens", token),
        ("organizations", organization),
        ("plugins", "gate".to_owned()),
        ("secrets", "crm".to_owned()),
        (
            "calls",
            payload["callId"].as_str().context("no call")?.to_owned(),
        ),
    ])
}

/// Names that mean something; what deletes is left to find nothing.
fn told(known: &[(&'static str, String)]) -> String {
    // Random ones would be refused before anything else is looked at.
    let mut text = "[parameters]\n\"header.hookswitch-organization\" = \"default\"\n\
        \"header.if-match\" = \"*\"\n\n"
        .to_owned();
    for (list, name) in known {
        let parameter = match *list {
            "plugins" | "secrets" => "name",
            "calls" => "call",
            _ => "id",
        };
        let _ = write!(
            text,
            "[[operations]]\ninclude-path-regex = \"^/api/v1/{list}/\"\nexclude-method = \"DELETE\"\nparameters = {{ \"path.{parameter}\" = \"{name}\", \"header.hookswitch-organization\" = \"default\", \"header.if-match\" = \"*\" }}\n\n"
        );
    }
    text
}
