//! Bindings of one source, each for an agent of its own: what an answer costs, and what
//! the first one after a change, for which they are read from the store.

use anyhow::Result;
use serde_json::json;

use super::{Curve, Line, decades};
use crate::bench::figures::{gate, settings};
use crate::bench::load::{Load, Sample};
use crate::bench::stage::{Rounds, Stage, payload};

/// Agents whose calls are asked about, however many there are.
const ASKED: u64 = 1000;

pub(super) fn measure(stage: &Stage) -> Result<Curve> {
    let (subject, mut target) = gate(stage, "", true)?;
    let path = target.samples[0].path().to_owned();
    let source = path.trim_start_matches("/hooks/").to_owned();
    let binding = |agent: u64| {
        let selector = json!({"source": source, "agent": format!("agent_{agent}")});
        json!({"plugin": "start-gate", "selector": selector, "config": settings()})
    };
    let (mut answered, mut changed) = (Line::new("answered"), Line::new("after a change"));
    let mut there = 0;
    for count in decades(1, stage.pick(3, 5)) {
        let new = there..count - 1;
        let new: Vec<Sample> = new
            .map(|agent| Sample::post("/api/v1/bindings", &binding(agent)))
            .collect();
        subject.send_all(stage, new)?;
        // The next one is made below.
        there = count - 1;
        let every = usize::try_from((count / ASKED).max(1))?;
        target.samples = (0..there)
            .step_by(every)
            .map(|agent| {
                let mut start = payload("start")?;
                start["agentId"] = json!(format!("agent_{agent}"));
                Ok(Sample::post(&path, &start))
            })
            .collect::<Result<_>>()?;
        subject.api.create("/bindings", &binding(there), "id")?;
        there += 1;
        let once = Load {
            most: Some(1),
            ..Load::full(1)
        };
        let patient = Rounds::once();
        changed.push(count, target.ask(&stage.programs, once, patient)?.p50_ms);
        let came = target.ask(&stage.programs, Load::full(1), stage.rounds)?;
        answered.push(count, came.p50_ms);
    }
    Ok(Curve {
        name: "growth_bindings",
        title: "A start, by the number of bindings of its source",
        axes: ["bindings", "median of answers, ms"],
        lines: vec![answered, changed],
    })
}
