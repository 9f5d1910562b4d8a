//! The other questions: tool calls, which are stored before their plugin runs, and
//! transfers, which come with what was said so far. With proof of origin.

use anyhow::Result;
use serde_json::{Value, json};

use crate::bench::load::Load;
use crate::bench::report::Report;
use crate::bench::rounds::in_turn;
use crate::bench::stage::{Stage, payload};
use crate::bench::subject::Subject;

pub(super) const FIGURES: &[&str] = &["tool_rps", "transfer_rps"];

/// More than for starts, because tool calls wait for the disk.
const CONNECTIONS: usize = 128;

pub(super) fn measure(stage: &Stage, report: &mut Report) -> Result<()> {
    let subject = Subject::start(stage, "")?;
    let mut questions = Vec::new();
    for (name, guest, settings) in [
        ("tool", "appointment-tools", of_tools()),
        ("transfer", "transfer-router", of_transfers()),
    ] {
        let source = subject.source(name, true)?;
        subject.bind(stage, guest, &source, &settings)?;
        questions.push(subject.target(&source, &payload(name)?, None));
    }
    let samples = in_turn(stage.rounds.count, &questions, |target| {
        let came = target.ask(&stage.programs, Load::full(CONNECTIONS), stage.rounds)?;
        Ok(came.per_second)
    })?;
    for (name, samples) in ["tool_rps", "transfer_rps"].into_iter().zip(samples) {
        report.add(name, samples);
    }
    Ok(())
}

/// As in the demo, `demo/hookswitch.toml`.
fn of_tools() -> Value {
    json!({
        "time_zone": "America/Los_Angeles", "hours": {"saturday": ["10:00-13:00"]},
        "slot_minutes": 60, "past_dates": "allow",
    })
}

pub(in crate::bench) fn of_transfers() -> Value {
    json!({
        "default": {"transfer": "cold", "to": "+14155550100"},
        "rules": [{
            "when": {"tier": ["gold"], "said": ["speak to a person"]},
            "target": {
                "transfer": "warm", "to": "+14155550101", "options": {"description": "Gold desk"},
            },
        }],
    })
}
