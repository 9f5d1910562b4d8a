//! Proof of origin: who may send webhooks to a source.

use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::client::{Reply, Source, send};
use crate::payload;
use crate::server::Server;

fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length will do");
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

fn body() -> Vec<u8> {
    payload::start().to_string().into_bytes()
}

async fn hook_with(server: &Server, source: &Source, headers: &[(&str, &str)]) -> Reply {
    let mut request = server
        .request(Method::POST, &source.hook_path)
        .header("content-type", "application/json")
        .body(body());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(request).await
}

/// What a request is like, its headers, and whether they prove its origin.
type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], bool);

async fn check(server: &Server, source: &Source, rows: &[Row<'_>]) {
    for (what, headers, proved) in rows {
        let events = server.all("/events").await.len();
        let reply = hook_with(server, source, headers).await;
        println!("{what}: {} {}", reply.status, reply.text);
        if *proved {
            assert_eq!(reply.status, 200, "{what}: {}", reply.text);
        } else {
            reply.expect_problem(401, "unauthorized", None);
            assert_eq!(reply.header("x-hookswitch-event"), "");
        }
        let stored = server.all("/events").await.len() - events;
        assert_eq!(stored, usize::from(*proved), "{what}");
    }
}

async fn source_with(server: &Server, proof: Value) -> Source {
    server
        .create_source(&json!({"name": "main-line", "repeat_window_ms": 0, "proof": proof}))
        .await
}

#[tokio::test]
async fn a_header_must_have_one_of_the_values() {
    let server = Server::start();
    let values = ["Bearer new-secret", "Bearer old-secret"];
    let proof = json!([{"type": "header", "name": "Authorization", "values": values}]);
    let source = source_with(&server, proof).await;
    let rows: [Row<'_>; 9] = [
        (
            "the new value",
            &[("Authorization", "Bearer new-secret")],
            true,
        ),
        (
            "the old value, during a rotation",
            &[("authorization", "Bearer old-secret")],
            true,
        ),
        ("no header", &[], false),
        ("an empty value", &[("Authorization", "")], false),
        (
            "another value",
            &[("Authorization", "Bearer newer-secret")],
            false,
        ),
        (
            "a part of the value",
            &[("Authorization", "Bearer new")],
            false,
        ),
        (
            "another case",
            &[("Authorization", "bearer new-secret")],
            false,
        ),
        (
            "another header",
            &[("X-Api-Key", "Bearer new-secret")],
            false,
        ),
        (
            "the admin token",
            &[("Authorization", "Bearer integration-test-admin-token")],
            false,
        ),
    ];
    check(&server, &source, &rows).await;
}

#[tokio::test]
async fn an_hmac_must_be_of_this_body_with_one_of_the_secrets() {
    let server = Server::start();
    let proof = json!([
        {"type": "hmac", "header": "X-Blackbox-Signature", "secrets": ["new", "old"]}
    ]);
    let source = source_with(&server, proof).await;
    let (new, old) = (signature("new", &body()), signature("old", &body()));
    let prefixed = format!("sha256={new}");
    let upper = new.to_uppercase();
    let wrong_secret = signature("other", &body());
    let other_body = signature("new", b"{}");
    let spaced = signature("new", format!("{} ", payload::start()).as_bytes());
    let sha512 = format!("sha512={new}");
    let name = "x-blackbox-signature";
    let rows: [Row<'_>; 13] = [
        ("plain hex", &[(name, &new)], true),
        ("with its prefix", &[(name, &prefixed)], true),
        ("in upper case", &[(name, &upper)], true),
        ("the old secret, during a rotation", &[(name, &old)], true),
        ("no header", &[], false),
        ("an empty one", &[(name, "")], false),
        ("the prefix alone", &[(name, "sha256=")], false),
        ("another secret", &[(name, &wrong_secret)], false),
        ("another body", &[(name, &other_body)], false),
        ("the body but for a space", &[(name, &spaced)], false),
        ("cut short", &[(name, &new[..62])], false),
        ("no hex", &[(name, "zz")], false),
        ("another algorithm", &[(name, &sha512)], false),
    ];
    check(&server, &source, &rows).await;
}

#[tokio::test]
async fn each_proof_must_hold() {
    let server = Server::start();
    let proof = json!([
        {"type": "header", "name": "X-Api-Key", "values": ["key"]},
        {"type": "hmac", "header": "X-Blackbox-Signature", "secrets": ["secret"]},
    ]);
    let source = source_with(&server, proof).await;
    let signed = signature("secret", &body());
    let (key, hmac) = (
        ("X-Api-Key", "key"),
        ("X-Blackbox-Signature", signed.as_str()),
    );
    let rows: [Row<'_>; 4] = [
        ("both", &[key, hmac], true),
        ("the header alone", &[key], false),
        ("the signature alone", &[hmac], false),
        ("neither", &[], false),
    ];
    check(&server, &source, &rows).await;
}

#[tokio::test]
async fn what_is_wrong_with_an_unproved_body_is_not_told() {
    let server = Server::start();
    let proof = json!([{"type": "header", "name": "X-Api-Key", "values": ["key"]}]);
    let source = source_with(&server, proof).await;
    let reply = server.hook_bytes(&source, "not JSON").await;
    reply.expect_problem(401, "unauthorized", None);
    let missing = hook_with(&server, &source, &[]).await;
    let wrong = hook_with(&server, &source, &[("X-Api-Key", "kez")]).await;
    assert_eq!(
        missing.body, wrong.body,
        "the answer tells which part of the proof failed"
    );
}

#[tokio::test]
async fn secrets_are_not_shown() {
    let server = Server::start();
    let proof = json!([
        {"type": "header", "name": "X-Api-Key", "values": ["s3cret-value"]},
        {"type": "hmac", "header": "X-Signature", "secrets": ["s3cret-key"]},
    ]);
    let created = server
        .post("/sources", &json!({"name": "line", "proof": proof}))
        .await;
    let id = created.body["id"].as_str().expect("an id").to_owned();
    let shown = [
        created.text,
        server.get(&format!("/sources/{id}")).await.text,
        server.get("/sources").await.text,
        server.log(),
    ];
    for text in shown {
        assert!(!text.contains("s3cret"), "{text}");
    }
}
