//! What the demo sends, and what it expects back: the platform's
//! own samples, and variants that show what the example plugins are for.
//!
//! The expectations are written out, so that they do not depend on what is tried.
//! Neighbour: `expected` compares them with what came.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::expected::Expected;

/// One payload and what has to come of it.
pub(super) struct Step {
    /// What happens, as the table shows it.
    pub(super) event: &'static str,
    pub(super) payload: Value,
    pub(super) expected: Expected,
}

/// What `demo/hookswitch.toml` says of callers from Germany.
fn german_agent() -> Value {
    json!({
        "primaryLanguage": "de-DE",
        "ttsConfig": {"vendor": "elevenlabs"},
        "llmConfig": {"vendor": "openai", "model": "gpt-4.1-mini"},
    })
}

/// Every payload in the order in which it is sent.
pub(super) fn steps() -> Result<Vec<Step>> {
    let mut steps = starts()?;
    steps.extend(transfers()?);
    steps.extend(tools()?);
    steps.extend(notices()?);
    Ok(steps)
}

fn starts() -> Result<Vec<Step>> {
    let from = |caller: &str| -> Result<Value> {
        let mut start = sample("start")?;
        start["sip"]["fromUser"] = json!(caller);
        Ok(start)
    };
    Ok(vec![
        question("start", sample("start")?, json!({"accept": true})),
        question(
            "start, blocked caller",
            from("+14155550666")?,
            json!({
                "accept": false, "reasonMessage": "We do not take calls from this number."
            }),
        ),
        question(
            "start, caller from Germany",
            from("+4930123456")?,
            json!({
                "accept": true,
                "overrideAgentConfig": german_agent(),
                "additionalData": {"market": "DE"},
            }),
        ),
    ])
}

fn transfers() -> Result<Vec<Step>> {
    let mut gold = sample("transfer")?;
    gold["callAdditionalData"] = json!({"tier": "gold"});
    Ok(vec![
        question(
            "transfer",
            sample("transfer")?,
            json!({"type": "cold", "endpointDestination": "+14155550100"}),
        ),
        question(
            "transfer, gold customer",
            gold,
            json!({
                "type": "warm", "endpointDestination": "+14155550101", "description": "Gold desk"
            }),
        ),
    ])
}

fn tools() -> Result<Vec<Step>> {
    let mut book = sample("tool")?;
    book["toolName"] = json!("book_appointment");
    book["arguments"] = json!({"date": "2025-10-25", "time": "11:00", "service": "consultation"});
    let mut late = book.clone();
    late["callId"] = json!("call_of_somebody_else");
    let mut nobody_has = sample("tool")?;
    nobody_has["toolName"] = json!("order_pizza");
    Ok(vec![
        question(
            "tool check_availability",
            sample("tool")?,
            about_saturday(json!({
                "service": "consultation", "available": true, "slots": ["10:00", "11:00", "12:00"]
            })),
        ),
        question(
            "tool book_appointment",
            book,
            about_saturday(json!({
                "booked": true, "reference": "MWK44F", "time": "11:00", "service": "consultation"
            })),
        ),
        question(
            "tool book_appointment, again",
            late,
            about_saturday(json!({
                "booked": false,
                "reason": "taken",
                "message": "11:00 is already taken.",
                "alternatives": ["10:00", "12:00"],
            })),
        ),
        Step {
            event: "tool nobody has",
            payload: nobody_has,
            expected: Expected::NoAnswer,
        },
    ])
}

/// The fields of every answer about the sample's day, and more.
fn about_saturday(more: Value) -> Value {
    let mut answer = json!({
        "date": "2025-10-25",
        "weekday": "Saturday",
        "slot_minutes": 60,
        "time_zone": "America/Los_Angeles",
    });
    if let (Value::Object(answer), Value::Object(more)) = (&mut answer, more) {
        answer.extend(more);
    }
    answer
}

fn notices() -> Result<Vec<Step>> {
    let unknown = json!({"type": "BrandNewWebHookPayload", "callId": "call_1", "more": [1, 2]});
    Ok(vec![
        delivered(
            "completed",
            sample("completed")?,
            &["crm", "calendar"],
            completed_record(),
        ),
        delivered(
            "failed",
            sample("failed")?,
            &["crm", "ops"],
            failed_record(),
        ),
        delivered("deadline", sample("deadline")?, &["crm"], deadline_record()),
        unchanged("unknown", sample("unknown")?),
        unchanged("a type of tomorrow", unknown),
    ])
}

fn completed_record() -> Value {
    json!({
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
    })
}

fn failed_record() -> Value {
    json!({
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
    })
}

fn deadline_record() -> Value {
    json!({
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
    })
}

fn question(event: &'static str, payload: Value, reply: Value) -> Step {
    Step {
        event,
        payload,
        expected: Expected::Reply(reply),
    }
}

fn delivered(event: &'static str, payload: Value, to: &[&'static str], record: Value) -> Step {
    Step {
        event,
        payload,
        expected: Expected::Delivered {
            to: to.to_vec(),
            record,
        },
    }
}

fn unchanged(event: &'static str, payload: Value) -> Step {
    Step {
        event,
        payload,
        expected: Expected::Unchanged,
    }
}

/// One of the platform's samples, the same that the integration tests use.
fn sample(name: &str) -> Result<Value> {
    let path = crate::host::workspace()?
        .join("tests/fixtures/dasha")
        .join(format!("{name}.json"));
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("the sample {} cannot be read", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))
}
