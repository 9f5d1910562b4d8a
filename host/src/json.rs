//! Reading JSON that others wrote, with errors that name the field at fault.
//!
//! Used where text comes in: by the dialects (`ingest`) and the API (`http`).

use serde::Deserialize;
use serde_json::value::RawValue;

/// A document that cannot be read. Fields are paths such as `sip.fromUser`; the
/// empty path is the document itself.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("the body is not UTF-8 text: byte {offset} is invalid")]
    NotUtf8 { offset: usize },
    #[error("the body is not valid JSON: {0}")]
    NotJson(#[source] serde_json::Error),
    #[error("the field {field} is missing")]
    MissingField { field: String },
    #[error("{problem}")]
    InvalidField { field: String, problem: String },
}

impl ReadError {
    pub fn missing(field: impl Into<String>) -> Self {
        Self::MissingField {
            field: field.into(),
        }
    }

    pub fn invalid(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::InvalidField {
            field: field.into(),
            problem: problem.into(),
        }
    }
}

/// A body as text.
pub fn text(body: &[u8]) -> Result<&str, ReadError> {
    std::str::from_utf8(body).map_err(|error| ReadError::NotUtf8 {
        offset: error.valid_up_to(),
    })
}

/// Reads a JSON object.
///
/// Tracking the path of each field costs time, so it is done only in a second
/// reading, once there is an error to report.
pub fn object<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, ReadError> {
    if !text.trim_start().starts_with('{') {
        serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(ReadError::NotJson)?;
        return Err(ReadError::invalid("", "the body must be a JSON object"));
    }
    serde_json::from_str(text).or_else(|_| located(text, ""))
}

/// Reads a part of a document, where `prefix` is the path to it.
pub fn part<'a, T: Deserialize<'a>>(raw: &'a RawValue, prefix: &str) -> Result<T, ReadError> {
    serde_json::from_str(raw.get()).or_else(|_| located(raw.get(), prefix))
}

fn located<'a, T: Deserialize<'a>>(text: &'a str, prefix: &str) -> Result<T, ReadError> {
    // A type error may come before a syntax error; what is not JSON at all is
    // called so.
    serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(ReadError::NotJson)?;
    let mut reader = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = match error.path().to_string() {
            path if path == "." || path == "?" => prefix.to_owned(),
            path => join(prefix, &path),
        };
        let message = without_position(&error.into_inner());
        if let Some(field) = quoted(&message, "missing field ") {
            return ReadError::missing(join(&path, field));
        }
        match quoted(&message, "unknown field ") {
            Some(field) if !path.ends_with(field) => {
                ReadError::invalid(join(&path, field), message)
            }
            _ => ReadError::invalid(path, message),
        }
    })
}

fn join(prefix: &str, path: &str) -> String {
    match (prefix, path) {
        ("", path) => path.to_owned(),
        (prefix, "") => prefix.to_owned(),
        (prefix, path) if path.starts_with('[') => format!("{prefix}{path}"),
        (prefix, path) => format!("{prefix}.{path}"),
    }
}

/// The name in backticks right after `before`.
fn quoted<'a>(message: &'a str, before: &str) -> Option<&'a str> {
    message
        .strip_prefix(before)?
        .strip_prefix('`')?
        .split_once('`')
        .map(|(name, _)| name)
}

/// serde_json's message without its line and column: the path says more, and in a
/// part of a document they would count from the part.
fn without_position(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.rfind(" at line ") {
        Some(at) => message[..at].to_owned(),
        None => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Outer {
        name: String,
        #[serde(default)]
        inner: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Inner {
        size: u8,
    }

    #[test]
    fn the_field_at_fault_is_named() {
        for (text, wanted) in [
            ("{}", "missing name"),
            (r#"{"name":1}"#, "invalid name"),
            (r#"{"name":"x","nmae":1}"#, "invalid nmae"),
            (
                r#"{"name":"x","inner":[{"size":1},{}]}"#,
                "missing inner[1].size",
            ),
            (
                r#"{"name":"x","inner":[{"size":300}]}"#,
                "invalid inner[0].size",
            ),
            (
                r#"{"name":"x","inner":[{"size":1,"colour":2}]}"#,
                "invalid inner[0].colour",
            ),
            (r#"{"name":1"#, "not json"),
            (r#"{"name":"x"} {}"#, "not json"),
            (r#"["x"]"#, "invalid "),
        ] {
            let got = match object::<Outer>(text) {
                Err(ReadError::MissingField { field }) => format!("missing {field}"),
                Err(ReadError::InvalidField { field, .. }) => format!("invalid {field}"),
                Err(ReadError::NotJson(_)) => "not json".to_owned(),
                other => panic!("{text}: {other:?}"),
            };
            assert_eq!(got, wanted, "{text}");
        }
    }
}
