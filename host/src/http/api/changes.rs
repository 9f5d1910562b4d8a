//! The fields of a request that creates or changes something: as they were written, so
//! that what only passes through keeps its form.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{DeserializeOwned, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::http::problem::Problem;
use crate::json;

type Fields = BTreeMap<String, Box<RawValue>>;

/// Some fields of a `T`. None is there twice.
#[derive(Debug)]
pub(in crate::http) struct Changes<T> {
    fields: Fields,
    of: PhantomData<fn() -> T>,
}

impl<T> From<Fields> for Changes<T> {
    fn from(fields: Fields) -> Self {
        Self {
            fields,
            of: PhantomData,
        }
    }
}

/// All fields may be absent, and be null.
impl<T: JsonSchema> JsonSchema for Changes<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("ChangesOf{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = T::json_schema(generator);
        schema.remove("required");
        if let Some(Value::Object(properties)) = schema.ensure_object().get_mut("properties") {
            for property in properties.values_mut() {
                let given = property.take();
                *property = serde_json::json!({"anyOf": [given, {"type": "null"}]});
            }
        }
        schema
    }
}

impl<'de, T> Deserialize<'de> for Changes<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = deserializer.deserialize_map(EachOnce)?;
        Ok(fields.into())
    }
}

struct EachOnce;

impl<'de> Visitor<'de> for EachOnce {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Fields::new();
        while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
            if fields.contains_key(&name) {
                return Err(A::Error::custom(format!("duplicate field `{name}`")));
            }
            fields.insert(name, value);
        }
        Ok(fields)
    }
}

impl<T> Changes<T> {
    pub(super) fn has(&self, field: &str) -> bool {
        self.fields.contains_key(field)
    }

    /// Takes a field out. One that is `null` is as good as absent.
    pub(super) fn take<F: DeserializeOwned>(&mut self, field: &str) -> Result<Option<F>, Problem> {
        match self.fields.remove(field) {
            Some(value) if value.get() != "null" => Ok(Some(json::part(&value, field)?)),
            _ => Ok(None),
        }
    }

    /// Reads the fields as something new.
    pub(super) fn read<U: DeserializeOwned>(self) -> Result<U, Problem> {
        Ok(json::object(&text(&self.fields))?)
    }

    /// Reads the fields over what was before. `null` gives a field its default back.
    pub(super) fn over<U: DeserializeOwned + Serialize>(self, before: &U) -> Result<U, Problem> {
        let before = serde_json::to_string(before).unwrap_or_default();
        let mut fields: Fields = serde_json::from_str(&before).unwrap_or_default();
        fields.extend(self.fields);
        Ok(json::object(&text(&fields))?)
    }
}

/// Fields that are not `null` as an object.
fn text(fields: &Fields) -> String {
    let mut text = String::from("{");
    for (name, value) in fields.iter().filter(|(_, value)| value.get() != "null") {
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(&Value::from(name.as_str()).to_string());
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
        data: Value,
    }

    fn changes(text: &str) -> Changes<Thing> {
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
        assert!(changes(r#"{"colour": 1}"#).over::<Thing>(&before).is_err());
    }

    #[test]
    fn a_field_that_is_there_twice_is_refused() {
        assert!(serde_json::from_str::<Changes<Thing>>(r#"{"a": 1, "a": 2}"#).is_err());
    }

    #[test]
    fn values_keep_the_form_they_were_written_in() {
        let all = text(&changes(r#"{"n": 1.50, "o": {"z": 1, "a": 2}, "x": null}"#).fields);
        assert_eq!(all, r#"{"n":1.50,"o":{"z": 1, "a": 2}}"#);
    }
}
