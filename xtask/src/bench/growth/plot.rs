//! A curve as a picture, drawn by the program `plot` (bench/src/bin/plot.rs).

use std::path::PathBuf;

use anyhow::Result;
use serde_json::{Value, json};

use super::Curve;
use crate::bench::report;
use crate::bench::stage::Stage;
use crate::guests::repository;

/// Draws it where the documentation has it; of a quick run, where it does no harm.
pub(super) fn draw(stage: &Stage, curve: &Curve) -> Result<PathBuf> {
    let folder = stage.pick(
        report::folder().join("plots"),
        repository().join("docs/performance"),
    );
    std::fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{}.svg", curve.name));
    let lines: Vec<Value> = curve
        .lines
        .iter()
        .map(|line| json!({"name": line.name, "points": line.points}))
        .collect();
    let order = json!({
        "path": path, "title": curve.title, "axes": curve.axes, "lines": lines,
    });
    stage.programs.ask("plot", &order)?;
    Ok(path)
}
