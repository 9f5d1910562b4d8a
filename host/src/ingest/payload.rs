//! What every dialect asks of the fields it reads.

use serde_json::value::RawValue;

use crate::domain::{Json, empty_object, is_object};
use crate::json::ReadError;

/// Longest id, name or state of a platform, in bytes.
const MAX_WORD_BYTES: usize = 256;

/// An id or a name: present, not empty, not absurdly long.
pub(super) fn required(value: Option<String>, field: &'static str) -> Result<String, ReadError> {
    let value = value
        .filter(|text| !text.is_empty())
        .ok_or_else(|| ReadError::missing(field))?;
    short(value, field)
}

pub(super) fn short(value: String, field: &'static str) -> Result<String, ReadError> {
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
    field: &'static str,
) -> Result<Json, ReadError> {
    match value {
        None => Ok(empty_object()),
        Some(raw) if is_object(raw) => Ok(raw.to_owned()),
        Some(_) => Err(ReadError::invalid(field, "must be a JSON object")),
    }
}
