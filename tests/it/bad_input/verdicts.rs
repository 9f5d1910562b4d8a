//! Verdicts that no platform could be answered with, in a source as in a binding.

use serde_json::{Value, json};

use crate::client::assert_none_wrong;
use crate::server::Server;

fn rows() -> Vec<(Value, &'static str, &'static str)> {
    let target = |target: Value| json!({"transfer": {"decision": "cold", "target": target}});
    vec![
        (
            json!({"call": {"decision": "accept"}}),
            "invalid_field",
            "call",
        ),
        (json!({"start": "accept"}), "invalid_field", "start"),
        (json!({"start": {}}), "missing_field", "start.decision"),
        (
            json!({"start": {"decision": "maybe"}}),
            "invalid_field",
            "start.decision",
        ),
        (
            json!({"start": {"decision": "cold"}}),
            "invalid_field",
            "start.decision",
        ),
        (
            json!({"start": {"decision": "reject"}}),
            "missing_field",
            "start.reason",
        ),
        (
            json!({"start": {"decision": "reject", "reason": ""}}),
            "invalid_field",
            "start.reason",
        ),
        (
            json!({"start": {"decision": "accept", "reason": "x"}}),
            "invalid_field",
            "start.reason",
        ),
        (
            json!({"start": {"decision": "accept", "agent_config": "x"}}),
            "invalid_field",
            "start.agent_config",
        ),
        (
            json!({"start": {"decision": "accept", "additional_data": []}}),
            "invalid_field",
            "start.additional_data",
        ),
        // It replaces the whole configuration, and is none.
        (
            json!({"start": {"decision": "accept", "agent_config": {}}}),
            "invalid_field",
            "start",
        ),
        (
            json!({"transfer": {"decision": "accept"}}),
            "invalid_field",
            "transfer.decision",
        ),
        (
            json!({"transfer": {"decision": "cold"}}),
            "missing_field",
            "transfer.target",
        ),
        (
            target(json!({})),
            "missing_field",
            "transfer.target.destination",
        ),
        (
            target(json!({"destination": ""})),
            "invalid_field",
            "transfer.target.destination",
        ),
        (
            target(json!({"destination": "the boss"})),
            "invalid_field",
            "transfer.target.destination",
        ),
        (
            target(json!({"destination": "mailto:a@b.example"})),
            "invalid_field",
            "transfer.target.destination",
        ),
        (
            target(json!({"destination": "+14155550100", "options": "x"})),
            "invalid_field",
            "transfer.target.options",
        ),
        (
            json!({"tool": {"decision": "answer"}}),
            "missing_field",
            "tool.result",
        ),
        (
            json!({"event": {"decision": "deliver"}}),
            "invalid_field",
            "event.decision",
        ),
        (
            json!({"event": {"decision": "unavailable"}}),
            "invalid_field",
            "event.decision",
        ),
    ]
}

#[tokio::test]
async fn a_source_does_not_take_an_impossible_verdict() {
    let server = Server::start();
    let before = server.contents().await;
    let mut wrong = Vec::new();
    for (verdicts, code, field) in rows() {
        let reply = server
            .post(
                "/sources",
                &json!({"name": "main-line", "verdicts": verdicts}),
            )
            .await;
        if let Err(difference) = reply.is_problem(422, code, Some(&format!("verdicts.{field}"))) {
            wrong.push(format!("{verdicts}: {difference}"));
        }
    }
    assert_none_wrong(&wrong);
    assert_eq!(server.contents().await, before);
}

#[tokio::test]
async fn a_binding_does_not_take_an_impossible_verdict() {
    let server = Server::start();
    server.install("start-gate").await;
    let source = server.source("main-line").await;
    let before = server.contents().await;
    let mut wrong = Vec::new();
    for (on_failure, code, field) in rows() {
        let binding = json!({
            "plugin": "start-gate",
            "selector": {"source": source.id},
            "on_failure": on_failure,
        });
        let reply = server.post("/bindings", &binding).await;
        if let Err(difference) = reply.is_problem(422, code, Some(&format!("on_failure.{field}"))) {
            wrong.push(format!("{on_failure}: {difference}"));
        }
    }
    assert_none_wrong(&wrong);
    assert_eq!(server.contents().await, before);
}

/// A binding for all sources may be for platforms that are not there yet.
#[tokio::test]
async fn a_binding_for_all_sources_takes_what_some_platform_can_send() {
    let server = Server::start();
    server.install("start-gate").await;
    for (on_failure, taken) in [
        // Retell's calls start with any configuration, DSAI's cannot be rejected.
        (
            json!({"start": {"decision": "accept", "agent_config": {}}}),
            true,
        ),
        (
            json!({"start": {"decision": "reject", "reason": "closed"}}),
            true,
        ),
        (
            json!({"start": {"decision": "accept", "agent_config": []}}),
            false,
        ),
    ] {
        let binding = json!({"plugin": "start-gate", "on_failure": on_failure});
        let reply = server.post("/bindings", &binding).await;
        assert_eq!(reply.status == 201, taken, "{on_failure}: {}", reply.text);
    }
}
