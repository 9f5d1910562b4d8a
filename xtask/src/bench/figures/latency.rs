//! How long a decision takes when the server has half of what it can do: asked at a
//! constant rate, whether or not it answers. The limit is asked at the same rate.

use anyhow::Result;

use super::decisions::{ACCEPTED, gate};
use crate::bench::load::Load;
use crate::bench::peers::bare;
use crate::bench::report::Report;
use crate::bench::rounds::Samples;
use crate::bench::stage::{Stage, payload};

pub(super) const FIGURES: &[&str] = &[
    "decision_p99_ms",
    "decision_p50_ms",
    "bare_p99_ms",
    "decision_p99_vs_bare",
    "half_load_rps",
];

/// For the peak.
const CONNECTIONS: usize = 32;
/// For the constant rate: more than are busy at a time, so that requests leave when they
/// are due.
const PACED: usize = 64;

pub(super) fn measure(stage: &Stage, report: &mut Report) -> Result<()> {
    let (_subject, target) = gate(stage, "", true)?;
    let bare = bare::start(&stage.programs)?;
    let bare = bare.target(&payload("start")?, ACCEPTED);
    let peak = target.ask(&stage.programs, Load::full(CONNECTIONS), stage.rounds)?;
    let load = Load {
        connections: PACED,
        rate: Some(peak.per_second / 2.0),
        most: None,
    };
    let mut ours = (Samples::default(), Samples::default());
    let mut theirs = Samples::default();
    for _ in 0..stage.rounds.count {
        rustix::fs::sync();
        theirs.push(bare.ask(&stage.programs, load, stage.rounds)?.p99_ms);
        rustix::fs::sync();
        let came = target.ask(&stage.programs, load, stage.rounds)?;
        ours.0.push(came.p50_ms);
        ours.1.push(came.p99_ms);
    }
    report.add("half_load_rps", Samples::one(peak.per_second / 2.0));
    report.add("decision_p50_ms", ours.0);
    report.add("decision_p99_vs_bare", ours.1.over(&theirs));
    report.add("decision_p99_ms", ours.1);
    report.add("bare_p99_ms", theirs);
    Ok(())
}
