//! Sample payloads: the platform's published ones, of a call that is about now.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use super::PayloadType;
use crate::domain::{Json, empty_object};
use crate::ingest::{Sample, Topic};

/// The fields that all payloads have, in the order of the published samples.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Payload<'a> {
    #[serde(rename = "type")]
    named_type: &'static str,
    status: &'static str,
    call_id: &'a str,
    agent_id: &'a str,
    org_id: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<&'static str>,
    call_additional_data: &'a RawValue,
    agent_additional_data: &'a RawValue,
    #[serde(flatten)]
    more: More<'a>,
}

/// The fields of one type.
#[derive(Serialize)]
#[serde(untagged)]
enum More<'a> {
    Fields(Value),
    #[serde(rename_all = "camelCase")]
    Tool {
        tool_name: &'a str,
        arguments: &'a RawValue,
    },
}

/// A number that is nobody's.
const CALLER: &str = "+14155550100";

pub(super) fn write(sample: &Sample) -> Json {
    let payload_type = payload_type(&sample.topic);
    let payload = Payload {
        named_type: payload_type.name(),
        status: status(payload_type),
        call_id: &sample.call_id,
        agent_id: &sample.agent_id,
        org_id: "org_test",
        endpoint: (payload_type != PayloadType::Unknown).then_some(CALLER),
        call_additional_data: &sample.call_data,
        agent_additional_data: &sample.agent_data,
        more: more(sample),
    };
    // Only a map with keys that are no text cannot be written.
    to_raw_value(&payload).unwrap_or_else(|_| empty_object())
}

fn payload_type(topic: &Topic) -> PayloadType {
    match topic {
        Topic::Start => PayloadType::Start,
        Topic::Transfer => PayloadType::Transfer,
        Topic::Tool { .. } => PayloadType::Tool,
        Topic::Completed => PayloadType::Completed,
        Topic::Failed => PayloadType::Failed,
        Topic::Deadline => PayloadType::CallDeadLine,
        Topic::Unknown => PayloadType::Unknown,
    }
}

fn status(payload_type: PayloadType) -> &'static str {
    match payload_type {
        PayloadType::Start => "Queued",
        PayloadType::Transfer | PayloadType::Tool => "Running",
        PayloadType::Completed => "Completed",
        PayloadType::Failed => "Failed",
        PayloadType::CallDeadLine => "Canceled",
        PayloadType::Unknown => "Unknown",
    }
}

fn more(sample: &Sample) -> More<'_> {
    let now = sample.now;
    let inspector = format!("https://blackbox.dasha.ai/calls/{}", sample.call_id);
    More::Fields(match &sample.topic {
        Topic::Tool { name, arguments } => {
            return More::Tool {
                tool_name: name,
                arguments,
            };
        }
        Topic::Start => json!({
            "sip": {
                "fromUser": CALLER, "fromDomain": "sip.provider.com",
                "toUser": "agent-line", "toDomain": "blackbox.dasha.ai",
            },
            "originalAgentConfig": {
                "primaryLanguage": "en-US",
                "llmConfig": {"vendor": "openai", "model": "gpt-4.1-mini"},
                "ttsConfig": {"vendor": "elevenlabs"},
            },
        }),
        Topic::Transfer => json!({
            "transferReason": "The caller wants to speak to a person",
            "transcription": said(now, 12, "I'd like to speak to a person, please."),
        }),
        Topic::Completed => json!({
            "callType": "OutboundAudio",
            "createdTime": before(now, 312),
            "completedTime": before(now, 0),
            "durationSeconds": 312,
            "inspectorUrl": inspector,
            "recordingUrl":
                format!("https://storage.blackbox.dasha.ai/recordings/{}.mp3", sample.call_id),
            "result": {
                "finishReason": "user_hangup",
                "status": "success",
                "postCallAnalysis": {
                    "sentiment": "positive",
                    "satisfactionScore": 8.5,
                    "callOutcome": "appointment_booked",
                    "extractedInfo": {
                        "appointmentDate": before(now, -5 * 24 * 3600)[..10],
                        "customerName": "John Doe",
                        "contactEmail": "john@example.com",
                    },
                },
                "transferInformation": [],
            },
            "transcription": said(now, 307, "I'd like to schedule an appointment."),
        }),
        Topic::Failed => json!({
            "callType": "OutboundAudio",
            "createdTime": before(now, 60),
            "completedTime": before(now, 0),
            "errorMessage": "Call was not answered within timeout period",
            "inspectorUrl": inspector,
        }),
        Topic::Deadline => json!({
            "callType": "OutboundAudio",
            "createdTime": before(now, 3 * 3600),
            "completedTime": before(now, 0),
            "reasonMessage": "Call deadline expired before execution",
        }),
        Topic::Unknown => json!({}),
    })
}

/// A conversation that began so many seconds ago.
fn said(now: Timestamp, began: i64, wish: &str) -> Value {
    json!([
        {
            "speaker": "assistant",
            "text": "Hello! How can I help you today?",
            "startTime": before(now, began),
            "endTime": before(now, began - 3),
        },
        {
            "speaker": "user",
            "text": wish,
            "startTime": before(now, began - 4),
            "endTime": before(now, began - 7),
        },
    ])
}

/// A time as the platform writes it.
fn before(now: Timestamp, seconds: i64) -> String {
    let then = now.saturating_sub(SignedDuration::from_secs(seconds));
    format!("{:.3}", then.unwrap_or(now))
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::super::Dasha;
    use super::*;
    use crate::domain::event::Kind;
    use crate::ingest::Dialect as _;

    fn json(text: &str) -> Json {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn every_sample_is_read_as_what_it_is_about() {
        let tool = || Topic::Tool {
            name: "book".to_owned(),
            arguments: json(r#"{"n":1e400}"#),
        };
        for (topic, kind) in [
            (Topic::Start, Kind::START),
            (Topic::Transfer, Kind::TRANSFER),
            (tool(), Kind::TOOL),
            (Topic::Completed, Kind::COMPLETED),
            (Topic::Failed, Kind::FAILED),
            (Topic::Deadline, Kind::DEADLINE),
            (Topic::Unknown, Kind::UNKNOWN),
        ] {
            let handler = topic.handler();
            let sample = Sample {
                topic,
                call_id: "c".to_owned(),
                agent_id: "a".to_owned(),
                call_data: json(r#"{ "b":2.50 }"#),
                agent_data: empty_object(),
                now: "2026-01-02T03:04:05Z".parse().unwrap(),
            };
            let payload = write(&sample);
            let event = Dasha.parse(payload.get()).unwrap();
            assert_eq!((event.kind(), event.kind().handler()), (kind, handler));
            let call = event.call;
            assert_eq!((&*call.call_id, &*call.agent_id), ("c", "a"));
            assert_eq!(call.call_data.get(), r#"{ "b":2.50 }"#, "as it was written");
        }
    }

    #[test]
    fn times_are_written_as_the_platform_does() {
        let now = "2026-01-02T03:04:05Z".parse().unwrap();
        assert_eq!(before(now, 65), "2026-01-02T03:03:00.000Z");
        assert_eq!(before(Timestamp::MAX, -1), before(Timestamp::MAX, 0));
    }
}
