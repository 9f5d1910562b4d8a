//! JSON as text: what crosses the border between host and plugin.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer, ser::Error as _};
use serde_json::{Value, value::RawValue};

use crate::Result;

/// Text that is one JSON document.
///
/// The host passes free-form data as JSON text and takes it back the same way,
/// so a plugin pays for parsing only what it looks at. Two documents are equal
/// when they mean the same, whatever the order of their fields.
///
/// A `Json` serializes as the document it holds, so one can be put inside
/// another: `json!({"original": agent_config})`.
#[derive(Clone)]
pub struct Json(String);

impl Json {
    /// The JSON of any serializable value.
    ///
    /// Fails for values JSON cannot hold, for example a map with keys that are
    /// not text.
    pub fn of(value: &(impl Serialize + ?Sized)) -> Result<Self> {
        Ok(Self(serde_json::to_string(value)?))
    }

    /// Text that is known to be JSON; nobody looks.
    ///
    /// The host checks what a plugin returns: text that is not JSON counts as
    /// the plugin's failure.
    pub fn trusted(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The document as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The document as text, without a copy.
    pub fn into_string(self) -> String {
        self.0
    }

    /// Reads the document into a type. The error says at which place the
    /// document and the type disagree.
    pub fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T> {
        parse(&self.0)
    }

    /// The document as a tree, for when its shape is not known.
    pub fn value(&self) -> Result<Value> {
        self.parse()
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Json({})", self.0)
    }
}

impl fmt::Display for Json {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        if self.0 == other.0 {
            return true;
        }
        match (self.value(), other.value()) {
            (Ok(left), Ok(right)) => left == right,
            _ => false,
        }
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(&self.0).map_err(S::Error::custom)?;
        raw.serialize(serializer)
    }
}

/// Reads JSON text into a type, with the path to what did not fit.
pub(crate) fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn documents_are_equal_when_they_mean_the_same() {
        assert_eq!(
            Json::trusted(r#"{"a":1,"b":2}"#),
            Json::trusted(r#"{ "b": 2, "a": 1 }"#)
        );
        assert_ne!(Json::trusted("{}"), Json::trusted("[]"));
    }

    #[test]
    fn a_document_nests_in_another_without_being_quoted() {
        let inner = Json::trusted(r#"{"model":"small"}"#);
        let outer = Json::of(&json!({ "inner": inner })).unwrap();
        assert_eq!(outer.as_str(), r#"{"inner":{"model":"small"}}"#);
    }

    #[test]
    fn an_error_names_the_place() {
        #[derive(Debug, Deserialize)]
        struct Voice {
            #[serde(rename = "speed")]
            _speed: f32,
        }
        #[derive(Debug, Deserialize)]
        struct Config {
            #[serde(rename = "voice")]
            _voice: Voice,
        }
        let error = Json::trusted(r#"{"voice":{"speed":"fast"}}"#)
            .parse::<Config>()
            .unwrap_err();
        assert!(
            error.to_string().starts_with("voice.speed: invalid type"),
            "{error}"
        );
    }

    #[test]
    fn text_after_the_document_is_an_error() {
        assert!(Json::trusted("{} {}").value().is_err());
    }
}
