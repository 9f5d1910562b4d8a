//! The end of a server: asked to, it finishes what it has begun.

use std::time::Duration;

use serde_json::json;

use crate::misbehave::{self, behaved, slow};
use crate::payload;
use crate::server::Server;

#[tokio::test(flavor = "multi_thread")]
async fn a_call_in_flight_gets_its_answer() {
    let (mut server, source) = misbehave::server().await;
    server.bind(&slow(2_000)).await;

    let request = server
        .request(reqwest::Method::POST, &source.hook_path)
        .json(&payload::tool());
    let in_flight = tokio::spawn(crate::client::send(request));
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(
        !in_flight.is_finished(),
        "the call is over before the server was asked to end"
    );
    server.ask_to_end();

    let reply = in_flight.await.expect("the request was not cut");
    let event = reply.event();
    assert_eq!(reply.expect(200), behaved());
    assert!(server.ended(Duration::from_secs(20)).success());

    let server = server.restart();
    let decision = &server.event(&event).await["decision"];
    assert_eq!(
        decision["reply"]["body"],
        behaved(),
        "its decision was stored too"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_new_is_let_in() {
    let (mut server, source) = misbehave::server().await;
    server.bind(&slow(3_000)).await;
    let request = server
        .request(reqwest::Method::POST, &source.hook_path)
        .json(&payload::tool());
    let in_flight = tokio::spawn(crate::client::send(request));
    tokio::time::sleep(Duration::from_millis(700)).await;
    server.ask_to_end();
    tokio::time::sleep(Duration::from_millis(700)).await;

    let late = reqwest::Client::new()
        .get(format!("http://{}/healthz", server.address))
        .timeout(Duration::from_secs(2))
        .send()
        .await;
    assert!(
        late.is_err(),
        "a new connection was served during the drain: {late:?}"
    );
    assert_eq!(
        in_flight.await.expect("the request was not cut").status,
        200
    );
    assert!(server.ended(Duration::from_secs(20)).success());
}

#[tokio::test]
async fn an_idle_server_ends_at_once_and_without_complaint() {
    let mut server = Server::start();
    server.source("main-line").await;
    server.ask_to_end();
    let status = server.ended(Duration::from_secs(10));
    assert_eq!(status.code(), Some(0));
    assert!(!server.log().contains("panicked"), "{}", server.log());
}

#[tokio::test]
async fn a_connection_that_says_nothing_does_not_hold_it_up() {
    let mut server = Server::start();
    let _silent = std::net::TcpStream::connect(server.address).expect("a connection");
    let mut begun = std::net::TcpStream::connect(server.address).expect("a connection");
    std::io::Write::write_all(&mut begun, b"POST /hooks/src_1 HTTP/1.1\r\n").expect("half a head");
    tokio::time::sleep(Duration::from_millis(200)).await;
    server.ask_to_end();
    assert!(server.ended(Duration::from_secs(40)).success());
}

#[tokio::test]
async fn a_notice_that_waits_is_handled_by_the_next_server() {
    let (server, source) = misbehave::server().await;
    server.bind(&slow(1_000)).await;
    let mut events = Vec::new();
    for call in 0..6 {
        let payload = payload::With::with(payload::failed(), json!({"callId": format!("c{call}")}));
        events.push(server.hook(&source, &payload).await.event());
    }
    let server = server.stop().start();
    for event in events {
        assert_eq!(
            server.handled(&event).await["decision"]["outcome"],
            "answered"
        );
    }
}
