//! Endpoints do not feel each other, and none is sent more than it takes.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};

use crate::client::Source;
use crate::misbehave::mode;
use crate::payload::{self, With};
use crate::server::Server;
use crate::sink::{self, Act, Sink, status};

const DEAD: usize = 200;

async fn server() -> (Server, Source) {
    let server = sink::server();
    let source = server.source("main-line").await;
    (server, source)
}

fn failed(call: &str, number: usize) -> Value {
    payload::failed().with(json!({"callId": call, "number": number}))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_endpoint_gets_everything_beside_hundreds_of_dead_ones() {
    const EVENTS: usize = 30;
    let (server, source) = server().await;
    let hole = Sink::script([Act::Hang]).await;
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port");
    let closed = closed.local_addr().expect("an address");
    let urls = [hole.url("/"), format!("http://{closed}/")];
    join_all((0..DEAD).map(|number| {
        let url = &urls[number % 2];
        let endpoint = json!({"name": format!("dead-{number}"), "url": url, "concurrency": 2});
        let server = &server;
        async move { server.endpoint(&endpoint).await }
    }))
    .await;
    let healthy = Sink::start().await;
    let endpoint = server.endpoint(&healthy.endpoint("healthy")).await;
    let mut ids = Vec::new();
    for number in 0..EVENTS {
        ids.push(server.hook(&source, &failed("c", number)).await.event());
    }
    let requests = healthy.wait_for_deliveries(EVENTS).await;
    for id in &ids {
        let came = |request: &&sink::Request| request.header("x-hookswitch-event") == id;
        assert_eq!(requests.iter().filter(came).count(), 1);
    }
    // The others hang and fail still: the healthy one did not wait for them.
    let event = server.event(&ids[0]).await;
    let deliveries = event["deliveries"].as_array().expect("deliveries");
    assert_eq!(deliveries.len(), DEAD + 1);
    let owed = deliveries.iter().filter(|one| one["state"] == "owed");
    assert_eq!(owed.count(), DEAD);
    let mine = deliveries
        .iter()
        .find(|one| one["endpoint"] == endpoint["id"]);
    assert_ne!(mine.expect("it was owed")["state"], "exhausted");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_requests_are_made_at_once_than_an_endpoint_takes() {
    const EVENTS: usize = 24;
    let (server, source) = server().await;
    let sink = Sink::script([status(200).after(Duration::from_millis(100))]).await;
    let endpoint = sink.endpoint("crm").with(json!({"concurrency": 3}));
    server.endpoint(&endpoint).await;
    join_all(
        (0..EVENTS)
            .map(async |number| server.hook(&source, &failed("c", number)).await.expect(200)),
    )
    .await;
    sink.wait_for(EVENTS).await;
    assert_eq!(sink.most_at_once(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_requests_are_made_in_a_second_than_an_endpoint_takes() {
    const EVENTS: usize = 20;
    let (server, source) = server().await;
    let sink = Sink::start().await;
    let endpoint = sink.endpoint("crm").with(json!({"rate_per_second": 5}));
    server.endpoint(&endpoint).await;
    join_all(
        (0..EVENTS)
            .map(async |number| server.hook(&source, &failed("c", number)).await.expect(200)),
    )
    .await;
    let requests = sink.wait_for(EVENTS).await;
    // Five at once, then one every 200 ms; the first may have been late to arrive.
    let took = requests[EVENTS - 1].at - requests[0].at;
    assert!(took >= Duration::from_millis(2_500), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_drips_its_replies_does_not_keep_its_only_slot() {
    let (server, source) = server().await;
    let sink = Sink::script([Act::Drip]).await;
    let endpoint = sink
        .endpoint("crm")
        .with(json!({"concurrency": 1, "timeout_ms": 300}));
    server.endpoint(&endpoint).await;
    for number in 0..4 {
        server.hook(&source, &failed("c", number)).await.expect(200);
    }
    let requests = sink.wait_for(4).await;
    assert_eq!(requests.len(), 4, "one attempt each");
}

/// The numbers of a call's events in the order in which they were taken.
fn taken(
    requests: &[sink::Request],
    refused: impl Fn(&sink::Request) -> bool,
) -> BTreeMap<String, Vec<u64>> {
    let mut calls: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for request in requests.iter().filter(|request| !refused(request)) {
        let body = request.json();
        let (call, number) = match &body["given"]["body"] {
            Value::Null => (&body["callId"], &body["number"]),
            given => (&given["callId"], &given["number"]),
        };
        let call = call.as_str().expect("a call").to_owned();
        let number = number.as_u64().expect("a number");
        calls.entry(call).or_default().push(number);
    }
    calls
}

#[tokio::test(flavor = "multi_thread")]
async fn the_events_of_a_call_arrive_in_order_also_with_retries_between() {
    const EVENTS: usize = 6;
    let (server, source) = server().await;
    // Fewer failures than open the circuit.
    let refused = |request: &sink::Request| {
        let number = request.json()["number"].as_u64();
        request.header("x-hookswitch-attempt") == "1"
            && (number == Some(1) || (number == Some(3) && request.call() == "a"))
    };
    let sink = Sink::that(move |request| status(if refused(request) { 500 } else { 200 })).await;
    let schedule = json!({"delays_seconds": [0, 1, 1], "jitter_percent": 0});
    let endpoint = sink
        .endpoint("crm")
        .with(json!({"ordered": true, "schedule": schedule}));
    server.endpoint(&endpoint).await;
    join_all(["a", "b", "c"].map(async |call| {
        for number in 0..EVENTS {
            server
                .hook(&source, &failed(call, number))
                .await
                .expect(200);
        }
    }))
    .await;
    let requests = sink.wait_for(3 * EVENTS + 4).await;
    let in_order: Vec<u64> = (0..EVENTS as u64).collect();
    for (call, numbers) in taken(&requests, refused) {
        assert_eq!(numbers, in_order, "{call}");
    }
    assert_eq!(requests.len(), 3 * EVENTS + 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_events_of_a_call_arrive_in_order_also_when_handlers_take_turns() {
    const EVENTS: usize = 8;
    let (server, source) = server().await;
    let sink = Sink::start().await;
    server
        .endpoint(&sink.endpoint("echo").with(json!({"ordered": true})))
        .await;
    server.install("misbehave").await;
    server.bind(&mode("echo")).await;
    join_all(["a", "b", "c", "d"].map(async |call| {
        for number in 0..EVENTS {
            server
                .hook(&source, &failed(call, number))
                .await
                .expect(200);
        }
    }))
    .await;
    let requests = sink.wait_for(4 * EVENTS).await;
    let in_order: Vec<u64> = (0..EVENTS as u64).collect();
    for (call, numbers) in taken(&requests, |_| false) {
        assert_eq!(numbers, in_order, "{call}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_keeps_failing_is_left_alone_and_then_tried() {
    const EVENTS: usize = 12;
    let (server, source) = server().await;
    let sink = Sink::that(|request| status(if request.number < 5 { 500 } else { 200 })).await;
    let schedule = json!({"delays_seconds": [0, 0, 0, 0, 0, 0, 0], "jitter_percent": 0});
    let endpoint = sink
        .endpoint("crm")
        .with(json!({"concurrency": 1, "schedule": schedule}));
    server.endpoint(&endpoint).await;
    let mut ids = Vec::new();
    for number in 0..EVENTS {
        ids.push(server.hook(&source, &failed("c", number)).await.event());
    }
    for id in ids {
        let event = server.settled(&id).await;
        assert_eq!(event["deliveries"][0]["state"], "delivered");
    }
    let requests = sink.requests();
    assert_eq!(requests.len(), EVENTS + 5, "five failures, and no more");
    let pause = requests[5].at - requests[4].at;
    assert!(pause >= Duration::from_millis(4_500), "{pause:?}");
}
