//! Lists: their order, their pages and their filters.

use serde_json::{Value, json};

use crate::payload::{self, With};
use crate::server::Server;

fn ids(items: &[Value]) -> Vec<String> {
    items
        .iter()
        .map(|item| item["id"].as_str().expect("an id").to_owned())
        .collect()
}

#[tokio::test]
async fn pages_of_any_size_show_every_event_once_and_the_newest_first() {
    let server = Server::start();
    let source = server.source("main-line").await;
    let mut sent = Vec::new();
    for call in 0..7 {
        let payload = payload::failed().with(json!({"callId": format!("call_{call}")}));
        sent.push(server.hook(&source, &payload).await.event());
    }
    sent.reverse();
    for limit in [1, 2, 3, 7, 200] {
        let mut seen = Vec::new();
        let mut path = format!("/events?limit={limit}");
        loop {
            let page = server.get(&path).await.expect(200);
            let data = page["data"].as_array().expect("data");
            assert!(data.len() <= limit);
            seen.extend(ids(data));
            match page["next_cursor"].as_str() {
                Some(cursor) => path = format!("/events?limit={limit}&cursor={cursor}"),
                None => break,
            }
        }
        assert_eq!(seen, sent, "in pages of {limit}");
    }
}

#[tokio::test]
async fn a_page_is_not_moved_by_what_comes_in_meanwhile() {
    let server = Server::start();
    let source = server.source("main-line").await;
    for _ in 0..4 {
        server.hook(&source, &payload::failed()).await.expect(200);
    }
    let all = ids(&server.all("/events").await);
    let first = server.get("/events?limit=2").await.expect(200);
    server.hook(&source, &payload::failed()).await.expect(200);
    let cursor = first["next_cursor"].as_str().expect("there is more");
    let second = server
        .get(&format!("/events?limit=2&cursor={cursor}"))
        .await
        .expect(200);
    assert_eq!(ids(second["data"].as_array().expect("data")), all[2..]);
}

#[tokio::test]
async fn events_are_found_by_source_kind_and_call() {
    let server = Server::start();
    let (one, other) = (server.source("one").await, server.source("other").await);
    let start = server.hook(&one, &payload::start()).await.event();
    let failed = server
        .hook(&one, &payload::failed().with(json!({"callId": "c2"})))
        .await
        .event();
    let elsewhere = server.hook(&other, &payload::failed()).await.event();
    let rows = [
        (format!("source={}", one.id), vec![&failed, &start]),
        (format!("source={}", other.id), vec![&elsewhere]),
        ("kind=call.failed".to_owned(), vec![&elsewhere, &failed]),
        ("kind=call.start".to_owned(), vec![&start]),
        ("kind=tool.call".to_owned(), vec![]),
        ("call=c2".to_owned(), vec![&failed]),
        (
            "call=call_abc123def456".to_owned(),
            vec![&elsewhere, &start],
        ),
        (format!("kind=call.failed&source={}", one.id), vec![&failed]),
        (
            format!("kind=call.failed&call=c2&source={}", other.id),
            vec![],
        ),
    ];
    for (filter, expected) in rows {
        let found = ids(&server.all(&format!("/events?{filter}")).await);
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{filter}");
    }
}

#[tokio::test]
async fn decisions_are_found_by_outcome() {
    let server = Server::start();
    let source = server.source("main-line").await;
    server.install("start-gate").await;
    let blocked = json!({"plugin": "start-gate", "config": {"blocked": ["+14155551234"]}});
    server.bind(&blocked).await;
    let answered = server.hook(&source, &payload::start()).await.event();
    let verdict = server.hook(&source, &payload::tool()).await.event();
    for (outcome, event) in [("answered", answered), ("verdict", verdict)] {
        let found = server.all(&format!("/decisions?outcome={outcome}")).await;
        let events: Vec<&Value> = found.iter().map(|decision| &decision["event"]).collect();
        assert_eq!(events, [&json!(event)]);
    }
    assert_eq!(server.all("/decisions").await.len(), 2);
}
