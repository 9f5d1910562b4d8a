//! Sample payloads: the platform's published ones, of a call that is about now.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::PayloadType;
use crate::domain::Json;
use crate::ingest::payload::{self, before};
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
    endpoint: Option<&'a str>,
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

/// The platform says nothing when a call has begun, nor what is said meanwhile.
pub(super) fn write(sample: &Sample) -> Option<Json> {
    let payload_type = payload_type(&sample.topic)?;
    payload::written(&Payload {
        named_type: payload_type.name(),
        status: status(payload_type),
        call_id: &sample.call_id,
        agent_id: &sample.agent_id,
        org_id: "org_test",
        endpoint: (payload_type != PayloadType::Unknown).then_some(&sample.caller),
        call_additional_data: &sample.call_data,
        agent_additional_data: &sample.agent_data,
        more: more(sample)?,
    })
}

fn payload_type(topic: &Topic) -> Option<PayloadType> {
    Some(match topic {
        Topic::Start => PayloadType::Start,
        Topic::Transfer { .. } => PayloadType::Transfer,
        Topic::Tool { .. } => PayloadType::Tool,
        Topic::Completed => PayloadType::Completed,
        Topic::Failed => PayloadType::Failed,
        Topic::Deadline => PayloadType::CallDeadLine,
        Topic::Unknown => PayloadType::Unknown,
        Topic::Started | Topic::Said => return None,
    })
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

fn more(sample: &Sample) -> Option<More<'_>> {
    let now = sample.now;
    let inspector = format!("https://blackbox.dasha.ai/calls/{}", sample.call_id);
    Some(More::Fields(match &sample.topic {
        Topic::Tool { name, arguments } => {
            return Some(More::Tool {
                tool_name: name,
                arguments,
            });
        }
        Topic::Start => json!({
            "sip": {
                "fromUser": sample.caller, "fromDomain": "sip.provider.com",
                "toUser": sample.line, "toDomain": "blackbox.dasha.ai",
            },
            "originalAgentConfig": {
                "primaryLanguage": "en-US",
                "llmConfig": {"vendor": "openai", "model": "gpt-4.1-mini"},
                "ttsConfig": {"vendor": "elevenlabs"},
            },
        }),
        Topic::Transfer { reason } => json!({
            "transferReason":
                reason.as_deref().unwrap_or("The caller wants to speak to a person"),
            "transcription": said(sample, 12, "I'd like to speak to a person, please."),
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
            "transcription": said(sample, 307, "I'd like to schedule an appointment."),
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
        Topic::Started | Topic::Said => return None,
    }))
}

/// What was said, or a conversation that began so many seconds ago.
fn said(sample: &Sample, began: i64, wish: &str) -> Value {
    let now = sample.now;
    let utterance = |speaker: &str, text: &str, start: String, end: String| {
        json!({
            "speaker": speaker, "text": text, "startTime": start, "endTime": end,
        })
    };
    if sample.said.is_empty() {
        let greeting = "Hello! How can I help you today?";
        return json!([
            utterance(
                "assistant",
                greeting,
                before(now, began),
                before(now, began - 3)
            ),
            utterance("user", wish, before(now, began - 4), before(now, began - 7)),
        ]);
    }
    let said = sample.said.iter().map(|said| {
        let speaker = if said.by_customer {
            "user"
        } else {
            "assistant"
        };
        utterance(speaker, &said.text, before(said.at, 0), before(said.at, -2))
    });
    said.collect()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
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
            (Topic::Transfer { reason: None }, Kind::TRANSFER),
            (tool(), Kind::TOOL),
            (Topic::Completed, Kind::COMPLETED),
            (Topic::Failed, Kind::FAILED),
            (Topic::Deadline, Kind::DEADLINE),
            (Topic::Unknown, Kind::UNKNOWN),
        ] {
            let handler = topic.handler();
            let sample = Sample {
                call_id: "c".to_owned(),
                agent_id: "a".to_owned(),
                call_data: json(r#"{ "b":2.50 }"#),
                now: "2026-01-02T03:04:05Z".parse().unwrap(),
                ..Sample::about(topic)
            };
            let payload = write(&sample).unwrap();
            let event = Dasha.parse(payload.get()).unwrap();
            assert_eq!((event.kind(), event.kind().handler()), (kind, handler));
            let call = event.call;
            assert_eq!((&*call.call_id, &*call.agent_id), ("c", "a"));
            assert_eq!(call.call_data.get(), r#"{ "b":2.50 }"#, "as it was written");
        }
    }

    #[test]
    fn times_are_written_as_the_platform_does() {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        assert_eq!(before(now, 65), "2026-01-02T03:03:00.000Z");
        assert_eq!(before(Timestamp::MAX, -1), before(Timestamp::MAX, 0));
    }
}
