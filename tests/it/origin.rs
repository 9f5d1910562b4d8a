//! Where requests come from, as each platform shows it: its own signature, its secret
//! twice during a rotation, and its networks, also behind proxies.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Reply, Source, send};
use crate::server::{Launch, Server};

const NEW: &str = "whsec_dGhlIG5ldyBzZWNyZXQ=";
const OLD: &str = "whsec_dGhlIG9sZCBzZWNyZXQ=";

fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mac = Hmac::<sha2::Sha256>::new_from_slice(key).expect("any length will do");
    mac.chain_update(text).finalize().into_bytes().to_vec()
}

/// A payload of that platform, its notice.
fn payload(dialect: &str) -> Value {
    match dialect {
        "dasha" => crate::payload::completed(),
        "dsai" => json!({"uuid": "u", "type": "call_ended", "timestamp": "t", "payload": {}}),
        "generic" => json!({"type": "contact.created", "timestamp": "t", "data": {}}),
        "retell" => json!({"event": "call_started", "call": {"call_id": "c"}}),
        "vapi" => json!({"message": {"type": "hang"}}),
        other => panic!("{other}"),
    }
}

/// The headers of a platform that signs this body with this secret, so many seconds ago.
fn signed(dialect: &str, secret: &str, body: &str, ago: i64) -> Vec<(&'static str, String)> {
    let second = Timestamp::now().as_second() - ago;
    let key = secret.as_bytes();
    match dialect {
        "dasha" => {
            let signature = hex::encode(hmac(key, body.as_bytes()));
            vec![("X-Blackbox-Signature", format!("sha256={signature}"))]
        }
        "dsai" => vec![("X-DSAI-WEBHOOK-SECRET", secret.to_owned())],
        "generic" => {
            let key = STANDARD
                .decode(secret.strip_prefix("whsec_").unwrap())
                .unwrap();
            let id = format!("msg_{}", Timestamp::now().as_nanosecond());
            let signature = hmac(&key, format!("{id}.{second}.{body}").as_bytes());
            vec![
                ("webhook-id", id),
                ("webhook-timestamp", second.to_string()),
                (
                    "webhook-signature",
                    format!("v1,{}", STANDARD.encode(signature)),
                ),
            ]
        }
        "retell" => {
            let digest = hex::encode(hmac(key, format!("{body}{second}000").as_bytes()));
            vec![("X-Retell-Signature", format!("v={second}000,d={digest}"))]
        }
        "vapi" => {
            let signature = hex::encode(hmac(key, format!("{second}.{body}").as_bytes()));
            vec![
                ("X-Timestamp", second.to_string()),
                ("X-Signature", signature),
            ]
        }
        other => panic!("{other}"),
    }
}

async fn ask(
    server: &Server,
    source: &Source,
    headers: &[(&'static str, String)],
    body: &str,
) -> Reply {
    let mut request = server
        .request(Method::POST, &source.hook_path)
        .header("content-type", "application/json")
        .body(body.to_owned());
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    send(request).await
}

fn refused(reply: &Reply, what: &str) {
    assert_eq!(reply.status, 401, "{what}: {}", reply.text);
    reply.expect_problem(401, "unauthorized", None);
    // Nothing tells what was wrong.
    let detail = reply.body["detail"].as_str().unwrap();
    assert_eq!(detail, "the request does not prove its origin", "{what}");
    assert_eq!(reply.header("x-hookswitch-event"), "", "{what}");
}

#[tokio::test]
async fn each_platforms_own_signature_is_believed_and_nothing_else() {
    let mut server = Server::start();
    for dialect in ["dasha", "dsai", "generic", "retell", "vapi"] {
        let source = json!({
            "name": dialect, "dialect": dialect, "repeat_window_ms": 0,
            "verdicts": {"start": {"decision": "unavailable"}},
            "proof": [{"type": "platform", "secrets": [NEW, OLD]}],
        });
        let source = server.create_source(&source).await;
        let body = payload(dialect).to_string();
        for secret in [NEW, OLD] {
            let reply = ask(&server, &source, &signed(dialect, secret, &body, 0), &body).await;
            assert_eq!(reply.status, 200, "{dialect}: {}", reply.text);
        }
        let headers = signed(dialect, NEW, &body, 0);
        let stored = server.all("/events").await.len();

        refused(&ask(&server, &source, &[], &body).await, dialect);
        let wrong = signed(dialect, "whsec_d3Jvbmc=", &body, 0);
        refused(&ask(&server, &source, &wrong, &body).await, dialect);
        for at in 0..headers.len() {
            let what = format!("{dialect}: {}", headers[at].0);
            let mut less = headers.clone();
            less.remove(at);
            refused(&ask(&server, &source, &less, &body).await, &what);
            let mut twice = headers.clone();
            twice.push(headers[at].clone());
            refused(&ask(&server, &source, &twice, &body).await, &what);
            let mut cut = headers.clone();
            cut[at].1.pop();
            refused(&ask(&server, &source, &cut, &body).await, &what);
            let mut empty = headers.clone();
            empty[at].1.clear();
            refused(&ask(&server, &source, &empty, &body).await, &what);
        }
        if dialect != "dsai" {
            let other = format!("{body} ");
            refused(&ask(&server, &source, &headers, &other).await, dialect);
        }
        if !matches!(dialect, "dsai" | "dasha") {
            for ago in [310, -310] {
                let old = signed(dialect, NEW, &body, ago);
                refused(&ask(&server, &source, &old, &body).await, dialect);
            }
        }
        let left = server.all("/events").await.len();
        assert_eq!(left, stored, "{dialect}: what was refused left nothing");
    }
    server.ask_to_end();
    server.ended(Duration::from_secs(30));
    let log = server.whole_log();
    assert!(
        log.contains("at most 300 s are allowed"),
        "the operator is told: {log}"
    );
}

#[tokio::test]
async fn an_hmac_of_any_form_can_be_wanted() {
    let server = Server::start();
    let source = json!({
        "name": "custom", "repeat_window_ms": 0,
        "proof": [{
            "type": "hmac", "header": "X-Sig", "secrets": ["key"],
            "form": {
                "encoding": "base64", "signed": "v0:{timestamp}:{body}",
                "timestamp_header": "X-Time", "tolerance_seconds": 60,
            },
        }],
    });
    let source = server.create_source(&source).await;
    let shown = server
        .get(&format!("/sources/{}", source.id))
        .await
        .expect(200);
    assert_eq!(shown["proof"][0]["form"]["signed"], "v0:{timestamp}:{body}");
    assert!(!shown.to_string().contains("\"key\""), "{shown}");
    let body = payload("dasha").to_string();
    let sign = |ago: i64| {
        let time = Timestamp::now().as_second() - ago;
        let signature = hmac(b"key", format!("v0:{time}:{body}").as_bytes());
        vec![
            ("X-Time", time.to_string()),
            ("X-Sig", STANDARD.encode(signature)),
        ]
    };
    ask(&server, &source, &sign(0), &body).await.expect(200);
    refused(&ask(&server, &source, &sign(70), &body).await, "stale");
}

#[tokio::test]
async fn proofs_that_cannot_be_are_named() {
    let server = Server::start();
    for (dialect, proof, field) in [
        (
            "dasha",
            json!({"type": "address", "ranges": []}),
            "proof[0].ranges",
        ),
        (
            "dasha",
            json!({"type": "address", "ranges": ["52.6.0.0/40"]}),
            "proof[0].ranges[0]",
        ),
        (
            "dasha",
            json!({"type": "platform", "secrets": []}),
            "proof[0].secrets",
        ),
        (
            "generic",
            json!({"type": "platform", "secrets": ["no base64"]}),
            "proof[0].secrets[0]",
        ),
        (
            "dasha",
            json!({"type": "hmac", "header": "x", "secrets": ["s"], "form": {"signed": "{time}"}}),
            "proof[0].form.signed",
        ),
        (
            "dasha",
            json!({"type": "header", "name": "a b", "values": ["s"]}),
            "proof[0].name",
        ),
        ("dasha", json!({"type": "signature"}), "proof[0].type"),
    ] {
        let source = json!({"name": "one", "dialect": dialect, "proof": [proof]});
        let reply = server.post("/sources", &source).await;
        reply.expect_problem(422, "invalid_field", Some(field));
    }
    let endpoint = json!({
        "name": "crm", "url": "https://example.com/",
        "proof": [{"type": "address", "ranges": ["52.6.0.0/16"]}],
    });
    let reply = server.post("/endpoints", &endpoint).await;
    reply.expect_problem(422, "invalid_field", Some("proof[0].type"));
}

async fn from(server: &Server, source: &Source, forwarded: &[&'static str]) -> u16 {
    let headers: Vec<_> = forwarded
        .iter()
        .map(|it| ("X-Forwarded-For", (*it).to_owned()))
        .collect();
    let body = payload("dasha").to_string();
    ask(server, source, &headers, &body).await.status
}

async fn only_from(server: &Server, ranges: Value) -> Source {
    let source = json!({
        "name": "line", "repeat_window_ms": 0,
        "proof": [{"type": "address", "ranges": ranges}],
    });
    server.create_source(&source).await
}

#[tokio::test]
async fn the_network_of_whoever_is_connected_counts_where_no_proxy_is_trusted() {
    let server = Server::start();
    let ours = only_from(&server, json!(["127.0.0.0/8"])).await;
    assert_eq!(from(&server, &ours, &[]).await, 200);
    assert_eq!(from(&server, &ours, &["52.6.0.1"]).await, 200);
    let server = Server::start();
    let theirs = only_from(&server, json!(["52.6.0.0/16", "2001:db8::/32"])).await;
    assert_eq!(from(&server, &theirs, &[]).await, 401);
    assert_eq!(
        from(&server, &theirs, &["52.6.0.1"]).await,
        401,
        "anybody can say that"
    );
}

#[tokio::test]
async fn behind_trusted_proxies_the_clients_network_counts() {
    let mut server = Launch::new()
        .configuration("trusted_proxies = [\"127.0.0.0/8\", \"10.0.0.0/8\"]\n")
        .start();
    let source = only_from(&server, json!(["52.6.0.0/16", "2001:db8::/32"])).await;
    for (forwarded, status) in [
        (&["52.6.0.1"][..], 200),
        (&["52.6.0.1, 10.0.0.7"], 200),
        (&["203.0.113.9, 52.6.0.1", "10.0.0.7"], 200),
        (&["[2001:db8::1]:443"], 200),
        (&[], 401),
        (&["203.0.113.9"], 401),
        (&["52.6.0.1, 203.0.113.9"], 401),
        (&["52.6.0.1, unknown"], 401),
        (&["10.0.0.7"], 401),
    ] {
        let found = from(&server, &source, forwarded).await;
        assert_eq!(found, status, "{forwarded:?}");
    }
    server.ask_to_end();
    server.ended(Duration::from_secs(30));
    let log = server.whole_log();
    assert!(
        log.contains("peer=203.0.113.9"),
        "the operator sees the client: {log}"
    );
    assert!(
        log.contains("in none of the networks of the source"),
        "{log}"
    );
}

/// What is valid for one platform is refused by another's source, as that platform
/// expects it.
#[tokio::test]
async fn payloads_of_other_platforms_are_bad_requests() {
    let server = Server::start();
    for reader in ["dsai", "generic", "retell", "vapi"] {
        let source = json!({
            "name": reader, "dialect": reader,
            "verdicts": {"start": {"decision": "unavailable"}},
        });
        let source = server.create_source(&source).await;
        for sender in ["dasha", "dsai", "generic", "retell", "vapi"] {
            let reply = server.hook(&source, &payload(sender)).await;
            let wanted = if sender == reader { 200 } else { 400 };
            assert_eq!(reply.status, wanted, "{sender} to {reader}: {}", reply.text);
            if wanted == 400 {
                reply.expect_problem(400, "missing_field", reply.body["field"].as_str());
            }
        }
    }
}
