//! What a binding limits and grants: each limit ends the call alone, and what is
//! not granted is a normal error inside the guest.

use serde_json::{Value, json};

use crate::client::Source;
use crate::misbehave::{self, mode, rebind};
use crate::payload::{self, With};
use crate::server::{Launch, Server};

/// Calls the tool and gives the event that came of it.
async fn called(server: &Server, source: &Source) -> Value {
    let reply = server.hook(source, &payload::tool()).await;
    server.event(&reply.event()).await
}

fn error(event: &Value) -> (&str, &str) {
    let error = &event["decision"]["invocations"][0]["error"];
    let text = |field: &str| error[field].as_str().unwrap_or_default();
    (text("code"), text("message"))
}

#[tokio::test]
async fn each_limit_ends_the_call_with_its_own_code() {
    let (server, source) = misbehave::server().await;
    for (guest, limits, code, message) in [
        ("loop", json!({"cpu_ms": 50}), "cpu", "limits.cpu_ms"),
        ("loop", json!({"time_ms": 50}), "timeout", "deadline"),
        (
            "alloc",
            json!({"memory_bytes": 4 << 20}),
            "memory",
            "limits.memory_bytes",
        ),
        (
            "echo",
            json!({"reply_bytes": 64}),
            "invalid_answer",
            "limits.reply_bytes",
        ),
        (
            "kv-race",
            json!({"kv_operations": 0}),
            "plugin_error",
            "used up",
        ),
        ("kv-race", json!({"kv_bytes": 0}), "plugin_error", "used up"),
        ("none", json!({"core_instances": 1}), "trap", "instance"),
    ] {
        rebind(&server, &mode(guest).with(json!({"limits": limits}))).await;
        let event = called(&server, &source).await;
        let (found, text) = error(&event);
        assert_eq!(found, code, "{guest} {limits}: {event}");
        assert!(text.contains(message), "{guest} {limits}: {text}");
    }
}

#[tokio::test]
async fn the_log_has_as_many_lines_as_the_binding_allows() {
    let (server, source) = misbehave::server().await;
    let few = json!({"limits": {"log_lines": 5}});
    server.bind(&mode("flood-log").with(few)).await;
    let event = called(&server, &source).await;
    let log = event["log"].as_array().expect("a log");
    assert_eq!(log.len(), 6, "five lines, and how many were dropped");
    assert_eq!(log[5]["message"], "9995 more lines were dropped");
}

#[tokio::test]
async fn without_its_grant_the_key_value_store_is_a_normal_error() {
    let (server, source) = misbehave::server().await;
    server
        .bind(&mode("kv-race").with(json!({"grants": {}})))
        .await;
    let event = called(&server, &source).await;
    let (code, message) = error(&event);
    assert_eq!(code, "plugin_error", "{event}");
    assert!(message.contains("grants.kv"), "{message}");
}

#[tokio::test]
async fn a_space_takes_no_more_than_its_grant() {
    let (server, source) = misbehave::server().await;
    let none = json!({"grants": {"kv": {"entries": 0}}});
    server.bind(&mode("kv-race").with(none)).await;
    let event = called(&server, &source).await;
    let (code, message) = error(&event);
    assert_eq!(code, "plugin_error", "{event}");
    assert!(message.contains("full"), "{message}");
}

#[tokio::test]
async fn a_binding_cannot_ask_for_more_than_the_operator_allows() {
    let launch = Launch::new();
    let file = launch.directory().join("hookswitch.toml");
    let ceilings = "[ceilings]\ncpu_ms = 100\nmemory_bytes = 8388608\n";
    std::fs::write(&file, ceilings).expect("a file");
    let server = launch.argument("--config").argument(file).start();
    server.install("misbehave").await;
    let source = server.source("main-line").await;
    for (limits, field) in [
        (json!({"cpu_ms": 101}), "limits.cpu_ms"),
        (json!({"memory_bytes": 9 << 20}), "limits.memory_bytes"),
        (json!({"handles": 1}), "limits.handles"),
    ] {
        let refused = server
            .post("/bindings", &mode("none").with(json!({"limits": limits})))
            .await;
        refused.expect_problem(422, "invalid_field", Some(field));
    }
    assert!(server.all("/bindings").await.is_empty());

    // Nor does it get more by not asking.
    server.bind(&mode("loop")).await;
    let event = called(&server, &source).await;
    assert_eq!(error(&event).0, "cpu", "{event}");
}

/// A start whose echo is larger than `reply_bytes` below.
fn large() -> Value {
    payload::start().with(json!({"callAdditionalData": {"text": "x".repeat(8_000)}}))
}

#[tokio::test]
async fn a_plugin_that_keeps_failing_is_not_called_for_a_while_and_then_tried_again() {
    let (server, source) = misbehave::server().await;
    let binding = mode("echo").with(json!({"limits": {"reply_bytes": 6_000}}));
    let id = server.bind(&binding).await;
    let circuit = async || server.get(&format!("/bindings/{id}")).await.body["circuit"].clone();

    for _ in 0..10 {
        assert_eq!(circuit().await, "closed");
        server.hook(&source, &large()).await.expect(200);
    }
    assert_eq!(circuit().await, "open");
    let refused = server.hook(&source, &payload::start()).await;
    let event = server.event(&refused.event()).await;
    assert_eq!(error(&event).0, "circuit_open", "{event}");
    assert_eq!(
        refused.expect(200),
        json!({"accept": true}),
        "the verdict, at once"
    );

    tokio::time::sleep(std::time::Duration::from_millis(5_500)).await;
    let probe = server.hook(&source, &payload::start()).await;
    let event = server.event(&probe.event()).await;
    assert_eq!(event["decision"]["outcome"], "answered", "{event}");
    assert_eq!(circuit().await, "closed");
}
