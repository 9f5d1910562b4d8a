//! The replies to the platform's questions, written and read.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

use super::{NAME, PREDIAL};
use crate::domain::decision::{
    Destination, InvalidAnswer, Reason, StartAnswer, Target, ToolAnswer, TransferAnswer,
};
use crate::domain::event::{CallEvent, Matter, Question};
use crate::domain::{Json, empty_object};
use crate::ingest::payload::{self, Fields};
use crate::ingest::{Mode, Reply};
use crate::json::{self, ReadError};

/// What can start a call, and where the values of variables go beside it.
const STARTERS: &[(&str, Option<&str>)] = &[
    ("assistantId", Some("assistantOverrides")),
    ("assistant", Some("assistantOverrides")),
    ("squadId", Some("squadOverrides")),
    ("squad", Some("squadOverrides")),
    ("workflowId", Some("workflowOverrides")),
    ("workflow", Some("workflowOverrides")),
    ("destination", None),
];
const WANTED: &str = "assistantId, assistant, squadId, squad, workflowId, workflow or destination";

fn starter(fields: &Fields) -> Option<&'static (&'static str, Option<&'static str>)> {
    let given = |name: &str| fields.get(name).is_some_and(|it| it.get() != "null");
    STARTERS.iter().find(|(name, _)| given(name))
}

/// The configuration is the reply. The platform asks because it has none itself.
pub(super) fn accept(
    asked: &CallEvent,
    agent_config: Option<&RawValue>,
    additional_data: Option<&RawValue>,
) -> Result<Json, InvalidAnswer> {
    if asked.platform_type == PREDIAL {
        return payload::reply(&json!({"eligible": true}));
    }
    let Some(config) = agent_config.or(asked.agent_config()) else {
        return Err(InvalidAnswer::NoAgentConfig {
            platform: NAME,
            wanted: WANTED,
        });
    };
    let mut reply = payload::fields(config, "agent-config")?;
    let Some((_, overrides)) = starter(&reply) else {
        return Err(InvalidAnswer::WrongAgentConfig(WANTED));
    };
    // It would undo the rest.
    reply.remove("error");
    if let (Some(overrides), Some(data)) = (overrides, additional_data) {
        let inner = |fields: &Fields, name: &str| match fields.get(name) {
            Some(raw) => payload::fields(raw, "agent-config's overrides"),
            None => Ok(Fields::new()),
        };
        let mut changed = inner(&reply, overrides)?;
        let mut variables = inner(&changed, "variableValues")?;
        variables.extend(payload::fields(data, "additional-data")?);
        changed.insert("variableValues".to_owned(), payload::reply(&variables)?);
        reply.insert((*overrides).to_owned(), payload::reply(&changed)?);
    }
    payload::reply(&reply)
}

/// The reason is spoken to the caller.
pub(super) fn reject(asked: &CallEvent, reason: &Reason) -> Result<Json, InvalidAnswer> {
    if asked.platform_type == PREDIAL {
        return payload::reply(&json!({"eligible": false}));
    }
    payload::reply(&json!({"error": reason.as_str()}))
}

/// What a destination may have beside its address. An answer's options may be meant for
/// other platforms too.
const OPTIONS: &[&str] = &[
    "message",
    "callerId",
    "extension",
    "numberE164CheckEnabled",
    "transferPlan",
    "description",
    "sipHeaders",
];

pub(super) fn transfer(mode: Mode, target: &Target) -> Result<Json, InvalidAnswer> {
    let mut destination = match &target.options {
        None => Fields::new(),
        Some(options) => payload::fields(options, "options")?,
    };
    destination.retain(|name, _| OPTIONS.contains(&name.as_str()));
    if mode == Mode::Warm && !destination.contains_key("transferPlan") {
        let plan = json!({"mode": "warm-transfer-say-summary"});
        destination.insert("transferPlan".to_owned(), payload::reply(&plan)?);
    }
    let address = target.destination.as_str();
    let (form, field) = if address.starts_with('+') {
        ("number", "number")
    } else {
        ("sip", "sipUri")
    };
    destination.insert("type".to_owned(), payload::reply(&form)?);
    destination.insert(field.to_owned(), payload::reply(&address)?);
    payload::reply(&BTreeMap::from([("destination", destination)]))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToolResult<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    tool_call_id: &'a str,
    #[serde(flatten)]
    outcome: ToolOutcome<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum ToolOutcome<'a> {
    Result(&'a str),
    Error(&'a str),
}

/// Results are texts of one line.
pub(super) fn tool(asked: &CallEvent, result: &RawValue) -> Result<Json, InvalidAnswer> {
    let text: Cow<'_, str> = match serde_json::from_str::<String>(result.get()) {
        Ok(text) => Cow::Owned(text),
        Err(_) => Cow::Borrowed(result.get()),
    };
    let line = text
        .lines()
        .map(str::trim_end)
        .collect::<Vec<_>>()
        .join(" ");
    let result = outcome(asked, ToolOutcome::Result(&line));
    payload::reply(&BTreeMap::from([("results", [result])]))
}

fn outcome<'a>(asked: &'a CallEvent, outcome: ToolOutcome<'a>) -> ToolResult<'a> {
    let (id, name) = match &asked.matter {
        Matter::Question(Question::Tool { id, name, .. }) => (id.as_deref(), Some(name.as_str())),
        _ => (None, None),
    };
    ToolResult {
        name,
        tool_call_id: id.unwrap_or_default(),
        outcome,
    }
}

/// The results of several calls as one reply. A call that has none says so: a status
/// other than 200 would void them all.
pub(super) fn join(parts: &[(&CallEvent, &Reply)]) -> Json {
    #[derive(Deserialize)]
    struct Results {
        results: Vec<Json>,
    }
    let mut all: Vec<Json> = Vec::new();
    for (asked, reply) in parts {
        let own: Option<Results> = match reply {
            Reply::Body(body) => payload::lenient(Some(body)),
            Reply::Unavailable => None,
        };
        if let Some(own) = own {
            all.extend(own.results);
        } else {
            let none = outcome(asked, ToolOutcome::Error("there is no answer"));
            all.extend(to_raw_value(&none).ok());
        }
    }
    to_raw_value(&BTreeMap::from([("results", all)])).unwrap_or_else(|_| empty_object())
}

pub(super) fn read_start(asked: &CallEvent, reply: &str) -> Result<StartAnswer, ReadError> {
    let config: Json = json::object(reply)?;
    let fields: Fields = json::part(&config, "")?;
    if asked.platform_type == PREDIAL {
        #[derive(Deserialize)]
        struct Predial {
            eligible: bool,
        }
        let predial: Predial = json::object(reply)?;
        return if predial.eligible {
            Ok(StartAnswer::Accept {
                agent_config: None,
                additional_data: None,
            })
        } else {
            rejected("not eligible".to_owned(), "eligible")
        };
    }
    if let Some(error) = fields.get("error").filter(|it| it.get() != "null") {
        let error: String = json::part(error, "error")?;
        return rejected(error, "error");
    }
    match starter(&fields) {
        Some(_) => Ok(StartAnswer::Accept {
            agent_config: Some(config),
            additional_data: None,
        }),
        None => Err(ReadError::invalid(
            "",
            format!("the reply must have error, {WANTED}"),
        )),
    }
}

fn rejected(reason: String, field: &str) -> Result<StartAnswer, ReadError> {
    let reason = Reason::try_from(reason);
    let reason = reason.map_err(|error| ReadError::invalid(field, error.to_string()))?;
    Ok(StartAnswer::Reject { reason })
}

pub(super) fn read_transfer(reply: &str) -> Result<TransferAnswer, ReadError> {
    #[derive(Deserialize)]
    struct TransferReply<'a> {
        #[serde(borrow)]
        destination: &'a RawValue,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct To<'a> {
        #[serde(rename = "type")]
        form: &'a str,
        number: Option<Destination>,
        sip_uri: Option<Destination>,
        #[serde(borrow)]
        transfer_plan: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Plan<'a> {
        mode: &'a str,
    }
    const AT: &str = "destination";
    let reply: TransferReply<'_> = json::object(reply)?;
    let to: To<'_> = json::part(reply.destination, AT)?;
    let (address, field) = match to.form {
        "number" => (to.number, "destination.number"),
        "sip" => (to.sip_uri, "destination.sipUri"),
        other => {
            let problem = format!("must be number or sip, not {other}");
            return Err(ReadError::invalid("destination.type", problem));
        }
    };
    let warm = payload::lenient::<Plan<'_>>(to.transfer_plan)
        .is_some_and(|plan| plan.mode.starts_with("warm-"));
    let mut options: Fields = json::part(reply.destination, AT)?;
    options.retain(|name, _| OPTIONS.contains(&name.as_str()));
    let options = (!options.is_empty())
        .then(|| to_raw_value(&options).ok())
        .flatten();
    let target = Target {
        destination: address.ok_or_else(|| ReadError::missing(field))?,
        options,
    };
    Ok(if warm {
        TransferAnswer::Warm { target }
    } else {
        TransferAnswer::Cold { target }
    })
}

/// Reads the result of the call that was asked about.
pub(super) fn read_tool(asked: &CallEvent, reply: &str) -> Result<ToolAnswer, ReadError> {
    #[derive(Deserialize)]
    struct ToolReply<'a> {
        #[serde(borrow)]
        results: Vec<ResultForm<'a>>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct ResultForm<'a> {
        tool_call_id: String,
        #[serde(borrow)]
        result: Option<&'a RawValue>,
        error: Option<String>,
    }
    let reply: ToolReply<'_> = json::object(reply)?;
    let own = outcome(asked, ToolOutcome::Error("")).tool_call_id;
    let place = reply.results.iter().position(|it| it.tool_call_id == own);
    let Some(at) = place else {
        let problem = format!("must have a result with the toolCallId {own}");
        return Err(ReadError::invalid("results", problem));
    };
    let found = &reply.results[at];
    let result = match (found.result, &found.error) {
        (Some(result), _) if result.get().starts_with('"') => result.to_owned(),
        (Some(_), _) => {
            let problem = "must be a string: the platform reads nothing else";
            return Err(ReadError::invalid(format!("results[{at}].result"), problem));
        }
        (None, Some(error)) => {
            to_raw_value(&json!({ "error": error })).map_err(ReadError::NotJson)?
        }
        (None, None) => return Err(ReadError::missing(format!("results[{at}].result"))),
    };
    Ok(ToolAnswer::Answer { result })
}
