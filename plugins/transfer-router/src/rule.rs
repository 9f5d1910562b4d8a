//! A rule as the settings write it, and whether it fits.

use hookswitch_sdk::serde_json::{Map, Value};
use hookswitch_sdk::{Result, TransferDecision};
use serde::Deserialize;

use crate::{
    destination::Destination,
    words::{Phrase, Words},
};

/// One entry of the setting `rules`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    #[serde(default)]
    when: Conditions,
    pub(crate) target: Target,
}

/// All that are named must hold.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Conditions {
    tier: Option<Vec<String>>,
    language: Option<Vec<String>>,
    said: Option<Vec<Phrase>>,
    reason: Option<Vec<Phrase>>,
}

/// Where a call goes, and how.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Target {
    transfer: Transfer,
    to: Destination,
    options: Option<Map<String, Value>>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Transfer {
    Cold,
    Warm,
}

/// What rules are about: this call, at this moment.
#[derive(Debug)]
pub(crate) struct Situation {
    pub(crate) tier: Option<String>,
    pub(crate) language: Option<String>,
    /// What the customer said, utterance by utterance: a phrase does not run
    /// from one into the next.
    pub(crate) said: Vec<Words>,
    pub(crate) reason: Words,
}

impl Rule {
    pub(crate) fn fits(&self, situation: &Situation) -> bool {
        let Conditions {
            tier,
            language,
            said,
            reason,
        } = &self.when;
        holds(tier.as_ref(), |tier| {
            is(situation.tier.as_ref(), |is| is.eq_ignore_ascii_case(tier))
        }) && holds(language.as_ref(), |language| {
            is(situation.language.as_ref(), |is| is_language(is, language))
        }) && holds(said.as_ref(), |phrase| {
            situation.said.iter().any(|words| words.contain(phrase))
        }) && holds(reason.as_ref(), |phrase| situation.reason.contain(phrase))
    }
}

impl Target {
    pub(crate) fn decision(&self) -> Result<TransferDecision> {
        let decision = match self.transfer {
            Transfer::Cold => TransferDecision::cold(self.to.as_str()),
            Transfer::Warm => TransferDecision::warm(self.to.as_str()),
        };
        match &self.options {
            Some(options) => decision.with_options(options),
            None => Ok(decision),
        }
    }
}

/// A condition that is not named holds; of one that is, any value will do.
fn holds<T>(condition: Option<&Vec<T>>, value_holds: impl FnMut(&T) -> bool) -> bool {
    condition.is_none_or(|values| values.iter().any(value_holds))
}

fn is(fact: Option<&String>, test: impl FnOnce(&str) -> bool) -> bool {
    fact.is_some_and(|fact| test(fact.trim()))
}

/// True for the language itself and for one of its regions.
fn is_language(tag: &str, wanted: &str) -> bool {
    let (tag, wanted) = (tag.to_lowercase().replace('_', "-"), wanted.to_lowercase());
    tag.strip_prefix(&wanted)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}
