//! Payloads that differ from the platform's document and are understood all the
//! same, as receivers in the field do.

use serde_json::{Value, json};

use crate::misbehave::{self, mode};
use crate::payload::{self, With};
use crate::server::Server;

#[tokio::test]
async fn the_status_stands_in_for_a_missing_type() {
    let server = Server::start();
    let source = server.source("main-line").await;
    for (sample, status, kind) in [
        (payload::start(), "Queued", "call.start"),
        (payload::completed(), "Completed", "call.completed"),
        (payload::failed(), "Failed", "call.failed"),
        (payload::deadline(), "Canceled", "call.deadline"),
        // Both of these run; their fields tell them apart.
        (payload::tool(), "Running", "tool.call"),
        (payload::transfer(), "Running", "call.transfer"),
    ] {
        let full_type = sample["type"].clone();
        assert_eq!(sample["status"], status);
        for missing in [
            sample.clone().with(json!({"type": null})),
            nulled(sample, "type"),
        ] {
            let event = server.hook(&source, &missing).await.event();
            let event = server.event(&event).await;
            assert_eq!((&event["kind"], &event["type"]), (&json!(kind), &full_type));
            assert_eq!(event["payload"], missing, "stored as received");
        }
    }
}

/// The field is there, and null.
fn nulled(mut payload: Value, field: &str) -> Value {
    payload[field] = Value::Null;
    payload
}

#[tokio::test]
async fn without_type_and_status_the_type_is_missing() {
    let server = Server::start();
    let source = server.source("main-line").await;
    let neither = payload::start().with(json!({"type": null, "status": null}));
    server
        .hook(&source, &neither)
        .await
        .expect_problem(400, "missing_field", Some("type"));
}

#[tokio::test]
async fn the_type_wins_over_the_status() {
    let server = Server::start();
    let source = server.source("main-line").await;
    let odd = payload::start().with(json!({"status": "Completed"}));
    let event = server.hook(&source, &odd).await.event();
    assert_eq!(server.event(&event).await["kind"], "call.start");
}

#[tokio::test]
async fn args_stands_in_for_arguments() {
    let (server, source) = misbehave::server().await;
    server.bind(&mode("echo")).await;
    for (change, arguments) in [
        (
            json!({"arguments": null, "args": {"x": 1}}),
            json!({"x": 1}),
        ),
        (
            json!({"arguments": {"x": 1}, "args": {"x": 2}}),
            json!({"x": 1}),
        ),
        (json!({"arguments": null}), json!({})),
    ] {
        let seen = server
            .hook(&source, &payload::tool().with(change))
            .await
            .expect(200);
        assert_eq!(seen["given"]["arguments"], arguments);
    }
}

#[tokio::test]
async fn an_unknown_type_is_acknowledged_and_stored() {
    let server = Server::start();
    let source = server.source("main-line").await;
    for unknown in [
        payload::unknown(),
        json!({"type": "BrandNewWebHookPayload", "callId": "c", "more": [1]}),
        json!({"type": "startwebhookpayload"}),
        json!({"status": "Pending", "callId": "c", "agentId": "a"}),
    ] {
        let reply = server.hook(&source, &unknown).await;
        let id = reply.event();
        assert_eq!(reply.expect(200), json!({"received": true, "eventId": id}));
        let event = server.handled(&id).await;
        assert_eq!(
            (&event["kind"], &event["payload"]),
            (&json!("unknown"), &unknown)
        );
    }
}

#[tokio::test]
async fn an_event_handler_is_asked_about_unknown_types_too() {
    let (server, source) = misbehave::server().await;
    server
        .bind(&mode("echo").with(json!({"selector": {"kind": "unknown"}})))
        .await;
    let id = server.hook(&source, &payload::unknown()).await.event();
    let event = server.handled(&id).await;
    let delivery = &event["decision"]["answer"]["deliveries"][0];
    assert_eq!(delivery["body"]["given"]["kind"], "unknown");
}

#[tokio::test]
async fn unknown_fields_are_no_error_and_are_kept() {
    let server = Server::start();
    let source = server.source("main-line").await;
    for sample in [payload::start(), payload::completed(), payload::tool()] {
        let more = sample.with(json!({"newField": {"deep": [1]}, "sipp": "x", "result": 7}));
        let event = server.hook(&source, &more).await.event();
        assert_eq!(server.event(&event).await["payload"], more);
    }
}

#[tokio::test]
async fn a_null_is_a_field_that_is_absent() {
    let server = Server::start();
    let source = server.source("main-line").await;
    let fields = [
        "sip",
        "endpoint",
        "orgId",
        "serverJobId",
        "callAdditionalData",
        "agentAdditionalData",
        "originalAgentConfig",
        "status",
    ];
    for field in fields {
        let sparse = nulled(payload::start(), field);
        let reply = server.hook(&source, &sparse).await;
        assert_eq!(reply.status, 200, "{field}: {}", reply.text);
    }
    let reply = server
        .hook(&source, &nulled(payload::start(), "callId"))
        .await;
    reply.expect_problem(400, "missing_field", Some("callId"));
}

#[tokio::test]
async fn the_media_type_of_a_webhook_does_not_matter() {
    let server = Server::start();
    let source = server.source("main-line").await;
    for media_type in [
        Some("application/json; charset=utf-8"),
        Some("application/vnd.dasha+json"),
        Some("text/plain"),
        None,
    ] {
        let mut request = server.request(reqwest::Method::POST, &source.hook_path);
        if let Some(media_type) = media_type {
            request = request.header("content-type", media_type);
        }
        let reply = crate::client::send(request.body(payload::start().to_string())).await;
        assert_eq!(reply.status, 200, "{media_type:?}: {}", reply.text);
    }
}
