//! Reading JSON into types: it agrees with serde on what is read, and its errors
//! name the place at fault.
//!
//! The types here are shaped like those of the API and the dialects: strict and
//! tolerant, nested, with maps, and with variants that a field beside them names.

use std::collections::BTreeMap;
use std::fmt::Debug;

use hookswitch::domain::Json;
use hookswitch::json;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::read_error;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)] // Read for its errors, shown by `Debug`.
struct Strict {
    name: String,
    size: Option<u8>,
    #[serde(default)]
    inner: Vec<Self>,
    #[serde(default)]
    words: BTreeMap<String, Vec<i64>>,
    #[serde(default, deserialize_with = "optional_shape")]
    shape: Option<Shape>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code)]
struct Tolerant<'a> {
    named_type: Option<String>,
    #[serde(borrow)]
    raw_part: Option<&'a RawValue>,
    strict_part: Option<Strict>,
    list: Option<Vec<Strict>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[allow(dead_code)]
enum Shape {
    Circle { radius: u8 },
    Group { members: Vec<Member> },
    Labelled { label: Json },
    Nothing {},
}

/// What a variant holds may have a variant, but not of the same type: `json::tagged`
/// says so.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Member {
    name: String,
    size: Option<u8>,
    #[serde(default, deserialize_with = "optional_corner")]
    corner: Option<Corner>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[allow(dead_code)]
enum Corner {
    Round { radius: u8 },
    Sharp {},
}

/// The field that names a shape's variant.
const TAG: &str = "is";

#[derive(Debug, Deserialize)]
#[serde(transparent)]
#[allow(dead_code)]
struct Tagged(#[serde(deserialize_with = "shape")] Shape);

fn shape<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Shape, D::Error> {
    json::tagged(deserializer, TAG)
}

fn optional_shape<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Shape>, D::Error> {
    shape(deserializer).map(Some)
}

fn optional_corner<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Corner>, D::Error> {
    json::tagged(deserializer, "is").map(Some)
}

/// Reads the text as each of the types.
pub fn check(data: &[u8]) {
    let Ok(text) = json::text(data) else {
        return assert!(std::str::from_utf8(data).is_err());
    };
    agrees::<Strict>(text);
    agrees::<Tolerant<'_>>(text);
    agrees::<Tagged>(text);
    tagged_agrees(text);
}

/// Where the part is, in the document that it is thought to be of.
const PREFIX: &str = "a.part";

/// A type is read exactly where serde reads it, in a document and in a part of one.
fn agrees<'a, T: Deserialize<'a> + Debug>(text: &'a str) {
    let wanted = serde_json::from_str::<T>(text).ok();
    let is_object = text.trim_start().starts_with('{');
    let wanted = wanted
        .filter(|_| is_object)
        .map(|value| format!("{value:?}"));
    match json::object::<T>(text) {
        Ok(value) => assert_eq!(Some(format!("{value:?}")), wanted),
        Err(error) => {
            assert_eq!(wanted, None, "{error}");
            read_error::check(text, "", &error);
        }
    }
    if let Ok(raw) = serde_json::from_str::<&RawValue>(text)
        && let Err(error) = json::part::<T>(raw, PREFIX)
    {
        read_error::check(text, PREFIX, &error);
    }
}

/// A variant named by a field is the one that serde reads when the name is the key.
fn tagged_agrees(text: &str) {
    let Ok(mut fields) = serde_json::from_str::<Map<String, Value>>(text) else {
        return;
    };
    let wanted = match fields.remove(TAG) {
        Some(Value::String(name)) => {
            let keyed = Value::Object(Map::from_iter([(name, Value::Object(fields))]));
            serde_json::from_str::<Shape>(&keyed.to_string()).ok()
        }
        _ => None,
    };
    let given = json::object::<Tagged>(text).ok();
    assert_eq!(
        given.is_some(),
        wanted.is_some(),
        "{given:?} where {wanted:?} was meant"
    );
}
