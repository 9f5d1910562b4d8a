//! What is wrong with a reply: everything, in words for whoever wrote it. Whether
//! anything is, is decided by reading it ([`super::reply`]).

use serde_json::{Map, Value};

use super::AGENT_CONFIG_KEYS;
use crate::domain::decision::{Destination, Reason};
use crate::domain::plugin::Handler;
use crate::json::ReadError;

pub(super) fn of(handler: Handler, reply: &str) -> Vec<ReadError> {
    let (question, form) = match handler {
        Handler::Start => (
            "start",
            r#"{"accept": true} or {"accept": false, "reasonMessage": "…"}"#,
        ),
        Handler::Transfer => (
            "transfer",
            r#"{"type": "cold", "endpointDestination": "+14155550100"}"#,
        ),
        Handler::Tool => ("tool call", "JSON"),
        Handler::Event => return Vec::new(),
    };
    let whole = |problem: String| vec![ReadError::invalid("", problem)];
    if reply.trim().is_empty() {
        return whole(format!(
            "the reply is empty; a {question} is answered with {form}"
        ));
    }
    let reply = match serde_json::from_str(reply) {
        Ok(reply) => reply,
        Err(error) => return whole(format!("the reply is not JSON: {error}")),
    };
    match (handler, reply) {
        (Handler::Start, Value::Object(reply)) => start(&reply),
        (Handler::Transfer, Value::Object(reply)) => transfer(&reply),
        (Handler::Start | Handler::Transfer, _) => {
            whole(format!("the reply must be a JSON object such as {form}"))
        }
        (Handler::Tool | Handler::Event, _) => Vec::new(),
    }
}

fn start(reply: &Map<String, Value>) -> Vec<ReadError> {
    let accept = match given(reply, "accept") {
        Some(Value::Bool(accept)) => Ok(*accept),
        Some(_) => Err("must be true or false"),
        None => Err("required: true or false"),
    };
    let needs_reason = accept == Ok(false);
    let mut faults = Vec::new();
    faults.extend(
        accept
            .err()
            .map(|fault| ReadError::invalid("accept", fault)),
    );
    faults.extend(reason(given(reply, "reasonMessage"), needs_reason));
    if !needs_reason {
        faults.extend(agent_config(given(reply, "overrideAgentConfig")));
        let data = given(reply, "additionalData");
        if data.is_some_and(|data| !data.is_object()) {
            faults.push(ReadError::invalid("additionalData", AN_OBJECT));
        }
    }
    faults
}

const AN_OBJECT: &str = "must be a JSON object";

fn reason(reason: Option<&Value>, required: bool) -> Option<ReadError> {
    const FIELD: &str = "reasonMessage";
    match reason {
        None if required => Some(ReadError::invalid(FIELD, "required when accept is false")),
        None => None,
        Some(Value::String(text)) => {
            let error = Reason::try_from(text.clone()).err()?;
            Some(ReadError::invalid(FIELD, error.to_string()))
        }
        Some(_) => Some(ReadError::invalid(FIELD, "must be a text")),
    }
}

fn agent_config(config: Option<&Value>) -> Vec<ReadError> {
    const FIELD: &str = "overrideAgentConfig";
    match config {
        None => Vec::new(),
        Some(Value::Object(config)) => AGENT_CONFIG_KEYS
            .iter()
            .filter(|key| given(config, key).is_none())
            .map(|key| {
                let problem = "required: the configuration is replaced as a whole, not merged";
                ReadError::invalid(format!("{FIELD}.{key}"), problem)
            })
            .collect(),
        Some(_) => vec![ReadError::invalid(FIELD, AN_OBJECT)],
    }
}

fn transfer(reply: &Map<String, Value>) -> Vec<ReadError> {
    let mode = match given(reply, "type") {
        Some(Value::String(mode)) if mode == "cold" || mode == "warm" => None,
        Some(_) => Some("must be cold or warm"),
        None => Some("required: cold or warm"),
    };
    let destination = match given(reply, "endpointDestination") {
        Some(Value::String(text)) => Destination::try_from(text.clone())
            .err()
            .map(|error| error.to_string()),
        Some(_) => Some("must be a text".to_owned()),
        None => Some("required: where the call is transferred to".to_owned()),
    };
    let mode = mode.map(|fault| ReadError::invalid("type", fault));
    let destination = destination.map(|fault| ReadError::invalid("endpointDestination", fault));
    mode.into_iter().chain(destination).collect()
}

/// A field that is there and not null.
fn given<'v>(fields: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    fields.get(name).filter(|value| !value.is_null())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Dasha;
    use super::*;
    use crate::domain::event::CallEvent;
    use crate::ingest::{self, Dialect as _, Sample, Topic};

    fn review(handler: Handler, reply: &str) -> Vec<String> {
        ingest::review(&Dasha, &asked(handler), reply)
    }

    fn asked(handler: Handler) -> CallEvent {
        let topic = Topic::asking(handler).unwrap_or(Topic::Completed);
        let asked = Dasha.sample(&Sample::about(topic)).unwrap();
        Dasha.parse(asked.get()).unwrap()
    }

    #[test]
    fn every_fault_of_a_reply_is_named() {
        for (handler, reply, fields) in [
            (
                Handler::Start,
                r#"{"accept":true,"reasonMessage":null}"#,
                &[][..],
            ),
            (Handler::Start, "", &["the reply is empty"]),
            (Handler::Start, "ok", &["the reply is not JSON"]),
            (Handler::Start, "[]", &["the reply must be a JSON object"]),
            (Handler::Start, "{}", &["accept: required"]),
            (
                Handler::Start,
                r#"{"accept":"yes","reasonMessage":7,"overrideAgentConfig":{"ttsConfig":{}},"additionalData":1}"#,
                &[
                    "accept: must be",
                    "reasonMessage: must be",
                    "overrideAgentConfig.primaryLanguage: required",
                    "overrideAgentConfig.llmConfig: required",
                    "additionalData: must be",
                ],
            ),
            (
                Handler::Start,
                r#"{"accept":true,"accept":true}"#,
                &["accept: duplicate"],
            ),
            (
                Handler::Transfer,
                r#"{"type":"hot"}"#,
                &["type: must be", "endpointDestination: required"],
            ),
            (Handler::Tool, "booked", &["the reply is not JSON"]),
            (Handler::Tool, "null", &[]),
        ] {
            let found = review(handler, reply);
            let named = found
                .iter()
                .zip(fields)
                .all(|(fault, field)| fault.starts_with(field));
            assert!(named && found.len() == fields.len(), "{reply}: {found:?}");
        }
    }

    fn piece() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            r#""accept":true"#,
            r#""accept":false"#,
            r#""accept":null"#,
            r#""reasonMessage":"closed""#,
            r#""reasonMessage":"""#,
            r#""overrideAgentConfig":{}"#,
            r#""overrideAgentConfig":{"primaryLanguage":"","ttsConfig":1,"llmConfig":{}}"#,
            r#""overrideAgentConfig":[]"#,
            r#""additionalData":{}"#,
            r#""additionalData":""#,
            r#""type":"cold""#,
            r#""type":"Cold""#,
            r#""endpointDestination":"sip:a@b""#,
            r#""endpointDestination":"415""#,
            r#""deep":[[[{"type":1}]]]"#,
        ])
    }

    proptest! {
        /// The words are of the same opinion as the reading.
        #[test]
        fn a_reply_has_faults_if_and_only_if_it_is_refused(pieces in prop::collection::vec(piece(), 0..5)) {
            let reply = format!("{{{}}}", pieces.join(","));
            for handler in [Handler::Start, Handler::Transfer, Handler::Tool] {
                let refused = ingest::relay(&Dasha, &asked(handler), &reply).is_err();
                prop_assert_eq!(!review(handler, &reply).is_empty(), refused);
                let sound = serde_json::from_str::<Value>(&reply)
                    .is_ok_and(|value| value.as_object().is_some_and(|it| it.len() == pieces.len()));
                if sound {
                    prop_assert_eq!(!of(handler, &reply).is_empty(), refused, "{}", reply);
                }
            }
        }
    }
}
