//! Which binding is asked, and in which order.

use serde_json::{Value, json};

use crate::client::Source;
use crate::misbehave::{self, mode};
use crate::payload::{self, With};
use crate::server::Server;

/// A selector that names what the words say, as the sample tool call has it.
fn selector(words: &str, source: &Source) -> Value {
    let mut selector = json!({});
    for word in words.split_whitespace() {
        selector[word] = match word {
            "tool" => json!("check_availability"),
            "agent" => json!("agent_xyz789"),
            "source" => json!(source.id),
            "kind" => json!("tool.call"),
            other => panic!("{other} is nothing one can select by"),
        };
    }
    selector
}

/// The bindings that were asked about an event, in order.
async fn asked(server: &Server, event: &str) -> Vec<String> {
    let event = server.event(event).await;
    let invocations = event["decision"]["invocations"]
        .as_array()
        .expect("invocations");
    let binding = |one: &Value| one["binding"].as_str().expect("a binding").to_owned();
    invocations.iter().map(binding).collect()
}

/// Every selector there can be, the most specific first: the tool counts most,
/// then the agent, the source and the kind.
const BY_SPECIFICITY: [&str; 16] = [
    "tool agent source kind",
    "tool agent source",
    "tool agent kind",
    "tool agent",
    "tool source kind",
    "tool source",
    "tool kind",
    "tool",
    "agent source kind",
    "agent source",
    "agent kind",
    "agent",
    "source kind",
    "source",
    "kind",
    "",
];

#[tokio::test]
async fn the_most_specific_binding_is_asked_first() {
    let (server, source) = misbehave::server().await;
    // Neither in this order nor against it.
    let creation = [7, 15, 0, 12, 3, 9, 1, 14, 5, 10, 2, 13, 8, 6, 11, 4];
    let mut bindings = vec![String::new(); BY_SPECIFICITY.len()];
    for rank in creation {
        let binding =
            mode("pass").with(json!({"selector": selector(BY_SPECIFICITY[rank], &source)}));
        bindings[rank] = server.bind(&binding).await;
    }
    let event = server.hook(&source, &payload::tool()).await.event();
    assert_eq!(asked(&server, &event).await, bindings);
}

#[tokio::test]
async fn of_two_equally_specific_ones_the_older_is_asked_first() {
    let (server, source) = misbehave::server().await;
    for words in ["", "agent", "tool source"] {
        let binding = mode("pass").with(json!({"selector": selector(words, &source)}));
        misbehave::rebind(&server, &binding).await;
        let (second, third) = (server.bind(&binding).await, server.bind(&binding).await);
        let event = server.hook(&source, &payload::tool()).await.event();
        let asked = asked(&server, &event).await;
        assert_eq!(asked[1..], [second, third], "{words:?}");
    }
}

#[tokio::test]
async fn a_binding_that_does_not_match_is_not_asked() {
    let (server, source) = misbehave::server().await;
    let elsewhere = server.source("elsewhere").await;
    for selector in [
        json!({"tool": "book_appointment"}),
        json!({"tool": "check_availabilit"}),
        json!({"agent": "agent_xyz"}),
        json!({"agent": "AGENT_XYZ789"}),
        json!({"source": elsewhere.id}),
        json!({"kind": "call.start"}),
        json!({"kind": "call.transfer"}),
        // One that matches does not make up for one that does not.
        json!({"tool": "check_availability", "agent": "other"}),
        json!({"source": source.id, "kind": "call.start"}),
    ] {
        misbehave::rebind(&server, &mode("none").with(json!({"selector": selector}))).await;
        let reply = server.hook(&source, &payload::tool()).await;
        reply.expect_problem(503, "no_answer", None);
        let decision = &server.event(&reply.event()).await["decision"];
        assert_eq!(decision["reason"], "no_binding", "{selector}");
        assert_eq!(decision["invocations"], json!([]), "{selector}");
    }
}

#[tokio::test]
async fn a_plugin_without_the_handler_is_not_asked() {
    let (server, source) = misbehave::server().await;
    server.install("start-gate").await;
    let gate = json!({"plugin": "start-gate", "selector": selector("agent source", &source)});
    server.bind(&gate).await;
    let able = server.bind(&mode("none")).await;
    let reply = server.hook(&source, &payload::tool()).await;
    assert_eq!(reply.body, misbehave::behaved());
    assert_eq!(asked(&server, &reply.event()).await, [able]);
}

#[tokio::test]
async fn a_pass_asks_the_next_binding_until_one_answers() {
    let (server, source) = misbehave::server().await;
    let first = server
        .bind(&mode("pass").with(json!({"selector": selector("tool", &source)})))
        .await;
    let second = server
        .bind(&mode("none").with(json!({"selector": selector("agent", &source)})))
        .await;
    server.bind(&mode("trap")).await;

    let reply = server.hook(&source, &payload::tool()).await;
    let event = reply.event();
    assert_eq!(reply.expect(200), misbehave::behaved());
    let decision = &server.event(&event).await["decision"];
    assert_eq!(
        (&decision["outcome"], &decision["reason"]),
        (&json!("answered"), &Value::Null)
    );
    assert_eq!(asked(&server, &event).await, [first, second]);
    let outcomes: Vec<&Value> = decision["invocations"]
        .as_array()
        .expect("some")
        .iter()
        .map(|one| &one["outcome"])
        .collect();
    assert_eq!(outcomes, ["passed", "answered"]);
}

#[tokio::test]
async fn when_all_pass_the_sources_verdict_stands() {
    let (server, _) = misbehave::server().await;
    let verdicts = json!({"tool": {"decision": "answer", "result": {"from": "the source"}}});
    let source = server
        .create_source(&json!({"name": "other-line", "verdicts": verdicts}))
        .await;
    // A binding's own verdict is for failures, and passing is none.
    let on_failure = json!({"tool": {"decision": "answer", "result": "the binding"}});
    for _ in 0..2 {
        server
            .bind(&mode("pass").with(json!({"on_failure": on_failure})))
            .await;
    }
    let reply = server.hook(&source, &payload::tool()).await;
    let event = reply.event();
    assert_eq!(reply.expect(200), json!({"from": "the source"}));
    let decision = &server.event(&event).await["decision"];
    assert_eq!(
        (&decision["outcome"], &decision["reason"]),
        (&json!("verdict"), &json!("all_passed"))
    );
    assert_eq!(decision["invocations"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn a_failure_does_not_ask_the_next_binding() {
    let (server, source) = misbehave::server().await;
    let failing = server
        .bind(&mode("err").with(json!({"selector": selector("tool", &source)})))
        .await;
    server.bind(&mode("none")).await;
    let reply = server.hook(&source, &payload::tool()).await;
    reply.expect_problem(503, "no_answer", None);
    assert_eq!(asked(&server, &reply.event()).await, [failing]);
}

#[tokio::test]
async fn a_selector_that_could_never_ask_the_plugin_is_refused() {
    let (server, _) = misbehave::server().await;
    server.install("start-gate").await;
    for (selector, field) in [
        (json!({"tool": "check_availability"}), "selector.tool"),
        (json!({"kind": "call.transfer"}), "selector.kind"),
        (json!({"kind": "call.completed"}), "selector.kind"),
    ] {
        let gate = json!({"plugin": "start-gate", "selector": selector});
        let reply = server.post("/bindings", &gate).await;
        reply.expect_problem(422, "invalid_field", Some(field));
    }
    assert!(server.all("/bindings").await.is_empty());
}
