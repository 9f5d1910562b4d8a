//! From a tool's type to what the host and the language model read about it.

use schemars::{Schema, generate::SchemaSettings};

use super::{Tool, ToolDescription};
use crate::Json;

/// Describes a tool by its type.
#[doc(hidden)]
pub fn describe<T: Tool>() -> ToolDescription {
    let mut schema = argument_schema::<T>();
    // The doc comment describes the tool, so it moves out of the arguments.
    let comment = schema.remove("description");
    let comment = comment
        .as_ref()
        .and_then(|text| text.as_str())
        .unwrap_or_default();
    let description = if T::DESCRIPTION.is_empty() {
        comment
    } else {
        T::DESCRIPTION
    };
    ToolDescription {
        name: T::NAME.to_owned(),
        description: unwrapped(description),
        input_schema: Json::trusted(schema.to_value().to_string()),
    }
}

/// A comment without the line breaks its author's editor put in; those between
/// paragraphs stay.
fn unwrapped(comment: &str) -> String {
    let paragraphs = comment
        .split("\n\n")
        .map(|paragraph| paragraph.trim().replace('\n', " "));
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

/// The JSON Schema of a tool's arguments, without what is of no use to a
/// model: references (many models' function calling does not follow them), the
/// Rust type's name, the dialect.
pub(super) fn argument_schema<T: Tool>() -> Schema {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.remove("title");
    schema
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::{Call, Result, ToolDecision};

    #[derive(Deserialize, JsonSchema)]
    #[serde(rename_all = "snake_case")]
    enum Part {
        Morning,
        Afternoon,
    }

    /// Says what is
    /// free.
    ///
    /// Use it first.
    #[derive(Deserialize, JsonSchema)]
    struct WhatIsFree {
        /// The day.
        #[serde(rename = "date")]
        _date: String,
        #[serde(rename = "part")]
        _part: Option<Part>,
    }

    impl Tool for WhatIsFree {
        const NAME: &'static str = "what_is_free";

        fn call(self, _call: &Call) -> Result<ToolDecision> {
            Ok(ToolDecision::Pass)
        }
    }

    #[test]
    fn name_comment_and_fields_become_the_description() {
        let tool = describe::<WhatIsFree>();
        assert_eq!(tool.name, "what_is_free");
        assert_eq!(tool.description, "Says what is free.\n\nUse it first.");
        let schema = tool.input_schema.value().unwrap();
        assert_eq!(schema["type"], "object");
        assert_eq!(schema["required"], json!(["date"]));
        assert_eq!(
            schema["properties"]["date"],
            json!({"type": "string", "description": "The day."})
        );
        assert!(
            !tool.input_schema.as_str().contains("$ref"),
            "{}",
            tool.input_schema
        );
        assert!(
            schema.get("title").is_none() && schema.get("$schema").is_none(),
            "{schema}"
        );
    }
}
