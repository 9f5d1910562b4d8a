//! The tool calls of a message, in each of the forms that documents and captures show,
//! and a message with several of them as messages with one each.

use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};

use super::TOOL_CALLS;
use crate::domain::{Json, empty_object, is_object};
use crate::ingest::payload::{self, Fields};
use crate::json::{self, ReadError};

/// A tool call, whichever way it was written.
#[derive(Debug)]
pub(super) struct ToolCall {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) arguments: Json,
}

/// The lists in which the same calls stand, the best known first. In the last one each
/// stands within its tool.
const LISTS: [&str; 3] = ["toolCallList", "toolCalls", "toolWithToolCallList"];

#[derive(Deserialize)]
struct Lists<'a> {
    #[serde(borrow, rename = "toolCallList")]
    calls: Option<Vec<&'a RawValue>>,
    #[serde(borrow, rename = "toolCalls")]
    older: Option<Vec<&'a RawValue>>,
    #[serde(borrow, rename = "toolWithToolCallList")]
    with_tools: Option<Vec<&'a RawValue>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct CallForm<'a> {
    id: Option<String>,
    name: Option<String>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow)]
    parameters: Option<&'a RawValue>,
    #[serde(borrow)]
    function: Option<FunctionForm<'a>>,
    /// Where it stands within its tool.
    #[serde(borrow)]
    tool_call: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct FunctionForm<'a> {
    name: Option<String>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow)]
    parameters: Option<&'a RawValue>,
}

/// The one tool call of a message.
pub(super) fn only(message: &RawValue) -> Result<ToolCall, ReadError> {
    let lists: Lists<'_> = json::part(message, "message")?;
    let found = [lists.calls, lists.older, lists.with_tools]
        .into_iter()
        .zip(LISTS)
        .find_map(|(list, name)| Some((*list?.first()?, name)));
    let (raw, list) = found.ok_or_else(|| ReadError::missing("message.toolCallList"))?;
    read(raw, &format!("message.{list}[0]"))
}

fn read(raw: &RawValue, at: &str) -> Result<ToolCall, ReadError> {
    let outer: CallForm<'_> = json::part(raw, at)?;
    let Some(inner) = outer.tool_call else {
        return outer.read(at, None);
    };
    // Within its tool: the tool's own parameters are a schema and no arguments.
    let inner_at = format!("{at}.toolCall");
    let inner: CallForm<'_> = json::part(inner, &inner_at)?;
    let name = outer.name.map(|name| (name, format!("{at}.name")));
    inner.read(&inner_at, name)
}

impl CallForm<'_> {
    /// With the name of its tool, if it has none itself.
    fn read(self, at: &str, tool: Option<(String, String)>) -> Result<ToolCall, ReadError> {
        let function = self.function.unwrap_or_default();
        let name = [(self.name, "name"), (function.name, "function.name")]
            .into_iter()
            .find_map(|(name, field)| Some((name?, format!("{at}.{field}"))));
        let (name, name_at) = match name.or(tool) {
            Some((name, at)) => (Some(name), at),
            None => (None, format!("{at}.name")),
        };
        let arguments = [
            (self.parameters, "parameters"),
            (self.arguments, "arguments"),
            (function.arguments, "function.arguments"),
            (function.parameters, "function.parameters"),
        ];
        let given = arguments
            .into_iter()
            .find_map(|(raw, field)| Some((raw?, field)));
        Ok(ToolCall {
            id: payload::required(self.id, format!("{at}.id"))?,
            name: payload::required(name, name_at)?,
            arguments: match given {
                Some((raw, field)) => object(raw, &format!("{at}.{field}"))?,
                None => empty_object(),
            },
        })
    }
}

/// Arguments as an object, or as the text of one.
fn object(raw: &RawValue, at: &str) -> Result<Json, ReadError> {
    if is_object(raw) {
        return Ok(raw.to_owned());
    }
    let wrong = || ReadError::invalid(at, "must be a JSON object, or the text of one");
    let text: String = serde_json::from_str(raw.get()).map_err(|_| wrong())?;
    if text.trim().is_empty() {
        return Ok(empty_object());
    }
    let json = RawValue::from_string(text.trim().to_owned()).map_err(|_| wrong())?;
    if is_object(&json) {
        Ok(json)
    } else {
        Err(wrong())
    }
}

/// What a message is about.
#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "type")]
    named: String,
}

/// The payloads of one call each; none if there is one call or none.
pub(super) fn split(text: &str) -> Result<Option<Vec<Json>>, ReadError> {
    // Most messages are about something else, and need not be looked into.
    if !text.contains(TOOL_CALLS) {
        return Ok(None);
    }
    let payload: Fields = json::object(text)?;
    let Some(message) = payload.get("message") else {
        return Ok(None);
    };
    let kind: Option<Kind> = payload::lenient(Some(message));
    if kind.is_none_or(|it| it.named != TOOL_CALLS) {
        return Ok(None);
    }
    let fields: Fields = json::part(message, "message")?;
    let list = |name: &str| -> Vec<Json> {
        payload::lenient(fields.get(name).map(AsRef::as_ref)).unwrap_or_default()
    };
    let lists = LISTS.map(|name| (name, list(name)));
    let calls = lists
        .iter()
        .map(|(_, list)| list.len())
        .find(|length| *length > 0);
    match calls {
        None | Some(1) => Ok(None),
        Some(calls) => {
            let part = |at| part(&payload, &fields, &lists, calls, at);
            Ok(Some((0..calls).map(part).collect::<Result<_, _>>()?))
        }
    }
}

/// The payload with the call at this place alone. A list that has not as many calls as
/// the first one is left out: which of them is meant cannot be known.
fn part(
    payload: &Fields,
    message: &Fields,
    lists: &[(&str, Vec<Json>)],
    calls: usize,
    at: usize,
) -> Result<Json, ReadError> {
    let mut message = message.clone();
    for (name, list) in lists {
        match list.get(at) {
            Some(call) if list.len() == calls => {
                message.insert((*name).to_owned(), written(&[call])?);
            }
            _ => {
                message.remove(*name);
            }
        }
    }
    let mut payload = payload.clone();
    payload.insert("message".to_owned(), written(&message)?);
    written(&payload)
}

fn written(value: &impl serde::Serialize) -> Result<Json, ReadError> {
    to_raw_value(value).map_err(ReadError::NotJson)
}
