//! From a payload to the record.
//!
//! Nothing in here fails on a payload of another shape: what is not where it
//! should be, or is of another type, is left out.

use hookswitch_sdk::{
    Event, Result, json,
    serde_json::{Map, Value},
};

/// What the post-call analysis says under that label.
pub(crate) fn outcome<'a>(body: &'a Value, field: &str) -> Option<&'a str> {
    analysis(body)[field]
        .as_str()
        .filter(|outcome| !outcome.is_empty())
}

/// The record of one finished call.
pub(crate) fn make(
    event: &Event,
    body: &Value,
    outcome: &str,
    copy_call_data: &[String],
) -> Result<Value> {
    let call = &event.call;
    let result = &body["result"];
    let mut record = json!({
        "event_id": event.id,
        "kind": event.kind,
        "call_id": call.call_id,
        "agent_id": call.agent_id,
        "phone": call.other_party(),
        "call_type": body["callType"],
        "outcome": outcome,
        "sentiment": analysis(body)["sentiment"],
        "satisfaction": analysis(body)["satisfactionScore"],
        "duration_seconds": body["durationSeconds"],
        "finish_reason": result["finishReason"],
        "error": first_text([&body["errorMessage"], &body["reasonMessage"], &result["failDetails"]]),
        "extracted": analysis(body)["extractedInfo"],
        "transcript": transcript(&body["transcription"]),
        "transfers": result["transferInformation"].as_array().map(Vec::len),
        "links": {"inspector": body["inspectorUrl"], "recording": body["recordingUrl"]},
        "created_at": body["createdTime"],
        "finished_at": body["completedTime"],
    });
    record["call_data"] = picked(&call.call_data_as()?, copy_call_data);
    Ok(without_nothing(record))
}

fn analysis(body: &Value) -> &Value {
    &body["result"]["postCallAnalysis"]
}

fn first_text<const N: usize>(candidates: [&Value; N]) -> Option<&str> {
    candidates
        .into_iter()
        .filter_map(Value::as_str)
        .find(|text| !text.is_empty())
}

/// How much was said by whom, not what.
fn transcript(transcription: &Value) -> Value {
    let Some(utterances) = transcription.as_array() else {
        return Value::Null;
    };
    let by = |speaker: &'static str| {
        utterances
            .iter()
            .filter(move |said| said["speaker"] == speaker)
    };
    let words = |said: &Value| {
        said["text"]
            .as_str()
            .map_or(0, |text| text.split_whitespace().count())
    };
    json!({
        "utterances": utterances.len(),
        "by_customer": by("user").count(),
        "by_agent": by("assistant").count(),
        "customer_words": by("user").map(words).sum::<usize>(),
    })
}

fn picked(data: &Value, fields: &[String]) -> Value {
    let pick = |field: &String| data.get(field).map(|value| (field.clone(), value.clone()));
    Value::Object(fields.iter().filter_map(pick).collect())
}

/// Leaves out fields that hold nothing; a record's own objects go when nothing
/// is left in them.
fn without_nothing(record: Value) -> Value {
    let Value::Object(fields) = record else {
        return record;
    };
    let kept: Map<String, Value> = fields
        .into_iter()
        .map(|(name, value)| (name, without_nothing(value)))
        .filter(|(_, value)| !is_nothing(value))
        .collect();
    Value::Object(kept)
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use hookswitch_sdk::testing;

    use super::*;

    fn record_of(kind: &str, body: &Value, copy: &[String]) -> Value {
        let call = testing::call()
            .outbound("+14155551234")
            .call_data(json!({"campaignId": "Q4_outreach", "secret": "s"}))
            .build();
        let event = testing::event(kind, call, body);
        make(&event, body, "the_outcome", copy).unwrap()
    }

    #[test]
    fn a_completed_call_becomes_a_whole_record() {
        let body = json!({
            "callType": "OutboundAudio",
            "createdTime": "2025-10-20T15:30:00.000Z",
            "completedTime": "2025-10-20T15:35:00.000Z",
            "durationSeconds": 312,
            "inspectorUrl": "https://blackbox.dasha.ai/calls/1",
            "recordingUrl": "https://storage.blackbox.dasha.ai/1.mp3",
            "result": {
                "finishReason": "user_hangup",
                "postCallAnalysis": {
                    "sentiment": "positive",
                    "satisfactionScore": 8.5,
                    "extractedInfo": {"customerName": "John Doe", "contactEmail": null},
                },
                "transferInformation": [],
            },
            "transcription": [
                {"speaker": "assistant", "text": "Hello! How can I help you today?"},
                {"speaker": "user", "text": "I'd like to schedule an appointment."},
            ],
        });
        let expected = json!({
            "event_id": "evt_test",
            "kind": "call.completed",
            "call_id": "call_abc123def456",
            "agent_id": "agent_xyz789",
            "phone": "+14155551234",
            "call_type": "OutboundAudio",
            "outcome": "the_outcome",
            "sentiment": "positive",
            "satisfaction": 8.5,
            "duration_seconds": 312,
            "finish_reason": "user_hangup",
            "extracted": {"customerName": "John Doe"},
            "transcript": {"utterances": 2, "by_customer": 1, "by_agent": 1, "customer_words": 6},
            "transfers": 0,
            "links": {
                "inspector": "https://blackbox.dasha.ai/calls/1",
                "recording": "https://storage.blackbox.dasha.ai/1.mp3",
            },
            "created_at": "2025-10-20T15:30:00.000Z",
            "finished_at": "2025-10-20T15:35:00.000Z",
        });
        assert_eq!(record_of("call.completed", &body, &[]), expected);
    }

    #[test]
    fn what_is_not_there_is_left_out() {
        let expected = json!({
            "event_id": "evt_test",
            "kind": "call.failed",
            "call_id": "call_abc123def456",
            "agent_id": "agent_xyz789",
            "phone": "+14155551234",
            "outcome": "the_outcome",
            "error": "Call was not answered within timeout period",
        });
        let body =
            json!({"errorMessage": "Call was not answered within timeout period", "result": null});
        assert_eq!(record_of("call.failed", &body, &[]), expected);
    }

    #[test]
    fn chosen_fields_of_the_calls_data_go_along() {
        let record = record_of(
            "call.deadline",
            &json!({}),
            &["campaignId".to_owned(), "x".to_owned()],
        );
        assert_eq!(record["call_data"], json!({"campaignId": "Q4_outreach"}));
    }

    #[test]
    fn a_payload_of_another_shape_makes_a_short_record() {
        for body in [
            json!([]),
            json!("text"),
            json!({"result": 7, "transcription": {"a": 1}}),
        ] {
            assert_eq!(
                record_of("call.completed", &body, &[])["outcome"],
                "the_outcome"
            );
        }
    }
}
