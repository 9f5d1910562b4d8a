//! The fields of a request that creates or changes something: as they were written, so
//! that what only passes through keeps its form.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeOwned, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::http::problem::Problem;
use crate::json;

/// An object's fields. None is there twice.
#[derive(Debug, Default)]
pub(in crate::http) struct Changes(BTreeMap<String, Box<RawValue>>);

impl<'de> Deserialize<'de> for Changes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Changes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Changes, A::Error> {
        let mut fields = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
            if fields.contains_key(&name) {
                return Err(A::Error::custom(format!("duplicate field `{name}`")));
            }
            fields.insert(name, value);
        }
        Ok(Changes(fields))
    }
}

impl Changes {
    pub(super) fn has(&self, field: &str) -> bool {
        self.0.contains_key(field)
    }

    /// Takes a field out. One that is `null` is as good as absent.
    pub(super) fn take<T: DeserializeOwned>(&mut self, field: &str) -> Result<Option<T>, Problem> {
        match self.0.remove(field) {
            Some(value) if value.get() != "null" => Ok(Some(json::part(&value, field)?)),
            _ => Ok(None),
        }
    }

    /// Reads the fields as something new.
    pub(super) fn read<T: DeserializeOwned>(self) -> Result<T, Problem> {
        Ok(json::object(&text(self.0))?)
    }

    /// Reads the fields over what was before. `null` gives a field its default back.
    pub(super) fn over<T: DeserializeOwned + Serialize>(self, before: &T) -> Result<T, Problem> {
        let before = serde_json::to_string(before).unwrap_or_default();
        let Self(mut fields) = serde_json::from_str(&before).unwrap_or_default();
        fields.extend(self.0);
        Ok(json::object(&text(fields))?)
    }
}

/// Fields that are not `null` as an object.
fn text(fields: BTreeMap<String, Box<RawValue>>) -> String {
    let mut text = String::from("{");
    for (name, value) in fields.iter().filter(|(_, value)| value.get() != "null") {
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(&serde_json::Value::from(name.as_str()).to_string());
        text.push(':');
        text.push_str(value.get());
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Thing {
        name: String,
        #[serde(default)]
        size: u32,
        #[serde(default)]
        data: serde_json::Value,
    }

    fn changes(text: &str) -> Changes {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn changes_go_over_what_was_before_and_null_is_the_default() {
        let before = Thing {
            name: "a".to_owned(),
            size: 3,
            data: 1.into(),
        };
        let after: Thing = changes(r#"{"size": null, "data": {"b": 1, "a": 1.0}}"#)
            .over(&before)
            .unwrap();
        assert_eq!(after.name, "a");
        assert_eq!(after.size, 0);
        assert!(changes(r#"{"colour": 1}"#).over(&before).is_err());
    }

    #[test]
    fn a_field_that_is_there_twice_is_refused() {
        assert!(serde_json::from_str::<Changes>(r#"{"a": 1, "a": 2}"#).is_err());
    }

    #[test]
    fn values_keep_the_form_they_were_written_in() {
        let all = text(changes(r#"{"n": 1.50, "o": {"z": 1, "a": 2}, "x": null}"#).0);
        assert_eq!(all, r#"{"n":1.50,"o":{"z": 1, "a": 2}}"#);
    }
}
