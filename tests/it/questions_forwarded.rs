//! Questions that a plugin leaves to an endpoint.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Reply, Source, assert_none_wrong};
use crate::misbehave::mode;
use crate::payload::{self, With};
use crate::server::Server;
use crate::sink::{self, Act, Sink, reply, status};

/// A server with a plugin that leaves every question to the endpoint `fallback`.
async fn server() -> (Server, Source) {
    let server = sink::server();
    server.install("misbehave").await;
    let source = server
        .create_source(&json!({
            "name": "main-line",
            // The same question is asked again and again.
            "repeat_window_ms": 0,
            "timeouts_ms": {"start": 3000, "transfer": 3000, "tool": 3000},
            "margin_ms": 1000,
            "verdicts": {
                "start": {"decision": "reject", "reason": "closed"},
                "transfer": {"decision": "cold", "target": {"destination": "+14155550100"}},
                "tool": {"decision": "answer", "result": {"sorry": true}},
            },
        }))
        .await;
    server.bind(&mode("forward")).await;
    (server, source)
}

/// Wants nothing but the questions it is asked.
fn fallback(sink: &Sink) -> Value {
    let filter = json!({"kinds": ["endpoint.none"]});
    sink.endpoint("fallback").with(json!({"filter": filter}))
}

async fn decision(server: &Server, reply: &Reply) -> Value {
    server.event(&reply.event()).await["decision"].clone()
}

#[tokio::test]
async fn a_usable_reply_goes_to_the_platform_as_it_is() {
    let (server, source) = server().await;
    let config = json!({"primaryLanguage": "en-US", "ttsConfig": {"a": 1}, "llmConfig": {}});
    let rows = [
        (payload::start(), json!({"accept": true})),
        (
            payload::start(),
            json!({"accept": true, "overrideAgentConfig": config, "additionalData": {"x": [1]}, "new": 1}),
        ),
        (
            payload::start(),
            json!({"accept": false, "reasonMessage": "busy"}),
        ),
        (
            payload::transfer(),
            json!({"type": "warm", "endpointDestination": "sip:a@b.c", "description": "d", "more": {}}),
        ),
        (payload::tool(), json!({"slots": ["10:00"], "n": 1.0})),
        (payload::tool(), json!(null)),
        (payload::tool(), json!([1, "two"])),
    ];
    let answers: Vec<Act> = rows.iter().map(|(_, answer)| reply(answer)).collect();
    let sink = Sink::script(answers).await;
    let endpoint = server.endpoint(&fallback(&sink)).await;
    for (number, (question, answer)) in rows.iter().enumerate() {
        let replied = server.hook(&source, question).await;
        assert_eq!(replied.text, answer.to_string());
        let event = server.event(&replied.event()).await;
        let decision = &event["decision"];
        assert_eq!(
            (&decision["outcome"], &decision["reason"]),
            (&json!("forwarded"), &Value::Null)
        );
        assert_eq!(decision["reply"], json!({"status": 200, "body": answer}));
        let delivery = &event["deliveries"][0];
        assert_eq!(delivery["endpoint"], endpoint["id"]);
        let end = (
            &delivery["state"],
            &delivery["status"],
            &delivery["attempts"],
        );
        assert_eq!(end, (&json!("delivered"), &json!(200), &json!(1)));
        let request = &sink.requests()[number];
        assert_eq!(request.json(), *question);
        assert_eq!(request.id(), delivery["id"].as_str().expect("an id"));
        assert!(!request.header("webhook-signature").is_empty());
    }
}

#[tokio::test]
async fn a_reply_that_is_no_answer_makes_room_for_the_verdict() {
    let (server, source) = server().await;
    let text = |body: &str| Act::Reply {
        status: 200,
        headers: Vec::new(),
        body: body.to_owned(),
    };
    let large = text(&format!("\"{}\"", "x".repeat(2 << 20)));
    let rows = [
        ("no JSON", payload::tool(), text("<html>")),
        ("nothing", payload::tool(), text("")),
        ("more than 1 MiB", payload::tool(), large),
        ("another form", payload::start(), reply(&json!({"ok": 1}))),
        (
            "no reason",
            payload::start(),
            reply(&json!({"accept": false})),
        ),
        (
            "half a configuration",
            payload::start(),
            reply(&json!({"accept": true, "overrideAgentConfig": {}})),
        ),
        (
            "no destination",
            payload::transfer(),
            reply(&json!({"type": "cold"})),
        ),
        ("400", payload::tool(), status(400)),
        ("500", payload::tool(), status(500)),
        ("a redirect", payload::tool(), status(302)),
        ("a reset", payload::tool(), Act::Reset),
    ];
    let mut wrong = Vec::new();
    for (name, question, act) in rows {
        // Another endpoint each time: failures of one must not open the circuit.
        let sink = Sink::script([act]).await;
        let endpoint = server.endpoint(&fallback(&sink)).await;
        let replied = server.hook(&source, &question).await;
        let event = server.event(&replied.event()).await;
        let decision = &event["decision"];
        let delivery = &event["deliveries"][0];
        let found = json!([
            decision["outcome"],
            decision["reason"],
            delivery["state"],
            delivery["attempts"]
        ]);
        let expected = json!(["verdict", "forward_failed", "refused", 1]);
        if found != expected || replied.status != 200 {
            wrong.push(format!("{name}: {found}, {}", replied.text));
        }
        let path = format!("/endpoints/{}", endpoint["id"].as_str().expect("an id"));
        assert_eq!(server.delete(&path).await.status, 204);
    }
    assert_none_wrong(&wrong);
}

#[tokio::test]
async fn an_endpoint_that_hangs_leaves_time_for_the_verdict() {
    let (server, source) = server().await;
    let sink = Sink::script([Act::Hang]).await;
    server.endpoint(&fallback(&sink)).await;
    let asked = Instant::now();
    let replied = server.hook(&source, &payload::tool()).await;
    // The platform waits for three seconds.
    assert!(
        asked.elapsed() < Duration::from_secs(3),
        "{:?}",
        asked.elapsed()
    );
    let decision = decision(&server, &replied).await;
    assert_eq!(decision["reason"], "forward_failed");
    let event = server.event(&replied.event()).await;
    assert_eq!(event["deliveries"][0]["error"], "timeout");
    assert_eq!(replied.expect(200), json!({"sorry": true}));
}

#[tokio::test]
async fn nobody_to_ask_takes_the_verdict_at_once() {
    let (server, source) = server().await;
    let sink = Sink::start().await;
    let unknown = server.hook(&source, &payload::tool()).await;
    server
        .endpoint(&fallback(&sink).with(json!({"enabled": false})))
        .await;
    let disabled = server.hook(&source, &payload::tool()).await;
    for replied in [unknown, disabled] {
        let event = server.event(&replied.event()).await;
        assert_eq!(event["decision"]["reason"], "forward_unavailable");
        assert_eq!(event["deliveries"], json!([]));
        assert_eq!(replied.expect(200), json!({"sorry": true}));
    }
    assert_eq!(sink.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_goes_ahead_of_a_backlog() {
    const BACKLOG: usize = 120;
    let (server, source) = server().await;
    let sink = Sink::that(|request| {
        let answer = reply(&json!({"ok": true}));
        match request.header("x-hookswitch-kind") {
            "tool.call" => answer,
            _ => answer.after(Duration::from_millis(100)),
        }
    })
    .await;
    let endpoint =
        fallback(&sink).with(json!({"concurrency": 1, "filter": {"kinds": ["unknown"]}}));
    server.endpoint(&endpoint).await;
    // Of another source, whose events no plugin handles.
    for binding in server.all("/bindings").await {
        let id = binding["id"].as_str().expect("an id");
        server.delete(&format!("/bindings/{id}")).await;
    }
    server
        .bind(&mode("forward").with(json!({"selector": {"kind": "tool.call"}})))
        .await;
    for _ in 0..BACKLOG {
        server.hook(&source, &payload::unknown()).await.expect(200);
    }
    sink.wait_for(2).await;
    let replied = server.hook(&source, &payload::tool()).await;
    assert_eq!(replied.expect(200), json!({"ok": true}));
    let before = sink.requests().len();
    assert!(before < BACKLOG, "all of the backlog went first");
    sink.wait_for(BACKLOG + 1).await;
    assert_eq!(sink.most_at_once(), 1);
}
