//! The first call of a plugin after a restart, its compiled form on the disk: what the
//! platform waits for, HTTP included, on a connection that was just made.

use anyhow::Result;

use super::decisions::gate;
use crate::bench::load::{Load, Target};
use crate::bench::report::Report;
use crate::bench::rounds::Samples;
use crate::bench::stage::{Rounds, Stage};

pub(super) const FIGURES: &[&str] = &["cold_ms", "cold_second_ms"];

pub(super) fn measure(stage: &Stage, report: &mut Report) -> Result<()> {
    let (mut subject, target) = gate(stage, "", true)?;
    let once = Load {
        most: Some(1),
        ..Load::full(1)
    };
    let (mut first, mut second) = (Samples::default(), Samples::default());
    for _ in 0..stage.pick(3, 15) {
        subject.restart()?;
        let target = Target {
            url: subject.server.url.clone(),
            ..target.clone()
        };
        for samples in [&mut first, &mut second] {
            let came = target.ask(&stage.programs, once, Rounds::once())?;
            samples.push(came.p50_ms);
        }
    }
    report.add("cold_ms", first);
    // The same when the plugin is loaded: what of it is not the plugin's.
    report.add("cold_second_ms", second);
    Ok(())
}
