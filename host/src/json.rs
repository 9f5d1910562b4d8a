//! Reading JSON that others wrote, with errors that name the field at fault.
//!
//! Used where text comes in: by the dialects (`ingest`) and the API (`http`).

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

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
    #[error("{}", describe(.field, .problem))]
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

fn describe(field: &str, problem: &str) -> String {
    match field {
        "" => problem.to_owned(),
        field => format!("{field}: {problem}"),
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
        let path = join(prefix, &plain(error.path()));
        let message = without_position(&error.into_inner());
        let (path, message) = match message
            .strip_prefix(WITHIN)
            .and_then(|m| m.split_once(WITHIN))
        {
            Some((within, message)) => (join(&path, within), message.to_owned()),
            None => (path, message),
        };
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

/// A path without serde's marks for "here" and "unknown".
fn plain(path: &serde_path_to_error::Path) -> String {
    match path.to_string() {
        path if path == "." || path == "?" => String::new(),
        path => path,
    }
}

/// Stands around a path inside an error's text. serde's own tagged enums buffer
/// their content and lose the path in it; an error can carry nothing but text.
const WITHIN: char = '\u{1}';

/// Reads an enum whose variant is named by the field `tag` beside the variant's own
/// fields. `T` itself reads the variant's name as a key (serde's ordinary form).
pub fn tagged<'de, D, T>(deserializer: D, tag: &'static str) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let mut fields = Map::<String, Value>::deserialize(deserializer)?;
    let name = match fields.remove(tag) {
        Some(Value::String(name)) => name,
        Some(_) => {
            return Err(D::Error::custom(format!(
                "{WITHIN}{tag}{WITHIN}must be a string"
            )));
        }
        None => return Err(D::Error::missing_field(tag)),
    };
    let variant = Value::Object(Map::from_iter([(name.clone(), Value::Object(fields))]));
    serde_path_to_error::deserialize(variant).map_err(|error| {
        let path = plain(error.path());
        let message = error.inner();
        if message.to_string().starts_with("unknown variant") {
            return D::Error::custom(format!("{WITHIN}{tag}{WITHIN}{message}"));
        }
        let within = path
            .strip_prefix(&name)
            .unwrap_or(&path)
            .trim_start_matches('.');
        D::Error::custom(format!("{WITHIN}{within}{WITHIN}{message}"))
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

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case", deny_unknown_fields)]
    #[allow(dead_code)]
    enum Shape {
        Circle { radius: u8 },
        Group { members: Vec<Inner> },
        Nothing {},
    }

    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    struct Drawing {
        #[serde(deserialize_with = "shape")]
        shape: Shape,
    }

    fn shape<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Shape, D::Error> {
        tagged(deserializer, "is")
    }

    #[test]
    fn the_field_at_fault_in_a_tagged_enum_is_named() {
        assert!(object::<Drawing>(r#"{"shape":{"radius":1,"is":"circle"}}"#).is_ok());
        assert!(object::<Drawing>(r#"{"shape":{"is":"nothing"}}"#).is_ok());
        for (text, wanted) in [
            (r#"{"shape":{}}"#, "missing shape.is"),
            (r#"{"shape":{"is":7}}"#, "invalid shape.is"),
            (r#"{"shape":{"is":"square"}}"#, "invalid shape.is"),
            (r#"{"shape":{"is":"circle"}}"#, "missing shape.radius"),
            (
                r#"{"shape":{"is":"circle","radius":"x"}}"#,
                "invalid shape.radius",
            ),
            (
                r#"{"shape":{"is":"circle","radius":1,"colour":1}}"#,
                "invalid shape.colour",
            ),
            (
                r#"{"shape":{"is":"nothing","radius":1}}"#,
                "invalid shape.radius",
            ),
            (
                r#"{"shape":{"is":"group","members":[{"size":1},{}]}}"#,
                "missing shape.members[1].size",
            ),
            (r#"{"shape":"circle"}"#, "invalid shape"),
        ] {
            assert_eq!(named(object::<Drawing>(text)), wanted, "{text}");
        }
    }

    fn named<T: std::fmt::Debug>(result: Result<T, ReadError>) -> String {
        match result {
            Err(ReadError::MissingField { field }) => format!("missing {field}"),
            Err(ReadError::InvalidField { field, .. }) => format!("invalid {field}"),
            Err(ReadError::NotJson(_)) => "not json".to_owned(),
            other => panic!("{other:?}"),
        }
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
            assert_eq!(named(object::<Outer>(text)), wanted, "{text}");
        }
    }
}
