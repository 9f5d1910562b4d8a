//! Starts decided per second: with everything on, without journal and proof of origin,
//! and by peers that decide the same. 32 connections, as fast as answers come.

use anyhow::Result;
use serde_json::{Value, json};

use crate::bench::load::{Load, Target};
use crate::bench::peers::express::Handler;
use crate::bench::peers::{Peer, bare, express, wasmtime_serve};
use crate::bench::report::Report;
use crate::bench::rounds::{Samples, in_turn};
use crate::bench::stage::{Stage, payload};
use crate::bench::subject::Subject;

pub(super) const FIGURES: &[&str] = &[
    "bare_rps",
    "express_rps",
    "express_light_rps",
    "wasmtime_serve_rps",
    "decision_rps",
    "decision_nojournal_rps",
    "decision_vs_bare",
    "decision_nojournal_vs_bare",
    "decision_vs_express",
    "decision_nojournal_vs_express_light",
    "decision_vs_wasmtime_serve",
];

const CONNECTIONS: usize = 32;

/// What the platform is to be told.
pub(in crate::bench) const ACCEPTED: &str = r#"{"accept":true}"#;

/// As in the README: there is a block list, and the caller is not on it.
pub(in crate::bench) fn settings() -> Value {
    json!({"blocked": ["+14155550666"]})
}

/// A server with `start-gate` bound, and what asks it.
pub(in crate::bench) fn gate(
    stage: &Stage,
    settings_of: &str,
    proven: bool,
) -> Result<(Subject, Target)> {
    let subject = Subject::start(stage, settings_of)?;
    let source = subject.source("main-line", proven)?;
    subject.bind(stage, "start-gate", &source, &settings())?;
    let target = subject.target(&source, &payload("start")?, Some(ACCEPTED));
    Ok((subject, target))
}

pub(super) fn measure(stage: &Stage, report: &mut Report) -> Result<()> {
    let (_whole, whole) = gate(stage, "", true)?;
    let nothing_kept = "[store]\nanswers_survive = \"nothing\"\n";
    let (_light, light) = gate(stage, nothing_kept, false)?;
    let bare = bare::start(&stage.programs)?;
    let others = [
        ("express", express::start(Handler::Whole)),
        ("express_light", express::start(Handler::Light)),
        ("wasmtime_serve", wasmtime_serve::start()),
    ];

    let start = payload("start")?;
    let mut contestants = vec![
        ("bare", bare.target(&start, ACCEPTED)),
        ("decision", whole),
        ("decision_nojournal", light),
    ];
    let mut running: Vec<Peer> = Vec::new();
    for (name, peer) in others {
        match peer {
            Ok(peer) => {
                contestants.push((name, peer.target(&start, ACCEPTED)));
                running.push(peer);
            }
            Err(why) => report.skipped(name, &why),
        }
    }
    let samples = in_turn(stage.rounds.count, &contestants, |(_, target)| {
        let came = target.ask(&stage.programs, Load::full(CONNECTIONS), stage.rounds)?;
        Ok(came.per_second)
    })?;

    let names = contestants.iter().map(|(name, _)| *name);
    let rates: Vec<(&str, Samples)> = names.zip(samples).collect();
    for (name, samples) in &rates {
        report.add(format!("{name}_rps"), samples.clone());
    }
    let of = |name: &str| rates.iter().find(|(it, _)| *it == name).map(|(_, it)| it);
    for (one, other) in [
        ("decision", "bare"),
        ("decision_nojournal", "bare"),
        ("decision", "express"),
        ("decision_nojournal", "express_light"),
        ("decision", "wasmtime_serve"),
    ] {
        if let (Some(ours), Some(theirs)) = (of(one), of(other)) {
            report.add(format!("{one}_vs_{other}"), ours.over(theirs));
        }
    }
    Ok(())
}
