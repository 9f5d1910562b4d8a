//! What a plugin sees of a call: every field of the contract, through the real
//! capabilities, word for word.

use serde_json::{Value, json};

use crate::misbehave::{self, mode};
use crate::payload::{self, With};
use crate::shape;

/// Settings of every kind a binding can hold.
fn echo() -> Value {
    mode("echo").with(json!({"config": {
        "mode": "echo", "text": "plain text", "object": {"nested": [1, true, null]}, "unasked": 1,
    }}))
}

/// Checks what differs from run to run and takes it out.
fn stable(mut seen: Value, event: &str, sent: &Value) -> Value {
    let context = seen["context"].as_object_mut().expect("a context");
    assert_eq!(context.remove("eventId"), Some(json!(event)));
    let payload = context.remove("payload").expect("the payload");
    assert_eq!(
        payload,
        sent.to_string(),
        "the payload is not what was sent, byte for byte"
    );
    let received = context
        .remove("receivedAtMs")
        .and_then(|ms| ms.as_u64())
        .expect("a time");
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("a clock");
    assert!(
        now.as_millis() as u64 - received < 60_000,
        "received at {received}"
    );
    let remaining = context
        .remove("remainingMs")
        .and_then(|ms| ms.as_u64())
        .expect("a time");
    assert!((1..=30_000).contains(&remaining), "{remaining} ms remain");
    seen
}

/// A payload with all the fields that the samples leave out.
fn full(sample: Value) -> Value {
    sample.with(json!({
        "serverJobId": "job_1",
        "callAdditionalData": {"tier": "gold", "deep": {"list": [1, 2.5, "x", null]}},
        "agentAdditionalData": {"team": "sales"},
        "sip": {
            "fromUser": "+14155551234", "fromDomain": "sip.provider.com", "toUser": "agent-line",
            "toDomain": "blackbox.dasha.ai", "diversion": ["<sip:a@x>", "<sip:b@y>"],
        },
        "somethingNew": {"in": "a later release"},
    }))
}

#[tokio::test]
async fn a_start_handler_sees_the_call_and_the_agents_configuration() {
    let (server, source) = misbehave::server().await;
    server.bind(&echo()).await;
    let sent = full(payload::start());
    let reply = server.hook(&source, &sent).await;
    let event = reply.event();
    let seen = reply.expect(200)["additionalData"].clone();
    shape::assert_shape!("seen_by_start_handler", stable(seen, &event, &sent));
}

#[tokio::test]
async fn a_transfer_handler_sees_the_reason_and_the_transcription() {
    let (server, source) = misbehave::server().await;
    server.bind(&echo()).await;
    let sent = full(payload::transfer());
    let reply = server.hook(&source, &sent).await;
    let event = reply.event();
    let mut seen = reply.expect(200);
    let fields = seen.as_object_mut().expect("an object");
    assert_eq!(fields.remove("type"), Some(json!("cold")));
    assert_eq!(
        fields.remove("endpointDestination"),
        Some(json!("+14155550199"))
    );
    shape::assert_shape!("seen_by_transfer_handler", stable(seen, &event, &sent));
}

#[tokio::test]
async fn a_tool_handler_sees_the_name_and_the_arguments() {
    let (server, source) = misbehave::server().await;
    server.bind(&echo()).await;
    let sent = full(payload::tool());
    let reply = server.hook(&source, &sent).await;
    let event = reply.event();
    shape::assert_shape!(
        "seen_by_tool_handler",
        stable(reply.expect(200), &event, &sent)
    );
}

#[tokio::test]
async fn an_event_handler_sees_the_whole_payload() {
    let (server, source) = misbehave::server().await;
    server.bind(&echo()).await;
    let sent = full(payload::completed());
    let id = server.hook(&source, &sent).await.event();
    let event = server.handled(&id).await;
    let delivery = &event["decision"]["answer"]["deliveries"][0];
    assert_eq!(delivery["endpoint"], "echo");
    let mut seen = delivery["body"].clone();
    assert_eq!(seen["given"]["body"], sent);
    assert_eq!(seen["given"]["id"], id);
    let given = seen["given"].as_object_mut().expect("an object");
    given.retain(|name, _| name == "kind");
    shape::assert_shape!("seen_by_event_handler", stable(seen, &id, &sent));
}

#[tokio::test]
async fn a_sparse_payload_has_empty_objects_where_nothing_was_sent() {
    let (server, source) = misbehave::server().await;
    server.bind(&echo()).await;
    let sent = json!({"type": "StartWebHookPayload", "callId": "c", "agentId": "a"});
    let reply = server.hook(&source, &sent).await;
    let event = reply.event();
    let seen = reply.expect(200)["additionalData"].clone();
    shape::assert_shape!("seen_of_a_sparse_payload", stable(seen, &event, &sent));
}

#[tokio::test]
async fn the_payload_arrives_byte_for_byte() {
    let (server, source) = misbehave::server().await;
    server.bind(&echo()).await;
    // Order, spaces, escapes, repeated keys and large numbers all stay.
    let sent = "{\r\n \"callId\" : \"c\\u00e9\\/1\",\"agentId\":\"a\", \"type\":\"StartWebHookPayload\",\
         \"x\":12345678901234567890.10,\"y\":1, \"y\":2,\"emoji\":\"📞\"}\n";
    let reply = server.hook_bytes(&source, sent).await;
    let event = reply.event();
    let seen = reply.expect(200);
    assert_eq!(seen["additionalData"]["context"]["payload"], sent);
    assert_eq!(seen["additionalData"]["call"]["callId"], "cé/1");

    let stored = server.get(&format!("/events/{event}")).await;
    assert!(
        stored.text.contains("12345678901234567890.10"),
        "{}",
        stored.text
    );
}
