//! Endpoints: set up, shown, changed, and how they do.

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Reply, assert_none_wrong, send};
use crate::payload::{self, With};
use crate::receiver::{self, Receiver};
use crate::server::Server;
use crate::shape::assert_shape;

impl Server {
    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Reply {
        send(
            self.admin(Method::PATCH, path)
                .header("if-match", "*")
                .json(body),
        )
        .await
    }
}

fn full() -> Value {
    json!({
        "name": "crm",
        "url": "https://crm.example.com/hooks?v=1",
        "description": "the CRM's own hook",
        "enabled": true,
        "filter": {
            "kinds": ["call.*", "tool.call"],
            "agents": ["agent_xyz789"],
            "where": {"result.reason": {"equals": "user_hangup"}},
        },
        "method": "PUT",
        "query": {"tenant": "7"},
        "headers": {"authorization": "Bearer ${secret:crm}"},
        "body": "{\"reason\": {{ result.reason }}}",
        "rate_per_second": 50,
        "concurrency": 4,
        "timeout_ms": 9000,
        "ordered": true,
        "schedule": {"delays_seconds": [0, 10], "jitter_percent": 5},
        "disable_after_seconds": 3600,
        "proof": [{"type": "hmac", "header": "X-Signature", "secrets": ["one", "two"]}],
        "signing_secret": "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz",
    })
}

#[tokio::test]
async fn an_endpoint_is_shown_as_it_was_set_up() {
    let server = Server::start();
    server.put_secret("crm", "s3cret").await;
    let created = server.endpoint(&full()).await;
    assert_shape!("endpoint_created", created);
    let path = format!("/endpoints/{}", created["id"].as_str().expect("an id"));
    let shown = server.get(&path).await.expect(200);
    // The secret is shown once.
    assert_eq!(shown, created.with(json!({"signing_secret": null})));
    let least = json!({"name": "ops", "url": "https://ops.example.com/"});
    let least = server
        .endpoint(&least)
        .await
        .with(json!({"signing_secret": null}));
    assert_shape!("endpoint_by_default", least);
    let all = server.all("/endpoints").await;
    assert_eq!(all, [least, shown]);
}

#[tokio::test]
async fn a_change_changes_what_it_names_and_null_gives_a_default_back() {
    let server = Server::start();
    server.put_secret("crm", "s3cret").await;
    let created = server.endpoint(&full()).await;
    let path = format!("/endpoints/{}", created["id"].as_str().expect("an id"));
    let wanted = json!({"concurrency": null, "body": null, "ordered": false, "enabled": false});
    let changed = server.patch(&path, &wanted).await.expect(200);
    assert_eq!(changed["concurrency"], 16);
    assert_eq!(changed["standing"]["state"], "disabled");
    assert_eq!(changed["standing"]["reason"], "by_hand");
    let same = json!({
        "concurrency": 4, "body": full()["body"], "ordered": true, "enabled": true,
        "standing": {"state": "enabled"}, "updated_at": created["updated_at"], "revision": 1,
    });
    let before = created.with(json!({"signing_secret": null}));
    assert_eq!(changed.with(same), before);
}

#[tokio::test]
async fn a_rotation_shows_the_new_secret_once() {
    let server = Server::start();
    let created = server
        .endpoint(&json!({"name": "ops", "url": "https://ops.example.com/"}))
        .await;
    let path = format!("/endpoints/{}", created["id"].as_str().expect("an id"));
    let rotated = server.post(&format!("{path}/rotate"), &json!({})).await;
    let rotated = rotated.expect(200);
    assert_ne!(rotated["signing_secret"], created["signing_secret"]);
    assert!(rotated["previous_secret_until"].is_string(), "{rotated}");
    let shown = server.get(&path).await.expect(200);
    assert!(shown.get("signing_secret").is_none(), "{shown}");
}

#[tokio::test]
async fn health_says_how_an_endpoint_does() {
    let (server, source) = receiver::server().await;
    let receiver = Receiver::answering(200).await;
    let crm = server.endpoint_id(&receiver.endpoint("crm")).await;
    let path = format!("/endpoints/{crm}/health");
    assert_shape!("health_before", server.get(&path).await.expect(200));
    for call in ["a", "b", "c"] {
        server.notice(&source, call).await;
    }
    server.deliveries("state=delivered", 3).await;
    receiver.answer(404);
    server.notice(&source, "d").await;
    server.deliveries("state=refused", 1).await;
    let mut health = server.get(&path).await.expect(200);
    for field in ["mean_ms", "p95_ms"] {
        let ms = health[field].as_f64().expect("a number");
        assert!((0.01..30_000.0).contains(&ms), "{health}");
        health[field] = json!("[ms]");
    }
    assert_shape!("health_after", health);

    receiver.answer(500);
    for call in ["e", "f", "g", "h", "i"] {
        server.notice(&source, call).await;
    }
    server.deliveries("state=exhausted", 5).await;
    assert_eq!(server.get(&path).await.expect(200)["circuit"], "open");
    // It waits until the circuit lets one through.
    server.notice(&source, "j").await;
    assert_eq!(server.get(&path).await.expect(200)["owed"], 1);
}

#[tokio::test]
async fn an_endpoint_with_a_fault_is_refused_and_the_field_is_named() {
    let server = Server::start();
    let sound = json!({"name": "crm", "url": "https://crm.example.com/"});
    let mut wrong = Vec::new();
    for (change, code, field) in [
        (json!({"name": null}), "missing_field", "name"),
        (json!({"name": ""}), "invalid_field", "name"),
        (json!({"url": null}), "missing_field", "url"),
        (json!({"url": "crm"}), "invalid_field", "url"),
        (
            json!({"url": "http://crm.example.com/"}),
            "invalid_field",
            "url",
        ),
        (json!({"urll": "x"}), "invalid_field", "urll"),
        (json!({"enabled": "yes"}), "invalid_field", "enabled"),
        (
            json!({"filter": {"kind": []}}),
            "invalid_field",
            "filter.kind",
        ),
        (
            json!({"filter": {"kinds": ["call*"]}}),
            "invalid_field",
            "filter.kinds[0]",
        ),
        (json!({"method": "GO ON"}), "invalid_field", "method"),
        (json!({"body": "{{ }"}), "invalid_field", "body"),
        (
            json!({"rate_per_second": 0}),
            "invalid_field",
            "rate_per_second",
        ),
        (json!({"concurrency": 0}), "invalid_field", "concurrency"),
        (json!({"timeout_ms": 1}), "invalid_field", "timeout_ms"),
        (
            json!({"disable_after_seconds": 1}),
            "invalid_field",
            "disable_after_seconds",
        ),
        (
            json!({"schedule": {"delays_seconds": []}}),
            "invalid_field",
            "schedule",
        ),
        (
            json!({"headers": {"x-key": "${secret:none}"}}),
            "invalid_field",
            "headers.x-key",
        ),
        (
            json!({"signing_secret": "secret"}),
            "invalid_field",
            "signing_secret",
        ),
    ] {
        let reply = server
            .post("/endpoints", &sound.clone().with(change.clone()))
            .await;
        if let Err(difference) = reply.is_problem(422, code, Some(field)) {
            wrong.push(format!("{change}: {difference}"));
        }
    }
    assert_none_wrong(&wrong);
    assert!(server.all("/endpoints").await.is_empty());
    for path in ["nonsense", "ep_00000000000070008000000000000000"] {
        for path in [
            format!("/endpoints/{path}"),
            format!("/endpoints/{path}/health"),
        ] {
            server
                .get(&path)
                .await
                .expect_problem(404, "not_found", None);
        }
    }
}

#[tokio::test]
async fn a_name_is_taken_once() {
    let server = Server::start();
    server.waiting_endpoint("crm").await;
    let again = json!({"name": "crm", "url": "https://crm.example.com/"});
    let reply = server.post("/endpoints", &again).await;
    reply.expect_problem(409, "name_taken", Some("name"));
    let other = server.waiting_endpoint("ops").await;
    let reply = server
        .patch(&format!("/endpoints/{other}"), &json!({"name": "crm"}))
        .await;
    reply.expect_problem(409, "name_taken", Some("name"));
}

#[tokio::test]
async fn a_forwarded_question_is_logged_and_never_sent_again() {
    let (server, source) = receiver::server().await;
    server.install("misbehave").await;
    server.bind(&crate::misbehave::mode("forward")).await;
    let receiver = Receiver::answering(500).await;
    let nothing_else = json!({"filter": {"kinds": ["endpoint.failing"]}});
    server
        .endpoint_id(&receiver.endpoint("fallback").with(nothing_else))
        .await;
    server.hook(&source, &payload::transfer()).await;
    let asked = server.deliveries("", 1).await.remove(0);
    assert_eq!(
        (&asked["forwarded"], &asked["state"]),
        (&json!(true), &json!("refused"))
    );
    let path = format!("/deliveries/{}/retry", asked["id"].as_str().expect("an id"));
    let reply = server.post(&path, &json!({})).await;
    reply.expect_problem(409, "not_retryable", None);
    let job = server
        .post("/deliveries/retry", &json!({}))
        .await
        .expect(202);
    assert_eq!(server.done(&job).await["changed"], 0);
}
