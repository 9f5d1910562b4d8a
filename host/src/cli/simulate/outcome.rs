//! What came of one step.

use std::io::Write;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::scenario::StepName;
use crate::domain::Json;

#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    pub(super) step: StepName,
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "milliseconds"
    )]
    pub(super) elapsed_ms: Option<Duration>,
    #[serde(flatten)]
    pub(super) result: Played,
}

#[derive(Debug, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(super) enum Played {
    /// The platform sends nothing of the sort.
    Skipped {},
    Acknowledged {},
    Answered {
        answer: Json,
    },
    /// As expected.
    Unavailable {},
    Failed {
        problem: String,
    },
}

/// What a platform understood.
#[derive(Debug)]
pub(super) enum Reading {
    Acknowledged,
    Answered(Json),
    Unavailable,
}

/// Why a platform would fall back, or an author be surprised.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error("the target cannot be reached: {0}")]
    Unreachable(String),
    #[error("no reply within {0:?}, which is how long the platform waits")]
    Late(Duration),
    #[error("the target answered {0}")]
    Status(u16),
    #[error("the platform would not understand the reply: {0}")]
    Reply(String),
    #[error("expected {expected}, but the answer is {answer}")]
    Unexpected { expected: Value, answer: Json },
}

impl Outcome {
    pub(super) fn skipped(step: StepName) -> Self {
        Self {
            step,
            elapsed_ms: None,
            result: Played::Skipped {},
        }
    }

    pub(super) fn played(
        step: StepName,
        elapsed: Duration,
        read: Result<Reading, Problem>,
    ) -> Self {
        Self {
            step,
            elapsed_ms: Some(elapsed),
            result: match read {
                Ok(Reading::Acknowledged) => Played::Acknowledged {},
                Ok(Reading::Answered(answer)) => Played::Answered { answer },
                Ok(Reading::Unavailable) => Played::Unavailable {},
                Err(problem) => Played::Failed {
                    problem: problem.to_string(),
                },
            },
        }
    }

    pub(super) fn is_well(&self) -> bool {
        !matches!(self.result, Played::Failed { .. })
    }
}

#[allow(clippy::ref_option)] // serde's form.
fn milliseconds<S: serde::Serializer>(
    elapsed: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let elapsed = elapsed.unwrap_or_default();
    serializer.serialize_f64((elapsed.as_secs_f64() * 1e6).round() / 1e3)
}

/// A line for each step.
pub(super) fn print(outcomes: &[Outcome], out: &mut impl Write) -> std::io::Result<()> {
    let widest = outcomes.iter().map(|it| it.step.to_string().len()).max();
    let width = widest.unwrap_or(0);
    for outcome in outcomes {
        let step = outcome.step.to_string();
        let time = match outcome.elapsed_ms {
            Some(elapsed) => format!("{:.1} ms", elapsed.as_secs_f64() * 1e3),
            None => String::new(),
        };
        let said = match &outcome.result {
            Played::Skipped {} => "-       the platform sends nothing of the sort".to_owned(),
            Played::Acknowledged {} => "ok      acknowledged".to_owned(),
            Played::Answered { answer } => format!("ok      {answer}"),
            Played::Unavailable {} => "ok      no answer, as expected".to_owned(),
            Played::Failed { problem } => format!("FAILED  {problem}"),
        };
        writeln!(out, "{step:<width$}  {time:>10}  {said}")?;
    }
    let failed = outcomes.iter().filter(|it| !it.is_well()).count();
    let played = outcomes.iter().filter(|it| it.elapsed_ms.is_some()).count();
    match failed {
        0 => writeln!(out, "{played} requests, all answered as they should be"),
        failed => writeln!(out, "{played} requests, {failed} failed"),
    }
}
