//! DSAI Core, and AVR, which is the same software under an older name: one question,
//! where a call's speech is sent, and notices.
//!
//! Sources: design text WIRE.md (seed 004), the guide and the sample receivers of
//! agentvoiceresponse, read in 2026. The only field of an answer that is read is
//! `sts_url`: a call has been answered when it is asked about, so it cannot be rejected.
//! An id of the agent comes in a header at best. Receivers refuse what is not exactly
//! `uuid`, `type`, `timestamp` and `payload`, so samples are that and no more.

use ::http::HeaderMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::payload::{self, Fields};
use super::proof::{self, Unproven};
use super::{Claim, Dialect, Reply, Sample, Scheme, Topic};
use crate::domain::decision::{Answer, InvalidAnswer, Reason, StartAnswer};
use crate::domain::event::{Call, CallEvent, Kind, Matter, Question, Sip};
use crate::domain::id::EventId;
use crate::domain::secret::Secret;
use crate::domain::source::Patience;
use crate::domain::{Json, empty_object};
use crate::json::{self, ReadError};

#[derive(Debug)]
pub(super) struct Dsai;

const NAME: &str = "dsai";

/// The only question.
const CALL_INITIATED: &str = "call_initiated";

const NOTICES: &[(&str, Kind)] = &[
    ("call_started", Kind::STARTED),
    ("call_ended", Kind::COMPLETED),
    ("interruption", Kind::of("call.interruption")),
    ("transcription", Kind::TRANSCRIPTION),
    ("dtmf_digit", Kind::of("call.dtmf")),
    ("error", Kind::of("call.error")),
];

#[derive(Deserialize)]
struct Envelope<'a> {
    uuid: Option<String>,
    #[serde(rename = "type")]
    event_type: Option<String>,
    #[serde(borrow)]
    timestamp: Option<&'a RawValue>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

/// What is read of a call that is initiated. All of it is a convention of dial plans.
#[derive(Default, Deserialize)]
struct Initiated<'a> {
    #[serde(borrow)]
    from: Option<&'a RawValue>,
    #[serde(borrow)]
    to: Option<&'a RawValue>,
}

impl Dialect for Dsai {
    fn name(&self) -> &'static str {
        NAME
    }

    fn notices(&self) -> &'static [(&'static str, Kind)] {
        NOTICES
    }

    fn scheme(&self) -> &'static dyn Scheme {
        &SharedSecret
    }

    fn patience(&self) -> Patience {
        Patience {
            start_ms: 3_000,
            ..Patience::default()
        }
    }

    fn agent_headers(&self) -> &'static [&'static str] {
        &["x-dsai-agent-id", "x-avr-agent-id"]
    }

    fn parse(&self, text: &str) -> Result<CallEvent, ReadError> {
        let envelope: Envelope<'_> = json::object(text)?;
        let call_id = payload::required(envelope.uuid, "uuid")?;
        let event_type = payload::required(envelope.event_type, "type")?;
        if envelope.timestamp.is_none() {
            return Err(ReadError::missing("timestamp"));
        }
        let data = payload::object_or_empty(envelope.payload, "payload")?;
        let asks = event_type == CALL_INITIATED;
        let parties = if asks {
            json::part(&data, "payload")?
        } else {
            Initiated::default()
        };
        let from = payload::lenient_text(parties.from);
        let to = payload::lenient_text(parties.to);
        Ok(CallEvent {
            call: Call {
                platform: NAME,
                org_id: String::new(),
                agent_id: String::new(),
                call_id,
                status: String::new(),
                endpoint: from.clone(),
                call_data: if asks { data.clone() } else { empty_object() },
                agent_data: empty_object(),
                sip: (from.is_some() || to.is_some()).then(|| Sip {
                    from_user: from,
                    to_user: to,
                    ..Sip::default()
                }),
            },
            matter: if asks {
                Matter::Question(Question::Start { agent_config: None })
            } else {
                Matter::Notice(self.notice(&event_type))
            },
            platform_type: event_type,
        })
    }

    /// The configuration is the reply. Without one the platform goes where it was set up
    /// to go.
    fn accept(
        &self,
        asked: &CallEvent,
        agent_config: Option<&RawValue>,
        additional_data: Option<&RawValue>,
    ) -> Result<Json, InvalidAnswer> {
        let config = agent_config.or(asked.agent_config());
        if let Some(config) = config {
            let fields = payload::fields(config, "agent-config")?;
            if !fields.get("sts_url").is_some_and(|url| is_websocket(url)) {
                return Err(InvalidAnswer::WrongAgentConfig(
                    "sts_url, a URL that begins with ws:// or wss://",
                ));
            }
        }
        // What is not read there can hurt nobody, and people look for it in the journal.
        let mut reply =
            config.map_or(Ok(Fields::new()), |it| payload::fields(it, "agent-config"))?;
        if let Some(data) = additional_data {
            for (name, value) in payload::fields(data, "additional-data")? {
                reply.entry(name).or_insert(value);
            }
        }
        payload::reply(&reply)
    }

    fn reject(&self, _asked: &CallEvent, _reason: &Reason) -> Result<Json, InvalidAnswer> {
        Err(InvalidAnswer::CannotSay {
            platform: NAME,
            problem: "asks when the call is already answered, so it cannot be rejected: accept it with another sts_url",
        })
    }

    fn read_reply(&self, _asked: &CallEvent, reply: &str) -> Result<Answer, ReadError> {
        let config: Json = json::object(reply)?;
        let fields: Fields = json::part(&config, "")?;
        let routed = fields.contains_key("sts_url");
        Ok(Answer::Start(StartAnswer::Accept {
            agent_config: routed.then_some(config),
            additional_data: None,
        }))
    }

    fn acknowledge(&self, _notice: &CallEvent, event: EventId) -> Reply {
        Reply::Body(payload::received(event))
    }

    fn sample(&self, sample: &Sample) -> Option<Json> {
        let (event_type, data) = sample_data(sample)?;
        payload::written(&SampleEnvelope {
            uuid: &sample.call_id,
            event_type,
            timestamp: payload::before(sample.now, 0),
            payload: data,
        })
    }
}

fn is_websocket(url: &RawValue) -> bool {
    let url: String = serde_json::from_str(url.get()).unwrap_or_default();
    let has_host = |rest: &str| !rest.is_empty() && !rest.starts_with(['/', ':', '?', '#']);
    url.len() <= 2048
        && ["ws://", "wss://"]
            .iter()
            .any(|scheme| url.strip_prefix(scheme).is_some_and(has_host))
}

/// The secret itself, under the software's newer or its older name, or both.
#[derive(Debug)]
struct SharedSecret;

const SECRET_HEADERS: [&str; 2] = ["x-dsai-webhook-secret", "x-avr-webhook-secret"];

impl Scheme for SharedSecret {
    fn header(&self) -> &'static str {
        SECRET_HEADERS[0]
    }

    fn claim<'r>(&self, headers: &'r HeaderMap, _body: &'r [u8]) -> Result<Claim<'r>, Unproven> {
        let given: Vec<&[u8]> = SECRET_HEADERS
            .iter()
            .filter(|name| headers.contains_key(**name))
            .map(|name| proof::only_value(headers, name))
            .collect::<Result<_, _>>()?;
        if given.is_empty() {
            return Err(Unproven::MissingHeader(SECRET_HEADERS[0].to_owned()));
        }
        Ok(Claim::Secret(given))
    }

    fn prove(&self, secret: &Secret, headers: &mut HeaderMap, _body: &[u8], _now: Timestamp) {
        proof::add(headers, SECRET_HEADERS[0], secret.expose());
    }
}

#[derive(Serialize)]
struct SampleEnvelope<'a> {
    uuid: &'a str,
    #[serde(rename = "type")]
    event_type: &'static str,
    timestamp: String,
    payload: Value,
}

fn sample_data(sample: &Sample) -> Option<(&'static str, Value)> {
    Some(match &sample.topic {
        Topic::Start => {
            let data = json!({
                "from": sample.caller,
                "to": sample.line,
                "uniqueid": "1770758888.32",
                "channel": "PJSIP/2000-00000013",
            });
            (CALL_INITIATED, data)
        }
        Topic::Started => ("call_started", json!({})),
        Topic::Said => {
            let said = sample.said.last()?;
            let role = if said.by_customer { "user" } else { "agent" };
            ("transcription", json!({"role": role, "text": said.text}))
        }
        Topic::Completed => ("call_ended", json!({})),
        Topic::Failed => (
            "error",
            json!({"message": "the speech service cannot be reached"}),
        ),
        Topic::Unknown => ("something_new", json!({})),
        Topic::Transfer { .. } | Topic::Tool { .. } | Topic::Deadline => return None,
    })
}

#[cfg(test)]
mod tests;
