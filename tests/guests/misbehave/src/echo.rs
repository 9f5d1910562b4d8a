//! What a guest can see, as JSON: the mode `echo`.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use hookswitch_sdk::{Call, Utterance, config, context, json, kv, serde_json::Value};

/// The handler's name, the call, the capabilities, and what this handler alone
/// is given.
pub(crate) fn everything(handler: &str, call: &Call, given: &Value) -> Value {
    json!({
        "handler": handler,
        "given": given,
        "call": the_call(call),
        "context": {
            "eventId": context::event_id(),
            "payload": String::from_utf8_lossy(&context::payload()),
            "receivedAtMs": context::received_at_ms(),
            "remainingMs": context::remaining().as_millis() as u64,
        },
        "config": {
            "mode": config::get("mode"),
            "text": config::get("text"),
            "object": config::get("object"),
            "missing": config::get("missing"),
        },
        "kv": key_value_store(),
    })
}

/// What no two calls have alike: both clocks, and random numbers in the two ways
/// that the standard library draws them.
pub(crate) fn entropy() -> Value {
    let started = Instant::now();
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    let drawn: Vec<String> = (0..3)
        .map(|_| RandomState::new().build_hasher().finish().to_string())
        .collect();
    json!({
        "now_ns": since_epoch.map_or(0, |now| now.as_nanos()).to_string(),
        "elapsed_ns": started.elapsed().as_nanos().to_string(),
        "random": drawn,
        "remaining_ms": context::remaining().as_millis() as u64,
    })
}

/// What was said so far.
pub(crate) fn transcription(transcription: &[Utterance]) -> Vec<Value> {
    let utterance = |said: &Utterance| {
        json!({
            "speaker": said.speaker,
            "name": said.name,
            "text": said.text,
            "startTime": said.start_time,
            "endTime": said.end_time,
        })
    };
    transcription.iter().map(utterance).collect()
}

fn the_call(call: &Call) -> Value {
    json!({
        "platform": call.platform,
        "orgId": call.org_id,
        "agentId": call.agent_id,
        "callId": call.call_id,
        "status": call.status,
        "endpoint": call.endpoint,
        "callData": call.call_data,
        "agentData": call.agent_data,
        "sip": call.sip.as_ref().map(|sip| json!({
            "fromUser": sip.from_user,
            "fromDomain": sip.from_domain,
            "toUser": sip.to_user,
            "toDomain": sip.to_domain,
            "diversion": sip.diversion,
        })),
    })
}

/// One round through every operation, or the code of the refusal.
fn key_value_store() -> Value {
    let round = || -> Result<Value, kv::Error> {
        let before = kv::get_text("echo")?;
        kv::set("echo", "was here", None)?;
        Ok(json!({
            "before": before,
            "after": kv::get_text("echo")?,
            "counted": kv::increment("echo-count", 1, None)?,
            "swapped": kv::compare_and_swap("echo", Some(b"was here"), Some(b"swapped"), None)?,
            "deleted": kv::delete("echo")?,
        }))
    };
    round().unwrap_or_else(|error| json!({ "refused": error.code().as_str() }))
}
