//! Any system that sends events in the envelope of Standard Webhooks: `type`,
//! `timestamp`, `data`, with the headers `webhook-id`, `webhook-timestamp` and
//! `webhook-signature`.
//!
//! Sources: the Standard Webhooks specification and the events that a platform's portal
//! lists without their wire format (design text WIRE.md, seed 003): conversations,
//! contacts, campaigns, integrations. Everything is a notice, and a type is its own kind;
//! what is known of a conversation has the kinds that calls have everywhere.

use std::borrow::Cow;

use ::http::HeaderMap;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use uuid::Uuid;

use super::payload;
use super::proof::{self, Unproven};
use super::{Claim, Dialect, NoKey, Reply, Sample, Scheme, Signed, Topic};
use crate::domain::decision::{Answer, InvalidAnswer, Reason};
use crate::domain::event::{Call, CallEvent, Kind, Matter};
use crate::domain::id::EventId;
use crate::domain::proof::{Algorithm, Encoding};
use crate::domain::secret::Secret;
use crate::domain::source::Patience;
use crate::domain::{Json, empty_object};
use crate::json::{self, ReadError};

#[derive(Debug)]
pub(super) struct Generic;

const NAME: &str = "generic";

/// Types whose kind has another name; all others are their own.
const KINDS: &[(&str, Kind)] = &[
    ("conversation.started", Kind::STARTED),
    ("conversation.completed", Kind::COMPLETED),
    ("conversation.failed", Kind::FAILED),
];

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type")]
    event_type: Option<String>,
    #[serde(borrow)]
    timestamp: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// What is read of the data, under each of the names that are usual.
#[derive(Deserialize)]
struct Data<'a> {
    #[serde(
        borrow,
        alias = "callId",
        alias = "conversation_id",
        alias = "conversationId"
    )]
    call_id: Option<&'a RawValue>,
    #[serde(
        borrow,
        alias = "agentId",
        alias = "assistant_id",
        alias = "assistantId"
    )]
    agent_id: Option<&'a RawValue>,
    #[serde(
        borrow,
        alias = "orgId",
        alias = "organization_id",
        alias = "organizationId"
    )]
    org_id: Option<&'a RawValue>,
    #[serde(borrow, alias = "phone", alias = "phone_number", alias = "phoneNumber")]
    endpoint: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
}

impl Dialect for Generic {
    fn name(&self) -> &'static str {
        NAME
    }

    fn notices(&self) -> &'static [(&'static str, Kind)] {
        KINDS
    }

    fn scheme(&self) -> &'static dyn Scheme {
        &StandardWebhooks
    }

    fn patience(&self) -> Patience {
        Patience::default()
    }

    fn parse(&self, text: &str) -> Result<CallEvent, ReadError> {
        let envelope: Envelope<'_> = json::object(text)?;
        let event_type = payload::required(envelope.event_type, "type")?;
        if envelope.timestamp.is_none() {
            return Err(ReadError::missing("timestamp"));
        }
        let data = envelope.data.ok_or_else(|| ReadError::missing("data"))?;
        let data = payload::object_or_empty(Some(data), "data")?;
        // Under two names at once, or not as expected: then nothing is known of it.
        let known: Option<Data<'_>> = serde_json::from_str(data.get()).ok();
        Ok(CallEvent {
            matter: Matter::Notice(kind(&event_type)),
            call: call(known),
            platform_type: event_type,
        })
    }

    fn accept(
        &self,
        _asked: &CallEvent,
        _agent_config: Option<&RawValue>,
        _additional_data: Option<&RawValue>,
    ) -> Result<Json, InvalidAnswer> {
        Err(InvalidAnswer::NeverAsked(NAME))
    }

    fn reject(&self, _asked: &CallEvent, _reason: &Reason) -> Result<Json, InvalidAnswer> {
        Err(InvalidAnswer::NeverAsked(NAME))
    }

    fn read_reply(&self, _asked: &CallEvent, _reply: &str) -> Result<Answer, ReadError> {
        Err(ReadError::invalid("", "nobody waits for this answer"))
    }

    fn acknowledge(&self, _notice: &CallEvent, event: EventId) -> Reply {
        Reply::Body(payload::received(event))
    }

    fn sample(&self, sample: &Sample) -> Option<Json> {
        write_sample(sample)
    }
}

/// A type that is no kind, or the name of a question or of an event of our own, is
/// unknown: nobody here waits for an answer.
fn kind(event_type: &str) -> Kind {
    if let Some((_, kind)) = KINDS.iter().find(|(name, _)| *name == event_type) {
        return kind.clone();
    }
    match Kind::parse(event_type) {
        Ok(kind) if !kind.is_question() && !kind.is_our_own() => kind,
        _ => Kind::UNKNOWN,
    }
}

fn call(data: Option<Data<'_>>) -> Call {
    // What could be anything is worth no refusal.
    let word = |value| {
        payload::lenient_text(value)
            .filter(|it| it.len() <= payload::MAX_WORD_BYTES)
            .unwrap_or_default()
    };
    let Some(data) = data else {
        return nobodys();
    };
    let metadata = payload::object(data.metadata, "data.metadata");
    Call {
        org_id: word(data.org_id),
        agent_id: word(data.agent_id),
        call_id: word(data.call_id),
        status: word(data.status),
        endpoint: payload::lenient_text(data.endpoint),
        call_data: metadata.unwrap_or(None).unwrap_or_else(empty_object),
        ..nobodys()
    }
}

fn nobodys() -> Call {
    Call {
        platform: NAME,
        org_id: String::new(),
        agent_id: String::new(),
        call_id: String::new(),
        status: String::new(),
        endpoint: None,
        call_data: empty_object(),
        agent_data: empty_object(),
        sip: None,
    }
}

/// `v1,<base64>` of the HMAC-SHA256 of `id.timestamp.body`; several may be there.
#[derive(Debug)]
struct StandardWebhooks;

const ID: &str = "webhook-id";
const TIMESTAMP: &str = "webhook-timestamp";
const SIGNATURE: &str = "webhook-signature";
/// More than anybody has while keys change.
const MOST_SIGNATURES: usize = 16;

/// Some write keys without padding.
const KEY: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl Scheme for StandardWebhooks {
    fn header(&self) -> &'static str {
        SIGNATURE
    }

    fn claim<'r>(&self, headers: &'r HeaderMap, body: &'r [u8]) -> Result<Claim<'r>, Unproven> {
        let id = proof::only_value(headers, ID)?;
        let stamp = proof::only_text(headers, TIMESTAMP)?;
        let second = stamp.parse().ok().filter(|_| !stamp.starts_with('+'));
        let at = second.and_then(|it| Timestamp::from_second(it).ok());
        let at = at.ok_or_else(|| Unproven::MalformedTime(TIMESTAMP.to_owned()))?;
        // Versions that we do not know are somebody else's.
        let signatures: Vec<Vec<u8>> = proof::only_text(headers, SIGNATURE)?
            .split(' ')
            .filter_map(|it| it.strip_prefix("v1,"))
            .filter_map(|it| Encoding::Base64.read(it.as_bytes()))
            .filter(|it| it.len() == 32)
            .take(MOST_SIGNATURES)
            .collect();
        if signatures.is_empty() {
            return Err(Unproven::MalformedSignature(SIGNATURE.to_owned()));
        }
        let dot = || Cow::Borrowed(&b"."[..]);
        let stamp = Cow::Borrowed(stamp.as_bytes());
        Ok(Claim::Signed(Signed {
            algorithm: Algorithm::Sha256,
            message: vec![Cow::Borrowed(id), dot(), stamp, dot(), Cow::Borrowed(body)],
            signatures,
            at: Some(at),
        }))
    }

    fn prove(&self, secret: &Secret, headers: &mut HeaderMap, body: &[u8], now: Timestamp) {
        let Ok(key) = self.key(secret) else { return };
        proof::add(headers, ID, &format!("msg_{}", Uuid::now_v7().simple()));
        proof::add(headers, TIMESTAMP, &now.as_second().to_string());
        let given = |name| headers.get(name).map_or(&b""[..], |it| it.as_bytes());
        let pieces = [given(ID), b".", given(TIMESTAMP), b".", body];
        let mac = Algorithm::Sha256.hmac(&key, &pieces);
        let signature = format!("v1,{}", Encoding::Base64.write(&mac));
        proof::add(headers, SIGNATURE, &signature);
    }

    fn key<'s>(&self, secret: &'s Secret) -> Result<Cow<'s, [u8]>, NoKey> {
        let text = secret.expose();
        let key = KEY.decode(text.strip_prefix("whsec_").unwrap_or(text));
        match key {
            Ok(key) if !key.is_empty() => Ok(Cow::Owned(key)),
            _ => Err(NoKey("whsec_ and the key in base64")),
        }
    }
}

#[derive(Serialize)]
struct SampleEnvelope<'a> {
    #[serde(rename = "type")]
    event_type: &'static str,
    timestamp: String,
    data: SampleData<'a>,
}

#[derive(Serialize)]
struct SampleData<'a> {
    conversation_id: &'a str,
    agent_id: &'a str,
    phone: &'a str,
    metadata: &'a RawValue,
    #[serde(flatten)]
    more: Value,
}

fn write_sample(sample: &Sample) -> Option<Json> {
    let (event_type, more) = match &sample.topic {
        Topic::Started => ("conversation.started", json!({"status": "running"})),
        Topic::Completed => ("conversation.completed", json!({"status": "completed"})),
        Topic::Failed => (
            "conversation.failed",
            json!({"status": "failed", "error": "the call was not answered"}),
        ),
        Topic::Unknown => ("Something.New", json!({})),
        Topic::Start
        | Topic::Said
        | Topic::Transfer { .. }
        | Topic::Tool { .. }
        | Topic::Deadline => return None,
    };
    payload::written(&SampleEnvelope {
        event_type,
        timestamp: payload::before(sample.now, 0),
        data: SampleData {
            conversation_id: &sample.call_id,
            agent_id: &sample.agent_id,
            phone: &sample.caller,
            metadata: &sample.call_data,
            more,
        },
    })
}

#[cfg(test)]
mod tests;
