//! Paths into a payload: `callAdditionalData.customer.tier`, `transcription.0.text`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Names of fields, or places in lists, joined by dots.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Path(String);

crate::domain::schema::of!(Path as String);

/// A text that is no path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected the names of fields joined by dots, such as result.reason")]
pub struct InvalidPath;

impl Path {
    const MAX_LEN: usize = 256;

    pub fn parse(text: &str) -> Result<Self, InvalidPath> {
        let plain = |c: char| !c.is_whitespace() && !c.is_control() && !"{}\"'".contains(c);
        let name = |name: &str| !name.is_empty() && name.chars().all(plain);
        if text.len() <= Self::MAX_LEN && text.split('.').all(name) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidPath)
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is there, if anything is.
    pub fn find<'v>(&self, payload: &'v Value) -> Option<&'v Value> {
        self.0.split('.').try_fold(payload, |at, name| match at {
            Value::Object(fields) => fields.get(name),
            Value::Array(items) => items.get(name.parse::<usize>().ok()?),
            _ => None,
        })
    }
}

impl TryFrom<String> for Path {
    type Error = InvalidPath;
    fn try_from(text: String) -> Result<Self, InvalidPath> {
        Self::parse(&text)
    }
}

impl From<Path> for String {
    fn from(path: Path) -> Self {
        path.0
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_leads_through_objects_and_lists() {
        let payload = json!({"a": {"b": [1, {"c": null}]}});
        let find = |path: &str| Path::parse(path).unwrap().find(&payload).cloned();
        assert_eq!(find("a.b.0"), Some(json!(1)));
        assert_eq!(find("a.b.1.c"), Some(Value::Null));
        for nowhere in ["b", "a.b.2", "a.b.x", "a.b.0.c", "a.b.-1"] {
            assert_eq!(find(nowhere), None, "{nowhere}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in ["", ".", "a.", "a..b", "a b", "{{a}}", "a\n"] {
            assert!(Path::parse(text).is_err(), "{text:?}");
        }
    }
}
