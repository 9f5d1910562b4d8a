//! What the sandbox costs: a fresh instance, the call, its end, in the program `invoke`
//! (bench/src/bin/invoke.rs), which is the server's library without HTTP and store.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::decisions::settings;
use crate::bench::report::Report;
use crate::bench::rounds::Samples;
use crate::bench::stage::{Stage, payload};

pub(super) const FIGURES: &[&str] = &["invoke_us", "invoke_all_us"];

pub(super) fn measure(stage: &Stage, report: &mut Report) -> Result<()> {
    let folder = Stage::folder()?;
    let order = json!({
        "plugin": stage.guests.path("start-gate")?,
        "payload": payload("start")?.to_string(),
        "settings": settings(),
        "host": stage.programs.host,
        "folder": folder.path(),
        "rounds": stage.rounds.count,
        "calls": stage.pick(20_000, 100_000),
    });
    let told = stage.programs.ask("invoke", &order)?;
    let samples = |name: &str| -> Result<Samples> {
        let rounds = told[name].as_array().context("it tells no rounds")?;
        Ok(rounds.iter().filter_map(Value::as_f64).collect())
    };
    report.add("invoke_us", samples("one_us")?);
    // Of all processors together: what a call costs the wall when all are busy with them.
    report.add("invoke_all_us", samples("all_us")?);
    Ok(())
}
