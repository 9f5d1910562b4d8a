//! Webhooks that cannot be read.

use serde_json::{Value, json};

use crate::client::assert_none_wrong;
use crate::payload::{self, With};
use crate::raw;
use crate::server::Server;

/// The cap on a webhook's body.
const HOOK_CAP: usize = 16 * 1024 * 1024;

#[tokio::test]
async fn a_body_that_is_not_json_is_refused() {
    let server = Server::start();
    let source = server.source("main-line").await;
    let before = server.contents().await;

    let cut = &payload::start().to_string()[..120];
    let not_text = b"{\"type\":\"StartWebHookPayload\",\"callId\":\"\xff\"}";
    let bodies: [(&str, &[u8]); 7] = [
        ("nothing", b""),
        ("white space", b" \n"),
        ("cut off", cut.as_bytes()),
        ("two documents", b"{} {}"),
        ("a form", b"type=StartWebHookPayload&callId=1"),
        ("a comma too many", b"{\"type\":\"StartWebHookPayload\",}"),
        ("not UTF-8", not_text),
    ];
    for (what, body) in bodies {
        let reply = server.hook_bytes(&source, body).await;
        println!("{what}: {}", reply.text);
        reply.expect_problem(400, "invalid_json", None);
    }
    assert_eq!(server.contents().await, before);
}

#[tokio::test]
async fn json_nested_without_end_is_refused_and_hurts_nobody() {
    let server = Server::start();
    let source = server.source("main-line").await;
    let before = server.contents().await;
    for open in ["[", "{\"a\":"] {
        let reply = server.hook_bytes(&source, open.repeat(200_000)).await;
        reply.expect_problem(400, "invalid_json", None);
    }
    assert_eq!(server.contents().await, before);
    server.hook(&source, &payload::start()).await.expect(200);
}

#[tokio::test]
async fn json_that_is_no_object_is_refused() {
    let server = Server::start();
    let source = server.source("main-line").await;
    let before = server.contents().await;
    for body in [
        json!([]),
        json!("StartWebHookPayload"),
        json!(7),
        json!(null),
        json!(true),
    ] {
        let reply = server.hook(&source, &body).await;
        assert_eq!(
            (reply.status, &reply.body["code"]),
            (400, &json!("invalid_field")),
            "{body}"
        );
    }
    assert_eq!(server.contents().await, before);
}

#[tokio::test]
async fn a_required_field_that_is_missing_is_named() {
    let server = Server::start();
    let source = server.source("main-line").await;
    let before = server.contents().await;
    let samples = [
        payload::start(),
        payload::transfer(),
        payload::tool(),
        payload::completed(),
        payload::failed(),
        payload::deadline(),
    ];
    for sample in samples {
        for field in ["callId", "agentId"] {
            let reply = server
                .hook(&source, &sample.clone().with(json!({field: null})))
                .await;
            println!("{} without {field}: {}", sample["type"], reply.text);
            reply.expect_problem(400, "missing_field", Some(field));
        }
    }
    let nameless = payload::tool().with(json!({"toolName": null}));
    let reply = server.hook(&source, &nameless).await;
    reply.expect_problem(400, "missing_field", Some("toolName"));
    assert_eq!(server.contents().await, before);
}

#[tokio::test]
async fn a_field_of_the_wrong_type_is_named() {
    let server = Server::start();
    let source = server.source("main-line").await;
    let before = server.contents().await;
    let said = |utterance: Value| json!({"transcription": [utterance]});
    let cases: Vec<(Value, Value, &str)> = vec![
        (payload::start(), json!({"type": 7}), "type"),
        (payload::start(), json!({"status": ["Queued"]}), "status"),
        (payload::start(), json!({"callId": 7}), "callId"),
        (payload::start(), json!({"agentId": {}}), "agentId"),
        (payload::start(), json!({"orgId": false}), "orgId"),
        (
            payload::start(),
            json!({"endpoint": 14_155_551_234_u64}),
            "endpoint",
        ),
        (
            payload::start(),
            json!({"callAdditionalData": "x"}),
            "callAdditionalData",
        ),
        (
            payload::start(),
            json!({"agentAdditionalData": []}),
            "agentAdditionalData",
        ),
        (
            payload::start(),
            json!({"originalAgentConfig": "x"}),
            "originalAgentConfig",
        ),
        (payload::start(), json!({"sip": "x"}), "sip"),
        (
            payload::start(),
            json!({"sip": {"fromUser": 7}}),
            "sip.fromUser",
        ),
        (
            payload::start(),
            json!({"sip": {"diversion": "x"}}),
            "sip.diversion",
        ),
        (
            payload::start(),
            json!({"sip": {"diversion": [7]}}),
            "sip.diversion[0]",
        ),
        (
            payload::transfer(),
            json!({"transferReason": 7}),
            "transferReason",
        ),
        (
            payload::transfer(),
            json!({"transcription": "x"}),
            "transcription",
        ),
        (payload::transfer(), said(json!("x")), "transcription[0]"),
        (
            payload::transfer(),
            said(json!({"speaker": "user", "text": 7})),
            "transcription[0].text",
        ),
        (payload::tool(), json!({"toolName": 7}), "toolName"),
        (payload::tool(), json!({"toolName": "no name"}), "toolName"),
        (payload::tool(), json!({"arguments": "x"}), "arguments"),
        (
            payload::tool(),
            json!({"arguments": null, "args": [1]}),
            "args",
        ),
        (payload::completed(), json!({"callId": 7}), "callId"),
        (payload::failed(), json!({"sip": []}), "sip"),
        (payload::deadline(), json!({"agentId": 7}), "agentId"),
    ];
    let mut wrong = Vec::new();
    for (sample, change, field) in cases {
        let reply = server.hook(&source, &sample.with(change.clone())).await;
        if let Err(difference) = reply.is_problem(400, "invalid_field", Some(field)) {
            wrong.push(format!("{change}: {difference}"));
        }
    }
    assert_none_wrong(&wrong);
    assert_eq!(server.contents().await, before);
}

#[tokio::test]
async fn a_body_over_the_cap_is_refused_before_it_is_read() {
    let server = Server::start();
    let source = server.source("main-line").await;
    let before = server.contents().await;

    let head = format!(
        "POST {} HTTP/1.1\r\nhost: hookswitch\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        source.hook_path,
        HOOK_CAP + 1
    );
    let reply = raw::exchange(server.address, head.as_bytes());
    assert_eq!(
        (reply.status, reply.code()),
        (413, "body_too_large".to_owned()),
        "{}",
        reply.text
    );
    assert_eq!(server.contents().await, before);
}

#[tokio::test]
async fn a_body_of_unknown_length_is_cut_at_the_cap() {
    let server = Server::start();
    let source = server.source("main-line").await;
    let before = server.contents().await;

    let head = format!(
        "POST {} HTTP/1.1\r\nhost: hookswitch\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\n\r\n{:x}\r\n",
        source.hook_path,
        HOOK_CAP + 1
    );
    let mut request = head.into_bytes();
    request.extend(std::iter::repeat_n(b' ', HOOK_CAP + 1));
    let reply = raw::exchange(server.address, &request);
    assert_eq!(
        (reply.status, reply.code()),
        (413, "body_too_large".to_owned()),
        "{}",
        reply.text
    );
    assert_eq!(server.contents().await, before);
}

#[tokio::test]
async fn a_body_just_under_the_cap_is_read() {
    let server = Server::start();
    let source = server.source("main-line").await;
    let mut body = payload::completed().to_string().into_bytes();
    body.resize(HOOK_CAP, b' ');
    let reply = server.hook_bytes(&source, body).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
}
