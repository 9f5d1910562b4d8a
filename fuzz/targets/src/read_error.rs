//! What every error of reading JSON owes its reader: it calls text that is no JSON
//! so, and otherwise names a place that is there, or one that is not and should be.
//!
//! The places are looked up in a reading of our own that keeps every key, also the
//! repeated ones, so that it cannot share a mistake with what it judges.

use std::fmt;

use hookswitch::json::ReadError;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Panics if the error is not a right one for the text. `prefix` is the path to the
/// text in a larger document, or empty.
pub(crate) fn check(text: &str, prefix: &str, error: &ReadError) {
    let is_json = serde_json::from_str::<IgnoredAny>(text).is_ok();
    assert_eq!(
        matches!(error, ReadError::NotJson(_)),
        !is_json,
        "whether it is JSON: {error}"
    );
    let message = error.to_string();
    assert!(!message.is_empty(), "an error says something");
    assert!(
        !message.contains('\u{1}') || text.contains("\\u0001"),
        "marks that are ours alone are visible: {message:?}"
    );
    // Numbers and depths that serde_json does not take end the look-up, not the error.
    let Ok(document) = serde_json::from_str::<Tree>(text) else {
        return;
    };
    match error {
        ReadError::NotJson(_) | ReadError::NotUtf8 { .. } => {}
        ReadError::InvalidField { field, problem } => {
            let path = within(field, prefix);
            assert!(!problem.is_empty(), "{field}: a problem has a text");
            assert!(
                !path.is_empty() || !prefix.is_empty() || document.may_be_at_fault(),
                "the error names no field: {message}"
            );
            assert!(
                !document.at(path).is_empty(),
                "there is no {field:?}: {message}"
            );
        }
        ReadError::MissingField { field } => {
            let path = within(field, prefix);
            assert!(
                document.lacks(path),
                "{field:?} is there, or what it would be in is not: {message}"
            );
        }
    }
}

fn within<'a>(field: &'a str, prefix: &str) -> &'a str {
    let rest = field.strip_prefix(prefix);
    let rest = rest.unwrap_or_else(|| panic!("{field:?} does not begin with {prefix:?}"));
    if prefix.is_empty() {
        rest
    } else {
        rest.strip_prefix('.').unwrap_or(rest)
    }
}

/// A JSON document as far as paths go.
#[derive(Debug)]
enum Tree {
    /// `null` or an empty text, which dialects treat as absent.
    Nothing,
    Scalar,
    Array(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl Tree {
    /// Whether the empty path may be meant: no object, or one with a key that is empty.
    fn may_be_at_fault(&self) -> bool {
        match self {
            Self::Object(fields) => fields.iter().any(|(key, _)| key.is_empty()),
            _ => true,
        }
    }

    /// Every place a path can mean: keys repeat, and may have dots in them.
    fn at(&self, path: &str) -> Vec<&Self> {
        if path.is_empty() {
            return vec![self];
        }
        match self {
            Self::Nothing | Self::Scalar => Vec::new(),
            Self::Array(items) => {
                let Some((number, rest)) =
                    path.strip_prefix('[').and_then(|path| path.split_once(']'))
                else {
                    return Vec::new();
                };
                let item = number.parse().ok().and_then(|n: usize| items.get(n));
                item.map_or_else(Vec::new, |item| item.at(next(rest)))
            }
            Self::Object(fields) => fields
                .iter()
                .filter_map(|(key, value)| Some((path.strip_prefix(key.as_str())?, value)))
                .filter(|(rest, _)| rest.is_empty() || rest.starts_with(['.', '[']))
                .flat_map(|(rest, value)| value.at(next(rest)))
                .collect(),
        }
    }

    /// Whether an object that is there has nothing at the end of the path.
    fn lacks(&self, path: &str) -> bool {
        let ends = path
            .match_indices('.')
            .map(|(at, _)| (&path[..at], &path[at + 1..]));
        ends.chain([("", path)]).any(|(parent, name)| {
            self.at(parent).into_iter().any(|tree| match tree {
                Self::Object(fields) => fields
                    .iter()
                    .all(|(key, value)| key != name || matches!(value, Self::Nothing)),
                _ => false,
            })
        })
    }
}

fn next(rest: &str) -> &str {
    rest.strip_prefix('.').unwrap_or(rest)
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Nothing)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(if text.is_empty() {
            Tree::Nothing
        } else {
            Tree::Scalar
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Tree::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Tree::Object(fields))
    }
}
