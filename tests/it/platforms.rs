//! One plugin, many platforms: the example plugins answer the same call from each of
//! them, without a change and without knowing which it is.
//!
//! The call is `demo/call.toml`, played by `hookswitch simulate`, signed as each platform
//! signs.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::binary;
use crate::client::Source;
use crate::command_line::parsed;
use crate::server::{Launch, Server};

/// Every platform, and what its sources need beside a proof.
const PLATFORMS: [(&str, Option<&str>); 5] = [
    ("dasha", None),
    ("dsai", Some(r#"{"sts_url":"ws://sts:6030"}"#)),
    ("generic", None),
    ("retell", None),
    ("vapi", Some(r#"{"assistantId":"front-desk"}"#)),
];

const SECRET: &str = "whsec_dGhlIHNlY3JldCBvZiBhbGwgcGxhdGZvcm1z";

async fn set_up() -> Server {
    let server = Launch::new()
        .configuration(
            "[egress]\nallow = [\"127.0.0.0/8\"]\nplain_endpoints = true\n\
             [limits]\napi_requests_per_second = 1000000\n",
        )
        .start();
    for plugin in [
        "start-gate",
        "transfer-router",
        "appointment-tools",
        "crm-sync",
    ] {
        server.install(plugin).await;
    }
    // Owed and never sent: what is to be seen is whom the plugin names.
    let crm = json!({
        "name": "crm", "url": "https://example.invalid/", "filter": {"kinds": ["call.failed"]},
    });
    server.endpoint(&crm).await;
    for binding in [
        json!({
            "plugin": "start-gate", "selector": {"kind": "call.start"},
            "config": {"callers": {"+1415*": {"additional_data": {"market": "US"}}}},
        }),
        json!({
            "plugin": "transfer-router",
            "config": {
                "default": {"transfer": "cold", "to": "+14155550100"},
                "rules": [{
                    "when": {"said": ["speak to a person"]},
                    "target": {
                        "transfer": "warm", "to": "+14155550101",
                        "options": {"description": "Gold desk"},
                    },
                }],
            },
        }),
        json!({
            "plugin": "appointment-tools", "grants": {"kv": {}},
            "config": {"hours": {"saturday": ["10:00-13:00"]}, "past_dates": "allow"},
        }),
        json!({
            "plugin": "crm-sync", "selector": {"kind": "call.completed"},
            "config": {"endpoints": {"completed": ["crm"]}, "copy_call_data": ["campaignId"]},
        }),
    ] {
        server.bind(&binding).await;
    }
    server
}

async fn source(server: &Server, dialect: &str, agent_config: Option<&str>) -> Source {
    let agent_config: Option<Value> = agent_config.map(|it| serde_json::from_str(it).unwrap());
    let source = json!({
        "name": dialect, "dialect": dialect, "agent_config": agent_config,
        "proof": [{"type": "platform", "secrets": [SECRET]}],
    });
    server.create_source(&source).await
}

/// Plays the call, and gives what came of each step.
async fn play(server: &Server, source: &Source, dialect: &str) -> Vec<Value> {
    let secret = server.directory().join("secret");
    std::fs::write(&secret, SECRET).expect("a file");
    let scenario = binary::workspace().join("demo/call.toml");
    let target = format!("{}{}", server.url(), source.hook_path);
    let output = server
        .run(&[
            "simulate",
            "--dialect",
            dialect,
            "--scenario",
            scenario.to_str().unwrap(),
            "--secret-file",
            secret.to_str().unwrap(),
            "--target",
            &target,
            "--json",
        ])
        .await;
    assert!(output.status.success(), "{dialect}: {output:?}");
    parsed(&output).as_array().unwrap().clone()
}

/// A row of the matrix: an event, who decided it, and what the platform was told.
fn row(event: &Value) -> Value {
    let decision = &event["decision"];
    let reply = match decision["answer"]["decision"].as_str() {
        Some("deliver") => decision["answer"]["deliveries"].clone(),
        _ => decision["reply"].clone(),
    };
    let plugin = &decision["invocations"][0]["plugin"];
    json!({
        "type": event["type"],
        "kind": event["kind"],
        "plugin": plugin,
        "outcome": decision["outcome"],
        "reply": reply,
    })
}

#[tokio::test]
async fn the_same_call_is_answered_from_every_platform() {
    let server = set_up().await;
    let mut matrix = BTreeMap::new();
    for (dialect, agent_config) in PLATFORMS {
        let source = source(&server, dialect, agent_config).await;
        let steps = play(&server, &source, dialect).await;
        let said: Vec<_> = steps
            .iter()
            .map(|step| {
                let word = &step["answer"]["decision"];
                let word = word.as_str().or(step["outcome"].as_str()).unwrap();
                format!("{}: {word}", step["step"].as_str().unwrap())
            })
            .collect();
        let mut rows = Vec::new();
        for event in server.all(&format!("/events?source={}", source.id)).await {
            let id = event["id"].as_str().unwrap();
            let event = if event["kind"] == "call.completed" {
                server.handled(id).await
            } else {
                server.event(id).await
            };
            rows.push(row(&event));
        }
        // The newest comes first.
        rows.reverse();
        matrix.insert(dialect, json!({"played": said, "events": rows}));
    }
    let mut settings = crate::shape::settings();
    settings.add_filter(
        r#""appointmentDate": "[\d-]+""#,
        r#""appointmentDate": "[date]""#,
    );
    settings.add_filter(r"call_\d{15,}", "[tool call]");
    settings.add_filter(r"evt_[0-9a-f]{32}", "[event]");
    settings.add_filter(
        r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}",
        "[call]",
    );
    settings.add_filter(r"20\d\d-\d\d-\d\dT[\d:.]+Z", "[time]");
    settings.add_filter(r#""reference\\*": ?\\*"[A-Z0-9]{6}\\*""#, "[reference]");
    settings.bind(|| insta::assert_json_snapshot!("platforms_matrix", matrix));
}

/// A tool that is called twice in one breath, as Vapi does.
#[tokio::test]
async fn several_tool_calls_in_one_message_are_each_answered_once() {
    let server = set_up().await;
    let source = json!({
        "name": "vapi", "dialect": "vapi", "agent_config": {"assistantId": "front-desk"},
    });
    let source = server.create_source(&source).await;
    let call = |id: &str, name: &str, arguments: Value| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
    let calls = json!([
        call("one", "check_availability", json!({"date": "2025-10-25"})),
        call(
            "two",
            "book_appointment",
            json!({"date": "2025-10-25", "time": "11:00"})
        ),
        call("three", "nobody_answers_this", json!({})),
    ]);
    // No call is named, as in the platform's own page: the tool calls' ids are enough.
    let message = json!({"message": {
        "type": "tool-calls", "toolCallList": calls, "toolCalls": calls,
    }});
    let reply = server.hook(&source, &message).await;
    let events: Vec<_> = reply
        .header("x-hookswitch-event")
        .split(", ")
        .map(str::to_owned)
        .collect();
    let first = reply.expect(200);
    let results = first["results"].as_array().unwrap();
    let ids: Vec<_> = results
        .iter()
        .map(|it| it["toolCallId"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["one", "two", "three"]);
    let text = |at: usize| results[at]["result"].as_str().unwrap();
    assert!(text(0).contains("\"available\":true"), "{}", text(0));
    assert!(text(1).contains("\"booked\":true"), "{}", text(1));
    assert_eq!(results[2]["error"], "there is no answer");

    assert_eq!(events.len(), 3);
    for (event, id) in events.iter().zip(ids) {
        let payload = &server.event(event).await["payload"]["message"];
        assert_eq!(payload["toolCallList"].as_array().unwrap().len(), 1);
        assert_eq!(payload["toolCallList"][0]["id"], id);
        assert_eq!(payload["toolCalls"][0]["id"], id);
    }

    // The platform tries again: nothing is booked twice.
    let again = server.hook(&source, &message).await;
    assert_eq!(again.header("x-hookswitch-repeat"), "true");
    let again = again.expect(200);
    assert_eq!(again["results"][1], first["results"][1]);
}

/// A platform that has no room for an answer is never sent one it cannot read.
#[tokio::test]
async fn an_answer_that_a_platform_has_no_form_for_becomes_the_verdict() {
    let server = set_up().await;
    let blocked = json!({
        "plugin": "start-gate", "selector": {"kind": "call.start", "agent": "blocked"},
        "config": {"blocked": ["+1*"]},
    });
    server.bind(&blocked).await;
    for (dialect, status) in [("dsai", 200), ("vapi", 503)] {
        let source = json!({
            "name": dialect, "dialect": dialect,
            "verdicts": {"start": {"decision": if status == 200 { "accept" } else { "unavailable" }}},
        });
        let source = server.create_source(&source).await;
        let payload = match dialect {
            "dsai" => json!({
                "uuid": "550e8400-e29b-41d4-a716-446655440000", "type": "call_initiated",
                "timestamp": "2026-01-01T12:00:00.000Z",
                "payload": {"from": "+14155550100", "to": "5001"},
            }),
            _ => json!({"message": {
                "type": "assistant-request",
                "call": {"id": "c", "customer": {"number": "+14155550100"}},
            }}),
        };
        // DSAI's agent comes in a header; Vapi's is what is asked for.
        let request = server
            .request(reqwest::Method::POST, &source.hook_path)
            .header("x-avr-agent-id", "blocked")
            .json(&payload);
        let reply = crate::client::send(request).await;
        assert_eq!(reply.status, status, "{dialect}: {}", reply.text);
        let event = server.event(reply.header("x-hookswitch-event")).await;
        let agent = if dialect == "dsai" { "blocked" } else { "" };
        assert_eq!(event["agent_id"], agent);
        let invocation = &event["decision"]["invocations"][0];
        assert_eq!(invocation["error"]["code"], "invalid_answer", "{event:#}");
        assert_eq!(event["decision"]["reason"], "plugin_failed");
    }
}
