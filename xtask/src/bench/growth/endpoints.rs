//! Endpoints of one organization, of which one wants the event: what answering a start
//! costs, and how soon a notice is delivered. One connection.

use anyhow::Result;
use serde_json::json;

use super::{Curve, Line, decades};
use crate::bench::figures::Field;
use crate::bench::load::{Load, Sample};
use crate::bench::stage::{Stage, payload};

pub(super) fn measure(stage: &Stage) -> Result<Curve> {
    let field = Field::prepare(stage, 1)?;
    let source = field.subject.source("starts", true)?;
    let mut start = payload("start")?;
    start["agentId"] = json!("agent_of_nobody");
    let starts = field.subject.target(&source, &start, None);
    let (mut answered, mut delivered) = (Line::new("start answered"), Line::new("delivered"));
    let mut there = 1;
    for count in decades(0, stage.pick(3, 4)) {
        let new: Vec<Sample> = (there..count)
            .map(|number| {
                let endpoint = json!({
                    "name": format!("other-{number}"), "url": field.sink.url(),
                    "filter": {"agents": [format!("other_{number}")]},
                });
                Sample::post("/api/v1/endpoints", &endpoint)
            })
            .collect();
        field.subject.send_all(stage, new)?;
        there = there.max(count);
        let came = starts.ask(&stage.programs, Load::full(1), stage.rounds)?;
        answered.push(count, came.p50_ms);
        delivered.push(count, field.latency(stage, stage.rounds)?);
    }
    Ok(Curve {
        name: "growth_endpoints",
        title: "By the number of endpoints, of which one wants the event",
        axes: ["endpoints", "median, ms"],
        lines: vec![answered, delivered],
    })
}
