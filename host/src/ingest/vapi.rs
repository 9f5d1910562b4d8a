//! Vapi: everything is a message; three of its questions have handlers here.
//!
//! Sources: the platform's documents (server events, custom tools, server
//! authentication), its OpenAPI description, and payloads captured in the field, read in
//! 2026. They disagree about how a tool call is written, so each form is read
//! (`tool_calls.rs`). Several calls may come in one message; they are taken as so many
//! questions. `call` may be absent, `customer` and `phoneNumber` stand beside it.

mod reply;
mod sample;
mod tool_calls;

use std::borrow::Cow;

use ::http::HeaderMap;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use self::tool_calls::ToolCall;
use super::payload;
use super::proof::{self, Unproven};
use super::{Claim, Dialect, Mode, Reply, Sample, Scheme, Signed, Split};
use crate::domain::Json;
use crate::domain::decision::{Answer, InvalidAnswer, Reason, Target};
use crate::domain::event::{Call, CallEvent, Kind, Matter, Question, Sip, Utterance};
use crate::domain::id::EventId;
use crate::domain::plugin::Handler;
use crate::domain::proof::{Algorithm, Encoding, HmacForm};
use crate::domain::secret::Secret;
use crate::domain::source::Patience;
use crate::json::{self, ReadError};

#[derive(Debug)]
pub(super) struct Vapi;

const NAME: &str = "vapi";

/// The questions that have handlers.
const ASSISTANT_REQUEST: &str = "assistant-request";
const TOOL_CALLS: &str = "tool-calls";
const TRANSFER_REQUEST: &str = "transfer-destination-request";
/// Whether a campaign calls a contact.
const PREDIAL: &str = "campaign.predial";

/// The others, with what lets the platform go on.
const HANDOFF_REQUEST: &str = "handoff-destination-request";
const KNOWLEDGE_REQUEST: &str = "knowledge-base-request";
const VOICE_REQUEST: &str = "voice-request";
const ENDPOINTING_REQUEST: &str = "call.endpointing.request";

const STATUS_UPDATE: &str = "status-update";
const REPORT: &str = "end-of-call-report";

/// Its notices. The first two are told apart by what they say.
const NOTICES: &[(&str, Kind)] = &[
    (STATUS_UPDATE, Kind::of("call.status")),
    (REPORT, Kind::COMPLETED),
    ("transcript", Kind::TRANSCRIPTION),
    ("transcript[transcriptType=\"final\"]", Kind::TRANSCRIPTION),
    ("conversation-update", Kind::of("call.conversation")),
    ("speech-update", Kind::of("call.speech")),
    ("assistant.speechStarted", Kind::of("call.speech")),
    ("assistant.started", Kind::of("call.assistant")),
    ("user-interrupted", Kind::of("call.interruption")),
    ("hang", Kind::of("call.hang")),
    ("model-output", Kind::of("call.model_output")),
    ("voice-input", Kind::of("call.voice_input")),
    ("language-change-detected", Kind::of("call.language")),
    ("language-changed", Kind::of("call.language")),
    ("transfer-update", Kind::of("transfer.update")),
    ("phone-call-control", Kind::of("call.control")),
    ("call.deleted", Kind::of("call.deleted")),
    ("call.delete.failed", Kind::of("call.delete_failed")),
    ("call.artifact.upload", Kind::of("call.artifact")),
    ("chat.created", Kind::of("chat.created")),
    ("chat.deleted", Kind::of("chat.deleted")),
    ("session.created", Kind::of("session.created")),
    ("session.updated", Kind::of("session.updated")),
    ("session.deleted", Kind::of("session.deleted")),
    (HANDOFF_REQUEST, Kind::of("call.handoff")),
    (KNOWLEDGE_REQUEST, Kind::of("call.knowledge")),
    (VOICE_REQUEST, Kind::of("call.voice")),
    (ENDPOINTING_REQUEST, Kind::of("call.endpointing")),
];

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow)]
    message: Option<&'a RawValue>,
}

/// What is read of a message; all the rest reaches the plugin as the raw payload.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    #[serde(rename = "type")]
    named: Option<String>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
    #[serde(borrow)]
    ended_reason: Option<&'a RawValue>,
    #[serde(borrow)]
    call: Option<CallPayload<'a>>,
    #[serde(borrow)]
    customer: Option<&'a RawValue>,
    #[serde(borrow)]
    phone_number: Option<&'a RawValue>,
    #[serde(borrow)]
    assistant: Option<&'a RawValue>,
    /// Of a campaign.
    #[serde(borrow)]
    contact: Option<&'a RawValue>,
    #[serde(borrow)]
    artifact: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct CallPayload<'a> {
    id: Option<String>,
    org_id: Option<String>,
    #[serde(rename = "type", borrow)]
    call_type: Option<&'a RawValue>,
    status: Option<String>,
    assistant_id: Option<String>,
    #[serde(borrow)]
    customer: Option<&'a RawValue>,
    #[serde(borrow)]
    phone_number: Option<&'a RawValue>,
    #[serde(borrow)]
    assistant: Option<&'a RawValue>,
    #[serde(borrow)]
    assistant_overrides: Option<&'a RawValue>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Customer {
    number: Option<String>,
    sip_uri: Option<String>,
}

impl Customer {
    fn address(self) -> Option<String> {
        self.number.or(self.sip_uri).filter(|it| !it.is_empty())
    }
}

#[derive(Deserialize)]
struct PhoneNumber {
    number: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Assistant<'a> {
    id: Option<String>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
    /// Where the assistant is an override.
    #[serde(borrow)]
    variable_values: Option<&'a RawValue>,
}

impl Dialect for Vapi {
    fn name(&self) -> &'static str {
        NAME
    }

    fn notices(&self) -> &'static [(&'static str, Kind)] {
        NOTICES
    }

    fn scheme(&self) -> &'static dyn Scheme {
        &Signature
    }

    fn patience(&self) -> Patience {
        Patience {
            start_ms: 7_500,
            transfer_ms: 20_000,
            tool_ms: 20_000,
            ..Patience::default()
        }
    }

    fn split(&self, payload: &str) -> Result<Option<Split>, ReadError> {
        let payloads = tool_calls::split(payload)?;
        Ok(payloads.map(|payloads| Split {
            payloads,
            join: reply::join,
        }))
    }

    fn parse(&self, text: &str) -> Result<CallEvent, ReadError> {
        let payload: Payload<'_> = json::object(text)?;
        let raw = payload
            .message
            .ok_or_else(|| ReadError::missing("message"))?;
        let mut message: Message<'_> = json::part(raw, "message")?;
        let message_type = payload::required(message.named.take(), "message.type")?;
        let matter = matter(&message_type, &message, raw)?;
        Ok(CallEvent {
            call: call(&message_type, message)?,
            matter,
            platform_type: message_type,
        })
    }

    fn accept(
        &self,
        asked: &CallEvent,
        agent_config: Option<&RawValue>,
        additional_data: Option<&RawValue>,
    ) -> Result<Json, InvalidAnswer> {
        reply::accept(asked, agent_config, additional_data)
    }

    fn reject(&self, asked: &CallEvent, reason: &Reason) -> Result<Json, InvalidAnswer> {
        reply::reject(asked, reason)
    }

    fn transfer(
        &self,
        _asked: &CallEvent,
        mode: Mode,
        target: &Target,
    ) -> Result<Json, InvalidAnswer> {
        reply::transfer(mode, target)
    }

    fn tool(&self, asked: &CallEvent, result: &RawValue) -> Result<Json, InvalidAnswer> {
        reply::tool(asked, result)
    }

    fn read_reply(&self, asked: &CallEvent, text: &str) -> Result<Answer, ReadError> {
        match asked.kind().handler() {
            Handler::Start => reply::read_start(asked, text).map(Answer::Start),
            Handler::Transfer => reply::read_transfer(text).map(Answer::Transfer),
            Handler::Tool | Handler::Event => reply::read_tool(asked, text).map(Answer::Tool),
        }
    }

    /// What no handler is for goes on as if nobody had been asked, where the platform
    /// has a word for that.
    fn acknowledge(&self, notice: &CallEvent, event: EventId) -> Reply {
        let go_on = match notice.platform_type.as_str() {
            HANDOFF_REQUEST => json!({"error": "there is nobody to hand over to"}),
            KNOWLEDGE_REQUEST => json!({"documents": []}),
            VOICE_REQUEST | ENDPOINTING_REQUEST => return Reply::Unavailable,
            _ => return Reply::Body(payload::received(event)),
        };
        payload::written(&go_on).map_or(Reply::Unavailable, Reply::Body)
    }

    fn sample(&self, sample: &Sample) -> Option<Json> {
        sample::write(sample)
    }
}

fn matter(message_type: &str, message: &Message<'_>, raw: &RawValue) -> Result<Matter, ReadError> {
    let question = match message_type {
        ASSISTANT_REQUEST | PREDIAL => Question::Start { agent_config: None },
        TRANSFER_REQUEST => Question::Transfer {
            reason: None,
            transcription: transcription(message.artifact),
        },
        TOOL_CALLS => {
            let ToolCall {
                id,
                name,
                arguments,
            } = tool_calls::only(raw)?;
            Question::Tool {
                id: Some(id),
                name,
                arguments,
            }
        }
        _ => return Ok(Matter::Notice(notice(message_type, message))),
    };
    Ok(Matter::Question(question))
}

fn notice(message_type: &str, message: &Message<'_>) -> Kind {
    match message_type {
        STATUS_UPDATE if payload::lenient(message.status) == Some("in-progress") => Kind::STARTED,
        REPORT if failed(message) => Kind::FAILED,
        _ => Vapi.notice(message_type),
    }
}

/// Whether a call ended before it was a conversation, or because something broke. There
/// are hundreds of reasons, and new ones come: their words tell.
fn failed(report: &Message<'_>) -> bool {
    const BEGINNINGS: &[&str] = &[
        "customer-did-not-answer",
        "customer-busy",
        "assistant-request-",
        "vonage-rejected",
    ];
    let reason = payload::lenient_text(report.ended_reason).unwrap_or_default();
    reason.contains("error")
        || reason.contains("failed")
        || BEGINNINGS
            .iter()
            .any(|beginning| reason.starts_with(beginning))
}

/// What was said, in either form of the platform's messages. Tools and prompts are not
/// said.
fn transcription(artifact: Option<&RawValue>) -> Vec<Utterance> {
    #[derive(Deserialize)]
    struct Artifact<'a> {
        #[serde(borrow)]
        messages: Option<Vec<&'a RawValue>>,
    }
    #[derive(Deserialize)]
    struct Spoken<'a> {
        role: String,
        message: String,
        #[serde(borrow)]
        time: Option<&'a RawValue>,
        #[serde(borrow, rename = "endTime")]
        end_time: Option<&'a RawValue>,
    }
    let time = |raw: Option<&RawValue>| {
        let millisecond: f64 = payload::lenient(raw)?;
        let time = Timestamp::from_millisecond(millisecond as i64).ok()?;
        Some(payload::before(time, 0))
    };
    let artifact: Option<Artifact<'_>> = payload::lenient(artifact);
    let messages = artifact.and_then(|it| it.messages).unwrap_or_default();
    let spoken = messages.into_iter().filter_map(|raw| {
        let spoken: Spoken<'_> = payload::lenient(Some(raw))?;
        let speaker = match spoken.role.as_str() {
            "bot" | "assistant" => "assistant",
            "user" => "user",
            _ => return None,
        };
        Some(Utterance {
            speaker: speaker.to_owned(),
            name: None,
            text: spoken.message,
            start_time: time(spoken.time),
            end_time: time(spoken.end_time),
        })
    });
    spoken.collect()
}

fn call(message_type: &str, message: Message<'_>) -> Result<Call, ReadError> {
    let call = message.call.unwrap_or_default();
    // Only what is about a call needs one: tools may be tried out in a chat.
    let id = match message_type {
        ASSISTANT_REQUEST | TRANSFER_REQUEST => payload::required(call.id, "message.call.id")?,
        _ => payload::optional(call.id, "message.call.id")?,
    };
    let address = |raw| payload::lenient::<Customer>(raw).and_then(Customer::address);
    let number = |raw| payload::lenient::<PhoneNumber>(raw).and_then(|it| it.number);
    let assistant = |raw| payload::lenient::<Assistant<'_>>(raw).unwrap_or_default();
    let customer = address(message.customer)
        .or_else(|| address(call.customer))
        .or_else(|| address(message.contact));
    let line = number(message.phone_number).or_else(|| number(call.phone_number));
    let told = assistant(message.assistant);
    let own = assistant(call.assistant);
    let overrides = assistant(call.assistant_overrides);
    let inbound = payload::lenient(call.call_type) == Some("inboundPhoneCall");
    let object = |raw| payload::object(raw, "").unwrap_or(None);
    let (variables, attached, metadata) = (
        object(overrides.variable_values),
        object(overrides.metadata),
        object(call.metadata),
    );
    Ok(Call {
        platform: NAME,
        org_id: payload::optional(call.org_id, "message.call.orgId")?,
        agent_id: match (call.assistant_id, told.id.or(own.id)) {
            (Some(id), _) => payload::short(id, "message.call.assistantId")?,
            // Whoever is described in full may have any id, or none.
            (None, id) => id
                .filter(|id| id.len() <= payload::MAX_WORD_BYTES)
                .unwrap_or_default(),
        },
        call_id: id,
        status: payload::optional(call.status, "message.call.status")?,
        call_data: payload::merged([
            variables.as_deref(),
            attached.as_deref(),
            metadata.as_deref(),
        ]),
        agent_data: payload::merged([object(told.metadata.or(own.metadata)).as_deref()]),
        sip: inbound.then(|| Sip {
            from_user: customer.clone(),
            to_user: line,
            ..Sip::default()
        }),
        endpoint: customer,
    })
}

/// The HMAC that the platform makes unless its customer changes a part of it: in hex, of
/// `timestamp.body`. The time's unit is not documented; both are seen.
#[derive(Debug)]
struct Signature;

const SIGNATURE: &str = "x-signature";
const TIMESTAMP: &str = "x-timestamp";

impl Scheme for Signature {
    fn header(&self) -> &'static str {
        SIGNATURE
    }

    fn claim<'r>(&self, headers: &'r HeaderMap, body: &'r [u8]) -> Result<Claim<'r>, Unproven> {
        let (stamp, at) = proof::stamp(TIMESTAMP, headers)?;
        let signature = proof::signature(SIGNATURE, &HmacForm::default(), headers)?;
        Ok(Claim::Signed(Signed {
            algorithm: Algorithm::Sha256,
            message: [stamp.as_bytes(), b".", body].map(Cow::Borrowed).to_vec(),
            signatures: vec![signature],
            at: Some(at),
        }))
    }

    fn prove(&self, secret: &Secret, headers: &mut HeaderMap, body: &[u8], now: Timestamp) {
        let stamp = now.as_millisecond().to_string();
        let key = secret.expose().as_bytes();
        let mac = Algorithm::Sha256.hmac(key, &[stamp.as_bytes(), b".", body]);
        proof::add(headers, TIMESTAMP, &stamp);
        proof::add(headers, SIGNATURE, &Encoding::Hex.write(&mac));
    }
}

#[cfg(test)]
mod tests;
