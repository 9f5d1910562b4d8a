//! One call from beginning to end.

use serde_json::{Value, json};

use crate::client::{Source, assert_none_wrong};
use crate::misbehave::{self, mode};
use crate::payload::{self, With};
use crate::receiver::{self, Receiver};
use crate::server::Server;
use crate::shape::assert_shape;

const CALL: &str = "call_abc123def456";

/// A call with one of everything: a start that a plugin answers and logs about, a
/// transfer that an endpoint is asked, a tool whose plugin fails, an end that is
/// delivered to one endpoint and refused by another.
async fn called() -> (Server, Source) {
    let (server, source) = receiver::server().await;
    server.install("misbehave").await;
    let ends = json!({"filter": {"kinds": ["call.completed"]}});
    let nothing = json!({"filter": {"kinds": ["endpoint.none"]}});
    let well = Receiver::answering(200).await;
    let badly = Receiver::answering(404).await;
    server
        .endpoint(&well.endpoint("archive").with(ends.clone()))
        .await;
    server.endpoint(&badly.endpoint("crm").with(ends)).await;
    server
        .endpoint(&badly.endpoint("fallback").with(nothing))
        .await;
    for (name, question) in [
        ("flood-log", payload::start()),
        ("forward", payload::transfer()),
        ("trap", payload::tool()),
        ("none", payload::completed()),
    ] {
        let binding = mode(name).with(json!({"limits": {"log_lines": 2}}));
        misbehave::rebind(&server, &binding).await;
        let id = server.hook(&source, &question).await.event();
        // One after the other, or their order is anybody's guess.
        server.ended_event(&id).await;
    }
    (server, source)
}

impl Server {
    /// Waits until nothing is to come of an event.
    async fn ended_event(&self, id: &str) {
        loop {
            let event = self.event(id).await;
            let owed = event["deliveries"].as_array().expect("deliveries");
            if event["state"] != "accepted" && owed.iter().all(|it| it["state"] != "owed") {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}

fn types(call: &Value) -> Vec<&str> {
    let entries = call["entries"].as_array().expect("entries").iter();
    entries
        .map(|entry| entry["type"].as_str().expect("a type"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_shown_with_all_that_came_of_it_in_order() {
    let (server, source) = called().await;
    // Others' events are not in it.
    let other = payload::start().with(json!({"callId": "call_2"}));
    server.hook(&source, &other).await.expect(200);
    let mut call = server.get(&format!("/calls/{CALL}")).await.expect(200);
    let entries = call["entries"].as_array_mut().expect("entries");
    let times: Vec<String> = entries.iter().map(|it| it["at"].to_string()).collect();
    assert!(times.is_sorted(), "{times:?}");
    // Which of two endpoints is tried first is not said.
    let last = entries.len() - 4;
    entries[last..].sort_by_key(|it| (it["type"] == "attempt", it["endpoint_name"].to_string()));
    assert_shape!("call", call);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_read_in_pages_of_events() {
    let (server, _) = called().await;
    let whole = server.get(&format!("/calls/{CALL}")).await.expect(200);
    assert_eq!(whole["next_cursor"], Value::Null);
    let mut found = Vec::new();
    let mut path = format!("/calls/{CALL}?limit=1");
    let mut pages = 0;
    loop {
        let page = server.get(&path).await.expect(200);
        pages += 1;
        for field in ["summary", "started_at", "ended_at"] {
            assert_eq!(
                page[field], whole[field],
                "of the whole call, on every page"
            );
        }
        found.extend(page["entries"].as_array().expect("entries").clone());
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/calls/{CALL}?limit=1&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(pages, 4);
    assert_eq!(Value::from(found), whole["entries"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn any_id_of_a_platform_names_a_call() {
    let (server, source) = receiver::server().await;
    for (call, path) in [
        ("a/b", "a%2Fb"),
        ("ü ?#%", "%C3%BC%20%3F%23%25"),
        ("stream", "stream"),
    ] {
        server.notice(&source, call).await;
        let found = server.get(&format!("/calls/{path}")).await.expect(200);
        assert_eq!(found["call_id"], call);
        assert_eq!(types(&found), ["event", "decision"]);
    }
}

#[tokio::test]
async fn what_is_no_call_is_not_found() {
    let server = Server::start();
    let mut wrong = Vec::new();
    let reply = server.get("/calls/nobody").await;
    wrong.extend(reply.is_problem(404, "not_found", None).err());
    for (query, field) in [
        ("limit=0", "limit"),
        ("cursor=x", "cursor"),
        ("kind=a", "kind"),
    ] {
        let reply = server.get(&format!("/calls/nobody?{query}")).await;
        wrong.extend(
            reply
                .is_problem(400, "invalid_parameter", Some(field))
                .err(),
        );
    }
    assert_none_wrong(&wrong);
}
