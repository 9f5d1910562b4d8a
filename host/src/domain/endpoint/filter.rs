//! Which events an endpoint wants.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::path::Path;
use crate::domain::event::Kind;

/// All that it names must hold; what it leaves out matches everything.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// Any of them.
    pub kinds: Vec<KindPattern>,
    /// Any of them.
    pub agents: Vec<String>,
    /// Each of these fields of the payload must be so.
    #[serde(rename = "where")]
    pub fields: BTreeMap<Path, Test>,
}

/// What a filter looks at, beside the payload.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    pub kind: &'a Kind,
    pub agent: &'a str,
}

impl Filter {
    /// Most patterns, agents or fields.
    pub const MAX_ITEMS: usize = 64;

    /// Whether kind and agent are wanted. Fields are another question, because it
    /// needs the payload read.
    pub fn covers(&self, subject: &Subject<'_>) -> bool {
        let kind = if self.kinds.is_empty() {
            KindPattern::All.matches(subject.kind)
        } else {
            self.kinds.iter().any(|it| it.matches(subject.kind))
        };
        kind && (self.agents.is_empty() || self.agents.iter().any(|it| it == subject.agent))
    }

    pub fn looks_at_fields(&self) -> bool {
        !self.fields.is_empty()
    }

    /// Whether the payload's fields are as wanted.
    pub fn fields_hold(&self, payload: &Value) -> bool {
        self.fields
            .iter()
            .all(|(path, test)| test.holds(path.find(payload)))
    }
}

/// How a field has to be. A field that is not there passes no test but
/// `"exists": false` and `not_equals`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Test {
    Equals(Value),
    NotEquals(Value),
    OneOf(Vec<Value>),
    /// A number greater than this.
    Above(f64),
    /// A number less than this.
    Below(f64),
    /// A list with this item, or a text with this part.
    Contains(Value),
    Exists(bool),
}

impl Test {
    fn holds(&self, found: Option<&Value>) -> bool {
        let number = || found.and_then(Value::as_f64);
        match self {
            Self::Equals(wanted) => found.is_some_and(|it| equal(it, wanted)),
            Self::NotEquals(unwanted) => !found.is_some_and(|it| equal(it, unwanted)),
            Self::OneOf(wanted) => {
                found.is_some_and(|it| wanted.iter().any(|wanted| equal(it, wanted)))
            }
            Self::Above(bound) => number().is_some_and(|it| it > *bound),
            Self::Below(bound) => number().is_some_and(|it| it < *bound),
            Self::Contains(part) => match (found, part) {
                (Some(Value::Array(items)), part) => items.iter().any(|it| equal(it, part)),
                (Some(Value::String(text)), Value::String(part)) => text.contains(part),
                _ => false,
            },
            Self::Exists(wanted) => found.is_some() == *wanted,
        }
    }
}

/// JSON knows one kind of number: `1` and `1.0` are the same.
fn equal(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one.total_cmp(&other).is_eq(),
        _ => one == other,
    }
}

/// A kind, or a group of kinds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum KindPattern {
    /// `*`: every kind of a platform; not what Hookswitch says itself.
    All,
    /// `call.*`: every kind that begins with `call.`; here that dot is kept.
    Below(String),
    Exactly(Kind),
}

crate::domain::schema::of!(KindPattern as String);

/// A text that is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a kind such as call.completed, a group such as call.*, or * for all")]
pub struct InvalidPattern;

impl KindPattern {
    pub fn matches(&self, kind: &Kind) -> bool {
        match self {
            Self::All => !kind.is_our_own(),
            Self::Below(prefix) => kind.as_str().starts_with(prefix),
            Self::Exactly(wanted) => wanted == kind,
        }
    }
}

impl TryFrom<String> for KindPattern {
    type Error = InvalidPattern;
    fn try_from(text: String) -> Result<Self, InvalidPattern> {
        if text == "*" {
            return Ok(Self::All);
        }
        let (word, group) = match text.strip_suffix(".*") {
            Some(word) => (word, true),
            None => (text.as_str(), false),
        };
        let kind = Kind::parse(word).map_err(|_| InvalidPattern)?;
        Ok(if group {
            Self::Below(format!("{word}."))
        } else {
            Self::Exactly(kind)
        })
    }
}

impl fmt::Display for KindPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Below(prefix) => write!(f, "{prefix}*"),
            Self::Exactly(kind) => kind.fmt(f),
        }
    }
}

impl From<KindPattern> for String {
    fn from(pattern: KindPattern) -> Self {
        pattern.to_string()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filter(text: &str) -> Filter {
        serde_json::from_str(text).unwrap()
    }

    fn covers(filter: &Filter, kind: &str, agent: &str) -> bool {
        let kind = &Kind::parse(kind).unwrap();
        filter.covers(&Subject { kind, agent })
    }

    #[test]
    fn kinds_are_matched_by_name_by_group_or_all() {
        for (kinds, wanted, unwanted) in [
            ("[]", ["call.start", "contact.created"], "endpoint.failing"),
            (r#"["*"]"#, ["call.start", "unknown"], "delivery.exhausted"),
            (
                r#"["call.*"]"#,
                ["call.start", "call.failed"],
                "callx.start",
            ),
            (
                r#"["call.failed","tool.*"]"#,
                ["call.failed", "tool.call"],
                "call.start",
            ),
            (
                r#"["endpoint.*"]"#,
                ["endpoint.failing", "endpoint.disabled"],
                "call.start",
            ),
        ] {
            let filter = filter(&format!(r#"{{"kinds":{kinds}}}"#));
            for kind in wanted {
                assert!(covers(&filter, kind, "a"), "{kinds} leaves out {kind}");
            }
            assert!(!covers(&filter, unwanted, "a"), "{kinds} takes {unwanted}");
        }
    }

    #[test]
    fn agents_are_matched_by_name() {
        let filter = filter(r#"{"agents":["a","b"]}"#);
        assert!(covers(&filter, "call.start", "b"));
        assert!(!covers(&filter, "call.start", "c"));
    }

    #[test]
    fn fields_are_matched_by_their_values() {
        let payload = json!({"n": 61, "text": "very long", "tags": ["vip", 1], "none": null});
        for (test, holds) in [
            (r#"{"n":{"above":60}}"#, true),
            (r#"{"n":{"above":61}}"#, false),
            (r#"{"n":{"below":61.5}}"#, true),
            (r#"{"text":{"above":1}}"#, false),
            (r#"{"n":{"equals":61.0}}"#, true),
            (r#"{"text":{"equals":"very long"}}"#, true),
            (r#"{"gone":{"equals":null}}"#, false),
            (r#"{"none":{"equals":null}}"#, true),
            (r#"{"gone":{"not_equals":1}}"#, true),
            (r#"{"n":{"not_equals":61}}"#, false),
            (r#"{"n":{"one_of":[1,61]}}"#, true),
            (r#"{"tags":{"contains":"vip"}}"#, true),
            (r#"{"tags.1":{"equals":1}}"#, true),
            (r#"{"text":{"contains":"long"}}"#, true),
            (r#"{"text":{"contains":"short"}}"#, false),
            (r#"{"gone":{"exists":false}}"#, true),
            (r#"{"none":{"exists":true}}"#, true),
            (r#"{"n":{"above":60},"text":{"exists":false}}"#, false),
        ] {
            let filter = filter(&format!(r#"{{"where":{test}}}"#));
            assert_eq!(filter.fields_hold(&payload), holds, "{test}");
        }
    }

    #[test]
    fn filters_with_mistakes_are_refused() {
        for text in [
            r#"{"kinds":[""]}"#,
            r#"{"kinds":[".*"]}"#,
            r#"{"kinds":["call*"]}"#,
            r#"{"kinds":["Call.*"]}"#,
            r#"{"kind":["call.*"]}"#,
            r#"{"where":{"a":{"more":1}}}"#,
            r#"{"where":{"a":{"above":"1"}}}"#,
            r#"{"where":{"a..b":{"exists":true}}}"#,
        ] {
            assert!(serde_json::from_str::<Filter>(text).is_err(), "{text}");
        }
    }
}
