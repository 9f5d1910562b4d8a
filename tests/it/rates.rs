//! How much may come in a second: of a source, of an organization, of a token.
//!
//! What is let through depends on time, which is never asserted: a test sends until it is
//! refused, and is let through after it has waited as long as it was told.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Reply, Source, send};
use crate::payload;
use crate::raw;
use crate::server::{Launch, Server};

/// Far more than a machine does in a second that a test limits to one.
const ENOUGH: u32 = 10_000;

/// Sends until it is refused; gives the refusal, and how many were let through.
async fn refused(mut request: impl AsyncFnMut() -> Reply) -> (Reply, usize) {
    for sent in 0..ENOUGH {
        let reply = request().await;
        if reply.status == 429 {
            reply.expect_problem(429, "rate_limited", None);
            return (reply, sent as usize);
        }
        assert_eq!(reply.status, 200, "{}", reply.text);
    }
    panic!("nothing was refused");
}

/// Waits as long as the refusal says.
async fn wait(refusal: &Reply) {
    let seconds: u64 = refusal.header("retry-after").parse().expect("seconds");
    assert!(seconds >= 1);
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

async fn start(server: &Server, source: &Source) -> Reply {
    server.hook(source, &payload::start()).await
}

async fn limited(server: &Server, name: &str, rate: u32) -> Source {
    let source = json!({"name": name, "repeat_window_ms": 0, "rate_per_second": rate});
    server.create_source(&source).await
}

async fn patch(server: &Server, path: &str, body: &Value) -> Reply {
    let request = server
        .admin(Method::PATCH, path)
        .header("if-match", "*")
        .json(body);
    send(request).await
}

#[tokio::test]
async fn a_source_over_its_rate_is_refused_until_it_waits_and_others_are_not() {
    let server = Server::start();
    let (one, other) = (
        limited(&server, "one", 1).await,
        server.source("other").await,
    );
    let (refusal, let_through) = refused(async || start(&server, &one).await).await;
    assert!(let_through >= 1);
    for _ in 0..20 {
        start(&server, &other).await.expect(200);
    }
    // What was refused left nothing behind.
    let stored = server.all(&format!("/events?source={}", one.id)).await;
    assert_eq!(stored.len(), let_through);
    assert_eq!(refusal.header("x-hookswitch-event"), "");

    wait(&refusal).await;
    start(&server, &one).await.expect(200);
}

#[tokio::test]
async fn notices_count_like_questions() {
    let server = Server::start();
    let source = limited(&server, "one", 1).await;
    let notice = payload::failed();
    let (_, let_through) = refused(async || server.hook(&source, &notice).await).await;
    assert_eq!(server.all("/events").await.len(), let_through);
}

#[tokio::test]
async fn another_rate_holds_from_the_next_request_on() {
    let server = Server::start();
    let source = limited(&server, "one", 1).await;
    let path = format!("/sources/{}", source.id);
    assert_eq!(server.get(&path).await.expect(200)["rate_per_second"], 1);
    refused(async || start(&server, &source).await).await;

    let changed = patch(&server, &path, &json!({"rate_per_second": null})).await;
    assert_eq!(changed.expect(200)["rate_per_second"], Value::Null);
    for _ in 0..20 {
        start(&server, &source).await.expect(200);
    }
    // A change of something else leaves it alone.
    let changed = patch(&server, &path, &json!({"rate_per_second": 1})).await;
    changed.expect(200);
    refused(async || start(&server, &source).await).await;
    for wrong in [json!(0), json!(-1), json!(1_000_001), json!("many")] {
        let changed = patch(&server, &path, &json!({"rate_per_second": wrong})).await;
        changed.expect_problem(422, "invalid_field", Some("rate_per_second"));
    }
}

#[tokio::test]
async fn who_proves_nothing_uses_nothing_up() {
    let server = Server::start();
    let proof = json!([{"type": "header", "name": "authorization", "values": ["Bearer s3cret"]}]);
    let source = json!({"name": "one", "proof": proof, "rate_per_second": 1});
    let source = server.create_source(&source).await;
    for _ in 0..10 {
        let reply = start(&server, &source).await;
        reply.expect_problem(401, "unauthorized", None);
    }
    let proven = server
        .request(Method::POST, &source.hook_path)
        .bearer_auth("s3cret")
        .json(&payload::start());
    send(proven).await.expect(200);
}

/// A platform that sends too much sends large bodies too: they are not waited for.
#[tokio::test]
async fn a_body_that_will_be_refused_is_not_read() {
    let server = Server::start();
    let source = limited(&server, "one", 1).await;
    // Of the body only the length comes: who wanted to read it would wait.
    let too_large = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        source.hook_path,
        (16 << 20) + 1,
    );
    for _ in 0..100 {
        refused(async || start(&server, &source).await).await;
        let reply = raw::exchange(server.address, too_large.as_bytes());
        match reply.code().as_str() {
            "rate_limited" => return assert_eq!(reply.status, 429),
            // So slow that one more may come.
            other => assert_eq!(other, "body_too_large", "{}", reply.text),
        }
    }
    panic!("all bodies were read");
}

/// An organization and its source.
async fn organization(server: &Server, name: &str, quotas: &Value) -> (String, Source) {
    let body = json!({"name": name, "quotas": quotas});
    let organization = server.post("/organizations", &body).await.expect(201);
    let id = organization["id"].as_str().expect("an id").to_owned();
    let source = json!({"name": "main-line", "repeat_window_ms": 0});
    let source = server
        .admin(Method::POST, "/sources")
        .header("hookswitch-organization", &id)
        .json(&source);
    let source = send(source).await.expect(201);
    let text = |field: &str| source[field].as_str().expect("a text").to_owned();
    let source = Source {
        id: text("id"),
        hook_path: text("hook_path"),
    };
    (id, source)
}

#[tokio::test]
async fn an_organization_has_one_rate_over_all_its_sources() {
    let server = Server::start();
    let (id, one) = organization(&server, "one", &json!({"calls_per_second": 1})).await;
    let (_, other) = organization(&server, "other", &json!({})).await;
    let second = server
        .admin(Method::POST, "/sources")
        .header("hookswitch-organization", &id)
        .json(&json!({"name": "second", "repeat_window_ms": 0}));
    let second = send(second).await.expect(201);
    let second = Source {
        id: String::new(),
        hook_path: second["hook_path"].as_str().expect("a path").to_owned(),
    };
    let mut turn = 0;
    let both = async || {
        turn += 1;
        start(&server, if turn % 2 == 0 { &one } else { &second }).await
    };
    let (refusal, _) = refused(both).await;
    let detail = refusal.body["detail"].as_str().expect("a detail");
    assert!(detail.contains("organization"), "{detail}");
    for _ in 0..20 {
        start(&server, &other).await.expect(200);
    }
    wait(&refusal).await;
    start(&server, &one).await.expect(200);

    // The operator's change holds at once.
    let path = format!("/organizations/{id}");
    patch(&server, &path, &json!({"quotas": {}}))
        .await
        .expect(200);
    for _ in 0..20 {
        start(&server, &one).await.expect(200);
    }
}

#[tokio::test]
async fn a_token_over_its_rate_is_refused_until_it_waits_and_others_are_not() {
    let server = Launch::new()
        .configuration("[limits]\napi_requests_per_second = 1\n")
        .start();
    let viewer = json!({"label": "ci", "scope": "viewer"});
    let viewer = server.post("/tokens", &viewer).await.expect(201);
    let token = viewer["token"].as_str().expect("a token");
    let ask = async || {
        let request = server.request(Method::GET, "/api/v1/whoami");
        send(request.bearer_auth(token)).await
    };
    let (refusal, let_through) = refused(ask).await;
    assert!(let_through >= 2, "a burst of two");
    let mine = server.get("/whoami").await;
    mine.expect(200);
    wait(&refusal).await;
    ask().await.expect(200);
}

#[tokio::test]
async fn what_is_refused_by_a_rate_is_a_line_for_operators() {
    let mut server = Server::start();
    let source = limited(&server, "one", 1).await;
    refused(async || start(&server, &source).await).await;
    server.ask_to_end();
    server.ended(Duration::from_secs(30));
    let log = server.whole_log();
    let line = log
        .lines()
        .find(|line| line.contains("a source brings more webhooks than it may"));
    assert!(line.is_some_and(|line| line.contains(&source.id)), "{log}");
}
