//! What every dialect asks of the fields it reads and writes.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use crate::domain::decision::InvalidAnswer;
use crate::domain::{Json, empty_object, is_object};
use crate::json::ReadError;

/// Longest id, name or state of a platform, in bytes.
pub(super) const MAX_WORD_BYTES: usize = 256;

/// An id or a name: present, not empty, not absurdly long.
pub(super) fn required(
    value: Option<String>,
    field: impl Into<String>,
) -> Result<String, ReadError> {
    match value.filter(|text| !text.is_empty()) {
        Some(value) => short(value, field),
        None => Err(ReadError::missing(field)),
    }
}

/// The same where it may be absent.
pub(super) fn optional(
    value: Option<String>,
    field: impl Into<String>,
) -> Result<String, ReadError> {
    short(value.unwrap_or_default(), field)
}

pub(super) fn short(value: String, field: impl Into<String>) -> Result<String, ReadError> {
    if value.len() > MAX_WORD_BYTES {
        let problem = format!(
            "has {} bytes, at most {MAX_WORD_BYTES} are allowed",
            value.len()
        );
        return Err(ReadError::invalid(field, problem));
    }
    Ok(value)
}

/// A JSON object kept as text; an absent one is empty.
pub(super) fn object_or_empty(
    value: Option<&RawValue>,
    field: impl Into<String>,
) -> Result<Json, ReadError> {
    object(value, field).map(|value| value.unwrap_or_else(empty_object))
}

/// A JSON object kept as text.
pub(super) fn object(
    value: Option<&RawValue>,
    field: impl Into<String>,
) -> Result<Option<Json>, ReadError> {
    match value {
        None => Ok(None),
        Some(raw) if is_object(raw) => Ok(Some(raw.to_owned())),
        Some(_) => Err(ReadError::invalid(field, "must be a JSON object")),
    }
}

/// An object's fields, each as it was written.
pub(super) type Fields = BTreeMap<String, Json>;

/// The fields of an object in an answer.
pub(super) fn fields(object: &RawValue, name: &'static str) -> Result<Fields, InvalidAnswer> {
    serde_json::from_str(object.get()).map_err(|_| InvalidAnswer::NotAnObject(name))
}

/// Several objects as one; of fields of one name the last.
pub(super) fn merged<'a>(objects: impl IntoIterator<Item = Option<&'a RawValue>>) -> Json {
    let mut all = objects.into_iter().flatten();
    let (Some(first), second) = (all.next(), all.next()) else {
        return empty_object();
    };
    let Some(second) = second else {
        return first.to_owned();
    };
    let mut fields = Fields::new();
    for object in [first, second].into_iter().chain(all) {
        if let Ok(more) = serde_json::from_str::<Fields>(object.get()) {
            fields.extend(more);
        }
    }
    to_raw_value(&fields).unwrap_or_else(|_| empty_object())
}

/// A reply, written. Only a map whose keys are no text cannot be.
pub(super) fn reply(reply: &impl Serialize) -> Result<Json, InvalidAnswer> {
    to_raw_value(reply).map_err(|error| InvalidAnswer::Json {
        field: "reply",
        problem: error.to_string(),
    })
}

/// A sample, written.
pub(super) fn written(sample: &impl Serialize) -> Option<Json> {
    to_raw_value(sample).ok()
}

/// The acknowledgement where a platform wants none in particular.
pub(super) fn received(event: crate::domain::id::EventId) -> Json {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Acknowledgement {
        received: bool,
        event_id: crate::domain::id::EventId,
    }
    let acknowledgement = Acknowledgement {
        received: true,
        event_id: event,
    };
    to_raw_value(&acknowledgement).unwrap_or_else(|_| empty_object())
}

/// A time as most platforms write it, so many seconds before.
pub(super) fn before(now: Timestamp, seconds: i64) -> String {
    let then = now.saturating_sub(SignedDuration::from_secs(seconds));
    format!("{:.3}", then.unwrap_or(now))
}

/// A value if it is of the form that is expected: for what is only passed on if it is
/// there, and worth no refusal.
pub(super) fn lenient<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(raw?.get()).ok()
}

/// The same of a text that says something.
pub(super) fn lenient_text(raw: Option<&RawValue>) -> Option<String> {
    lenient(raw).filter(|text: &String| !text.is_empty())
}
