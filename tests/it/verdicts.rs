//! What is answered when no plugin answers: the verdict of the binding whose
//! plugin failed, else that of the source.

use serde_json::{Value, json};

use crate::client::Source;
use crate::misbehave::{self, mode};
use crate::payload::{self, With};
use crate::server::Server;

/// A way to fail: the guest's mode, and the failure's code in the decision.
type Failure = (&'static str, &'static str);

/// Those that every handler has.
const FAILURES: [Failure; 5] = [
    ("err", "plugin_error"),
    ("trap", "trap"),
    ("loop", "timeout"),
    ("alloc", "memory"),
    ("bad-json", "invalid_answer"),
];

/// A kind of question with the verdicts of this test and the replies they make.
struct Question {
    payload: Value,
    kind: &'static str,
    binding_verdict: Value,
    binding_reply: Value,
    source_verdict: Value,
    source_reply: Value,
}

fn start() -> Question {
    Question {
        payload: payload::start(),
        kind: "start",
        binding_verdict: json!({"decision": "accept"}),
        binding_reply: json!({"accept": true}),
        source_verdict: json!({"decision": "reject", "reason": "We are closed."}),
        source_reply: json!({"accept": false, "reasonMessage": "We are closed."}),
    }
}

fn transfer() -> Question {
    let options = json!({"description": "front desk", "transferRoutes": [{"name": "a"}]});
    Question {
        payload: payload::transfer(),
        kind: "transfer",
        binding_verdict: json!({
            "decision": "warm", "target": {"destination": "sip:desk@example.com", "options": options}
        }),
        binding_reply: json!({
            "type": "warm",
            "endpointDestination": "sip:desk@example.com",
            "description": "front desk",
            "transferRoutes": [{"name": "a"}],
        }),
        source_verdict: json!({"decision": "cold", "target": {"destination": "+14155550100"}}),
        source_reply: json!({"type": "cold", "endpointDestination": "+14155550100"}),
    }
}

fn tool() -> Question {
    Question {
        payload: payload::tool(),
        kind: "tool",
        binding_verdict: json!({"decision": "answer", "result": {"error": "try later"}}),
        binding_reply: json!({"error": "try later"}),
        source_verdict: json!({"decision": "answer", "result": null}),
        source_reply: Value::Null,
    }
}

async fn server_for(question: &Question) -> (Server, Source) {
    let (server, _) = misbehave::server().await;
    let verdicts = json!({question.kind: question.source_verdict});
    let source = server
        .create_source(&json!({"name": "line", "repeat_window_ms": 0, "verdicts": verdicts}))
        .await;
    (server, source)
}

/// Lets the guest fail in each way, with and without a verdict in the binding.
async fn check_each(question: Question, failures: &[Failure]) {
    let (server, source) = server_for(&question).await;
    for (failing, code) in failures {
        for own_verdict in [true, false] {
            let on_failure = json!({question.kind: question.binding_verdict});
            let binding = mode(failing).with(json!({
                "limits": {"time_ms": 500},
                "on_failure": if own_verdict { on_failure } else { json!({}) },
            }));
            misbehave::rebind(&server, &binding).await;
            let reply = server.hook(&source, &question.payload).await;
            let event = reply.event();
            let (expected, verdict) = if own_verdict {
                (&question.binding_reply, &question.binding_verdict)
            } else {
                (&question.source_reply, &question.source_verdict)
            };
            assert_eq!(
                reply.text.parse::<Value>().as_ref().ok(),
                Some(expected),
                "{failing}"
            );
            assert_eq!(reply.expect(200), *expected);
            let decision = &server.event(&event).await["decision"];
            println!("{failing}: {decision}");
            assert_eq!(
                (
                    &decision["outcome"],
                    &decision["reason"],
                    &decision["answer"]
                ),
                (&json!("verdict"), &json!("plugin_failed"), verdict)
            );
            let invocation = &decision["invocations"][0];
            assert_eq!(invocation["outcome"], "failed");
            assert_eq!(invocation["error"]["code"], *code, "{invocation}");
        }
    }
}

#[tokio::test]
async fn a_start_that_fails_takes_the_verdict() {
    check_each(start(), &FAILURES).await;
    check_each(start(), &[("empty-reason", "invalid_answer")]).await;
}

#[tokio::test]
async fn a_transfer_that_fails_takes_the_verdict() {
    check_each(transfer(), &FAILURES).await;
    check_each(transfer(), &[("bad-target", "invalid_answer")]).await;
}

#[tokio::test]
async fn a_tool_call_that_fails_takes_the_verdict() {
    check_each(tool(), &FAILURES).await;
}

#[tokio::test]
async fn a_forward_to_nobody_takes_the_verdict() {
    for question in [start(), transfer(), tool()] {
        let (server, source) = server_for(&question).await;
        let on_failure = json!({question.kind: question.binding_verdict});
        server
            .bind(&mode("forward").with(json!({"on_failure": on_failure})))
            .await;
        let reply = server.hook(&source, &question.payload).await;
        let event = reply.event();
        assert_eq!(reply.expect(200), question.binding_reply);
        let decision = &server.event(&event).await["decision"];
        assert_eq!(decision["reason"], "forward_unavailable");
        assert_eq!(decision["invocations"][0]["outcome"], "forwarded");
        assert_eq!(decision["invocations"][0]["error"], Value::Null);
    }
}

#[tokio::test]
async fn an_event_handler_that_fails_takes_the_verdict() {
    let (server, _) = misbehave::server().await;
    let verdicts = json!({"event": {"decision": "drop"}});
    let source = server
        .create_source(&json!({"name": "line", "repeat_window_ms": 0, "verdicts": verdicts}))
        .await;
    for (failing, code) in FAILURES {
        for (on_failure, answer) in [
            (json!({"event": {"decision": "unchanged"}}), "unchanged"),
            (json!({}), "drop"),
        ] {
            let binding =
                mode(failing).with(json!({"limits": {"time_ms": 500}, "on_failure": on_failure}));
            misbehave::rebind(&server, &binding).await;
            let event = server.hook(&source, &payload::failed()).await.event();
            let event = server.handled(&event).await;
            let decision = &event["decision"];
            println!("{failing}: {decision}");
            assert_eq!(decision["answer"], json!({"decision": answer}));
            assert_eq!(decision["outcome"], "verdict");
            assert_eq!(decision["reason"], "plugin_failed");
            assert_eq!(decision["invocations"][0]["error"]["code"], code);
            assert_eq!(
                event["deliveries"],
                json!([]),
                "nobody is named in a verdict"
            );
        }
    }
}

#[tokio::test]
async fn without_a_plugin_every_question_has_the_default_verdict() {
    let server = Server::start();
    let source = server.source("main-line").await;
    let started = server.hook(&source, &payload::start()).await;
    let event = server.event(&started.event()).await;
    assert_eq!(started.expect(200), json!({"accept": true}));
    assert_eq!(event["decision"]["reason"], "no_binding");
    for question in [payload::transfer(), payload::tool()] {
        let reply = server.hook(&source, &question).await;
        reply.expect_problem(503, "no_answer", None);
        let event = server.event(&reply.event()).await;
        assert_eq!(
            event["decision"]["answer"],
            json!({"decision": "unavailable"})
        );
        assert_eq!(event["decision"]["reason"], "no_binding");
        assert_eq!(event["decision"]["reply"]["status"], 503);
    }
}

#[tokio::test]
async fn the_platform_never_sees_why_a_plugin_failed() {
    let (server, source) = misbehave::server().await;
    for failing in ["err", "trap", "bad-json", "forward"] {
        misbehave::rebind(&server, &mode(failing)).await;
        let reply = server.hook(&source, &payload::tool()).await;
        reply.expect_problem(503, "no_answer", None);
        for secret in [
            "it broke",
            "misbehave",
            "mode",
            "panic",
            "broken",
            "fallback",
        ] {
            assert!(!reply.text.contains(secret), "{secret}: {}", reply.text);
        }
        // The administrator does.
        let event = server.event(&reply.event()).await;
        let error = event["decision"]["invocations"][0]["error"]["message"].as_str();
        assert!(
            failing == "forward" || error.is_some_and(|text| !text.is_empty()),
            "{event}"
        );
    }
}
