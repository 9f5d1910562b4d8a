//! Plugins in JavaScript and Python answer a start, within the default limits.
//!
//! What builds them is large and not on every machine: without it these tests
//! say that they check nothing. Neighbour: `xtask::guests::languages` builds the
//! components out of `tests/languages/`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::thread::JoinHandle;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use xtask::guests::languages::{self, Outcome};

use crate::client::send;
use crate::misbehave::rebind;
use crate::payload::{self, With};
use crate::server::{Launch, Server};

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

/// A launch of a server that takes its time to compile, as this machine may be
/// busy, and whose plugins may reach this machine.
fn launch() -> Launch {
    let launch = Launch::new();
    let file = launch.directory().join("hookswitch.toml");
    let settings = "[compile]\nseconds = 300\n[egress]\nallow = [\"127.0.0.0/8\"]\n";
    std::fs::write(&file, settings).expect("a file");
    launch.argument("--config").argument(file)
}

/// A server on which that guest is installed under its own name, if there is one.
async fn server(guest: &str) -> Option<Server> {
    let component = component(guest)?;
    let server = launch().start();
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

/// Whether the call's log has a line that begins so.
fn has_line(event: &Value, start: &str) -> bool {
    let mut lines = event["log"].as_array().expect("a log").iter();
    lines.any(|line| {
        line["message"]
            .as_str()
            .is_some_and(|text| text.starts_with(start))
    })
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

/// Answers one request with JSON: its port, and the request it had.
fn peer(answer: &Value) -> (u16, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let body = answer.to_string();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut lines = BufReader::new(stream.try_clone().expect("a second handle"));
        let mut request = String::new();
        while !request.ends_with("\r\n\r\n") {
            let read = lines.read_line(&mut request).expect("a line");
            assert_ne!(read, 0, "the request ends early: {request}");
        }
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
        write!(
            stream,
            "{head}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .expect("the answer is sent");
        request
    });
    (port, thread)
}

#[tokio::test]
async fn fetch_in_javascript_asks_whom_the_binding_grants_with_the_secret_it_never_sees() {
    let Some(server) = server("js-fetch").await else {
        return;
    };
    let source = server.source("main-line").await;
    let secret = server.admin(Method::PUT, "/secrets/crm");
    let stored = send(secret.json(&json!({"value": "s3cret"}))).await;
    assert!((200..300).contains(&stored.status), "{}", stored.text);
    let (port, asked) = peer(&json!({"tier": "gold"}));
    let binding = json!({
        "plugin": "js-fetch",
        "config": {"url": format!("http://127.0.0.1:{port}/callers")},
        "grants": {"http": [{
            "host": "127.0.0.1", "scheme": "http", "port": port,
            "headers": {"authorization": "Bearer ${secret:crm}"},
        }]},
    });
    server.bind(&binding).await;

    let reply = server.hook(&source, &payload::start()).await;
    let event = server.event(&reply.event()).await;
    let known = json!({"accept": true, "additionalData": {"tier": "gold"}});
    assert_eq!(reply.expect(200), known, "{event}");
    assert!(has_line(&event, "+14155551234 is known"), "{event}");
    show_cost("js-fetch", &event);
    let asked = asked.join().expect("the peer was asked").to_lowercase();
    let line = "get /callers?phone=%2b14155551234 http/1.1\r\n";
    assert!(asked.starts_with(line), "{asked}");
    assert!(asked.contains("authorization: bearer s3cret"), "{asked}");

    // Without its grant the request is an error that the plugin handles.
    rebind(&server, &binding.with(json!({"grants": {}}))).await;
    let reply = server.hook(&source, &payload::start()).await;
    let event = server.event(&reply.event()).await;
    assert_eq!(reply.expect(200), json!({"accept": true}), "{event}");
    let line = "nothing is known of +14155551234: ";
    assert!(has_line(&event, line), "{event}");
}
