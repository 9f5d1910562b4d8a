//! Reading JSON that others wrote, with errors that name the field at fault.
//!
//! Used where text comes in: by the dialects (`ingest`) and the API (`http`).

use std::collections::BTreeMap;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_path_to_error::Segment;

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
        let path = join(prefix, &plain(error.path().iter()));
        let message = without_position(&error.into_inner());
        let (path, message) = unmark(path, &message);
        // Of an unknown field the path is known; of these two it ends before the name.
        if let Some(field) = quoted(message, "missing field ") {
            return ReadError::missing(join(&path, field));
        }
        match quoted(message, "duplicate field ") {
            Some(field) => ReadError::invalid(join(&path, field), message),
            None => ReadError::invalid(path, message),
        }
    })
}

/// A path as people write it.
fn plain<'a>(segments: impl Iterator<Item = &'a Segment>) -> String {
    segments.fold(String::new(), |path, segment| match segment {
        Segment::Seq { index } => join(&path, &format!("[{index}]")),
        Segment::Map { key: name } | Segment::Enum { variant: name } => join(&path, name),
        Segment::Unknown => path,
    })
}

/// Begins an error's text that carries a path: an error can carry nothing but text,
/// and what `tagged` reads, serde's tracking of paths does not see.
const MARK: char = '\u{1}';

/// Puts a path into an error's text. With its length, because the path may be of
/// names that somebody sent, and so have any character in it.
fn marked(path: &str, message: impl std::fmt::Display) -> String {
    format!("{MARK}{}{MARK}{path}{message}", path.len())
}

/// Takes the paths out of an error's text, from the outermost to the innermost.
fn unmark(mut path: String, mut message: &str) -> (String, &str) {
    while let Some((within, rest)) = message
        .strip_prefix(MARK)
        .and_then(|rest| rest.split_once(MARK))
        .and_then(|(length, rest)| rest.split_at_checked(length.parse().ok()?))
    {
        path = join(&path, within);
        message = rest;
    }
    (path, message)
}

/// Reads an enum whose variant is named by the field `tag` beside the variant's own
/// fields. `T` itself reads the variant's name as a key (serde's ordinary form), and
/// does not contain itself: the limit on nesting begins anew in it.
///
/// serde's own tagged enums lose the path of an error, and what they buffer cannot
/// keep JSON as it was written; this keeps both.
pub fn tagged<'de, D, T>(deserializer: D, tag: &'static str) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let mut fields = BTreeMap::<String, Box<RawValue>>::deserialize(deserializer)?;
    let Some(name) = fields.remove(tag) else {
        return Err(D::Error::missing_field(tag));
    };
    let name: String = serde_json::from_str(name.get())
        .map_err(|_| D::Error::custom(marked(tag, "must be a string")))?;
    let variant = serde_json::to_string(&BTreeMap::from([(&name, fields)]));
    let variant = variant.map_err(D::Error::custom)?;
    let mut reader = serde_json::Deserializer::from_str(&variant);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let message = without_position(error.inner());
        if message.starts_with("unknown variant") && error.path().iter().count() <= 1 {
            return D::Error::custom(marked(tag, message));
        }
        // The first is the variant, which nobody wrote as a key.
        let path = plain(error.path().iter().skip(1));
        D::Error::custom(marked(&path, message))
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
            (
                r#"{"shape":{"is":"group","members":[],"shape":1}}"#,
                "invalid shape.shape",
            ),
            (
                r#"{"shape":{"is":"nothing","\u0001radius\u0001":1}}"#,
                "invalid shape.\u{1}radius\u{1}",
            ),
            (r#"{"shape":"circle"}"#, "invalid shape"),
        ] {
            assert_eq!(named(object::<Drawing>(text)), wanted, "{text}");
        }
    }

    #[test]
    fn a_fault_in_a_tagged_enum_within_another_is_named() {
        #[derive(Debug, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[allow(dead_code)]
        enum Page {
            Of { drawings: Vec<Drawing> },
        }
        #[derive(Debug, Deserialize)]
        #[allow(dead_code)]
        struct Book {
            #[serde(deserialize_with = "page")]
            page: Page,
        }
        fn page<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Page, D::Error> {
            tagged(deserializer, "is")
        }
        let text = r#"{"page":{"is":"of","drawings":[{"shape":{"is":"circle","radius":-1}}]}}"#;
        let Err(ReadError::InvalidField { field, problem }) = object::<Book>(text) else {
            panic!("{text} was taken");
        };
        assert_eq!(field, "page.drawings[0].shape.radius");
        assert_eq!(problem, "invalid value: integer `-1`, expected u8");
    }

    #[test]
    fn json_in_a_tagged_enum_stays_as_it_was_written() {
        #[derive(Debug, Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Holder {
            Of { raw: Box<RawValue> },
        }
        #[derive(Debug, Deserialize)]
        #[serde(transparent)]
        struct Tagged(#[serde(deserialize_with = "holder")] Holder);
        fn holder<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Holder, D::Error> {
            tagged(deserializer, "is")
        }
        let written = r#"{ "z":123456789012345678901, "a":2.50, "m":1e400 }"#;
        let text = format!(r#"{{"raw":{written},"is":"of"}}"#);
        let Tagged(Holder::Of { raw }) = object(&text).unwrap();
        assert_eq!(raw.get(), written);
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
            (r#"{"name":"x","name":"y"}"#, "invalid name"),
            (
                r#"{"name":"x","inner":[{"size":1,"size":2}]}"#,
                "invalid inner[0].size",
            ),
            (r#"{"name":"x","a`b.c":1}"#, "invalid a`b.c"),
            (r#"{"name":"x","?":1}"#, "invalid ?"),
            (r#"{"name":1"#, "not json"),
            (r#"{"name":"x"} {}"#, "not json"),
            (r#"["x"]"#, "invalid "),
        ] {
            assert_eq!(named(object::<Outer>(text)), wanted, "{text}");
        }
    }
}
