//! From the arguments a model filled in to a tool's type, or to an answer that
//! tells the model what is wrong with them.

use serde_json::{Map, Value};

use super::{Tool, ToolDecision, describe::argument_schema};
use crate::{Call, Json, Result};

/// Reads the arguments and calls the tool.
#[doc(hidden)]
pub fn run<T: Tool>(call: &Call, arguments: &Json) -> Result<ToolDecision> {
    let Ok(Value::Object(arguments)) = arguments.value() else {
        return ToolDecision::invalid_argument("", "The arguments must be one JSON object.");
    };
    if let Some(field) = missing_field::<T>(&arguments) {
        let problem = format!("The argument `{field}` is missing.");
        return ToolDecision::invalid_argument(&field, &problem);
    }
    match serde_path_to_error::deserialize::<_, T>(Value::Object(arguments)) {
        Ok(tool) => tool.call(call),
        Err(error) => {
            let field = error.path().to_string();
            ToolDecision::invalid_argument(
                if field == "." { "" } else { &field },
                &format!("The arguments do not fit: {}.", error.inner()),
            )
        }
    }
}

/// The first required argument that is not there: serde names it only in prose,
/// the schema by name.
fn missing_field<T: Tool>(arguments: &Map<String, Value>) -> Option<String> {
    let schema = argument_schema::<T>();
    let required = schema.get("required")?.as_array()?;
    let names = required.iter().filter_map(Value::as_str);
    names
        .into_iter()
        .find(|name| !arguments.contains_key(*name))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde::Deserialize;
    use serde_json::json;

    use crate::{Json, Tool, ToolDecision, ToolHandler, testing};

    #[derive(Deserialize, JsonSchema)]
    struct Person {
        #[serde(rename = "age")]
        _age: u8,
    }

    /// Greets.
    #[derive(Deserialize, JsonSchema)]
    struct Greet {
        name: String,
        #[serde(rename = "person")]
        _person: Option<Person>,
    }

    impl Tool for Greet {
        const NAME: &'static str = "greet";

        fn call(self, _call: &crate::Call) -> crate::Result<ToolDecision> {
            ToolDecision::answer(json!({ "greeting": format!("Hello, {}!", self.name) }))
        }
    }

    struct Greeter;
    crate::toolbox!(Greeter: Greet);

    fn call_greeter(name: &str, arguments: &str) -> ToolDecision {
        let call = testing::call().build();
        Greeter::call_tool(&call, name, &Json::trusted(arguments)).unwrap()
    }

    #[track_caller]
    fn assert_complaint(arguments: &str, field: &str, problem: &str) {
        let ToolDecision::Answer(answer) = call_greeter("greet", arguments) else {
            panic!("no answer")
        };
        let answer = answer.value().unwrap();
        assert_eq!(answer["field"], field, "{answer}");
        assert!(
            answer["error"].as_str().unwrap().contains(problem),
            "{answer}"
        );
    }

    #[test]
    fn arguments_that_fit_reach_the_tool() {
        let decision = call_greeter("greet", r#"{"name":"Ada","unasked":1}"#);
        assert_eq!(
            decision,
            ToolDecision::answer(json!({"greeting": "Hello, Ada!"})).unwrap()
        );
    }

    #[test]
    fn a_missing_argument_is_named() {
        assert_complaint("{}", "name", "`name` is missing");
    }

    #[test]
    fn an_argument_of_the_wrong_type_is_named_with_its_path() {
        assert_complaint(r#"{"name":7}"#, "name", "expected a string");
        assert_complaint(
            r#"{"name":"Ada","person":{"age":300}}"#,
            "person.age",
            "expected u8",
        );
    }

    #[test]
    fn arguments_that_are_no_object_are_refused() {
        assert_complaint("[]", "", "one JSON object");
        assert_complaint("nonsense", "", "one JSON object");
    }

    #[test]
    fn names_of_others_pass() {
        assert_eq!(call_greeter("other", "{}"), ToolDecision::Pass);
    }

    #[test]
    fn the_toolbox_lists_its_tools() {
        let names: Vec<_> = Greeter::tools().into_iter().map(|tool| tool.name).collect();
        assert_eq!(names, ["greet"]);
    }
}
