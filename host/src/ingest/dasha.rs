//! Dasha BlackBox: seven payload types, three of them questions.
//!
//! Source: the platform's payload tables and samples (design text WIRE.md). It is
//! read tolerantly, as receivers in the field do: `status` tells the type when
//! `type` is missing, `args` stands for `arguments`, and unknown types and fields
//! are no error.

mod faults;
mod reply;
mod sample;

use ::http::HeaderMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::proof::{self, Unproven};
use super::{Claim, Dialect, Mode, Reply, Sample, Scheme, payload};
use crate::domain::decision::{Answer, InvalidAnswer, Reason, Target};
use crate::domain::event::{Call, CallEvent, Kind, Matter, Question, Sip, Utterance};
use crate::domain::id::EventId;
use crate::domain::inspection::Tool;
use crate::domain::plugin::Handler;
use crate::domain::proof::HmacForm;
use crate::domain::secret::Secret;
use crate::domain::source::Patience;
use crate::domain::{Json, is_object};
use crate::json::{self, ReadError};

#[derive(Debug)]
pub(super) struct Dasha;

const NOTICES: &[(&str, Kind)] = &[
    ("CompletedWebHookPayload", Kind::COMPLETED),
    ("FailedWebHookPayload", Kind::FAILED),
    ("CallDeadLineWebHookPayload", Kind::DEADLINE),
    ("UnknownWebHookPayload", Kind::UNKNOWN),
];

/// What is read of a payload; all the rest reaches the plugin as the raw payload.
/// Large parts stay raw: a completed call's transcript is not even looked at.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload<'a> {
    #[serde(rename = "type")]
    named_type: Option<String>,
    /// The type in the platform's older documents.
    event_type: Option<String>,
    status: Option<String>,
    call_id: Option<String>,
    agent_id: Option<String>,
    org_id: Option<String>,
    endpoint: Option<String>,
    #[serde(borrow)]
    call_additional_data: Option<&'a RawValue>,
    #[serde(borrow)]
    agent_additional_data: Option<&'a RawValue>,
    sip: Option<SipPayload>,
    #[serde(borrow)]
    original_agent_config: Option<&'a RawValue>,
    transfer_reason: Option<String>,
    #[serde(borrow)]
    transcription: Option<&'a RawValue>,
    tool_name: Option<String>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow)]
    args: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SipPayload {
    from_user: Option<String>,
    from_domain: Option<String>,
    to_user: Option<String>,
    to_domain: Option<String>,
    diversion: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UtterancePayload {
    #[serde(default)]
    speaker: String,
    name: Option<String>,
    #[serde(default)]
    text: String,
    start_time: Option<String>,
    end_time: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum PayloadType {
    Start,
    Completed,
    Failed,
    CallDeadLine,
    Transfer,
    Tool,
    Unknown,
}

impl PayloadType {
    fn named(name: &str) -> Self {
        match name {
            "StartWebHookPayload" => Self::Start,
            "CompletedWebHookPayload" => Self::Completed,
            "FailedWebHookPayload" => Self::Failed,
            "CallDeadLineWebHookPayload" => Self::CallDeadLine,
            "TransferWebHookPayload" => Self::Transfer,
            "ToolWebHookPayload" => Self::Tool,
            _ => Self::Unknown,
        }
    }

    /// By the names of the platform's older documents.
    fn named_before(name: &str) -> Self {
        match name {
            "call.completed" => Self::Completed,
            "call.failed" => Self::Failed,
            _ => Self::Unknown,
        }
    }

    /// The type of a payload that does not say it, from its call's status and,
    /// for a running call, from which fields are there.
    fn inferred(payload: &Payload<'_>, status: &str) -> Self {
        match status {
            "Queued" => Self::Start,
            "Completed" => Self::Completed,
            "Failed" => Self::Failed,
            "Canceled" => Self::CallDeadLine,
            "Running" if payload.tool_name.is_some() => Self::Tool,
            "Running" if payload.transcription.is_some() => Self::Transfer,
            _ => Self::Unknown,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Start => "StartWebHookPayload",
            Self::Completed => "CompletedWebHookPayload",
            Self::Failed => "FailedWebHookPayload",
            Self::CallDeadLine => "CallDeadLineWebHookPayload",
            Self::Transfer => "TransferWebHookPayload",
            Self::Tool => "ToolWebHookPayload",
            Self::Unknown => "UnknownWebHookPayload",
        }
    }
}

impl Dialect for Dasha {
    fn name(&self) -> &'static str {
        "dasha"
    }

    fn parse(&self, text: &str) -> Result<CallEvent, ReadError> {
        let mut payload: Payload<'_> = json::object(text)?;
        let (payload_type, platform_type) = payload_type(&mut payload)?;
        let matter = matter(&mut payload, payload_type)?;
        let call = call(payload, payload_type)?;
        Ok(CallEvent {
            call,
            matter,
            platform_type,
        })
    }

    fn notices(&self) -> &'static [(&'static str, Kind)] {
        NOTICES
    }

    fn scheme(&self) -> &'static dyn Scheme {
        &Signature
    }

    fn patience(&self) -> Patience {
        Patience::default()
    }

    fn accept(
        &self,
        _asked: &CallEvent,
        agent_config: Option<&RawValue>,
        additional_data: Option<&RawValue>,
    ) -> Result<Json, InvalidAnswer> {
        if let Some(config) = agent_config {
            check_agent_config(config)?;
        }
        payload::reply(&AcceptReply {
            accept: true,
            override_agent_config: agent_config,
            additional_data,
        })
    }

    fn reject(&self, _asked: &CallEvent, reason: &Reason) -> Result<Json, InvalidAnswer> {
        payload::reply(&RejectReply {
            accept: false,
            reason_message: reason.as_str(),
        })
    }

    /// What only the answer itself may say wins over the options.
    fn transfer(
        &self,
        _asked: &CallEvent,
        mode: Mode,
        target: &Target,
    ) -> Result<Json, InvalidAnswer> {
        let mut options = match &target.options {
            None => payload::Fields::new(),
            Some(options) => payload::fields(options, "options")?,
        };
        options.remove("type");
        options.remove("endpointDestination");
        payload::reply(&TransferReply {
            mode: match mode {
                Mode::Cold => "cold",
                Mode::Warm => "warm",
            },
            endpoint_destination: target.destination.as_str(),
            options,
        })
    }

    fn tool(&self, _asked: &CallEvent, result: &RawValue) -> Result<Json, InvalidAnswer> {
        Ok(result.to_owned())
    }

    fn read_reply(&self, asked: &CallEvent, reply: &str) -> Result<Answer, ReadError> {
        reply::read(asked.kind().handler(), reply)
    }

    fn faults(&self, handler: Handler, reply: &str) -> Vec<ReadError> {
        faults::of(handler, reply)
    }

    fn acknowledge(&self, _notice: &CallEvent, event: EventId) -> Reply {
        Reply::Body(payload::received(event))
    }

    fn sample(&self, sample: &Sample) -> Option<Json> {
        sample::write(sample)
    }
}

/// The HMAC of the raw body in hex, with or without `sha256=`. It stands in the
/// platform's older documents; newer ones know static headers alone.
#[derive(Debug)]
struct Signature;

const SIGNATURE: &str = "x-blackbox-signature";

impl Scheme for Signature {
    fn header(&self) -> &'static str {
        SIGNATURE
    }

    fn claim<'r>(&self, headers: &'r HeaderMap, body: &'r [u8]) -> Result<Claim<'r>, Unproven> {
        proof::usual_claim(SIGNATURE, headers, body)
    }

    fn prove(&self, secret: &Secret, headers: &mut HeaderMap, body: &[u8], _now: Timestamp) {
        let signature = HmacForm::default().sign(secret.expose().as_bytes(), "", body);
        proof::add(headers, SIGNATURE, &signature);
    }
}

/// The type, and the word for it that is stored.
fn payload_type(payload: &mut Payload<'_>) -> Result<(PayloadType, String), ReadError> {
    let given = |name: Option<String>| name.filter(|name| !name.is_empty());
    if let Some(name) = given(payload.named_type.take()) {
        return Ok((PayloadType::named(&name), payload::short(name, "type")?));
    }
    if let Some(status) = payload.status.as_deref() {
        let inferred = PayloadType::inferred(payload, status);
        return Ok((inferred, inferred.name().to_owned()));
    }
    if let Some(name) = given(payload.event_type.take()) {
        let before = PayloadType::named_before(&name);
        return Ok((before, payload::short(name, "eventType")?));
    }
    Err(ReadError::missing("type"))
}

fn matter(payload: &mut Payload<'_>, payload_type: PayloadType) -> Result<Matter, ReadError> {
    let question = match payload_type {
        PayloadType::Start => Question::Start {
            agent_config: payload::object(payload.original_agent_config, "originalAgentConfig")?,
        },
        PayloadType::Transfer => Question::Transfer {
            reason: payload.transfer_reason.take(),
            transcription: transcription(payload.transcription)?,
        },
        PayloadType::Tool => Question::Tool {
            id: None,
            name: tool_name(payload.tool_name.take())?,
            arguments: match payload.arguments {
                Some(arguments) => payload::object_or_empty(Some(arguments), "arguments")?,
                None => payload::object_or_empty(payload.args, "args")?,
            },
        },
        PayloadType::Completed
        | PayloadType::Failed
        | PayloadType::CallDeadLine
        | PayloadType::Unknown => return Ok(Matter::Notice(Dasha.notice(payload_type.name()))),
    };
    Ok(Matter::Question(question))
}

fn tool_name(name: Option<String>) -> Result<String, ReadError> {
    let name = payload::required(name, "toolName")?;
    if Tool::is_name(&name) {
        Ok(name)
    } else {
        Err(ReadError::invalid(
            "toolName",
            "must match ^[a-zA-Z_][a-zA-Z0-9_]*$",
        ))
    }
}

fn transcription(raw: Option<&RawValue>) -> Result<Vec<Utterance>, ReadError> {
    let Some(raw) = raw else {
        return Ok(Vec::new());
    };
    let utterances: Vec<UtterancePayload> = json::part(raw, "transcription")?;
    Ok(utterances
        .into_iter()
        .map(|said| Utterance {
            speaker: said.speaker,
            name: said.name,
            text: said.text,
            start_time: said.start_time,
            end_time: said.end_time,
        })
        .collect())
}

fn call(payload: Payload<'_>, payload_type: PayloadType) -> Result<Call, ReadError> {
    // An unknown type may be about no call at all.
    let id = |value: Option<String>, field| match payload_type {
        PayloadType::Unknown => payload::short(value.unwrap_or_default(), field),
        _ => payload::required(value, field),
    };
    Ok(Call {
        platform: Dasha.name(),
        org_id: payload::short(payload.org_id.unwrap_or_default(), "orgId")?,
        agent_id: id(payload.agent_id, "agentId")?,
        call_id: id(payload.call_id, "callId")?,
        status: payload::short(
            payload.status.unwrap_or_else(|| "Unknown".to_owned()),
            "status",
        )?,
        endpoint: payload.endpoint,
        call_data: payload::object_or_empty(payload.call_additional_data, "callAdditionalData")?,
        agent_data: payload::object_or_empty(payload.agent_additional_data, "agentAdditionalData")?,
        sip: payload.sip.map(|sip| Sip {
            from_user: sip.from_user,
            from_domain: sip.from_domain,
            to_user: sip.to_user,
            to_domain: sip.to_domain,
            diversion: sip.diversion.unwrap_or_default(),
        }),
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AcceptReply<'a> {
    accept: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    override_agent_config: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    additional_data: Option<&'a RawValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RejectReply<'a> {
    accept: bool,
    reason_message: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TransferReply<'a> {
    #[serde(rename = "type")]
    mode: &'a str,
    endpoint_destination: &'a str,
    #[serde(flatten)]
    options: payload::Fields,
}

/// What the platform cannot do without in a configuration.
const AGENT_CONFIG_KEYS: [&str; 3] = ["primaryLanguage", "ttsConfig", "llmConfig"];

/// The platform takes the configuration as it is, so what it cannot do without
/// must be there.
fn check_agent_config(config: &RawValue) -> Result<(), InvalidAnswer> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Keys {
        primary_language: Option<serde::de::IgnoredAny>,
        tts_config: Option<serde::de::IgnoredAny>,
        llm_config: Option<serde::de::IgnoredAny>,
    }
    let not_an_object = InvalidAnswer::NotAnObject("agent-config");
    if !is_object(config) {
        return Err(not_an_object);
    }
    let keys: Keys = serde_json::from_str(config.get()).map_err(|_| not_an_object)?;
    let values = [keys.primary_language, keys.tts_config, keys.llm_config];
    for (key, value) in AGENT_CONFIG_KEYS.into_iter().zip(values) {
        if value.is_none() {
            return Err(InvalidAnswer::IncompleteAgentConfig(key));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
