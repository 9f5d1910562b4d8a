//! Retell: one question before a call, one for each custom function, and notices.
//!
//! Sources: the platform's documents (inbound call webhook, custom functions, webhooks,
//! secure webhook) and both of its SDKs, read in 2026. There is no question where to
//! transfer. An inbound call has no id yet when it is asked about. Documents of
//! different ages differ in which fields there are, so nearly all are optional.

use std::borrow::Cow;
use std::collections::BTreeMap;

use ::http::HeaderMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use super::payload::{self, Fields};
use super::proof::{self, Unproven};
use super::{Claim, Dialect, Reply, Said, Sample, Scheme, Signed, Topic};
use crate::domain::decision::{Answer, InvalidAnswer, Reason, StartAnswer, ToolAnswer};
use crate::domain::event::{Call, CallEvent, Kind, Matter, Question, Sip};
use crate::domain::id::EventId;
use crate::domain::plugin::Handler;
use crate::domain::proof::{Algorithm, Encoding};
use crate::domain::secret::Secret;
use crate::domain::source::Patience;
use crate::domain::{Json, empty_object};
use crate::json::{self, ReadError};

#[derive(Debug)]
pub(super) struct Retell;

const NAME: &str = "retell";

/// The question before an inbound call.
const CALL_INBOUND: &str = "call_inbound";
/// What a custom function is called here: it has no type of its own.
const CUSTOM_FUNCTION: &str = "custom_function";
/// The question before an inbound chat by SMS, which no handler is for: it goes on.
const CHAT_INBOUND: &str = "chat_inbound";
const CALL_ENDED: &str = "call_ended";

/// Its notices. `call_ended` is told apart by how it ended.
const NOTICES: &[(&str, Kind)] = &[
    ("call_started", Kind::STARTED),
    (CALL_ENDED, Kind::COMPLETED),
    ("call_analyzed", Kind::of("call.analyzed")),
    ("transcript_updated", Kind::TRANSCRIPTION),
    ("transfer_started", Kind::of("transfer.started")),
    ("transfer_bridged", Kind::of("transfer.bridged")),
    ("transfer_cancelled", Kind::of("transfer.cancelled")),
    ("transfer_ended", Kind::of("transfer.ended")),
    (CHAT_INBOUND, Kind::of("chat.inbound")),
    ("chat_started", Kind::of("chat.started")),
    ("chat_ended", Kind::of("chat.ended")),
    ("chat_analyzed", Kind::of("chat.analyzed")),
];

#[derive(Deserialize)]
struct Payload<'a> {
    event: Option<String>,
    call_inbound: Option<InboundPayload<'a>>,
    #[serde(borrow)]
    call: Option<CallPayload<'a>>,
    /// Of a custom function.
    name: Option<String>,
    #[serde(borrow)]
    args: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct InboundPayload<'a> {
    agent_id: Option<String>,
    from_number: Option<String>,
    to_number: Option<String>,
    #[serde(borrow)]
    custom_sip_headers: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct CallPayload<'a> {
    call_id: Option<String>,
    agent_id: Option<String>,
    call_status: Option<String>,
    #[serde(borrow)]
    direction: Option<&'a RawValue>,
    #[serde(borrow)]
    from_number: Option<&'a RawValue>,
    #[serde(borrow)]
    to_number: Option<&'a RawValue>,
    #[serde(borrow)]
    disconnection_reason: Option<&'a RawValue>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    retell_llm_dynamic_variables: Option<&'a RawValue>,
}

impl Dialect for Retell {
    fn name(&self) -> &'static str {
        NAME
    }

    fn notices(&self) -> &'static [(&'static str, Kind)] {
        NOTICES
    }

    fn scheme(&self) -> &'static dyn Scheme {
        &Signature
    }

    /// A custom function's time can be set there; its default is two minutes.
    fn patience(&self) -> Patience {
        Patience {
            start_ms: 10_000,
            tool_ms: 120_000,
            ..Patience::default()
        }
    }

    fn parse(&self, text: &str) -> Result<CallEvent, ReadError> {
        let mut payload: Payload<'_> = json::object(text)?;
        match payload.event.take().filter(|event| !event.is_empty()) {
            Some(event) if event == CALL_INBOUND => inbound(payload, event),
            Some(event) => notice(payload, payload::short(event, "event")?),
            None if payload.name.is_some() && payload.call.is_some() => function(payload),
            None => Err(ReadError::missing("event")),
        }
    }

    /// The configuration is the fields of the reply: which agent, what of it is other.
    fn accept(
        &self,
        asked: &CallEvent,
        agent_config: Option<&RawValue>,
        additional_data: Option<&RawValue>,
    ) -> Result<Json, InvalidAnswer> {
        let mut reply = match agent_config.or(asked.agent_config()) {
            Some(config) => payload::fields(config, "agent-config")?,
            None => Fields::new(),
        };
        // A configuration lets calls start: refusing is another answer.
        reply.remove("reject");
        if let Some(data) = additional_data {
            let mut variables = match reply.get(VARIABLES) {
                Some(variables) => payload::fields(variables, "agent-config.dynamic_variables")?,
                None => Fields::new(),
            };
            for (name, value) in payload::fields(data, "additional-data")? {
                variables.insert(name, as_text(&value)?);
            }
            reply.insert(VARIABLES.to_owned(), payload::reply(&variables)?);
        }
        payload::reply(&BTreeMap::from([(CALL_INBOUND, reply)]))
    }

    /// There is no room for the reason. Anything else in the reply could undo it.
    fn reject(&self, _asked: &CallEvent, _reason: &Reason) -> Result<Json, InvalidAnswer> {
        payload::reply(&json!({ CALL_INBOUND: { "reject": true } }))
    }

    fn tool(&self, _asked: &CallEvent, result: &RawValue) -> Result<Json, InvalidAnswer> {
        Ok(result.to_owned())
    }

    fn read_reply(&self, asked: &CallEvent, reply: &str) -> Result<Answer, ReadError> {
        if asked.kind().handler() == Handler::Start {
            return read_start(reply).map(Answer::Start);
        }
        let result = serde_json::from_str::<&RawValue>(reply);
        Ok(Answer::Tool(ToolAnswer::Answer {
            result: result.map_err(ReadError::NotJson)?.to_owned(),
        }))
    }

    fn acknowledge(&self, notice: &CallEvent, event: EventId) -> Reply {
        Reply::Body(if notice.platform_type == CHAT_INBOUND {
            let go_on = payload::written(&json!({ CHAT_INBOUND: {} }));
            go_on.unwrap_or_else(empty_object)
        } else {
            payload::received(event)
        })
    }

    fn sample(&self, sample: &Sample) -> Option<Json> {
        write_sample(sample)
    }
}

const VARIABLES: &str = "dynamic_variables";

/// The platform's variables are texts; what is none goes there as JSON.
fn as_text(value: &RawValue) -> Result<Json, InvalidAnswer> {
    if value.get().starts_with('"') {
        return Ok(value.to_owned());
    }
    payload::reply(&value.get())
}

fn inbound(payload: Payload<'_>, event: String) -> Result<CallEvent, ReadError> {
    let Some(inbound) = payload.call_inbound else {
        return Err(ReadError::missing(CALL_INBOUND));
    };
    let from = payload::required(inbound.from_number, "call_inbound.from_number")?;
    let to = payload::required(inbound.to_number, "call_inbound.to_number")?;
    Ok(CallEvent {
        call: Call {
            platform: NAME,
            org_id: String::new(),
            agent_id: payload::optional(inbound.agent_id, "call_inbound.agent_id")?,
            call_id: String::new(),
            status: String::new(),
            endpoint: Some(from.clone()),
            call_data: payload::object_or_empty(
                inbound.custom_sip_headers,
                "call_inbound.custom_sip_headers",
            )?,
            agent_data: empty_object(),
            sip: Some(sip(from, to)),
        },
        matter: Matter::Question(Question::Start { agent_config: None }),
        platform_type: event,
    })
}

fn function(payload: Payload<'_>) -> Result<CallEvent, ReadError> {
    let name = payload::required(payload.name, "name")?;
    let arguments = payload::object_or_empty(payload.args, "args")?;
    let call = payload.call.ok_or_else(|| ReadError::missing("call"))?;
    payload::required(call.call_id.clone(), "call.call_id")?;
    Ok(CallEvent {
        call: read_call(call)?,
        matter: Matter::Question(Question::Tool {
            id: None,
            name,
            arguments,
        }),
        platform_type: CUSTOM_FUNCTION.to_owned(),
    })
}

fn notice(payload: Payload<'_>, event: String) -> Result<CallEvent, ReadError> {
    let mut kind = Retell.notice(&event);
    let about_a_call = kind != Kind::UNKNOWN && !event.starts_with("chat_");
    let call = match payload.call {
        Some(call) => call,
        None if about_a_call => return Err(ReadError::missing("call")),
        None => CallPayload::nobodys(),
    };
    if about_a_call {
        payload::required(call.call_id.clone(), "call.call_id")?;
    }
    if event == CALL_ENDED && call.failed() {
        kind = Kind::FAILED;
    }
    Ok(CallEvent {
        call: read_call(call)?,
        matter: Matter::Notice(kind),
        platform_type: event,
    })
}

/// Why calls end that never were a conversation, and what such reasons begin with.
const FAILURES: &[&str] = &[
    "dial_",
    "error_",
    "telephony_provider_",
    "invalid_destination",
    "sip_routing_error",
    "concurrency_limit_reached",
    "no_concurrency_fallback",
    "no_valid_payment",
    "registered_call_timeout",
    "scam_detected",
    "marked_as_spam",
    "user_declined",
];

impl CallPayload<'_> {
    fn nobodys() -> Self {
        Self {
            call_id: None,
            agent_id: None,
            call_status: None,
            direction: None,
            from_number: None,
            to_number: None,
            disconnection_reason: None,
            metadata: None,
            retell_llm_dynamic_variables: None,
        }
    }

    fn failed(&self) -> bool {
        let reason = payload::lenient_text(self.disconnection_reason).unwrap_or_default();
        FAILURES.iter().any(|failure| reason.starts_with(failure))
            || matches!(self.call_status.as_deref(), Some("error" | "not_connected"))
    }
}

fn read_call(call: CallPayload<'_>) -> Result<Call, ReadError> {
    let from = payload::lenient_text(call.from_number);
    let to = payload::lenient_text(call.to_number);
    let outbound = payload::lenient(call.direction) == Some("outbound");
    let endpoint = if outbound { to.clone() } else { from.clone() };
    let metadata = payload::object(call.metadata, "call.metadata").unwrap_or(None);
    let variables = call.retell_llm_dynamic_variables;
    let variables = payload::object(variables, "call.retell_llm_dynamic_variables")?;
    Ok(Call {
        platform: NAME,
        org_id: String::new(),
        agent_id: payload::optional(call.agent_id, "call.agent_id")?,
        call_id: payload::optional(call.call_id, "call.call_id")?,
        status: payload::optional(call.call_status, "call.call_status")?,
        endpoint,
        call_data: payload::merged([variables.as_deref(), metadata.as_deref()]),
        agent_data: empty_object(),
        sip: match (from, to) {
            (Some(from), Some(to)) if !outbound => Some(sip(from, to)),
            _ => None,
        },
    })
}

fn sip(from: String, to: String) -> Sip {
    Sip {
        from_user: Some(from),
        to_user: Some(to),
        ..Sip::default()
    }
}

fn read_start(reply: &str) -> Result<StartAnswer, ReadError> {
    #[derive(Deserialize)]
    struct Reply<'a> {
        #[serde(borrow)]
        call_inbound: &'a RawValue,
    }
    #[derive(Deserialize)]
    struct Fields<'a> {
        #[serde(borrow)]
        reject: Option<&'a RawValue>,
        override_agent_id: Option<String>,
        #[serde(borrow)]
        dynamic_variables: Option<&'a RawValue>,
    }
    let reply: Reply<'_> = json::object(reply)?;
    let config = payload::object_or_empty(Some(reply.call_inbound), CALL_INBOUND)?;
    let fields: Fields<'_> = json::part(&config, CALL_INBOUND)?;
    let at = "call_inbound.dynamic_variables";
    if let Some(variables) = payload::object(fields.dynamic_variables, at)? {
        json::part::<BTreeMap<String, String>>(&variables, at)?;
    }
    // Only this one rejects.
    if fields.reject.is_some_and(|reject| reject.get() == "true") {
        let reason = Reason::try_from("rejected".to_owned());
        let reason = reason.map_err(|error| ReadError::invalid("", error.to_string()))?;
        return Ok(StartAnswer::Reject { reason });
    }
    if fields.override_agent_id.is_some_and(|id| id.is_empty()) {
        return Err(ReadError::invalid(
            "call_inbound.override_agent_id",
            "must not be empty",
        ));
    }
    Ok(StartAnswer::Accept {
        agent_config: Some(config),
        additional_data: None,
    })
}

/// `v=<milliseconds>,d=<hex>`: the HMAC-SHA256 of the raw body and the time after it.
#[derive(Debug)]
struct Signature;

const SIGNATURE: &str = "x-retell-signature";

impl Scheme for Signature {
    fn header(&self) -> &'static str {
        SIGNATURE
    }

    fn claim<'r>(&self, headers: &'r HeaderMap, body: &'r [u8]) -> Result<Claim<'r>, Unproven> {
        let given = proof::only_text(headers, SIGNATURE)?;
        let malformed = || Unproven::MalformedSignature(SIGNATURE.to_owned());
        let parts = given.strip_prefix("v=").and_then(|it| it.split_once(",d="));
        let (stamp, digits) = parts.ok_or_else(malformed)?;
        let is_count = !stamp.is_empty() && stamp.bytes().all(|byte| byte.is_ascii_digit());
        let millisecond = stamp.parse().ok().filter(|_| is_count);
        let at = millisecond.and_then(|it| Timestamp::from_millisecond(it).ok());
        let signature = Encoding::Hex.read(digits.as_bytes());
        let signature = signature.filter(|it| it.len() == 32);
        Ok(Claim::Signed(Signed {
            algorithm: Algorithm::Sha256,
            message: vec![Cow::Borrowed(body), Cow::Borrowed(stamp.as_bytes())],
            signatures: vec![signature.ok_or_else(malformed)?],
            at: Some(at.ok_or_else(malformed)?),
        }))
    }

    fn prove(&self, secret: &Secret, headers: &mut HeaderMap, body: &[u8], now: Timestamp) {
        let stamp = now.as_millisecond().to_string();
        let key = secret.expose().as_bytes();
        let mac = Algorithm::Sha256.hmac(key, &[body, stamp.as_bytes()]);
        let value = format!("v={stamp},d={}", Encoding::Hex.write(&mac));
        proof::add(headers, SIGNATURE, &value);
    }
}

fn write_sample(sample: &Sample) -> Option<Json> {
    match &sample.topic {
        Topic::Start => payload::written(&json!({
            "event": CALL_INBOUND,
            "event_timestamp": sample.now.as_millisecond(),
            CALL_INBOUND: {
                "agent_id": sample.agent_id,
                "agent_version": 1,
                "from_number": sample.caller,
                "to_number": sample.line,
            },
        })),
        Topic::Tool { name, arguments } => payload::written(&SampleFunction {
            name,
            call: SampleCall::of(sample, "ongoing", None),
            args: arguments,
        }),
        Topic::Started => event("call_started", &SampleCall::of(sample, "ongoing", None)),
        Topic::Said => event(
            "transcript_updated",
            &SampleCall::of(sample, "ongoing", None),
        ),
        Topic::Completed => event(
            CALL_ENDED,
            &SampleCall::of(sample, "ended", Some("user_hangup")),
        ),
        Topic::Failed => {
            let call = SampleCall::of(sample, "not_connected", Some("dial_no_answer"));
            event(CALL_ENDED, &call)
        }
        Topic::Unknown => event("something_new", &SampleCall::of(sample, "ongoing", None)),
        Topic::Transfer { .. } | Topic::Deadline => None,
    }
}

fn event(name: &str, call: &SampleCall<'_>) -> Option<Json> {
    payload::written(&SampleEvent { event: name, call })
}

#[derive(Serialize)]
struct SampleEvent<'a> {
    event: &'a str,
    call: &'a SampleCall<'a>,
}

#[derive(Serialize)]
struct SampleFunction<'a> {
    name: &'a str,
    call: SampleCall<'a>,
    args: &'a RawValue,
}

#[derive(Serialize)]
struct SampleCall<'a> {
    call_type: &'static str,
    from_number: &'a str,
    to_number: &'a str,
    direction: &'static str,
    call_id: &'a str,
    agent_id: &'a str,
    call_status: &'static str,
    metadata: &'a RawValue,
    start_timestamp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_timestamp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disconnection_reason: Option<&'static str>,
    transcript_object: Vec<SampleUtterance<'a>>,
}

#[derive(Serialize)]
struct SampleUtterance<'a> {
    role: &'static str,
    content: &'a str,
    words: [(); 0],
}

impl<'a> SampleCall<'a> {
    fn of(sample: &'a Sample, status: &'static str, ended: Option<&'static str>) -> Self {
        let now = sample.now.as_millisecond();
        let role = |said: &Said| if said.by_customer { "user" } else { "agent" };
        let utterance = |said: &'a Said| SampleUtterance {
            role: role(said),
            content: &said.text,
            words: [],
        };
        Self {
            call_type: "phone_call",
            from_number: &sample.caller,
            to_number: &sample.line,
            direction: "inbound",
            call_id: &sample.call_id,
            agent_id: &sample.agent_id,
            call_status: status,
            metadata: &sample.call_data,
            start_timestamp: now - 30_000,
            end_timestamp: ended.map(|_| now),
            disconnection_reason: ended,
            transcript_object: sample.said.iter().map(utterance).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
