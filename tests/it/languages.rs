//! Plugins in JavaScript and Python answer a start, within the default limits.
//!
//! What builds them is large and not on every machine: without it these tests
//! say that they check nothing. Neighbour: `xtask::guests::languages` builds the
//! components out of `tests/languages/`.

use std::io::Write as _;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use xtask::guests::languages::{self, Outcome};

use crate::client::send;
use crate::payload::{self, With};
use crate::server::Server;

/// Some ten seconds on a quiet machine; tests run on busy ones.
const COMPILE_LIMIT: Duration = Duration::from_mins(5);

/// One at a time: each wants all cores and half a gigabyte.
static COMPILING: Mutex<()> = Mutex::const_new(());

/// The component, or none where its tools are missing.
fn component(guest: &str) -> Option<Vec<u8>> {
    let outcomes = languages::ensure().expect("the guests build");
    match outcomes.get(guest).expect("a guest of that name") {
        Outcome::Built(path) => Some(std::fs::read(path).expect("the component can be read")),
        Outcome::Skipped(why) => {
            say(&format!("━━ SKIPPED the test of {guest}: {why}"));
            None
        }
    }
}

/// Writes past the test runner, which shows nothing of tests that succeed.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// A server on which that guest is installed under its own name, if there is one.
async fn server(guest: &str) -> Option<Server> {
    let component = component(guest)?;
    let server = Server::start();
    let _turn = COMPILING.lock().await;
    let upload = server
        .admin(Method::POST, &format!("/plugins/{guest}/versions"))
        .header("content-type", "application/wasm")
        .timeout(COMPILE_LIMIT)
        .body(component);
    send(upload).await.expect(201);
    Some(server)
}

/// What the call cost, for people to read.
fn show_cost(guest: &str, event: &Value) {
    let invocation = &event["decision"]["invocations"][0];
    let number = |field: &str| invocation[field].as_u64().unwrap_or_default() as f64;
    say(&format!(
        "{guest}: {:.1} ms, {:.1} MiB",
        number("elapsed_us") / 1e3,
        number("memory_bytes") / f64::from(1 << 20)
    ));
}

/// Checks the guest that rejects whom the setting `blocked` lists.
async fn accepts_and_rejects(guest: &str) {
    let Some(server) = server(guest).await else {
        return;
    };
    let source = server.source("main-line").await;
    let binding = json!({"plugin": guest, "config": {"blocked": ["+14155550666"]}});
    let binding = server.bind(&binding).await;

    let reply = server.hook(&source, &payload::start()).await;
    let event = server.event(&reply.event()).await;
    let accepted = json!({"accept": true, "additionalData": {"language": "en-US"}});
    assert_eq!(reply.expect(200), accepted, "{event}");
    let message = "+14155551234 calls agent_xyz789";
    let line = json!({"binding": binding, "level": "info", "message": message});
    assert_eq!(event["log"], json!([line]));
    show_cost(guest, &event);

    let start = payload::start().with(json!({"endpoint": "+14155550666"}));
    let reply = server.hook(&source, &start).await;
    let event = server.event(&reply.event()).await;
    let rejected = json!({"accept": false, "reasonMessage": "This number is blocked."});
    assert_eq!(reply.expect(200), rejected, "{event}");
}

#[tokio::test]
async fn javascript_on_quickjs_answers_a_start() {
    accepts_and_rejects("js-start-quickjs").await;
}

#[tokio::test]
async fn javascript_on_starlingmonkey_answers_a_start() {
    accepts_and_rejects("js-start-starlingmonkey").await;
}

#[tokio::test]
async fn python_answers_a_start() {
    accepts_and_rejects("python-start").await;
}
