//! What happens in a call, in words of no platform.

use std::fmt;
use std::path::Path;

use anyhow::{bail, ensure};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::cli::input;
use crate::domain::plugin::Handler;
use crate::domain::{Json, empty_object};
use crate::ingest::{Said, Sample, Topic};

/// Most steps of a call.
const MOST_STEPS: usize = 10_000;

/// A call from its beginning to its end.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scenario {
    #[serde(default)]
    call: CallForm,
    pub(super) steps: Vec<Step>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct CallForm {
    /// Who calls; a number that is nobody's unless told.
    from: Option<String>,
    /// Who is called.
    to: Option<String>,
    agent: Option<String>,
    data: Map<String, Value>,
    agent_data: Map<String, Value>,
}

/// One thing that happens.
#[derive(Debug, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Step {
    Start {
        expect: Option<Map<String, Value>>,
    },
    Started {},
    /// Something is said; platforms that report it are sent as reporting it, others show
    /// it later.
    Said {
        by: Speaker,
        text: String,
    },
    Tool {
        name: String,
        #[serde(default)]
        arguments: Map<String, Value>,
        expect: Option<Map<String, Value>>,
    },
    Transfer {
        reason: Option<String>,
        expect: Option<Map<String, Value>>,
    },
    Completed {},
    Failed {},
    Deadline {},
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Speaker {
    Customer,
    Agent,
}

/// Which step of a scenario, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(super) struct StepName(String);

impl fmt::Display for StepName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Step {
    pub(super) fn name(&self) -> StepName {
        StepName(match self {
            Self::Start { .. } => "start".to_owned(),
            Self::Started {} => "started".to_owned(),
            Self::Said { .. } => "said".to_owned(),
            Self::Tool { name, .. } => format!("tool {name}"),
            Self::Transfer { .. } => "transfer".to_owned(),
            Self::Completed {} => "completed".to_owned(),
            Self::Failed {} => "failed".to_owned(),
            Self::Deadline {} => "deadline".to_owned(),
        })
    }

    /// What the answer shall have in it, in the form that decisions have.
    pub(super) fn expected(&self) -> Option<&Map<String, Value>> {
        match self {
            Self::Start { expect } | Self::Tool { expect, .. } | Self::Transfer { expect, .. } => {
                expect.as_ref()
            }
            _ => None,
        }
    }

    fn topic(&self) -> Topic {
        match self {
            Self::Start { .. } => Topic::Start,
            Self::Started {} => Topic::Started,
            Self::Said { .. } => Topic::Said,
            Self::Tool {
                name, arguments, ..
            } => Topic::Tool {
                name: name.clone(),
                arguments: json(arguments),
            },
            Self::Transfer { reason, .. } => Topic::Transfer {
                reason: reason.clone(),
            },
            Self::Completed {} => Topic::Completed,
            Self::Failed {} => Topic::Failed,
            Self::Deadline {} => Topic::Deadline,
        }
    }

    pub(super) fn handler(&self) -> Handler {
        self.topic().handler()
    }
}

fn json(fields: &Map<String, Value>) -> Json {
    serde_json::value::to_raw_value(fields).unwrap_or_else(|_| empty_object())
}

impl Scenario {
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = input::file(path)?;
        let scenario: Self = if path.extension().is_some_and(|it| it == "json") {
            serde_json::from_str(&text)?
        } else {
            toml::from_str(&text)?
        };
        ensure!(!scenario.steps.is_empty(), "it has no steps");
        ensure!(
            scenario.steps.len() <= MOST_STEPS,
            "it has {} steps, at most {MOST_STEPS} are played",
            scenario.steps.len()
        );
        scenario.check_words()?;
        Ok(scenario)
    }

    /// An expectation that no answer can meet is a mistake.
    fn check_words(&self) -> anyhow::Result<()> {
        for (at, step) in self.steps.iter().enumerate() {
            let words: &[&str] = match step.handler() {
                Handler::Start => &["accept", "reject", "unavailable"],
                Handler::Transfer => &["cold", "warm", "unavailable"],
                Handler::Tool => &["answer", "unavailable"],
                Handler::Event => continue,
            };
            let Some(word) = step.expected().and_then(|it| it.get("decision")) else {
                continue;
            };
            if !word.as_str().is_some_and(|word| words.contains(&word)) {
                bail!(
                    "steps[{at}].expect.decision must be one of {}",
                    words.join(", ")
                );
            }
        }
        Ok(())
    }

    /// The steps as samples of one call, each with what was said up to it.
    pub(super) fn samples(&self) -> impl Iterator<Item = (&Step, Sample)> {
        let call_id = Uuid::now_v7().to_string();
        let mut said = Vec::new();
        self.steps.iter().map(move |step| {
            let now = Timestamp::now();
            if let Step::Said { by, text } = step {
                said.push(Said {
                    by_customer: *by == Speaker::Customer,
                    text: text.clone(),
                    at: now,
                });
            }
            let mut sample = Sample {
                call_id: call_id.clone(),
                call_data: json(&self.call.data),
                agent_data: json(&self.call.agent_data),
                said: said.clone(),
                now,
                ..Sample::about(step.topic())
            };
            for (field, given) in [
                (&mut sample.caller, &self.call.from),
                (&mut sample.line, &self.call.to),
                (&mut sample.agent_id, &self.call.agent),
            ] {
                if let Some(given) = given {
                    field.clone_from(given);
                }
            }
            (step, sample)
        })
    }
}

/// Whether everything that is expected is there; more may be.
pub(super) fn holds(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => expected
            .iter()
            .all(|(name, value)| found.get(name).is_some_and(|it| holds(value, it))),
        // Some platforms take a tool's result as text alone.
        (Value::Object(_) | Value::Array(_), Value::String(text)) => {
            serde_json::from_str::<Value>(text).is_ok_and(|it| holds(expected, &it))
        }
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        _ => expected == found,
    }
}

/// The same for an answer's text, if that is JSON that can be looked into.
pub(super) fn holds_in(expected: &Map<String, Value>, found: &RawValue) -> bool {
    let found = serde_json::from_str::<Value>(found.get());
    found.is_ok_and(|found| holds(&Value::Object(expected.clone()), &found))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_expected_must_be_there_and_more_may_be() {
        let found = json!({"decision": "answer", "result": {"slots": ["9:00"], "n": 1}});
        for (expected, met) in [
            (json!({}), true),
            (json!({"decision": "answer"}), true),
            (json!({"result": {"slots": ["9:00"]}}), true),
            (json!({"result": {"n": 1.0}}), true),
            (json!({"result": {"slots": []}}), false),
            (json!({"result": {"missing": null}}), false),
            (json!({"decision": "unavailable"}), false),
        ] {
            assert_eq!(holds(&expected, &found), met, "{expected}");
        }
        let as_text = json!({"result": r#"{"slots":["9:00"]}"#});
        assert!(holds(&json!({"result": {"slots": ["9:00"]}}), &as_text));
        assert!(!holds(&json!({"result": {"slots": ["9:30"]}}), &as_text));
    }

    #[test]
    fn mistakes_in_a_scenario_are_named() {
        let folder = tempfile::tempdir().unwrap();
        for (text, said) in [
            ("", "missing field `steps`"),
            ("steps = []", "no steps"),
            ("[[steps]]\nevent = \"ring\"", "unknown variant `ring`"),
            (
                "[[steps]]\nevent = \"said\"\nby = \"nobody\"\ntext = \"x\"",
                "unknown variant `nobody`",
            ),
            (
                "[[steps]]\nevent = \"started\"\nexpect = {}",
                "unknown field `expect`",
            ),
            (
                "[[steps]]\nevent = \"start\"\nexpect = { decision = \"cold\" }",
                "steps[0].expect.decision must be one of accept, reject, unavailable",
            ),
            (
                "[call]\ncaller = \"+1\"\n[[steps]]\nevent = \"start\"",
                "unknown field `caller`",
            ),
        ] {
            let path = folder.path().join("scenario.toml");
            std::fs::write(&path, text).unwrap();
            let error = Scenario::read(&path).unwrap_err();
            assert!(format!("{error:#}").contains(said), "{text}: {error:#}");
        }
    }
}
