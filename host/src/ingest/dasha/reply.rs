//! Reading replies in the platform's form: what an endpoint answers in our place.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::domain::Json;
use crate::domain::decision::{
    Answer, Destination, Reason, StartAnswer, Target, ToolAnswer, TransferAnswer,
};
use crate::domain::plugin::Handler;
use crate::json::{self, ReadError};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StartReply {
    accept: bool,
    reason_message: Option<Reason>,
    override_agent_config: Option<Json>,
    additional_data: Option<Json>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Cold,
    Warm,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TransferReply {
    #[serde(rename = "type")]
    mode: Mode,
    endpoint_destination: Destination,
    #[serde(flatten)]
    options: BTreeMap<String, serde_json::Value>,
}

pub(super) fn read(handler: Handler, reply: &str) -> Result<Answer, ReadError> {
    match handler {
        Handler::Start => start(reply).map(Answer::Start),
        Handler::Transfer => transfer(reply).map(Answer::Transfer),
        Handler::Tool => {
            let result = serde_json::from_str::<&RawValue>(reply).map_err(ReadError::NotJson)?;
            Ok(Answer::Tool(ToolAnswer::Answer {
                result: result.to_owned(),
            }))
        }
        Handler::Event => Err(ReadError::invalid("", "nobody waits for this answer")),
    }
}

fn start(reply: &str) -> Result<StartAnswer, ReadError> {
    let reply: StartReply = json::object(reply)?;
    if reply.accept {
        return Ok(StartAnswer::Accept {
            agent_config: reply.override_agent_config,
            additional_data: reply.additional_data,
        });
    }
    let reason = reply.reason_message;
    let reason = reason.ok_or_else(|| ReadError::missing("reasonMessage"))?;
    Ok(StartAnswer::Reject { reason })
}

fn transfer(reply: &str) -> Result<TransferAnswer, ReadError> {
    let reply: TransferReply = json::object(reply)?;
    let options = if reply.options.is_empty() {
        None
    } else {
        Some(to_raw_value(&reply.options).map_err(ReadError::NotJson)?)
    };
    let target = Target {
        destination: reply.endpoint_destination,
        options,
    };
    Ok(match reply.mode {
        Mode::Cold => TransferAnswer::Cold { target },
        Mode::Warm => TransferAnswer::Warm { target },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::CallEvent;
    use crate::ingest::dasha::Dasha;
    use crate::ingest::{self, Dialect as _, Sample, Topic};

    /// A question for that handler, or a notice.
    fn asked(handler: Handler) -> CallEvent {
        let topic = Topic::asking(handler).unwrap_or(Topic::Completed);
        let sample = Dasha.sample(&Sample::about(topic)).unwrap();
        Dasha.parse(sample.get()).unwrap()
    }

    #[test]
    fn replies_that_the_platform_understands_are_taken() {
        let config = r#"{"primaryLanguage":"en-US","ttsConfig":{},"llmConfig":{}}"#;
        let overriding = format!(r#"{{"accept":true,"overrideAgentConfig":{config},"more":1}}"#);
        for (handler, reply) in [
            (Handler::Start, r#"{"accept":true}"#),
            (Handler::Start, &overriding),
            (
                Handler::Start,
                r#"{"accept":false,"reasonMessage":"closed"}"#,
            ),
            (
                Handler::Transfer,
                r#"{"type":"cold","endpointDestination":"+14155550100"}"#,
            ),
            (
                Handler::Transfer,
                r#"{"type":"warm","endpointDestination":"sip:a@b","transferRoutes":[]}"#,
            ),
            (Handler::Tool, r#"{"slots":[]}"#),
            (Handler::Tool, "\"booked\""),
        ] {
            let (answer, relayed) = ingest::relay(&Dasha, &asked(handler), reply)
                .unwrap_or_else(|error| panic!("{reply}: {error}"));
            assert_eq!(relayed.get(), reply, "it goes on as it is");
            assert!(ingest::render(&Dasha, &asked(handler), &answer).is_ok());
        }
    }

    #[test]
    fn what_the_platform_would_not_understand_is_refused() {
        for (handler, reply) in [
            (Handler::Start, ""),
            (Handler::Start, "<html>"),
            (Handler::Start, "[]"),
            (Handler::Start, "{}"),
            (Handler::Start, r#"{"accept":"yes"}"#),
            (Handler::Start, r#"{"accept":false}"#),
            (Handler::Start, r#"{"accept":false,"reasonMessage":" "}"#),
            (
                Handler::Start,
                r#"{"accept":true,"overrideAgentConfig":{}}"#,
            ),
            (Handler::Start, r#"{"accept":true,"additionalData":[]}"#),
            (
                Handler::Transfer,
                r#"{"type":"hot","endpointDestination":"+14155550100"}"#,
            ),
            (
                Handler::Transfer,
                r#"{"type":"cold","endpointDestination":"415"}"#,
            ),
            (Handler::Transfer, r#"{"type":"cold"}"#),
            (Handler::Tool, "booked"),
            (Handler::Tool, r#"{"a":1} x"#),
            (Handler::Event, "{}"),
        ] {
            let relayed = ingest::relay(&Dasha, &asked(handler), reply);
            assert!(relayed.is_err(), "{handler:?} {reply}");
        }
    }
}
