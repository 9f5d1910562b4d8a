//! Starts, answered by `start-gate`.

use serde_json::{Value, json};

use crate::client::Source;
use crate::misbehave::rebind;
use crate::payload::{self, With};
use crate::server::Server;

async fn server() -> (Server, Source) {
    let server = Server::start();
    server.install("start-gate").await;
    let source = server.source("main-line").await;
    (server, source)
}

fn gate(config: &Value) -> Value {
    json!({"plugin": "start-gate", "selector": {"kind": "call.start"}, "config": config})
}

/// The sample call, come in from another number.
fn from(caller: &str) -> Value {
    let start = payload::start();
    let sip = start["sip"].clone().with(json!({"fromUser": caller}));
    start.with(json!({"sip": sip, "endpoint": caller}))
}

#[tokio::test]
async fn the_sample_is_accepted() {
    let (server, source) = server().await;
    server.bind(&gate(&json!({}))).await;
    let reply = server.hook(&source, &payload::start()).await;
    assert_eq!(reply.header("content-type"), "application/json");
    let event = server.event(&reply.event()).await;
    assert_eq!(reply.expect(200), json!({"accept": true}));
    assert_eq!(event["payload"], payload::start());
    assert_eq!(event["decision"]["outcome"], "answered");
}

#[tokio::test]
async fn a_call_is_rejected_with_the_reason_that_was_set() {
    let (server, source) = server().await;
    let reasons = json!({
        "blocked": "We do not take calls from here.",
        "not_allowed": "Only for members.",
        "closed": "We are closed.",
        "anonymous": "Show your number.",
    });
    let rows = [
        (
            json!({"blocked": ["+14155551234"]}),
            payload::start(),
            "We do not take calls from here.",
        ),
        (
            json!({"blocked": ["+1415*"]}),
            payload::start(),
            "We do not take calls from here.",
        ),
        (
            json!({"allowed": ["+49*"]}),
            payload::start(),
            "Only for members.",
        ),
        (json!({"hours": {}}), payload::start(), "We are closed."),
        (
            json!({"anonymous": "reject"}),
            payload::start().with(json!({"sip": null, "endpoint": null})),
            "Show your number.",
        ),
    ];
    for (config, start, reason) in rows {
        rebind(&server, &gate(&config.with(json!({"reasons": reasons})))).await;
        let reply = server.hook(&source, &start).await;
        assert_eq!(
            reply.expect(200),
            json!({"accept": false, "reasonMessage": reason})
        );
    }
}

#[tokio::test]
async fn a_daily_limit_counts_each_caller_through_the_store() {
    let (server, source) = server().await;
    let config = json!({"daily_limit": 2, "reasons": {"daily_limit": "Enough for today."}});
    server
        .bind(&gate(&config).with(json!({"grants": {"kv": {}}})))
        .await;
    let mut accepted = Vec::new();
    for caller in [
        "+14155550001",
        "+14155550001",
        "+14155550002",
        "+14155550001",
    ] {
        let reply = server.hook(&source, &from(caller)).await.expect(200);
        accepted.push(reply["accept"] == true);
    }
    assert_eq!(accepted, [true, true, true, false]);

    // The count is not the process's.
    let server = server.stop().start();
    let reply = server
        .hook(&source, &from("+14155550001"))
        .await
        .expect(200);
    assert_eq!(
        reply,
        json!({"accept": false, "reasonMessage": "Enough for today."})
    );
}

#[tokio::test]
async fn a_known_caller_gets_an_agent_of_its_own() {
    let (server, source) = server().await;
    let agent_config = json!({
        "primaryLanguage": "de-DE",
        "ttsConfig": {"vendor": "elevenlabs"},
        "llmConfig": {"vendor": "openai", "model": "gpt-4.1"},
    });
    let caller = json!({"agent_config": agent_config, "additional_data": {"tier": "gold"}});
    server
        .bind(&gate(&json!({"callers": {"+14155551234": caller}})))
        .await;
    let reply = server.hook(&source, &payload::start()).await.expect(200);
    assert_eq!(
        reply,
        json!({
            "accept": true,
            "overrideAgentConfig": agent_config,
            "additionalData": {"tier": "gold"},
        })
    );
    let other = server
        .hook(&source, &from("+14155550002"))
        .await
        .expect(200);
    assert_eq!(other, json!({"accept": true}));
}

#[tokio::test]
async fn an_overlay_is_laid_over_the_agents_own_configuration() {
    let (server, source) = server().await;
    let overlay = json!({"overlay": {"primaryLanguage": "es-ES"}});
    server
        .bind(&gate(&json!({"callers": {"+1415*": overlay}})))
        .await;
    let original = json!({
        "primaryLanguage": "en-US",
        "ttsConfig": {"vendor": "elevenlabs"},
        "llmConfig": {"vendor": "openai"},
        "notInAnyContract": [1, 2],
    });
    let start = payload::start().with(json!({"originalAgentConfig": original}));
    let reply = server.hook(&source, &start).await.expect(200);
    let expected = original.with(json!({"primaryLanguage": "es-ES"}));
    assert_eq!(
        reply,
        json!({"accept": true, "overrideAgentConfig": expected})
    );
}

#[tokio::test]
async fn a_configuration_the_platform_cannot_use_is_not_sent() {
    let (server, source) = server().await;
    // The sample's own configuration has no ttsConfig, and an override replaces all.
    let overlay = json!({"overlay": {"primaryLanguage": "es-ES"}});
    server
        .bind(&gate(&json!({"callers": {"+1415*": overlay}})))
        .await;
    let reply = server.hook(&source, &payload::start()).await;
    let event = server.event(&reply.event()).await;
    assert_eq!(reply.expect(200), json!({"accept": true}), "the verdict");
    let error = &event["decision"]["invocations"][0]["error"];
    assert_eq!(error["code"], "invalid_answer", "{error}");
    assert!(
        error["message"]
            .as_str()
            .is_some_and(|text| text.contains("ttsConfig")),
        "{error}"
    );
}

#[tokio::test]
async fn a_setting_that_does_not_fit_is_the_plugins_failure_and_is_named() {
    let (server, source) = server().await;
    server.bind(&gate(&json!({"blocked": "everybody"}))).await;
    let reply = server.hook(&source, &payload::start()).await;
    let event = server.event(&reply.event()).await;
    assert_eq!(reply.expect(200), json!({"accept": true}), "the verdict");
    let error = &event["decision"]["invocations"][0]["error"];
    assert_eq!(error["code"], "plugin_error");
    assert!(
        error["message"]
            .as_str()
            .is_some_and(|text| text.contains("blocked")),
        "{error}"
    );
}
