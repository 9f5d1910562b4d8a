//! Deliveries: listed, shown, and sent again one by one.

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{assert_none_wrong, send};
use crate::payload::{self, With};
use crate::receiver::{self, Receiver};
use crate::shape::assert_shape;

fn ids(deliveries: &[Value]) -> Vec<&str> {
    deliveries
        .iter()
        .map(|it| it["id"].as_str().expect("an id"))
        .collect()
}

#[tokio::test]
async fn a_delivery_is_shown_with_its_attempts() {
    let (server, source) = receiver::server().await;
    let receiver = Receiver::answering(200).await;
    server.endpoint_id(&receiver.endpoint("crm")).await;
    let event = server.notice(&source, "call_1").await;
    let delivered = server.deliveries("state=delivered", 1).await;
    assert_shape!("deliveries", server.get("/deliveries").await.expect(200));
    let path = format!("/deliveries/{}", ids(&delivered)[0]);
    let delivery = server.get(&path).await.expect(200);
    assert_shape!("delivery", delivery);
    assert_eq!(delivery["event"], json!(event));
    let event = server.event(&event).await;
    assert_shape!("deliveries_of_event", event["deliveries"]);

    let dead = json!({"name": "dead", "url": "http://127.0.0.1:1/"});
    server.endpoint_id(&dead).await;
    server.notice(&source, "call_2").await;
    let failing = loop {
        let owed = server.deliveries("state=owed", 1).await;
        let shown = server.get(&format!("/deliveries/{}", ids(&owed)[0])).await;
        let shown = shown.expect(200);
        if shown["attempts_made"] == 1 {
            break shown;
        }
    };
    assert_eq!(failing["attempts"][0]["error"], "connection_refused");
    assert!(failing["due_at"].is_string(), "{failing}");
    let mut failing = failing;
    failing["attempts"][0]["detail"] = json!("[words]");
    assert_shape!("delivery_owed", failing);
}

#[tokio::test]
async fn deliveries_are_found_by_what_they_are_about() {
    let (server, source) = receiver::server().await;
    let receiver = Receiver::answering(200).await;
    let crm = server.endpoint_id(&receiver.endpoint("crm")).await;
    let only_starts = receiver
        .endpoint("starts")
        .with(json!({"filter": {"kinds": ["call.start"]}}));
    let starts = server.endpoint_id(&only_starts).await;
    let first = server.notice(&source, "call_1").await;
    let start = server.hook(&source, &payload::start()).await.event();
    server.deliveries("state=delivered", 3).await;
    receiver.answer(404);
    server.notice(&source, "call_2").await;
    server.deliveries("state=refused", 1).await;

    for (query, expected) in [
        (String::new(), 4),
        (format!("endpoint={crm}"), 3),
        (format!("endpoint={starts}"), 1),
        (format!("endpoint={starts}&state=refused"), 0),
        (format!("endpoint={crm}&state=refused"), 1),
        ("kind=call.start".to_owned(), 2),
        ("kind=call.start&state=owed".to_owned(), 0),
        ("call=call_1".to_owned(), 1),
        (format!("event={start}"), 2),
        (format!("event={first}&kind=call.start"), 0),
        ("state=cancelled".to_owned(), 0),
        (
            "since=2020-01-01T00:00:00Z&until=2020-02-01T00:00:00Z".to_owned(),
            0,
        ),
        ("since=2020-01-01T00:00:00Z".to_owned(), 4),
        ("until=2020-01-01T00:00:00%2B02:00".to_owned(), 0),
    ] {
        let found = server.all(&format!("/deliveries?{query}")).await;
        assert_eq!(found.len(), expected, "{query}");
    }
    let all = server.all("/deliveries").await;
    for limit in 1..=5 {
        let mut seen = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = server
                .get(&format!("/deliveries?limit={limit}{cursor}"))
                .await;
            let page = page.expect(200);
            seen.extend(page["data"].as_array().expect("data").iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(ids(&seen), ids(&all), "in pages of {limit}");
    }
}

#[tokio::test]
async fn what_failed_is_sent_again_on_request() {
    let (server, source) = receiver::server().await;
    let receiver = Receiver::answering(500).await;
    let crm = server.endpoint_id(&receiver.endpoint("crm")).await;
    server.notice(&source, "call_1").await;
    let failed = server.deliveries("state=exhausted", 1).await;
    let retry = format!("/deliveries/{}/retry", ids(&failed)[0]);
    receiver.answer(200);
    // A body is not needed.
    let reply = send(server.admin(Method::POST, &retry)).await.expect(200);
    assert_eq!(reply["state"], "owed");
    let delivered = server.deliveries("state=delivered", 1).await;
    assert_eq!(delivered[0]["attempts_made"], 2);

    let refused = server.post(&retry, &json!({})).await;
    assert_shape!("problem_not_retryable", refused.body);
    refused.expect_problem(409, "not_retryable", None);
    server
        .post(&retry, &json!({"again": true}))
        .await
        .expect(200);
    server.deliveries("state=delivered", 1).await;
    assert_eq!(receiver.requests(), 3);
    let shown = server
        .get(&format!("/deliveries/{}", ids(&failed)[0]))
        .await;
    let shown = shown.expect(200);
    let attempts = shown["attempts"].as_array().expect("attempts");
    let numbers: Vec<_> = attempts.iter().map(|it| &it["number"]).collect();
    assert_eq!(numbers, [1, 2, 3]);

    assert_eq!(
        server.delete(&format!("/endpoints/{crm}")).await.status,
        204
    );
    let gone = server.post(&retry, &json!({"again": true})).await;
    gone.expect_problem(409, "not_retryable", None);
}

#[tokio::test]
async fn what_waits_for_its_time_is_sent_at_once_on_request() {
    let (server, source) = receiver::server().await;
    let receiver = Receiver::answering(500).await;
    let patient = receiver
        .endpoint("crm")
        .with(json!({"schedule": {"delays_seconds": [0, 3600]}}));
    server.endpoint_id(&patient).await;
    server.notice(&source, "call_1").await;
    let waiting = loop {
        let owed = server.deliveries("state=owed", 1).await;
        if owed[0]["attempts_made"] == 1 {
            break owed;
        }
    };
    receiver.answer(200);
    let retry = format!("/deliveries/{}/retry", ids(&waiting)[0]);
    server.post(&retry, &json!({})).await.expect(200);
    server.deliveries("state=delivered", 1).await;
}

#[tokio::test]
async fn a_wrong_request_is_refused_and_its_fault_named() {
    let (server, _) = receiver::server().await;
    let nowhere = "00000000000070008000000000000000";
    let delivery = format!("/deliveries/dlv_{nowhere}");
    let mut wrong = Vec::new();
    for (query, field) in [
        ("endpoint=crm", "endpoint"),
        ("event=dlv_1", "event"),
        ("kind=Call%20Begin", "kind"),
        ("state=lost", "state"),
        ("since=yesterday", "since"),
        ("until=2026-13-01T00:00:00Z", "until"),
        ("limit=0", "limit"),
        ("cursor=x", "cursor"),
        ("sate=owed", "sate"),
    ] {
        let reply = server.get(&format!("/deliveries?{query}")).await;
        if let Err(difference) = reply.is_problem(400, "invalid_parameter", Some(field)) {
            wrong.push(format!("{query}: {difference}"));
        }
    }
    for (path, body, status, code, field) in [
        (
            format!("{delivery}/retry"),
            json!({}),
            404,
            "not_found",
            None,
        ),
        (
            "/deliveries/nonsense/retry".to_owned(),
            json!({}),
            404,
            "not_found",
            None,
        ),
        (
            format!("{delivery}/retry"),
            json!({"agian": true}),
            422,
            "invalid_field",
            Some("agian"),
        ),
        (
            format!("{delivery}/retry"),
            json!({"again": "yes"}),
            422,
            "invalid_field",
            Some("again"),
        ),
    ] {
        let reply = server.post(&path, &body).await;
        if let Err(difference) = reply.is_problem(status, code, field) {
            wrong.push(format!("{path} {body}: {difference}"));
        }
    }
    assert_none_wrong(&wrong);
    for path in [delivery.as_str(), "/deliveries/nonsense"] {
        server
            .get(path)
            .await
            .expect_problem(404, "not_found", None);
    }
    let text = server
        .admin(Method::POST, &format!("{delivery}/retry"))
        .body("again");
    send(text)
        .await
        .expect_problem(415, "unsupported_media_type", None);
}
