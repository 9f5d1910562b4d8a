//! The larger the payload, or the more was said, the longer an answer takes: by how much,
//! beside the limit. One connection, so that nothing waits for anything else.

use anyhow::Result;
use serde_json::{Value, json};

use super::{Curve, Line, decades};
use crate::bench::figures::{ACCEPTED, gate, of_transfers};
use crate::bench::load::{Load, Sample};
use crate::bench::peers::bare;
use crate::bench::stage::{Stage, payload};
use crate::bench::subject::Subject;

pub(super) fn of_starts(stage: &Stage) -> Result<Curve> {
    let (_subject, mut target) = gate(stage, "", true)?;
    let path = target.samples[0].path().to_owned();
    let bare = bare::start(&stage.programs)?;
    let (mut ours, mut limit) = (Line::new("start"), Line::new("bare"));
    for bytes in decades(3, stage.pick(6, 7)) {
        let start = padded(payload("start")?, bytes)?;
        target.samples = vec![Sample::post(&path, &start)];
        let rounds = stage.rounds;
        let came = target.ask(&stage.programs, Load::full(1), rounds)?;
        ours.push(bytes, came.p50_ms);
        let bare = bare.target(&start, ACCEPTED);
        let came = bare.ask(&stage.programs, Load::full(1), rounds)?;
        limit.push(bytes, came.p50_ms);
    }
    Ok(Curve {
        name: "growth_payload",
        title: "A start, by the size of its payload",
        axes: ["bytes", "median of answers, ms"],
        lines: vec![ours, limit],
    })
}

/// The payload with so much in its additional data that it has about so many bytes.
fn padded(mut payload: Value, bytes: u64) -> Result<Value> {
    let there = payload.to_string().len();
    let missing = usize::try_from(bytes)?.saturating_sub(there);
    payload["callAdditionalData"]["padding"] = json!("x".repeat(missing));
    Ok(payload)
}

pub(super) fn of_transcripts(stage: &Stage) -> Result<Curve> {
    let subject = Subject::start(stage, "")?;
    let source = subject.source("main-line", true)?;
    subject.bind(stage, "transfer-router", &source, &of_transfers())?;
    let mut line = Line::new("transfer");
    for utterances in decades(0, 4) {
        let mut transfer = payload("transfer")?;
        let said = transfer["transcription"][0].clone();
        transfer["transcription"] = json!(vec![said; usize::try_from(utterances)?]);
        let target = subject.target(&source, &transfer, None);
        let came = target.ask(&stage.programs, Load::full(1), stage.rounds)?;
        line.push(utterances, came.p50_ms);
    }
    Ok(Curve {
        name: "growth_transcript",
        title: "A transfer, by the length of its transcript",
        axes: ["utterances", "median of answers, ms"],
        lines: vec![line],
    })
}
