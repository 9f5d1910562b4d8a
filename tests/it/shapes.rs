//! The public form of everything: each endpoint's answer, each reply.

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Source, send};
use crate::misbehave::{self, mode};
use crate::payload::{self, With};
use crate::server::Server;
use crate::shape::assert_shape;

/// A server with one of everything, in which every field is filled.
async fn furnished() -> (Server, Source) {
    let server = Server::start();
    let source = server
        .create_source(&json!({
            "name": "main-line",
            "dialect": "dasha",
            "proof": [
                {"type": "header", "name": "X-Api-Key", "values": ["one", "two"]},
            ],
            "timeouts_ms": {"start": 9000, "transfer": 8000, "tool": 7000},
            "margin_ms": 600,
            "repeat_window_ms": 5000,
            "verdicts": {
                "start": {"decision": "reject", "reason": "closed"},
                "transfer": {
                    "decision": "warm",
                    "target": {"destination": "+14155550100", "options": {"description": "desk"}}
                },
                "tool": {"decision": "answer", "result": [1, "two", null]},
                "event": {"decision": "drop"},
            },
        }))
        .await;
    server.install("misbehave").await;
    (server, source)
}

fn full_binding(source: &Source) -> Value {
    json!({
        "plugin": "misbehave",
        "version": 1,
        "selector": {
            "source": source.id, "agent": "agent_xyz789", "kind": "tool.call", "tool": "book_appointment",
        },
        "config": {"mode": "none", "list": [1, 2]},
        "on_failure": {"tool": {"decision": "answer", "result": {"sorry": true}}},
        "limits": {"time_ms": 2000, "memory_bytes": 67_108_864},
    })
}

/// How much a guest says is not this file's matter.
fn with_short_log(mut event: Value) -> Value {
    event["log"].as_array_mut().expect("a log").truncate(2);
    event
}

#[tokio::test]
async fn sources() {
    let (server, source) = furnished().await;
    assert_shape!(
        "source",
        server
            .get(&format!("/sources/{}", source.id))
            .await
            .expect(200)
    );
    let created = server
        .post("/sources", &json!({"name": "by-default"}))
        .await
        .expect(201);
    assert_shape!("source_by_default", created);
    let id = created["id"].as_str().expect("an id");
    assert_eq!(
        server.get(&format!("/sources/{id}")).await.expect(200),
        created
    );
    assert_shape!("sources", server.get("/sources").await.expect(200));
    assert_shape!(
        "sources_first_page",
        server.get("/sources?limit=1").await.expect(200)
    );
    let gone = server.delete(&format!("/sources/{id}")).await;
    assert_eq!((gone.status, gone.text.as_str()), (204, ""));
}

#[tokio::test]
async fn plugins() {
    let (server, _) = furnished().await;
    let version = server
        .upload("start-gate", crate::guests::component("start-gate"))
        .await;
    let version = version.expect(201);
    assert_eq!(version["exports"], json!(["start-handler"]));
    let imports = version["imports"].as_array().expect("imports");
    assert!(
        imports.contains(&json!("hookswitch:plugin/config@1.0.0")),
        "{version}"
    );
    // The rest of the imports is the toolchain's matter.
    assert_shape!("version", version.with(json!({"imports": ["[imports]"]})));
    let mut plugin = server.get("/plugins/misbehave").await.expect(200);
    plugin["versions"][0]["imports"] = json!(["[imports]"]);
    assert_shape!("plugin", plugin);
    assert_shape!("plugins", server.get("/plugins").await.expect(200));
}

#[tokio::test]
async fn bindings() {
    let (server, source) = furnished().await;
    let created = server
        .post("/bindings", &full_binding(&source))
        .await
        .expect(201);
    assert_shape!("binding", created);
    let id = created["id"].as_str().expect("an id");
    assert_eq!(
        server.get(&format!("/bindings/{id}")).await.expect(200),
        created
    );
    let least = server
        .post("/bindings", &json!({"plugin": "misbehave"}))
        .await
        .expect(201);
    assert_shape!("binding_by_default", least);
    assert_shape!("bindings", server.get("/bindings").await.expect(200));
    let gone = server.delete(&format!("/bindings/{id}")).await;
    assert_eq!((gone.status, gone.text.as_str()), (204, ""));
}

#[tokio::test]
async fn events_and_decisions_of_questions() {
    let (server, source) = misbehave::server().await;
    for (name, mode_name, question) in [
        ("answered_start", "none", payload::start()),
        ("answered_transfer", "none", payload::transfer()),
        ("answered_tool", "flood-log", payload::tool()),
        ("failed_tool", "err", payload::tool()),
        ("passed_start", "pass", payload::start()),
        ("forwarded_transfer", "forward", payload::transfer()),
    ] {
        misbehave::rebind(&server, &mode(mode_name)).await;
        let id = server.hook(&source, &question).await.event();
        let event = with_short_log(server.event(&id).await);
        assert_shape!(format!("event_{name}"), event);
    }
    assert_shape!("events", server.get("/events?limit=2").await.expect(200));
    assert_shape!(
        "decisions",
        server.get("/decisions?limit=2").await.expect(200)
    );
}

#[tokio::test]
async fn events_and_decisions_of_notices() {
    let (server, source) = misbehave::server().await;
    server.waiting_endpoint("fallback").await;
    let unbound = server.hook(&source, &payload::deadline()).await;
    let id = unbound.event();
    assert_shape!("reply_to_a_notice", unbound.expect(200));
    assert_shape!("event_without_handler", server.handled(&id).await);
    for mode_name in ["none", "drop", "forward", "trap"] {
        misbehave::rebind(&server, &mode(mode_name)).await;
        let id = server.hook(&source, &payload::failed()).await.event();
        assert_shape!(
            format!("event_notice_{mode_name}"),
            server.handled(&id).await
        );
    }
    let list = server.get("/decisions?limit=1").await.expect(200);
    assert_shape!("decisions_of_notices", list);
}

#[tokio::test]
async fn empty_lists() {
    let server = Server::start();
    for list in [
        "sources",
        "plugins",
        "bindings",
        "endpoints",
        "events",
        "decisions",
        "deliveries",
        "jobs",
    ] {
        let body = server.get(&format!("/{list}")).await.expect(200);
        assert_eq!(body, json!({"data": [], "next_cursor": null}), "{list}");
    }
}

#[tokio::test]
async fn health() {
    let server = Server::start();
    assert_shape!(
        "health",
        send(server.request(Method::GET, "/healthz"))
            .await
            .expect(200)
    );
}

#[tokio::test]
async fn every_problem() {
    let (server, source) = furnished().await;
    let open = server.source("open-line").await;
    let upload = |bytes: Vec<u8>| server.upload("gate", bytes);
    let source_with = async |body: Value| server.post("/sources", &body).await;
    let problems = [
        ("invalid_json", server.hook_bytes(&open, "{").await),
        ("missing_field", source_with(json!({})).await),
        (
            "missing_field_of_a_payload",
            server
                .hook(&open, &payload::start().with(json!({"callId": null})))
                .await,
        ),
        ("invalid_field", source_with(json!({"name": 7})).await),
        (
            "invalid_field_of_a_payload",
            server
                .hook(
                    &open,
                    &payload::start().with(json!({"sip": {"fromUser": 7}})),
                )
                .await,
        ),
        (
            "unknown_field",
            source_with(json!({"name": "line", "nmae": "line"})).await,
        ),
        ("invalid_parameter", server.get("/events?limit=0").await),
        (
            "unsupported_media_type",
            send(server.admin(Method::POST, "/sources").body("{}")).await,
        ),
        (
            "unauthorized",
            send(server.request(Method::GET, "/api/v1/sources")).await,
        ),
        (
            "unauthorized_hook",
            server.hook(&source, &payload::start()).await,
        ),
        (
            "not_found",
            server
                .get("/sources/src_00000000-0000-7000-8000-000000000000")
                .await,
        ),
        ("no_such_route", server.get("/nothing").await),
        (
            "unknown_source",
            send(server.request(Method::POST, "/hooks/src_1").body("{}")).await,
        ),
        (
            "method_not_allowed",
            send(server.admin(Method::PUT, "/sources")).await,
        ),
        (
            "name_taken",
            source_with(json!({"name": "main-line"})).await,
        ),
        ("not_wasm", upload(b"text".to_vec()).await),
        (
            "core_module",
            upload(crate::components::core_module()).await,
        ),
        (
            "no_known_export",
            upload(crate::components::exports_something_else()).await,
        ),
        ("no_answer", server.hook(&open, &payload::tool()).await),
    ];
    for (name, problem) in problems {
        assert_eq!(
            problem.header("content-type"),
            "application/problem+json",
            "{name}"
        );
        assert_shape!(format!("problem_{name}"), problem.body);
    }
}
