//! Notices accepted per second: each is on the disk before its 2xx. 256 connections;
//! nothing is bound and nothing owed, so this is the way in alone.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::time::Instant;

use anyhow::Result;

use crate::bench::load::Load;
use crate::bench::report::Report;
use crate::bench::rounds::{Samples, in_turn};
use crate::bench::stage::{Stage, payload};
use crate::bench::subject::Subject;

pub(super) const FIGURES: &[&str] = &["accept_eps", "disk_sync_ms"];

const CONNECTIONS: usize = 256;

pub(super) fn measure(stage: &Stage, report: &mut Report) -> Result<()> {
    let subject = Subject::start(stage, "")?;
    let source = subject.source("main-line", true)?;
    let target = subject.target(&source, &payload("completed")?, None);
    let samples = in_turn(stage.rounds.count, &[target], |target| {
        let came = target.ask(&stage.programs, Load::full(CONNECTIONS), stage.rounds)?;
        Ok(came.per_second)
    })?;
    for samples in samples {
        report.add("accept_eps", samples);
    }
    report.add("disk_sync_ms", disk_sync()?);
    Ok(())
}

/// What the disk takes for a small write of its own, for whoever compares machines.
pub(super) fn disk_sync() -> Result<Samples> {
    const WRITES: usize = 50;
    let folder = Stage::folder()?;
    let path = folder.path().join("written");
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    let page = [0_u8; 4096];
    (0..WRITES)
        .map(|_| {
            file.write_all(&page)?;
            let began = Instant::now();
            file.sync_data()?;
            Ok(began.elapsed().as_secs_f64() * 1000.0)
        })
        .collect()
}
