//! Sample messages, in the newest of the published forms.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{ASSISTANT_REQUEST, REPORT, STATUS_UPDATE, TOOL_CALLS, TRANSFER_REQUEST};
use crate::domain::Json;
use crate::ingest::payload;
use crate::ingest::{Said, Sample, Topic};

#[derive(Serialize)]
struct Payload<'a> {
    message: Message<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    #[serde(rename = "type")]
    named: &'static str,
    timestamp: i64,
    call: Call<'a>,
    customer: Party<'a>,
    phone_number: Party<'a>,
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
        tool_call_list: [ToolCall<'a>; 1],
    },
}

#[derive(Serialize)]
struct ToolCall<'a> {
    id: String,
    #[serde(rename = "type")]
    form: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: &'a RawValue,
}

#[derive(Serialize)]
struct Party<'a> {
    number: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Call<'a> {
    id: &'a str,
    org_id: &'static str,
    created_at: String,
    updated_at: String,
    #[serde(rename = "type")]
    way: &'static str,
    status: &'static str,
    assistant_id: Option<&'a str>,
    assistant: Assistant<'a>,
    customer: Party<'a>,
    metadata: &'a RawValue,
}

#[derive(Serialize)]
struct Assistant<'a> {
    metadata: &'a RawValue,
}

pub(super) fn write(sample: &Sample) -> Option<Json> {
    let (message_type, status, more) = about(sample)?;
    let customer = || Party {
        number: &sample.caller,
    };
    // Which assistant it shall be is what is asked then.
    let assistant = (message_type != ASSISTANT_REQUEST).then_some(sample.agent_id.as_str());
    payload::written(&Payload {
        message: Message {
            named: message_type,
            timestamp: sample.now.as_millisecond(),
            call: Call {
                id: &sample.call_id,
                org_id: "org_test",
                created_at: payload::before(sample.now, 60),
                updated_at: payload::before(sample.now, 0),
                way: "inboundPhoneCall",
                status,
                assistant_id: assistant,
                assistant: Assistant {
                    metadata: &sample.agent_data,
                },
                customer: customer(),
                metadata: &sample.call_data,
            },
            customer: customer(),
            phone_number: Party {
                number: &sample.line,
            },
            more,
        },
    })
}

/// The message's type, the call's state, and what else is in the message.
fn about(sample: &Sample) -> Option<(&'static str, &'static str, More<'_>)> {
    const GOING_ON: &str = "in-progress";
    let fields = |message_type, status, fields| (message_type, status, More::Fields(fields));
    Some(match &sample.topic {
        Topic::Start => fields(ASSISTANT_REQUEST, "ringing", json!({})),
        Topic::Started => fields(STATUS_UPDATE, GOING_ON, json!({"status": GOING_ON})),
        Topic::Said => {
            let said = sample.said.last()?;
            let role = if said.by_customer {
                "user"
            } else {
                "assistant"
            };
            let more = json!({
                "role": role, "transcriptType": "final", "transcript": said.text,
            });
            fields("transcript", GOING_ON, more)
        }
        Topic::Transfer { .. } => {
            let artifact = json!({"artifact": {"messages": messages(sample)}});
            fields(TRANSFER_REQUEST, GOING_ON, artifact)
        }
        Topic::Tool { name, arguments } => {
            let call = ToolCall {
                id: format!("call_{}", sample.now.as_nanosecond()),
                form: "function",
                function: Function { name, arguments },
            };
            let more = More::Tool {
                tool_call_list: [call],
            };
            (TOOL_CALLS, GOING_ON, more)
        }
        Topic::Completed => fields(REPORT, "ended", report(sample, "customer-ended-call")),
        Topic::Failed => fields(REPORT, "ended", report(sample, "customer-did-not-answer")),
        Topic::Unknown => fields("something-new", GOING_ON, json!({})),
        Topic::Deadline => return None,
    })
}

fn report(sample: &Sample, reason: &str) -> Value {
    json!({
        "endedReason": reason,
        "startedAt": payload::before(sample.now, 60),
        "endedAt": payload::before(sample.now, 0),
        "artifact": {"messages": messages(sample)},
        "analysis": {},
    })
}

fn messages(sample: &Sample) -> Vec<Value> {
    let message = |said: &Said| {
        json!({
            "role": if said.by_customer { "user" } else { "bot" },
            "message": said.text,
            "time": said.at.as_millisecond(),
        })
    };
    sample.said.iter().map(message).collect()
}
