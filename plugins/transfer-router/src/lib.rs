//! Decides where a call is transferred: by the customer's tier and language, by
//! words the customer said, and by the reason the agent gives.
//!
//! # Settings
//!
//! | setting | what it is | default |
//! |---|---|---|
//! | `rules` | rules, the first that fits decides | `[]` |
//! | `default` | where a call goes that no rule fits | none: `pass`, so that the next binding is asked |
//! | `tier_field` | the field of the call's or agent's data that holds the tier | `"tier"` |
//! | `language_field` | the field that holds the language | `"language"` |
//!
//! A rule has a `target` and a `when` with any of these conditions. All that are
//! there must hold; of the values of one condition any will do. A rule without
//! conditions always fits.
//!
//! | condition | holds when |
//! |---|---|
//! | `tier` | the customer's tier is one of these |
//! | `language` | the language is one of these: `de` holds for `de-AT` too |
//! | `said` | the customer said one of these words or phrases |
//! | `reason` | one of these words or phrases is in the transfer's reason |
//!
//! Words are compared whole and without regard to case: `cancel` is not in
//! "cancellation". Only what the customer says counts, not the agent. Tier and
//! language come from the call's data, or else from the agent's.
//!
//! A target (and `default`) has `transfer`: `"cold"` (hand over and leave) or
//! `"warm"` (speak to the other side first), `to`: an E.164 number or a `sip:`
//! URI, and `options`: an object merged into the platform's reply.
//!
//! ```json
//! {
//!   "rules": [
//!     {"when": {"tier": ["gold"], "said": ["cancel", "close my account"]},
//!      "target": {"transfer": "warm", "to": "+14155550101", "options": {"description": "Retention"}}},
//!     {"when": {"language": ["de"]},
//!      "target": {"transfer": "cold", "to": "sip:support-de@pbx.example.com"}},
//!     {"when": {"reason": ["billing", "invoice"]},
//!      "target": {"transfer": "cold", "to": "+14155550102"}}
//!   ],
//!   "default": {"transfer": "cold", "to": "+14155550100"}
//! }
//! ```
//!
//! # In here
//!
//! `rule.rs` is the settings' form and the match, `destination.rs` checks
//! numbers and URIs, `words.rs` finds phrases in text.

mod destination;
mod rule;
mod words;

use hookswitch_sdk::{
    Call, Result, TransferDecision, TransferHandler, Utterance, config, log, serde_json::Value,
};

use self::{
    rule::{Rule, Situation, Target},
    words::Words,
};

struct TransferRouter;

hookswitch_sdk::export!(TransferRouter: transfer);

impl TransferHandler for TransferRouter {
    fn on_transfer(
        call: &Call,
        reason: Option<&str>,
        transcription: &[Utterance],
    ) -> Result<TransferDecision> {
        let rules: Vec<Rule> = config::json("rules")?.unwrap_or_default();
        let default: Option<Target> = config::json("default")?;
        let situation = Situation {
            tier: data_field(call, "tier_field", "tier")?,
            language: data_field(call, "language_field", "language")?,
            said: said_by_the_customer(transcription),
            reason: Words::of(reason.unwrap_or_default()),
        };
        if let Some(index) = rules.iter().position(|rule| rule.fits(&situation)) {
            log::info!("rule {index} fits");
            return rules[index].target.decision();
        }
        default.map_or(Ok(TransferDecision::Pass), |target| target.decision())
    }
}

/// A field of the call's data, or else of the agent's, as text. Which field,
/// says a setting.
fn data_field(call: &Call, setting: &str, default: &str) -> Result<Option<String>> {
    let field = config::get(setting).unwrap_or_else(|| default.to_owned());
    let of = |data: &Value| match data.get(&field)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    Ok(of(&call.call_data_as()?).or(of(&call.agent_data_as()?)))
}

fn said_by_the_customer(transcription: &[Utterance]) -> Vec<Words> {
    let customers = transcription
        .iter()
        .filter(|said| said.speaker.eq_ignore_ascii_case("user"));
    customers.map(|said| Words::of(&said.text)).collect()
}

#[cfg(test)]
mod tests {
    use hookswitch_sdk::{
        json,
        testing::{self, said},
    };

    use super::*;

    fn rules() -> Value {
        json!({
            "rules": [
                {
                    "when": {"tier": ["gold"], "said": ["cancel", "close my account"]},
                    "target": {"transfer": "warm", "to": "+14155550101", "options": {"description": "Retention"}},
                },
                {"when": {"language": ["de"]}, "target": {"transfer": "cold", "to": "sip:de@pbx.example.com"}},
                {"when": {"reason": ["billing"]}, "target": {"transfer": "cold", "to": "+14155550102"}},
            ],
            "default": {"transfer": "cold", "to": "+14155550100"},
        })
    }

    fn route(
        settings: Value,
        call_data: Value,
        reason: Option<&str>,
        said: &[Utterance],
    ) -> TransferDecision {
        let _host = testing::Host::new().settings(settings);
        let call = testing::call().call_data(call_data).build();
        TransferRouter::on_transfer(&call, reason, said).unwrap()
    }

    #[test]
    fn all_conditions_of_a_rule_must_hold() {
        let wants_out = [said("user", "I want to CLOSE my account, please.")];
        let retention = TransferDecision::warm("+14155550101")
            .with_options(json!({"description": "Retention"}))
            .unwrap();
        assert_eq!(
            route(rules(), json!({"tier": "Gold"}), None, &wants_out),
            retention
        );
        let default = TransferDecision::cold("+14155550100");
        assert_eq!(
            route(rules(), json!({"tier": "basic"}), None, &wants_out),
            default
        );
        assert_eq!(route(rules(), json!({"tier": "gold"}), None, &[]), default);
    }

    #[test]
    fn what_the_agent_says_does_not_count() {
        let agent = [
            said("assistant", "Do you want to cancel?"),
            said("user", "A cancellation? No."),
        ];
        let decision = route(rules(), json!({"tier": "gold"}), None, &agent);
        assert_eq!(decision, TransferDecision::cold("+14155550100"));
    }

    #[test]
    fn a_language_holds_for_its_regions() {
        let german = TransferDecision::cold("sip:de@pbx.example.com");
        assert_eq!(
            route(rules(), json!({"language": "de-AT"}), None, &[]),
            german
        );
        assert_eq!(route(rules(), json!({"language": "DE"}), None, &[]), german);
        assert_ne!(
            route(rules(), json!({"language": "den"}), None, &[]),
            german
        );
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let decision = route(
            rules(),
            json!({"language": "de"}),
            Some("Billing question"),
            &[],
        );
        assert_eq!(decision, TransferDecision::cold("sip:de@pbx.example.com"));
        let decision = route(rules(), json!({}), Some("Billing question"), &[]);
        assert_eq!(decision, TransferDecision::cold("+14155550102"));
    }

    #[test]
    fn without_a_rule_that_fits_and_without_a_default_it_passes() {
        assert_eq!(
            route(json!({}), json!({}), None, &[]),
            TransferDecision::Pass
        );
    }

    #[test]
    fn tier_and_language_come_from_the_agents_data_when_the_call_has_none() {
        let _host = testing::Host::new()
            .settings(rules())
            .config("language_field", "locale");
        let call = testing::call()
            .agent_data(json!({"locale": "de-DE"}))
            .build();
        let decision = TransferRouter::on_transfer(&call, None, &[]).unwrap();
        assert_eq!(decision, TransferDecision::cold("sip:de@pbx.example.com"));
    }

    #[test]
    fn bad_settings_are_named_with_their_place() {
        #[track_caller]
        fn assert_refused(settings: Value, beginning: &str) {
            let _host = testing::Host::new().settings(settings);
            let call = testing::call().build();
            let error = TransferRouter::on_transfer(&call, None, &[])
                .unwrap_err()
                .to_string();
            assert!(error.starts_with(beginning), "{error}");
        }
        let to = |to: &str| json!({"transfer": "cold", "to": to});
        assert_refused(
            json!({"rules": [{"target": to("+14155550100")}, {"target": to("front desk")}]}),
            "setting `rules` does not fit: [1].target.to: `front desk` is neither an E.164",
        );
        assert_refused(
            json!({"default": {"transfer": "hot", "to": "+14155550100"}}),
            "setting `default` does not fit: transfer: unknown variant `hot`, expected `cold` or `warm`",
        );
        assert_refused(
            json!({"rules": [{"when": {"words": ["x"]}, "target": to("+14155550100")}]}),
            "setting `rules` does not fit: [0].when.words: unknown field `words`",
        );
        assert_refused(
            json!({"rules": [{"when": {"said": ["?!"]}, "target": to("+14155550100")}]}),
            "setting `rules` does not fit: [0].when.said[0]: `?!` has no word in it",
        );
    }
}
