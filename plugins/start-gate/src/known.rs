//! What a known caller gets: an agent configuration, additional data, or both.

use std::collections::BTreeMap;

use hookswitch_sdk::serde_json::{Map, Value, value::RawValue};
use hookswitch_sdk::{Context, Json, Result, StartDecision};
use serde::Deserialize;

use crate::number::{Number, Pattern};

/// Number or prefix → what such callers get.
#[derive(Debug, Default)]
pub(crate) struct Callers(Vec<(Pattern, Known)>);

/// One entry of the setting `callers`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Known {
    agent_config: Option<Map<String, Value>>,
    overlay: Option<Map<String, Value>>,
    additional_data: Option<Map<String, Value>>,
}

impl Callers {
    /// Checks what the type of the setting cannot say.
    pub(crate) fn new(callers: BTreeMap<String, Known>) -> Result<Self, String> {
        let check = |(pattern, known): (String, Known)| {
            if known.agent_config.is_some() && known.overlay.is_some() {
                return Err(format!("{pattern}: has both `agent_config` and `overlay`"));
            }
            Ok((Pattern::try_from(pattern)?, known))
        };
        callers
            .into_iter()
            .map(check)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The entry that names most of that number.
    pub(crate) fn best_for(&self, number: &Number) -> Option<&Known> {
        let matching = self
            .0
            .iter()
            .filter_map(|(pattern, known)| pattern.matches(number).map(|length| (length, known)));
        matching
            .max_by_key(|(length, _)| *length)
            .map(|(_, known)| known)
    }
}

impl Known {
    /// Accepts the call as this entry says.
    pub(crate) fn accept(&self, original: &Json) -> Result<StartDecision> {
        let mut decision = StartDecision::accept();
        if let Some(config) = &self.agent_config {
            decision = decision.with_agent_config(config)?;
        }
        if let Some(overlay) = &self.overlay {
            decision = decision.with_agent_config(laid_over(overlay, original)?)?;
        }
        if let Some(data) = &self.additional_data {
            decision = decision.with_additional_data(data)?;
        }
        Ok(decision)
    }
}

/// The original configuration with these fields in place of its own: the
/// platform replaces the whole configuration, so it has to be complete. What is
/// not replaced stays as it was written, byte for byte.
fn laid_over(
    overlay: &Map<String, Value>,
    original: &Json,
) -> Result<BTreeMap<String, Box<RawValue>>> {
    let mut config: BTreeMap<String, Box<RawValue>> = original
        .parse()
        .context("the original agent configuration")?;
    for (field, value) in overlay {
        config.insert(
            field.clone(),
            hookswitch_sdk::serde_json::value::to_raw_value(value)?,
        );
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use hookswitch_sdk::serde_json::json;
    use hookswitch_sdk::testing;

    use super::*;

    fn callers(callers: Value) -> Result<Callers, String> {
        Callers::new(hookswitch_sdk::serde_json::from_value(callers).unwrap())
    }

    fn accept(entry: &Value, original: &Json) -> StartDecision {
        let callers = callers(json!({ "+1*": entry })).unwrap();
        let number = Number::new("+14155551234").unwrap();
        callers.best_for(&number).unwrap().accept(original).unwrap()
    }

    #[test]
    fn an_overlay_replaces_whole_fields_of_the_original() {
        let original = testing::document(json!({
            "primaryLanguage": "en-US",
            "llmConfig": {"vendor": "openai", "model": "small"},
            "ttsConfig": {"speed": 1.10},
        }));
        let entry = json!({"overlay": {"llmConfig": {"model": "large"}, "vadConfig": {}}});
        let expected = json!({
            "primaryLanguage": "en-US",
            "llmConfig": {"model": "large"},
            "ttsConfig": {"speed": 1.10},
            "vadConfig": {},
        });
        assert_eq!(
            accept(&entry, &original),
            StartDecision::accept().with_agent_config(expected).unwrap()
        );
    }

    #[test]
    fn what_an_overlay_leaves_alone_stays_as_it_was_written() {
        let original = Json::trusted(r#"{"a": 1.10, "b": 2}"#);
        let StartDecision::Accept(acceptance) = accept(&json!({"overlay": {"b": 3}}), &original)
        else {
            panic!("not accepted")
        };
        assert_eq!(
            acceptance.agent_config.unwrap().as_str(),
            r#"{"a":1.10,"b":3}"#
        );
    }

    #[test]
    fn a_complete_configuration_replaces_the_original() {
        let entry =
            json!({"agent_config": {"primaryLanguage": "de-DE"}, "additional_data": {"vip": true}});
        let expected = StartDecision::accept()
            .with_agent_config(json!({"primaryLanguage": "de-DE"}))
            .and_then(|decision| decision.with_additional_data(json!({"vip": true})))
            .unwrap();
        assert_eq!(accept(&entry, &testing::agent_config()), expected);
    }

    #[test]
    fn the_entry_that_names_most_of_the_number_is_taken() {
        let callers = callers(json!({
            "+1*": {"additional_data": {"n": 1}},
            "+1415*": {"additional_data": {"n": 2}},
            "+14155551234": {"additional_data": {"n": 3}},
        }))
        .unwrap();
        let n = |number| {
            let known = callers.best_for(&Number::new(number).unwrap())?;
            known.additional_data.as_ref().unwrap()["n"].as_u64()
        };
        assert_eq!(n("+14155551234"), Some(3));
        assert_eq!(n("+14155550000"), Some(2));
        assert_eq!(n("+12125550000"), Some(1));
        assert_eq!(n("+4930123456"), None);
    }

    #[test]
    fn an_entry_with_two_configurations_is_refused() {
        let error = callers(json!({"+1*": {"agent_config": {}, "overlay": {}}})).unwrap_err();
        assert_eq!(error, "+1*: has both `agent_config` and `overlay`");
    }
}
