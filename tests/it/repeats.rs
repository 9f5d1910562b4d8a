//! A platform that tries again gets the answer it missed, and nothing is done twice.

use std::io::Write as _;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Reply, Source, send};
use crate::misbehave::{self, mode};
use crate::payload::{self, With};
use crate::server::{Launch, Server};

/// A binding whose tool counts how often it ran, in the key-value store.
fn counts() -> Value {
    mode("kv-race")
}

/// The same, and busy for so long after it has counted.
fn counts_slowly(ms: u32) -> Value {
    counts().with(json!({
        "config": {"mode": "kv-race", "ms": ms},
        "limits": {"cpu_ms": 30_000},
    }))
}

/// A server whose source knows repeats, as sources do unless they are told otherwise.
async fn server(binding: &Value) -> (Server, Source) {
    let (server, _) = misbehave::server().await;
    let source = server.create_source(&json!({"name": "line"})).await;
    server.bind(binding).await;
    (server, source)
}

fn is_repeat(reply: &Reply) -> bool {
    reply.header("x-hookswitch-repeat") == "true"
}

/// Checks that the second reply is the first one again.
#[track_caller]
fn assert_repeats(second: &Reply, first: &Reply) {
    assert!(!is_repeat(first), "{:?}", first.headers);
    assert!(is_repeat(second), "{:?}", second.headers);
    assert_eq!(second.event(), first.event());
    assert_eq!((second.status, &second.text), (first.status, &first.text));
}

/// Sends a payload under a name that the platform gave the delivery.
async fn deliver(server: &Server, source: &Source, id: &str, payload: &Value) -> Reply {
    let request = server.request(Method::POST, &source.hook_path);
    send(request.header("X-Blackbox-Delivery-ID", id).json(payload)).await
}

async fn events(server: &Server) -> usize {
    server.all("/events").await.len()
}

/// How often the counting tool ran, asked for with another call's payload.
async fn count_with_another(server: &Server, source: &Source) -> i64 {
    let another = payload::tool().with(json!({"callId": "call_that_counts"}));
    let reply = server.hook(source, &another).await.expect(200);
    reply["n"].as_i64().expect("a count")
}

#[tokio::test]
async fn the_same_body_is_answered_again_and_the_tool_runs_once() {
    let (server, source) = server(&counts()).await;
    let first = server.hook(&source, &payload::tool()).await;
    assert_eq!(first.body, json!({"n": 1}));
    for _ in 0..3 {
        let second = server.hook(&source, &payload::tool()).await;
        assert_repeats(&second, &first);
    }
    assert_eq!(events(&server).await, 1);
    assert_eq!(count_with_another(&server, &source).await, 2);
}

#[tokio::test]
async fn starts_and_transfers_are_answered_again_too() {
    let (server, source) = server(&counts()).await;
    for question in [payload::start(), payload::transfer()] {
        let first = server.hook(&source, &question).await;
        assert_repeats(&server.hook(&source, &question).await, &first);
        assert_eq!(first.status, 200);
    }
    assert_eq!(events(&server).await, 2);
}

#[tokio::test]
async fn another_source_is_another_platform() {
    let (server, source) = server(&counts()).await;
    let other = server.create_source(&json!({"name": "other"})).await;
    let first = server.hook(&source, &payload::tool()).await;
    let second = server.hook(&other, &payload::tool()).await;
    assert_eq!(
        (first.body, second.body),
        (json!({"n": 1}), json!({"n": 2}))
    );
}

#[tokio::test]
async fn a_repeat_that_comes_while_the_first_runs_waits_for_its_answer() {
    let (server, source) = server(&counts_slowly(1_500)).await;
    let tool = payload::tool();
    let second = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        server.hook(&source, &tool).await
    };
    let (first, second) = tokio::join!(server.hook(&source, &tool), second);
    assert_repeats(&second, &first);
    assert_eq!(first.expect(200), json!({"n": 1}));
}

#[tokio::test]
async fn thirty_at_once_run_the_tool_once() {
    let (server, source) = server(&counts_slowly(200)).await;
    let tool = payload::tool();
    let replies = (0..30).map(|_| server.hook(&source, &tool));
    let replies = futures::future::join_all(replies).await;
    for reply in &replies {
        assert_eq!((reply.status, &reply.body), (200, &json!({"n": 1})));
        assert_eq!(reply.event(), replies[0].event());
    }
    let repeats = replies.iter().filter(|reply| is_repeat(reply)).count();
    assert_eq!(repeats, 29);
    assert_eq!(server.all("/decisions").await.len(), 1);
}

#[tokio::test]
async fn a_delivery_is_known_by_its_id_even_if_the_body_differs() {
    let (server, source) = server(&counts()).await;
    let first = deliver(&server, &source, "d-1", &payload::tool()).await;
    let attempt = payload::tool().with(json!({"attempt": 2}));
    let second = deliver(&server, &source, "d-1", &attempt).await;
    assert_repeats(&second, &first);
    // And a body that does not is a call of its own, if its id says so.
    let other = deliver(&server, &source, "d-2", &payload::tool()).await;
    assert!(!is_repeat(&other));
    assert_eq!(other.expect(200), json!({"n": 2}));
}

#[tokio::test]
async fn a_window_of_none_takes_every_body_for_a_new_one_and_still_knows_ids() {
    let (server, _) = server(&counts()).await;
    let source = server.source("each-is-new").await;
    for n in 1..=3 {
        let reply = server.hook(&source, &payload::tool()).await;
        assert_eq!(reply.expect(200), json!({"n": n}));
    }
    let first = deliver(&server, &source, "d-1", &payload::tool()).await;
    let second = deliver(&server, &source, "d-1", &payload::tool()).await;
    assert_repeats(&second, &first);
}

#[tokio::test]
async fn a_body_is_new_again_when_its_window_is_over() {
    let (server, _) = server(&counts()).await;
    let short = json!({"name": "short", "repeat_window_ms": 1_000});
    let source = server.create_source(&short).await;
    let first = server.hook(&source, &payload::tool()).await;
    assert_repeats(&server.hook(&source, &payload::tool()).await, &first);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let later = server.hook(&source, &payload::tool()).await;
    assert!(!is_repeat(&later));
    assert_eq!(later.expect(200), json!({"n": 2}));
}

#[tokio::test]
async fn a_window_longer_than_an_hour_is_refused() {
    let server = Server::start();
    let long = json!({"name": "line", "repeat_window_ms": 3_600_001});
    let refused = server.post("/sources", &long).await;
    refused.expect_problem(422, "invalid_field", Some("repeat_window_ms"));
}

#[tokio::test]
async fn a_repeated_notice_is_acknowledged_and_not_stored_again() {
    let (server, source) = server(&mode("echo")).await;
    let first = server.hook(&source, &payload::completed()).await;
    let second = server.hook(&source, &payload::completed()).await;
    assert_repeats(&second, &first);
    let event = server.handled(&first.event()).await;
    assert_repeats(&server.hook(&source, &payload::completed()).await, &first);
    assert_eq!(event["deliveries"].as_array().map(Vec::len), Some(1));
    assert_eq!(events(&server).await, 1);
}

#[tokio::test]
async fn twenty_equal_notices_at_once_are_one_event() {
    let (server, source) = server(&mode("echo")).await;
    let notice = payload::completed();
    let replies = (0..20).map(|_| server.hook(&source, &notice));
    let replies = futures::future::join_all(replies).await;
    assert!(replies.iter().all(|reply| reply.status == 200));
    assert_eq!(events(&server).await, 1);
}

#[tokio::test]
async fn who_does_not_prove_its_origin_is_told_no_answer() {
    let (server, _) = server(&counts()).await;
    let proof = json!([{"type": "header", "name": "X-Api-Key", "values": ["key"]}]);
    let source = json!({"name": "guarded", "proof": proof});
    let source = server.create_source(&source).await;
    let proved = server.request(Method::POST, &source.hook_path);
    let proved = proved.header("x-api-key", "key").json(&payload::tool());
    send(proved).await.expect(200);
    let reply = server.hook(&source, &payload::tool()).await;
    reply.expect_problem(401, "unauthorized", None);
    assert!(!is_repeat(&reply));
}

#[tokio::test]
async fn a_question_that_found_no_answer_is_asked_again() {
    let (server, source) = server(&json!({
        "plugin": "misbehave", "config": {"mode": "err"},
        "on_failure": {"start": {"decision": "unavailable"}},
    }))
    .await;
    for question in [payload::start(), payload::transfer()] {
        let first = server.hook(&source, &question).await;
        first.expect_problem(503, "no_answer", None);
        let second = server.hook(&source, &question).await;
        second.expect_problem(503, "no_answer", None);
        assert!(!is_repeat(&second));
        assert_ne!(second.event(), first.event());
    }
    misbehave::rebind(&server, &mode("none")).await;
    let third = server.hook(&source, &payload::start()).await;
    assert_eq!(third.body, json!({"accept": true}));
    // That is an answer, and stands.
    assert_repeats(&server.hook(&source, &payload::start()).await, &third);
}

#[tokio::test]
async fn those_who_waited_for_one_start_are_not_each_asked_again() {
    let (server, source) = server(&json!({
        "plugin": "misbehave", "config": {"mode": "loop"}, "limits": {"time_ms": 700},
        "on_failure": {"start": {"decision": "unavailable"}},
    }))
    .await;
    let start = payload::start();
    let replies = (0..5).map(|_| server.hook(&source, &start));
    let replies = futures::future::join_all(replies).await;
    assert!(replies.iter().all(|reply| reply.status == 503));
    assert_eq!(server.all("/decisions").await.len(), 1);
}

#[tokio::test]
async fn a_tool_that_ran_and_failed_is_not_run_again() {
    let (server, source) = server(&mode("err")).await;
    let first = server.hook(&source, &payload::tool()).await;
    first.expect_problem(503, "no_answer", None);
    misbehave::rebind(&server, &counts()).await;
    assert_repeats(&server.hook(&source, &payload::tool()).await, &first);
}

#[tokio::test]
async fn a_tool_call_that_nobody_was_asked_about_is_asked_again() {
    let (server, source) = server(&counts().with(json!({"selector": {"tool": "other"}}))).await;
    let first = server.hook(&source, &payload::tool()).await;
    first.expect_problem(503, "no_answer", None);
    misbehave::rebind(&server, &counts()).await;
    let second = server.hook(&source, &payload::tool()).await;
    assert_eq!(second.expect(200), json!({"n": 1}));
}

#[tokio::test]
async fn a_tool_call_that_found_no_sandbox_is_asked_again() {
    let launch = Launch::new();
    let file = launch.directory().join("hookswitch.toml");
    let limits = "[limits]\nconcurrent_calls = 1\nconcurrent_notices = 1\n";
    std::fs::write(&file, limits).expect("a file");
    let server = launch.argument("--config").argument(file).start();
    server.install("misbehave").await;
    let source = server.create_source(&json!({"name": "line"})).await;
    let starts = json!({"selector": {"kind": "call.start"}});
    server.bind(&misbehave::slow(2_500).with(starts)).await;
    let tools = json!({"selector": {"kind": "tool.call"}, "limits": {"time_ms": 500}});
    server.bind(&counts().with(tools)).await;

    let crowded = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        server.hook(&source, &payload::tool()).await
    };
    let start = payload::start();
    let (_, crowded) = tokio::join!(server.hook(&source, &start), crowded);
    let decision = &server.event(&crowded.event()).await["decision"];
    assert_eq!(decision["invocations"][0]["error"]["code"], "overloaded");
    let again = server.hook(&source, &payload::tool()).await;
    assert_eq!(again.expect(200), json!({"n": 1}));
}

#[tokio::test]
async fn a_stored_answer_is_given_again_after_kill_9() {
    let (server, source) = server(&counts()).await;
    let named = payload::tool().with(json!({"callId": "call_named"}));
    let first = server.hook(&source, &payload::tool()).await;
    let first_named = deliver(&server, &source, "d-1", &named).await;
    let notice = server.hook(&source, &payload::failed()).await;

    let server = server.kill().start();
    assert_repeats(&server.hook(&source, &payload::tool()).await, &first);
    let second_named = deliver(&server, &source, "d-1", &named).await;
    assert_repeats(&second_named, &first_named);
    assert_repeats(&server.hook(&source, &payload::failed()).await, &notice);
    assert_eq!(events(&server).await, 3);
    assert_eq!(count_with_another(&server, &source).await, 3 + 1);
}

/// A call that is cut off by kill -9 while its tool is busy, after it has counted.
async fn cut_off(delivery: Option<&str>) -> (Server, Source, String) {
    let (server, _) = server(&counts_slowly(3_000)).await;
    let verdict = json!({"decision": "answer", "result": {"error": "unknown"}});
    let source = json!({"name": "cut", "verdicts": {"tool": verdict}});
    let source = server.create_source(&source).await;
    let mut request = server.request(Method::POST, &source.hook_path);
    if let Some(id) = delivery {
        request = request.header("x-delivery-id", id);
    }
    let request = request.json(&payload::tool()).send();
    let killer = async {
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        let asked = server.all("/events").await;
        assert_eq!(asked.len(), 1);
        assert_eq!(asked[0]["state"], "asked");
        let id = asked[0]["id"].as_str().expect("an id").to_owned();
        assert_eq!(server.event(&id).await["decision"], Value::Null);
        server.kill_at_once();
        id
    };
    let (cut, id) = tokio::join!(request, killer);
    assert!(cut.is_err(), "the server was not killed in time");
    (server.restart(), source, id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_call_cut_off_by_kill_9_gets_its_verdict_and_never_runs_again() {
    for delivery in [None, Some("d-1")] {
        let (server, source, id) = cut_off(delivery).await;
        let event = server.event(&id).await;
        assert_eq!(event["state"], "answered");
        let decision = &event["decision"];
        assert_eq!(
            (&decision["outcome"], &decision["reason"]),
            (&json!("verdict"), &json!("interrupted"))
        );
        assert_eq!(decision["invocations"], json!([]));

        let request = server.request(Method::POST, &source.hook_path);
        let request = match delivery {
            Some(id) => request.header("x-delivery-id", id),
            None => request,
        };
        let again = send(request.json(&payload::tool())).await;
        assert!(is_repeat(&again));
        assert_eq!(again.event(), id);
        assert_eq!(again.expect(200), json!({"error": "unknown"}));

        misbehave::rebind(&server, &counts()).await;
        assert_eq!(count_with_another(&server, &source).await, 1 + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_of_unavailable_stands_for_a_tool_call_that_was_cut_off() {
    let (server, source) = server(&counts_slowly(3_000)).await;
    let request = server.request(Method::POST, &source.hook_path);
    let request = request.json(&payload::tool()).send();
    let killer = async {
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        server.kill_at_once();
    };
    let (cut, ()) = tokio::join!(request, killer);
    assert!(cut.is_err(), "the server was not killed in time");
    let server = server.restart();
    for _ in 0..2 {
        let again = server.hook(&source, &payload::tool()).await;
        again.expect_problem(503, "no_answer", None);
        assert!(is_repeat(&again));
    }
    misbehave::rebind(&server, &counts()).await;
    assert_eq!(count_with_another(&server, &source).await, 1 + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_call_of_a_source_that_is_gone_is_ended_too() {
    let (server, source) = server(&counts_slowly(3_000)).await;
    let request = server.request(Method::POST, &source.hook_path);
    let request = request.json(&payload::tool()).send();
    let killer = async {
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        let path = format!("/sources/{}", source.id);
        assert_eq!(server.delete(&path).await.status, 204);
        server.kill_at_once();
    };
    let (cut, ()) = tokio::join!(request, killer);
    assert!(cut.is_err(), "the server was not killed in time");
    let server = server.restart();
    let event = server.all("/events").await[0].clone();
    let event = server.event(event["id"].as_str().expect("an id")).await;
    assert_eq!(event["state"], "answered");
    assert_eq!(event["decision"]["reason"], "interrupted");
    assert_eq!(
        event["decision"]["reply"],
        json!({"status": 503, "body": null})
    );
}

/// Sends a tool call and leaves while its tool is busy.
async fn ask_and_leave(server: &Server, source: &Source) {
    let body = payload::tool().to_string();
    let request = format!(
        "POST {} HTTP/1.1\r\nhost: hookswitch\r\ncontent-length: {}\r\n\r\n{body}",
        source.hook_path,
        body.len()
    );
    let mut stream = std::net::TcpStream::connect(server.address).expect("a connection");
    stream.write_all(request.as_bytes()).expect("it is sent");
    while server.all("/events").await.is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(server.all("/events").await[0]["state"], "asked");
    drop(stream);
    tokio::time::sleep(Duration::from_millis(200)).await;
}

#[tokio::test]
async fn a_client_that_gives_up_neither_stops_the_tool_nor_loses_its_answer() {
    let (server, source) = server(&counts_slowly(1_500)).await;
    ask_and_leave(&server, &source).await;
    let again = server.hook(&source, &payload::tool()).await;
    assert!(is_repeat(&again));
    let event = again.event();
    assert_eq!(again.expect(200), json!({"n": 1}));
    let decision = &server.event(&event).await["decision"];
    assert_eq!(decision["reply"]["body"], json!({"n": 1}));
}

#[tokio::test]
async fn what_a_client_left_behind_is_finished_before_the_server_ends() {
    let (server, source) = server(&counts_slowly(1_500)).await;
    ask_and_leave(&server, &source).await;
    let server = server.stop().start();
    let again = server.hook(&source, &payload::tool()).await;
    assert!(is_repeat(&again));
    assert_eq!(again.expect(200), json!({"n": 1}));
}

/// The example that the whole matter is about.
#[tokio::test]
async fn a_retried_booking_books_once() {
    let server = Server::start();
    server.install("appointment-tools").await;
    let source = server.create_source(&json!({"name": "desk"})).await;
    server
        .bind(&json!({
            "plugin": "appointment-tools", "grants": {"kv": {}},
            "config": {
                "time_zone": "America/Los_Angeles", "hours": {"saturday": ["10:00-12:00"]},
                "slot_minutes": 60, "past_dates": "allow",
            },
        }))
        .await;
    let arguments = json!({"date": "2025-10-25", "time": "11:00"});
    let book = payload::tool_call("book_appointment", &arguments);
    let replies = (0..10).map(|_| server.hook(&source, &book));
    let replies = futures::future::join_all(replies).await;
    let server = server.kill().start();
    let last = server.hook(&source, &book).await;
    for reply in replies.iter().chain([&last]) {
        assert_eq!(reply.body["booked"], true, "{}", reply.text);
        assert_eq!(reply.body, replies[0].body);
    }
    let decisions = server.all("/decisions").await;
    assert_eq!(decisions.len(), 1, "the plugin was asked once");
}
