//! What Hookswitch says about its endpoints, and to whom.

use std::time::Duration;

use serde_json::{Value, json};

use crate::payload::{self, With};
use crate::sink::{self, Request, Sink, status};

/// Waits for an alert of that kind about that endpoint, and gives its body.
async fn alert(sink: &Sink, kind: &str, endpoint: &Value) -> Value {
    let about = |request: &Request| {
        request.header("x-hookswitch-kind") == kind
            && request.json()["data"]["endpoint"] == endpoint["id"]
    };
    for _ in 0..3_000 {
        if let Some(found) = sink.requests().iter().find(|request| about(request)) {
            return found.json();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("no {kind} about {}", endpoint["name"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_subscribes_to_alerts_hears_of_endpoints_and_nobody_else_does() {
    let server = sink::server();
    let source = server.source("main-line").await;
    let (ops, all, star) = (
        Sink::start().await,
        Sink::start().await,
        Sink::start().await,
    );
    let wanted = json!({"kinds": ["endpoint.*", "delivery.exhausted"]});
    server
        .endpoint(&ops.endpoint("ops").with(json!({"filter": wanted})))
        .await;
    server.endpoint(&all.endpoint("all")).await;
    let any = json!({"filter": {"kinds": ["*"]}});
    server.endpoint(&star.endpoint("star").with(any)).await;

    let flapping = Sink::that(|request| status(if request.number < 5 { 500 } else { 200 })).await;
    let schedule = json!({"delays_seconds": [0, 0, 0, 0, 0, 0, 0], "jitter_percent": 0});
    let flapping = flapping
        .endpoint("flapping")
        .with(json!({"schedule": schedule}));
    let flapping = server.endpoint(&flapping).await;
    let dead = Sink::script([status(500)]).await;
    let once = json!({"delays_seconds": [0], "jitter_percent": 0});
    let dead = dead.endpoint("dead").with(json!({"schedule": once}));
    let dead = server.endpoint(&dead).await;
    let gone = Sink::script([status(410)]).await;
    let gone = server.endpoint(&gone.endpoint("gone")).await;
    let id = server.hook(&source, &payload::failed()).await.event();

    let failing = alert(&ops, "endpoint.failing", &flapping).await;
    assert_eq!(failing["type"], "endpoint.failing");
    assert_eq!(failing["data"]["name"], "flapping");
    assert_eq!(failing["data"]["url"], flapping["url"]);
    assert!(failing["data"]["failing_since"].is_string(), "{failing}");
    assert!(failing["timestamp"].is_string(), "{failing}");
    let recovered = alert(&ops, "endpoint.recovered", &flapping).await;
    assert!(recovered["data"]["failing_since"].is_string());
    let disabled = alert(&ops, "endpoint.disabled", &gone).await;
    assert_eq!(disabled["data"]["reason"], "gone");
    let exhausted = alert(&ops, "delivery.exhausted", &dead).await;
    let event = server.settled(&id).await;
    let deliveries = event["deliveries"].as_array().expect("deliveries");
    let lost = deliveries
        .iter()
        .find(|one| one["endpoint"] == dead["id"])
        .expect("it was owed");
    let data = json!({
        "delivery": lost["id"], "event": id, "kind": "call.failed", "endpoint": dead["id"],
        "name": "dead", "attempts": 1,
    });
    assert_eq!(exhausted["data"], data);
    assert!(!ops.requests()[0].header("webhook-signature").is_empty());

    for (name, sink) in [("all", &all), ("star", &star)] {
        let requests = sink.wait_for(1).await;
        let kinds: Vec<&str> = requests
            .iter()
            .map(|request| request.header("x-hookswitch-kind"))
            .collect();
        assert_eq!(kinds, ["call.failed"], "{name}");
    }
    let kinds = ops.requests();
    let kinds = kinds.iter().map(|it| it.header("x-hookswitch-kind"));
    let own = |kind: &str| kind.starts_with("endpoint.") || kind.starts_with("delivery.");
    assert!(kinds.into_iter().all(own), "nothing that it did not want");
}

#[tokio::test]
async fn an_alert_that_cannot_be_delivered_raises_no_other() {
    let server = sink::server();
    let source = server.source("main-line").await;
    let ops = Sink::script([status(500)]).await;
    let once = json!({"delays_seconds": [0], "jitter_percent": 0});
    let wanted = json!({"filter": {"kinds": ["*", "delivery.*"]}, "schedule": once});
    server.endpoint(&ops.endpoint("ops").with(wanted)).await;
    let id = server.hook(&source, &payload::failed()).await.event();
    server.settled(&id).await;
    let requests = ops.wait_for(2).await;
    let exhausted = requests[1].header("x-hookswitch-event").to_owned();
    server.settled(&exhausted).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let kinds: Vec<String> = server
        .all("/events")
        .await
        .into_iter()
        .map(|event| event["kind"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(kinds, ["delivery.exhausted", "call.failed"]);
}
