//! Transfers, answered by `transfer-router`.

use serde_json::{Value, json};

use crate::client::Source;
use crate::payload::{self, With};
use crate::server::Server;

/// The rules of a business with three desks and a default.
fn router() -> Value {
    json!({
        "plugin": "transfer-router",
        "selector": {"kind": "call.transfer"},
        "config": {
            "rules": [
                {
                    "when": {"tier": ["gold"], "said": ["speak to a person"]},
                    "target": {
                        "transfer": "warm",
                        "to": "+14155550101",
                        "options": {"description": "Retention", "transferRoutes": [{"name": "vip"}]},
                    },
                },
                {
                    "when": {"language": ["de"]},
                    "target": {"transfer": "cold", "to": "sip:support-de@pbx.example.com"},
                },
                {
                    "when": {"reason": ["invoice"]},
                    "target": {"transfer": "cold", "to": "+14155550102"},
                },
            ],
            "default": {"transfer": "cold", "to": "+14155550100"},
        },
    })
}

async fn server() -> (Server, Source) {
    let server = Server::start();
    server.install("transfer-router").await;
    server.bind(&router()).await;
    let source = server.source("main-line").await;
    (server, source)
}

fn cold(destination: &str) -> Value {
    json!({"type": "cold", "endpointDestination": destination})
}

#[tokio::test]
async fn a_call_goes_where_the_first_rule_that_fits_says() {
    let (server, source) = server().await;
    let warm = json!({
        "type": "warm",
        "endpointDestination": "+14155550101",
        "description": "Retention",
        "transferRoutes": [{"name": "vip"}],
    });
    let silent = json!([]);
    let rows = [
        ("the sample", json!({}), cold("+14155550100")),
        (
            "tier and words",
            json!({"callAdditionalData": {"tier": "gold"}}),
            warm.clone(),
        ),
        (
            "tier without the words",
            json!({"callAdditionalData": {"tier": "gold"}, "transcription": silent}),
            cold("+14155550100"),
        ),
        (
            "the words without the tier",
            json!({"callAdditionalData": {"tier": "tin"}}),
            cold("+14155550100"),
        ),
        (
            "language, of the agent's data",
            json!({"agentAdditionalData": {"language": "de-AT"}}),
            cold("sip:support-de@pbx.example.com"),
        ),
        (
            "the reason",
            json!({"transferReason": "A question about an Invoice."}),
            cold("+14155550102"),
        ),
        (
            "no reason at all",
            json!({"transferReason": null}),
            cold("+14155550100"),
        ),
        (
            "two rules fit",
            json!({"callAdditionalData": {"tier": "gold", "language": "de"}}),
            warm,
        ),
    ];
    for (what, change, expected) in rows {
        let reply = server
            .hook(&source, &payload::transfer().with(change))
            .await;
        assert_eq!(reply.expect(200), expected, "{what}");
    }
}

#[tokio::test]
async fn without_a_default_the_platforms_own_fallback_acts() {
    let (server, source) = server().await;
    let config = json!({"rules": [{
        "when": {"tier": ["gold"]}, "target": {"transfer": "cold", "to": "+14155550101"}
    }]});
    crate::misbehave::rebind(&server, &router().with(json!({"config": config}))).await;
    let reply = server.hook(&source, &payload::transfer()).await;
    reply.expect_problem(503, "no_answer", None);
    let decision = &server.event(&reply.event()).await["decision"];
    assert_eq!(decision["reason"], "all_passed");
}

#[tokio::test]
async fn a_transcription_of_a_long_call_is_read() {
    let (server, source) = server().await;
    let utterance = json!({"speaker": "user", "text": "I would like to talk about the weather."});
    let mut transcription = vec![utterance; 20_000];
    transcription.push(json!({"speaker": "user", "text": "Let me speak to a person!"}));
    let transfer = payload::transfer().with(json!({
        "callAdditionalData": {"tier": "gold"}, "transcription": transcription
    }));
    let reply = server.hook(&source, &transfer).await.expect(200);
    assert_eq!(reply["endpointDestination"], "+14155550101");
}
