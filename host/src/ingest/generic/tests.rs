use super::*;
use crate::ingest::Inbound;

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!(
            "../../../../tests/fixtures/generic/",
            $name,
            ".json"
        ))
    };
}

#[test]
fn a_type_is_its_own_kind_but_for_conversations() {
    for (text, kind) in [
        (fixture!("conversation.started"), "call.started"),
        (fixture!("conversation.completed"), "call.completed"),
        (fixture!("conversation.failed"), "call.failed"),
        (fixture!("contact.created"), "contact.created"),
        (fixture!("contact.updated"), "contact.updated"),
        (fixture!("contact.deleted"), "contact.deleted"),
        (fixture!("campaign.started"), "campaign.started"),
        (fixture!("campaign.completed"), "campaign.completed"),
        (fixture!("campaign.paused"), "campaign.paused"),
        (fixture!("campaign.resumed"), "campaign.resumed"),
        (fixture!("integration.connected"), "integration.connected"),
        (
            fixture!("integration.disconnected"),
            "integration.disconnected",
        ),
    ] {
        let event = Generic.parse(text).unwrap();
        assert_eq!(event.kind().as_str(), kind, "{text}");
    }
}

#[test]
fn nothing_generic_is_a_question_or_ours() {
    for event_type in [
        "call.start",
        "tool.call",
        "call.transfer",
        "endpoint.failing",
        "Über",
    ] {
        let text = json!({"type": event_type, "timestamp": "t", "data": {}}).to_string();
        let event = Generic.parse(&text).unwrap();
        assert_eq!(event.kind(), Kind::UNKNOWN, "{event_type}");
        assert_eq!(event.platform_type, event_type);
    }
}

#[test]
fn what_is_known_of_a_conversation_is_read() {
    let call = Generic
        .parse(fixture!("conversation.completed"))
        .unwrap()
        .call;
    assert_eq!((&*call.call_id, &*call.agent_id), ("conv_81", "agent_12"));
    assert_eq!(call.endpoint.as_deref(), Some("+14155550100"));
    assert_eq!(
        call.call_data.get().replace(['\n', ' '], ""),
        r#"{"campaignId":"Q4_outreach"}"#
    );
    // Twice under different names, or of another form: nothing is known, nothing refused.
    for data in [r#"{"call_id":"a","callId":"b"}"#, r#"{"call_id":7}"#] {
        let text = format!(r#"{{"type":"contact.created","timestamp":1,"data":{data}}}"#);
        assert_eq!(Generic.parse(&text).unwrap().call.call_id, "", "{data}");
    }
}

#[test]
fn what_is_missing_is_named() {
    for (text, field) in [
        (r#"{"timestamp":"t","data":{}}"#, "type"),
        (r#"{"type":"contact.created","data":{}}"#, "timestamp"),
        (r#"{"type":"contact.created","timestamp":"t"}"#, "data"),
        (
            r#"{"type":"contact.created","timestamp":"t","data":[]}"#,
            "data",
        ),
    ] {
        let named = match Generic.parse(text) {
            Err(ReadError::MissingField { field } | ReadError::InvalidField { field, .. }) => field,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(named, field, "{text}");
    }
}

/// A published vector: who publishes it is in the design's research, and in the tests of
/// nearly every library.
struct Vector {
    secret: &'static str,
    id: &'static str,
    second: i64,
    body: String,
    signature: &'static str,
}

fn vectors() -> Vec<Vector> {
    // standard-webhooks: libraries/python/tests/test_webhooks.py, javascript, go, …
    let first = |body: String, signature| Vector {
        secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
        second: 1_614_265_330,
        body,
        signature,
    };
    vec![
        first(
            r#"{"test": 2432232314}"#.to_owned(),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
        // standard-webhooks: libraries/rust/src/lib.rs.
        Vector {
            secret: "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            id: "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            second: 1_649_367_553,
            body: r#"{"email":"test@example.com","username":"test_user"}"#.to_owned(),
            signature: "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        },
        // svix-webhooks: csharp/Svix.Tests/WebhookTest.cs.
        first(
            "a".repeat(1 << 20),
            "v1,txpEUxqWZJ5nteTnymUVa+7C4NHpBeXJ6CsBAW0c3/A=",
        ),
        first(
            "a".repeat(262_144),
            "v1,Mw4Pe2WgApuT7NSqnSq0PQPV9gbLdggCl9B865x5Xh0=",
        ),
        first(
            "a".repeat(262_143),
            "v1,NTItnqyWMoFhk2Bbe5V/BMdcFRWgcSQaTgqLHX7FC7c=",
        ),
    ]
}

fn check(vector: &Vector, secret: &str, signature: &str, late: i64) -> bool {
    let mut headers = HeaderMap::new();
    headers.insert(ID, vector.id.parse().unwrap());
    headers.insert(TIMESTAMP, vector.second.to_string().parse().unwrap());
    headers.insert(SIGNATURE, signature.parse().unwrap());
    let inbound = Inbound {
        headers,
        body: vector.body.clone().into(),
        peer: [127, 0, 0, 1].into(),
    };
    let proof = format!(r#"{{"type":"platform","secrets":["{secret}"]}}"#);
    let proof = serde_json::from_str(&proof).unwrap();
    let now = Timestamp::from_second(vector.second + late).unwrap();
    proof::check(&Generic, &[proof], &inbound, now).is_ok()
}

#[test]
fn published_signatures_are_believed() {
    for vector in vectors() {
        let Vector {
            secret, signature, ..
        } = vector;
        assert!(check(&vector, secret, signature, 0), "{signature}");
        let bare = secret.strip_prefix("whsec_").unwrap();
        assert!(
            check(&vector, bare, signature, 300),
            "without whsec_, just in time"
        );
        assert!(check(&vector, secret, signature, -300));
        assert!(!check(&vector, secret, signature, 301), "stale");
        assert!(!check(&vector, secret, signature, -301), "ahead");
        for several in [
            format!("v1,bm90IHRoaXMgb25l {signature}"),
            format!("v2,{} {signature}", &signature[3..]),
            format!("{signature} v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5B"),
        ] {
            assert!(check(&vector, secret, &several, 0), "{several}");
        }
    }
}

#[test]
fn signatures_that_are_published_as_wrong_are_not_believed() {
    let vectors = vectors();
    let (first, second) = (&vectors[0], &vectors[1]);
    for (vector, signature) in [
        (first, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OA="),
        (second, "v1,R3PTzyfHASBKHH98a7yexTwaJ4yNIcGhFQc1yuN+BPU="),
        (second, "v1,"),
        (second, "v1,tZ1I4/hD"),
        (second, "v2,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="),
        (second, "tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="),
        (second, ""),
    ] {
        assert!(!check(vector, vector.secret, signature, 0), "{signature}");
    }
    assert!(!check(first, second.secret, first.signature, 0));
}

#[test]
fn what_we_sign_is_what_is_published() {
    for vector in vectors() {
        let mut headers = HeaderMap::new();
        headers.insert(ID, vector.id.parse().unwrap());
        let now = Timestamp::from_second(vector.second).unwrap();
        let secret = Secret::try_from(vector.secret.to_owned()).unwrap();
        StandardWebhooks.prove(&secret, &mut headers, vector.body.as_bytes(), now);
        assert_eq!(headers[SIGNATURE], vector.signature);
    }
}
