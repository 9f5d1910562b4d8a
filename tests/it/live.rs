//! The stream of what happens: who hears what, and that nobody is held up by it.

use std::time::Duration;

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::client::{Source, assert_none_wrong, send};
use crate::listener::{Listener, Message, names};
use crate::misbehave::{self, mode};
use crate::payload::{self, With};
use crate::receiver::{self, Receiver};
use crate::server::Server;
use crate::shape::assert_shape;

/// A server with the guest and a source, which may send to this machine.
async fn server() -> (Server, Source) {
    let (server, source) = receiver::server().await;
    server.install("misbehave").await;
    (server, source)
}

/// Logs a line, and one that says how many were too many; and behaves.
fn talkative() -> Value {
    mode("flood-log").with(json!({"limits": {"log_lines": 1}}))
}

fn one<'m>(messages: &'m [Message], name: &str) -> &'m Value {
    let found = messages.iter().find(|message| message.name == name);
    &found.expect("such a message").data
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_heard_as_it_happens() {
    let (server, source) = server().await;
    server.bind(&talkative()).await;
    let receiver = Receiver::answering(200).await;
    server.endpoint(&receiver.endpoint("crm")).await;
    let mut listener = server.listen("").await;
    for (question, expected) in [
        (
            payload::start(),
            ["event", "log", "log", "decision", "attempt"],
        ),
        (
            payload::tool(),
            ["event", "log", "log", "decision", "attempt"],
        ),
        (
            payload::failed(),
            ["event", "log", "log", "decision", "attempt"],
        ),
    ] {
        let id = server.hook(&source, &question).await.event();
        let mut messages = listener.until("decision", &id).await;
        // The delivery of a tool call is owed before it is answered.
        if !messages.iter().any(|message| message.name == "attempt") {
            messages.extend(listener.until("attempt", &id).await);
        }
        messages.sort_by_key(|message| message.name == "attempt");
        assert_eq!(names(&messages, &id), expected, "{}", question["type"]);
        let state = &one(&messages, "attempt")["state"];
        assert_eq!(state, "delivered");
        if question == payload::tool() {
            for name in ["event", "log", "decision", "attempt"] {
                assert_shape!(format!("live_{name}"), one(&messages, name));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_is_heard_too() {
    let (server, source) = server().await;
    let receiver = Receiver::answering(500).await;
    let nothing = json!({"filter": {"kinds": ["endpoint.none"]}});
    let fallback = receiver.endpoint("fallback").with(nothing);
    server.endpoint(&fallback).await;
    let mut listener = server.listen("").await;

    server.bind(&mode("forward")).await;
    let id = server.hook(&source, &payload::transfer()).await.event();
    let messages = listener.until("decision", &id).await;
    assert_eq!(names(&messages, &id), ["event", "forward", "decision"]);
    assert_shape!("live_forward", one(&messages, "forward"));
    assert_eq!(one(&messages, "decision")["reason"], "forward_failed");

    misbehave::rebind(&server, &mode("trap")).await;
    let id = server.hook(&source, &payload::start()).await.event();
    let messages = listener.until("decision", &id).await;
    assert_shape!("live_decision_of_a_trap", one(&messages, "decision"));

    misbehave::rebind(&server, &mode("none")).await;
    server.endpoint(&receiver.endpoint("crm")).await;
    let id = server.notice(&source, "call_1").await;
    let messages = listener.until("attempt", &id).await;
    let attempt = one(&messages, "attempt");
    let end = (&attempt["status"], &attempt["state"]);
    assert_eq!(end, (&json!(500), &json!("exhausted")));
    let alert = listener.next().await.expect("an event of our own");
    assert_eq!(alert.text("kind"), "delivery.exhausted");
    assert_eq!(alert.data["source"], Value::Null);
}

/// A token of another organization, with its id.
async fn another_token(server: &Server) -> (String, String) {
    let organization = json!({"name": "another"});
    let organization = server.post("/organizations", &organization).await;
    let organization = organization.expect(201);
    let request = server
        .admin(Method::POST, "/tokens")
        .header(
            "hookswitch-organization",
            organization["id"].as_str().expect("an id"),
        )
        .json(&json!({"label": "owner", "scope": "owner"}));
    let token = send(request).await.expect(201);
    let text = |field: &str| token[field].as_str().expect("a text").to_owned();
    (text("token"), text("id"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_neither_hears_nor_reads_what_is_anothers() {
    let (server, source) = server().await;
    let (token, _) = another_token(&server).await;
    let request = |method, path: &str| {
        let path = format!("/api/v1{path}");
        server.request(method, &path).bearer_auth(&token)
    };
    let listen = |query: &str| request(Method::GET, &format!("/events/stream?{query}"));
    let theirs = server.hook(&source, &payload::start()).await.event();
    let mut first = server.listen("").await;
    let by_source = format!("source={}", source.id);
    let mut all = Listener::begin(listen("")).await;
    let mut by_source = Listener::begin(listen(&by_source)).await;
    let mut again = Listener::begin(listen("").header("last-event-id", &theirs)).await;
    let id = server.hook(&source, &payload::tool()).await.event();
    assert_eq!(names(&first.until("decision", &id).await, &id).len(), 2);

    let own = request(Method::POST, "/sources").json(&json!({"name": "main-line"}));
    let own = send(own).await.expect(201);
    let own = Source {
        id: own["id"].as_str().expect("an id").to_owned(),
        hook_path: own["hook_path"].as_str().expect("a path").to_owned(),
    };
    let id = server.hook(&own, &payload::start()).await.event();
    for listener in [&mut all, &mut again] {
        let heard = listener.next().await.expect("a message");
        assert_eq!(heard.text("event"), id, "the first thing that is heard");
    }
    let call = payload::start()["callId"].clone();
    let path = format!("/calls/{}", call.as_str().expect("an id"));
    let found = send(request(Method::GET, &path)).await.expect(200);
    assert_eq!(found["summary"]["events"], 1, "the call's id is the same");
    let found = server.get(&path).await.expect(200);
    assert_eq!(found["summary"]["events"], 2);
    server.ask_to_end();
    assert!(by_source.next().await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_when_its_token_is_revoked() {
    let (server, _) = server().await;
    let (token, id) = another_token(&server).await;
    let request = server.request(Method::GET, "/api/v1/events/stream");
    let mut listener = Listener::begin(request.bearer_auth(&token)).await;
    let path = format!("/api/v1/tokens/{id}");
    let request = server.request(Method::DELETE, &path);
    let revoked = send(request.bearer_auth(&token)).await;
    assert_eq!(revoked.status, 204, "{}", revoked.text);
    // Within 30 s.
    assert!(listener.next().await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_again_hears_what_it_missed_and_goes_on() {
    let (server, source) = server().await;
    server.bind(&talkative()).await;
    let mut listener = server.listen("").await;
    let heard = server.hook(&source, &payload::start()).await.event();
    listener.until("decision", &heard).await;
    assert_eq!(listener.last, heard);
    let last = listener.last.clone();
    drop(listener);
    let missed = server.hook(&source, &payload::tool()).await.event();
    let notice = server.hook(&source, &payload::failed()).await.event();
    server.handled(&notice).await;

    let mut again = server.listen_again(&last).await;
    let live = server.hook(&source, &payload::start()).await.event();
    let messages = again.until("decision", &live).await;
    for id in [&missed, &notice, &live] {
        let mut names = names(&messages, id);
        names.dedup();
        assert_eq!(names, ["event", "log", "decision"], "{id}");
    }
    let mut all: Vec<String> = messages.iter().map(|it| it.data.to_string()).collect();
    let came = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), came, "nothing comes twice in one stream");

    // Also across a restart, and to whom nothing was sent yet.
    let waiting = server.listen("call=nobody").await;
    let last = waiting.last.clone();
    let missed = server.hook(&source, &payload::tool()).await.event();
    let server = server.stop().start();
    let mut again = server.listen_again(&last).await;
    let messages = again.until("decision", &missed).await;
    assert!(names(&messages, &missed).contains(&"event".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_long_before_is_not_repeated() {
    let (server, source) = server().await;
    let old = server.hook(&source, &payload::start()).await.event();
    // More than what may be between an event and its commit.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let last = server.hook(&source, &payload::start()).await.event();
    let mut again = server.listen_again(&last).await;
    let live = server.hook(&source, &payload::tool()).await.event();
    let messages = again.until("decision", &live).await;
    assert_eq!(names(&messages, &old), [""; 0]);
    assert_eq!(names(&messages, &last), ["event", "decision"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_leave_out_what_does_not_fit() {
    let (server, source) = server().await;
    let other = server.source("other-line").await;
    server
        .bind(&talkative().with(json!({"selector": {"source": source.id}})))
        .await;
    let by_source = format!("source={}", source.id);
    let rows: [(&str, &[&str]); 8] = [
        (
            "",
            &[
                "event", "log", "log", "decision", "event", "decision", "event", "decision",
            ],
        ),
        (&by_source, &["event", "log", "log", "decision"]),
        ("call=call_2", &["event", "decision"]),
        (
            "kind=call.start",
            &["event", "log", "log", "decision", "event", "decision"],
        ),
        ("plugin=misbehave", &["log", "log", "decision"]),
        ("plugin=nobody", &[]),
        (
            "level=error",
            &[
                "event", "decision", "event", "decision", "event", "decision",
            ],
        ),
        ("call=call_2&kind=tool.call", &[]),
    ];
    let listeners = rows.map(|(query, _)| server.listen(query));
    let mut listeners = join_all(listeners).await;
    server.hook(&source, &payload::start()).await.expect(200);
    let second = payload::start().with(json!({"callId": "call_2"}));
    server.hook(&other, &second).await.expect(200);
    server.hook(&other, &payload::tool()).await;
    let mut wrong = Vec::new();
    for ((query, expected), listener) in rows.iter().zip(&mut listeners) {
        let mut found = Vec::new();
        for _ in 0..expected.len() {
            let message = listener.next().await.expect("the stream goes on");
            found.push(message.name);
        }
        if found != *expected {
            wrong.push(format!("{query}: {found:?} instead of {expected:?}"));
        }
    }
    assert_none_wrong(&wrong);
    // And nothing more: what ends them all is the server.
    server.ask_to_end();
    for ((query, _), listener) in rows.iter().zip(&mut listeners) {
        let more = listener.next().await;
        assert!(more.is_none(), "{query}: {more:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_wanted_is_a_problem() {
    let server = Server::start();
    let mut wrong = Vec::new();
    for (query, field) in [
        ("source=main-line", "source"),
        ("kind=Call", "kind"),
        ("plugin=Not a name", "plugin"),
        ("level=loud", "level"),
        ("limit=5", "limit"),
    ] {
        let reply = server.get(&format!("/events/stream?{query}")).await;
        wrong.extend(
            reply
                .is_problem(400, "invalid_parameter", Some(field))
                .err(),
        );
    }
    let request = server.admin(Method::GET, "/events/stream");
    let reply = send(request.header("last-event-id", "7")).await;
    let problem = reply.is_problem(400, "invalid_parameter", Some("last-event-id"));
    wrong.extend(problem.err());
    let reply = send(server.request(Method::GET, "/api/v1/events/stream")).await;
    wrong.extend(reply.is_problem(401, "unauthorized", None).err());
    assert_none_wrong(&wrong);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_has_so_many_streams_and_gets_places_back() {
    const MOST: usize = 16;
    let server = Server::start();
    let mut listeners = join_all((0..MOST).map(|_| server.listen(""))).await;
    let refused = server.get("/events/stream").await;
    refused.expect_problem(409, "too_many", None);
    listeners.pop();
    // The server sees that somebody has left when it next looks at the connection.
    for _ in 0..500 {
        let request = server.admin(Method::GET, "/events/stream");
        if request.send().await.expect("an answer").status() == 200 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the place was not given back");
}

/// A client that asks for the stream and reads no further than its head.
async fn lazy(server: &Server) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4_096).expect("a small buffer");
    let mut stream = socket.connect(server.address).await.expect("a connection");
    let request = format!(
        "GET /api/v1/events/stream HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n",
        server.token
    );
    stream
        .write_all(request.as_bytes())
        .await
        .expect("it is sent");
    let mut head = [0; 15];
    stream.read_exact(&mut head).await.expect("it is answered");
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_misses_something_and_holds_up_nobody() {
    // More than fits into a channel and all buffers between.
    const CALLS: usize = 250;
    let (server, source) = server().await;
    let lines = json!({"limits": {"log_lines": 150}});
    server.bind(&mode("flood-log").with(lines)).await;
    let mut lazy = lazy(&server).await;
    let mut quick = server.listen("").await;
    for call in 0..CALLS {
        let question = payload::tool().with(json!({"callId": format!("call_{call}")}));
        let id = server.hook(&source, &question).await.event();
        let messages = quick.until("decision", &id).await;
        let gap = messages.iter().find(|message| message.name == "gap");
        assert!(gap.is_none(), "{gap:?}");
    }

    let mut text = String::new();
    let mut part = vec![0; 64 << 10];
    while !text.contains("event: gap") {
        let read = lazy.read(&mut part).await.expect("the stream goes on");
        assert_ne!(read, 0, "the stream has ended");
        // The last message may be cut in two.
        text = text.split_off(text.len().saturating_sub(1_000));
        text.push_str(&String::from_utf8_lossy(&part[..read]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_ends_its_streams() {
    let (mut server, source) = server().await;
    let mut listeners = join_all((0..3).map(|_| server.listen(""))).await;
    let lazy = lazy(&server).await;
    // One that reads nothing, with more to read than fits into all buffers.
    let lines = json!({"limits": {"log_lines": 190}});
    server.bind(&mode("flood-log").with(lines)).await;
    for _ in 0..100 {
        let id = server.hook(&source, &payload::tool()).await.event();
        for listener in &mut listeners {
            listener.until("decision", &id).await;
        }
    }
    server.ask_to_end();
    for listener in &mut listeners {
        assert!(listener.next().await.is_none());
    }
    // Before requests in flight would be given up, after 30 s.
    assert!(server.ended(Duration::from_secs(20)).success());
    drop(lazy);
}
