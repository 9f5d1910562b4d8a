//! Notices: acknowledged at once, handled by `crm-sync` afterwards, and what is
//! owed to whom then.

use serde_json::{Value, json};

use crate::client::Source;
use crate::misbehave::rebind;
use crate::payload::{self, With};
use crate::server::Server;

fn crm(config: &Value) -> Value {
    json!({"plugin": "crm-sync", "config": config})
}

/// Outcomes that concern different systems.
fn fan_out() -> Value {
    crm(&json!({
        "endpoints": {
            "appointment_booked": ["crm", "calendar"],
            "failed": ["crm", "ops"],
            "wrong_number": [],
        },
        "copy_call_data": ["campaignId"],
        "test_calls": {"call_data_flag": "test", "agent_ids": ["agent_staging"]},
    }))
}

async fn server() -> (Server, Source) {
    let server = Server::start();
    for endpoint in ["crm", "calendar", "ops"] {
        server.waiting_endpoint(endpoint).await;
    }
    server.install("crm-sync").await;
    server.bind(&fan_out()).await;
    let source = server.source("main-line").await;
    (server, source)
}

/// Sends a notice, checks its acknowledgement, and gives it when it is handled.
async fn handle(server: &Server, source: &Source, payload: &Value) -> Value {
    let reply = server.hook(source, payload).await;
    let id = reply.event();
    assert_eq!(reply.header("content-type"), "application/json");
    assert_eq!(reply.expect(200), json!({"received": true, "eventId": id}));
    let event = server.handled(&id).await;
    assert_eq!(event["payload"], *payload);
    event
}

/// Each delivery that the plugin asked for, as endpoint and body. As many are owed.
fn owed(event: &Value) -> Vec<(&str, Value)> {
    let said = event["decision"]["answer"]["deliveries"].as_array();
    let said = said.expect("the plugin's deliveries");
    let deliveries = event["deliveries"].as_array().expect("deliveries");
    assert_eq!(deliveries.len(), said.len(), "{event}");
    for delivery in deliveries {
        assert_eq!(delivery["state"], "owed");
        assert_eq!(delivery["attempts"], 0);
    }
    said.iter()
        .map(|one| {
            let endpoint = one["endpoint"].as_str().expect("a name");
            (endpoint, one["body"].clone())
        })
        .collect()
}

#[tokio::test]
async fn a_completed_call_becomes_a_record_for_all_it_concerns() {
    let (server, source) = server().await;
    let event = handle(&server, &source, &payload::completed()).await;
    let record = json!({
        "event_id": event["id"],
        "kind": "call.completed",
        "call_id": "call_abc123def456",
        "agent_id": "agent_xyz789",
        "phone": "+14155551234",
        "call_type": "OutboundAudio",
        "outcome": "appointment_booked",
        "sentiment": "positive",
        "satisfaction": 8.5,
        "duration_seconds": 312,
        "finish_reason": "user_hangup",
        "extracted": {
            "appointmentDate": "2025-10-25",
            "customerName": "John Doe",
            "contactEmail": "john@example.com",
        },
        "transcript": {"utterances": 2, "by_customer": 1, "by_agent": 1, "customer_words": 6},
        "transfers": 0,
        "links": {
            "inspector": "https://blackbox.dasha.ai/calls/call_abc123def456",
            "recording": "https://storage.blackbox.dasha.ai/recordings/call_abc123def456.mp3",
        },
        "created_at": "2025-10-20T15:30:00.000Z",
        "finished_at": "2025-10-20T15:35:00.000Z",
    });
    assert_eq!(
        owed(&event),
        [("crm", record.clone()), ("calendar", record)]
    );
    assert_eq!(event["decision"]["outcome"], "answered");
    assert_eq!(event["decision"]["reply"], Value::Null);
}

#[tokio::test]
async fn a_failed_call_is_recorded_with_its_error() {
    let (server, source) = server().await;
    let event = handle(&server, &source, &payload::failed()).await;
    let record = json!({
        "event_id": event["id"],
        "kind": "call.failed",
        "call_id": "call_abc123def456",
        "agent_id": "agent_xyz789",
        "phone": "+14155551234",
        "call_type": "OutboundAudio",
        "outcome": "failed",
        "error": "Call was not answered within timeout period",
        "links": {"inspector": "https://blackbox.dasha.ai/calls/call_abc123def456"},
        "created_at": "2025-10-20T15:30:00.000Z",
        "finished_at": "2025-10-20T15:31:00.000Z",
    });
    assert_eq!(owed(&event), [("crm", record.clone()), ("ops", record)]);
}

#[tokio::test]
async fn a_call_over_its_deadline_is_recorded_with_its_campaign() {
    let (server, source) = server().await;
    let event = handle(&server, &source, &payload::deadline()).await;
    let record = json!({
        "event_id": event["id"],
        "kind": "call.deadline",
        "call_id": "call_abc123def456",
        "agent_id": "agent_xyz789",
        "phone": "+14155551234",
        "call_type": "OutboundAudio",
        "outcome": "deadline",
        "error": "Call deadline expired before execution",
        "call_data": {"campaignId": "Q4_outreach"},
        "created_at": "2025-10-20T15:00:00.000Z",
        "finished_at": "2025-10-20T18:00:00.000Z",
    });
    assert_eq!(owed(&event), [("crm", record)]);
}

#[tokio::test]
async fn who_names_an_endpoint_that_is_not_there_reads_it_in_the_log() {
    let (server, source) = server().await;
    let config = json!({"endpoints": {"failed": ["crm", "nobody"]}});
    rebind(&server, &crm(&config)).await;
    let event = handle(&server, &source, &payload::failed()).await;
    let said = &event["decision"]["answer"]["deliveries"];
    assert_eq!(said.as_array().map(Vec::len), Some(2), "{event}");
    assert_eq!(event["deliveries"].as_array().map(Vec::len), Some(1));
    let log = event["log"].as_array().expect("a log");
    let named = |line: &&Value| {
        let message = line["message"].as_str().unwrap_or_default();
        line["level"] == "error" && message.contains("\"nobody\"")
    };
    assert_eq!(log.iter().filter(named).count(), 1, "{log:?}");
}

#[tokio::test]
async fn what_concerns_nobody_is_dropped() {
    let (server, source) = server().await;
    let outcome = json!({"postCallAnalysis": {"callOutcome": "wrong_number"}});
    for change in [
        json!({"callAdditionalData": {"test": true}}),
        json!({"agentId": "agent_staging"}),
        json!({"result": outcome}),
    ] {
        let event = handle(&server, &source, &payload::completed().with(change.clone())).await;
        assert_eq!(
            event["decision"]["answer"],
            json!({"decision": "drop"}),
            "{change}"
        );
        assert_eq!(event["deliveries"], json!([]));
        let log = event["log"].as_array().expect("a log");
        assert!(!log.is_empty(), "why is not said: {change}");
    }
}

#[tokio::test]
async fn an_event_the_plugin_does_not_know_stays_unchanged() {
    let (server, source) = server().await;
    let event = handle(&server, &source, &payload::unknown()).await;
    assert_eq!(event["kind"], "unknown");
    assert_eq!(
        event["decision"]["answer"],
        json!({"decision": "unchanged"})
    );
    assert_eq!(event["decision"]["outcome"], "answered");
}

#[tokio::test]
async fn a_notice_without_a_handler_takes_the_verdict() {
    let (server, source) = server().await;
    rebind(
        &server,
        &crm(&json!({})).with(json!({"selector": {"agent": "another"}})),
    )
    .await;
    for payload in [payload::completed(), payload::failed(), payload::deadline()] {
        let event = handle(&server, &source, &payload).await;
        let decision = &event["decision"];
        assert_eq!(decision["answer"], json!({"decision": "unchanged"}));
        assert_eq!(
            (&decision["outcome"], &decision["reason"]),
            (&json!("verdict"), &json!("no_binding"))
        );
    }
}

#[tokio::test]
async fn the_acknowledgement_does_not_wait_for_the_handler() {
    let server = Server::start();
    server.install("misbehave").await;
    let source = server.source("main-line").await;
    server.bind(&crate::misbehave::slow(3_000)).await;
    let sent = std::time::Instant::now();
    let id = server.hook(&source, &payload::failed()).await.event();
    assert!(
        sent.elapsed() < std::time::Duration::from_millis(1_500),
        "{:?}",
        sent.elapsed()
    );
    assert_eq!(server.event(&id).await["state"], "accepted");
    assert_eq!(server.handled(&id).await["decision"]["outcome"], "answered");
}

#[tokio::test]
async fn a_burst_of_notices_is_handled_to_the_last() {
    let (server, source) = server().await;
    let sent = futures::future::join_all((0..200).map(|call| {
        let payload = payload::failed().with(json!({"callId": format!("call_{call}")}));
        let (server, source) = (&server, &source);
        async move { server.hook(source, &payload).await.event() }
    }))
    .await;
    for id in sent {
        let event = server.handled(&id).await;
        let owed: Vec<&str> = owed(&event)
            .into_iter()
            .map(|(endpoint, _)| endpoint)
            .collect();
        assert_eq!(owed, ["crm", "ops"]);
    }
}
