//! Events that are stored, each delivered once: what lists and claims cost when there are
//! many. Both go by indexes, so neither should grow; nor should answering.

use anyhow::Result;
use serde_json::json;

use super::{Curve, Line, decades};
use crate::bench::figures::Field;
use crate::bench::load::{Load, Sample};
use crate::bench::stage::{Rounds, Stage, payload};

/// Lists that people look at, by their first page.
const LISTS: [(&str, &str); 3] = [
    ("list of events", "/api/v1/events"),
    ("list of deliveries", "/api/v1/deliveries"),
    ("list of what is owed", "/api/v1/deliveries?state=owed"),
];

pub(super) fn measure(stage: &Stage) -> Result<Curve> {
    let field = Field::prepare(stage, 8)?;
    let source = field.subject.source("starts", true)?;
    let mut start = payload("start")?;
    start["agentId"] = json!("agent_of_nobody");
    let starts = field.subject.target(&source, &start, None);
    let mut lists: Vec<Line> = LISTS.iter().map(|(name, _)| Line::new(name)).collect();
    let (mut answered, mut claimed) = (Line::new("start answered"), Line::new("claimed and sent"));
    let mut there = 0;
    let most = stage.events.checked_ilog10().unwrap_or(0);
    for count in decades(3, stage.pick(4, most)) {
        there += field.deliver(stage, count.saturating_sub(there))?;
        for ((_, path), line) in LISTS.iter().zip(&mut lists) {
            let target = field.subject.api_target(vec![Sample::get(path)]);
            let came = target.ask(&stage.programs, Load::full(1), short(stage))?;
            line.push(count, came.p50_ms);
        }
        claimed.push(count, field.latency(stage, short(stage))?);
        // It stores events too, so it is short, and comes last.
        let few = Load {
            rate: Some(100.0),
            ..Load::full(1)
        };
        let came = starts.ask(&stage.programs, few, short(stage))?;
        answered.push(count, came.p50_ms);
    }
    lists.extend([claimed, answered]);
    Ok(Curve {
        name: "growth_events",
        title: "By the number of events that are stored and delivered",
        axes: ["events", "median, ms"],
        lines: lists,
    })
}

fn short(stage: &Stage) -> Rounds {
    Rounds {
        long: stage.rounds.long / 2,
        ..stage.rounds
    }
}
