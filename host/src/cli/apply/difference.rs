//! What is different between two things in the API's form, field by field.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::cli::shown::{shortened, text};

/// A field that changes. What is secret is not in it.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct FieldChange {
    pub(super) field: String,
    pub(super) before: Value,
    pub(super) after: Value,
}

impl FieldChange {
    pub(super) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let short = |value: &Value| match value {
            Value::Null => "(none)".to_owned(),
            value => shortened(&text(&Value::from(value.to_string()))),
        };
        writeln!(
            out,
            "    {}: {} → {}",
            text(&self.field.as_str().into()),
            short(&self.before),
            short(&self.after)
        )
    }
}

/// The fields of `wanted` that are otherwise now: what to send, and what to show of it.
/// What `now` has beside them is left alone.
pub(super) fn between(now: &Value, wanted: &Value) -> (Map<String, Value>, Vec<FieldChange>) {
    let (mut changes, mut shown) = (Map::new(), Vec::new());
    for (field, after) in wanted.as_object().into_iter().flatten() {
        let before = &now[field.as_str()];
        if before != after {
            changes.insert(field.clone(), after.clone());
            go(field, before, after, &mut shown);
        }
    }
    (changes, shown)
}

/// Goes into objects, so that of a large one only the difference is shown.
fn go(path: &str, before: &Value, after: &Value, shown: &mut Vec<FieldChange>) {
    let (Value::Object(old), Value::Object(new)) = (before, after) else {
        if before != after {
            shown.push(FieldChange {
                field: path.to_owned(),
                before: before.clone(),
                after: after.clone(),
            });
        }
        return;
    };
    let gone = old.keys().filter(|name| !new.contains_key(*name));
    for name in new.keys().chain(gone) {
        let [before, after] = [old, new].map(|it| it.get(name).unwrap_or(&Value::Null));
        go(&format!("{path}.{name}"), before, after, shown);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_difference_is_sent_by_field_and_shown_to_its_depth() {
        let now = json!({
            "id": "src_1", "margin_ms": 1,
            "config": {"blocked": ["a"], "hours": {"mon": 1}, "old": true}
        });
        let wanted = json!({
            "margin_ms": 1, "rate": null,
            "config": {"blocked": ["a", "b"], "hours": {"mon": 1}}
        });
        let (changes, shown) = between(&now, &wanted);
        assert_eq!(Value::Object(changes), json!({"config": wanted["config"]}));
        let shown: Vec<_> = shown.iter().map(|it| it.field.as_str()).collect();
        assert_eq!(shown, ["config.blocked", "config.old"]);
        assert!(between(&now, &json!({"margin_ms": 1})).0.is_empty());
    }
}
