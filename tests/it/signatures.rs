//! What is signed is verified by implementations that are not ours.

use std::io::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use sha2::Sha256;
use standardwebhooks::Webhook;

use crate::client::Source;
use crate::payload::With;
use crate::server::Server;
use crate::sink::{self, Request, Sink};

async fn server() -> (Server, Source, Sink) {
    let server = sink::server();
    let source = server.source("main-line").await;
    (server, source, Sink::start().await)
}

/// A payload whose bytes are not what a serializer would write.
fn odd_payload() -> String {
    "{ \"type\":\"FailedWebHookPayload\",\"agentId\":\"a\",\"callId\" : \"caf\\u00e9 ☎\", \"n\": 1.50 }\r\n"
        .to_owned()
}

/// Sends one event and gives the request that comes of it.
async fn next(server: &Server, source: &Source, sink: &Sink) -> Request {
    let before = sink.requests().len();
    server.hook_bytes(source, odd_payload()).await.expect(200);
    sink.wait_for(before + 1).await.remove(before)
}

fn headers(request: &Request) -> HeaderMap {
    let pairs = request.headers.iter();
    pairs
        .map(|(name, value)| {
            let name: HeaderName = name.parse().expect("a name");
            (name, HeaderValue::from_str(value).expect("a value"))
        })
        .collect()
}

fn secret_of(endpoint: &Value) -> String {
    let secret = endpoint["signing_secret"].as_str();
    secret.expect("the secret is shown once").to_owned()
}

fn verifies(secret: &str, request: &Request) -> bool {
    let webhook = Webhook::new(secret).expect("a secret");
    webhook.verify(&request.body, &headers(request)).is_ok()
}

#[tokio::test]
async fn the_rust_library_of_standard_webhooks_verifies_a_request() {
    let (server, source, sink) = server().await;
    let endpoint = server.endpoint(&sink.endpoint("crm")).await;
    let secret = secret_of(&endpoint);
    let request = next(&server, &source, &sink).await;
    assert!(verifies(&secret, &request));

    let mut forged = request.clone();
    forged.body.push(b' ');
    assert!(!verifies(&secret, &forged));
    let mut renamed = request.clone();
    let other = "dlv_00000000000000000000000000000000".to_owned();
    renamed.headers.insert("webhook-id".to_owned(), other);
    assert!(!verifies(&secret, &renamed));
    let seen = server.endpoint_now(&endpoint).await;
    assert!(!seen.to_string().contains("whsec_"), "{seen}");
}

#[tokio::test]
async fn both_secrets_sign_during_a_rotation_and_one_after_it() {
    let (server, source, sink) = server().await;
    let endpoint = server.endpoint(&sink.endpoint("crm")).await;
    let old = secret_of(&endpoint);
    let path = format!(
        "/endpoints/{}/rotate",
        endpoint["id"].as_str().expect("an id")
    );
    let rotated = server.post(&path, &json!({"overlap_seconds": 3600})).await;
    let new = secret_of(&rotated.expect(200));
    assert_ne!(old, new);
    let request = next(&server, &source, &sink).await;
    assert!(
        verifies(&old, &request),
        "a receiver that knows the old one"
    );
    assert!(
        verifies(&new, &request),
        "a receiver that knows the new one"
    );
    let signatures = request.header("webhook-signature").split(' ');
    assert_eq!(signatures.count(), 2);

    let chosen = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let rotation = json!({"overlap_seconds": 0, "signing_secret": chosen});
    server.post(&path, &rotation).await.expect(200);
    let request = next(&server, &source, &sink).await;
    assert!(verifies(chosen, &request));
    assert!(!verifies(&new, &request), "its time is over");
}

#[tokio::test]
async fn a_secret_can_be_brought_along() {
    let (server, source, sink) = server().await;
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let endpoint = sink.endpoint("crm").with(json!({"signing_secret": secret}));
    assert_eq!(secret_of(&server.endpoint(&endpoint).await), secret);
    assert!(verifies(secret, &next(&server, &source, &sink).await));
}

#[tokio::test]
async fn the_libraries_of_other_languages_verify_a_request() {
    let verifiers = tokio::task::spawn_blocking(xtask::verifiers::all)
        .await
        .expect("no panic")
        .expect("a folder for them");
    let (server, source, sink) = server().await;
    let endpoint = server.endpoint(&sink.endpoint("crm")).await;
    let id = endpoint["id"].as_str().expect("an id");
    let path = format!("/endpoints/{id}/rotate");
    let rotated = server.post(&path, &json!({})).await.expect(200);
    let secrets = [secret_of(&endpoint), secret_of(&rotated)];
    let request = next(&server, &source, &sink).await;
    let body = String::from_utf8(request.body.clone()).expect("text");
    for verifier in verifiers {
        let verifier = match verifier {
            Ok(verifier) => verifier,
            Err(why) => {
                // Past the test runner, which shows nothing of tests that succeed.
                let _ = writeln!(std::io::stderr(), "━━ SKIPPED a verifier: {why:#}");
                continue;
            }
        };
        for secret in &secrets {
            let given = json!({"secret": secret, "headers": request.headers, "body": body});
            verifier.verify(&given).expect("the signature is right");
            let forged = given.with(json!({"body": format!("{body} ")}));
            let refused = verifier.verify(&forged).expect_err("a forgery");
            let said = refused.to_string();
            assert!(said.contains("No matching signature"), "{said}");
        }
    }
}

fn hmac_hex(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

#[tokio::test]
async fn receivers_written_for_a_platform_find_its_own_proof() {
    let (server, source, sink) = server().await;
    let hmac = |secrets: Value| json!([{"type": "hmac", "header": "X-Blackbox-Signature", "secrets": secrets}]);
    let header = |values: Value| json!([{"type": "header", "name": "X-DSAI-WEBHOOK-SECRET", "values": values}]);
    let signature = "x-blackbox-signature";
    let secret = "x-dsai-webhook-secret";
    let signed = |secret: &str| hmac_hex(secret, odd_payload().as_bytes());
    let plain = str::to_owned;
    let rows = [
        (
            hmac(json!(["one"])),
            signature,
            signed("one"),
            String::new(),
        ),
        (
            hmac(json!(["one", "two"])),
            signature,
            signed("one"),
            signed("two"),
        ),
        (header(json!(["abc"])), secret, plain("abc"), String::new()),
        (
            header(json!(["abc", "def"])),
            secret,
            plain("abc"),
            plain("def"),
        ),
    ];
    let endpoint = server.endpoint(&sink.endpoint("crm")).await;
    let own = secret_of(&endpoint);
    for (proof, name, first, second) in rows {
        let shown = server
            .patch_endpoint(&endpoint, &json!({"proof": proof}))
            .await;
        assert!(!shown.to_string().contains("abc"), "{shown}");
        let request = next(&server, &source, &sink).await;
        assert_eq!(request.header(name), first, "{proof}");
        assert_eq!(request.header(&format!("{name}-next")), second, "{proof}");
        assert!(verifies(&own, &request), "beside it the standard's own");
    }
}
