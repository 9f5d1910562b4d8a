//! The settings, read and checked at once, and what they say about a call.

use std::collections::BTreeMap;

use hookswitch_sdk::{
    Call, Result,
    config::{self, Error},
    serde_json::Value,
};
use serde::Deserialize;

/// What the operator wants; the module header of the crate has the table.
#[derive(Debug)]
pub(crate) struct Settings {
    endpoints: BTreeMap<String, Vec<String>>,
    default_endpoints: Vec<String>,
    pub(crate) outcome_field: String,
    pub(crate) copy_call_data: Vec<String>,
    pub(crate) test_calls: TestCalls,
}

/// How a test call is known: any of these.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TestCalls {
    call_data_flag: Option<String>,
    agent_ids: Vec<String>,
    call_types: Vec<String>,
}

impl Settings {
    pub(crate) fn read() -> Result<Self, Error> {
        let settings = Self {
            endpoints: config::json("endpoints")?.unwrap_or_default(),
            default_endpoints: config::json("default_endpoints")?
                .unwrap_or_else(|| vec!["crm".to_owned()]),
            outcome_field: config::get("outcome_field").unwrap_or_else(|| "callOutcome".to_owned()),
            copy_call_data: config::json("copy_call_data")?.unwrap_or_default(),
            test_calls: config::json("test_calls")?.unwrap_or_else(TestCalls::by_flag),
        };
        if settings.endpoints.values().any(|names| has_empty(names)) {
            return Err(Error::new("endpoints", "must not have an empty name"));
        }
        if has_empty(&settings.default_endpoints) {
            return Err(Error::new(
                "default_endpoints",
                "must not have an empty name",
            ));
        }
        Ok(settings)
    }

    pub(crate) fn endpoints_of(&self, outcome: &str) -> &[String] {
        self.endpoints
            .get(outcome)
            .unwrap_or(&self.default_endpoints)
    }
}

impl TestCalls {
    fn by_flag() -> Self {
        Self {
            call_data_flag: Some("test".to_owned()),
            ..Self::default()
        }
    }

    pub(crate) fn include(&self, call: &Call, body: &Value) -> Result<bool> {
        let type_of_call = body["callType"].as_str().unwrap_or_default();
        Ok(self.agent_ids.contains(&call.agent_id)
            || self
                .call_types
                .iter()
                .any(|name| name.eq_ignore_ascii_case(type_of_call))
            || self.is_flagged(call)?)
    }

    fn is_flagged(&self, call: &Call) -> Result<bool> {
        let Some(flag) = &self.call_data_flag else {
            return Ok(false);
        };
        let data: Value = call.call_data_as()?;
        Ok(match &data[flag.as_str()] {
            Value::Bool(flag) => *flag,
            Value::Number(number) => number.as_f64().is_some_and(|number| number != 0.0),
            // Campaign tools often make text of everything.
            Value::String(text) => ["true", "yes", "1"]
                .iter()
                .any(|yes| text.trim().eq_ignore_ascii_case(yes)),
            _ => false,
        })
    }
}

fn has_empty(names: &[String]) -> bool {
    names.iter().any(|name| name.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use hookswitch_sdk::{json, testing};

    use super::*;

    fn is_test(test_calls: &TestCalls, call_data: Value) -> bool {
        let call = testing::call().call_data(call_data).build();
        test_calls
            .include(&call, &json!({"callType": "WebChat"}))
            .unwrap()
    }

    #[test]
    fn without_settings_the_flag_test_says_it() {
        let test_calls = TestCalls::by_flag();
        for yes in [json!(true), json!("true"), json!("Yes"), json!(1)] {
            assert!(is_test(&test_calls, json!({"test": yes})), "{yes}");
        }
        for no in [json!(false), json!("no"), json!(0), json!(null), json!({})] {
            assert!(!is_test(&test_calls, json!({"test": no})), "{no}");
        }
        assert!(!is_test(&test_calls, json!({})));
    }

    #[test]
    fn a_kind_of_call_can_say_it() {
        let test_calls = TestCalls {
            call_types: vec!["webchat".to_owned()],
            ..Default::default()
        };
        assert!(is_test(&test_calls, json!({})));
        assert!(!is_test(&TestCalls::default(), json!({"test": true})));
    }
}
