//! Connections that ask at the same time, as fast as answers come: the server's answers
//! per second, and those of the limit.

use anyhow::Result;

use super::{Curve, Line};
use crate::bench::figures::{ACCEPTED, gate};
use crate::bench::load::Load;
use crate::bench::peers::bare;
use crate::bench::stage::{Stage, payload};

const SIZES: [u64; 8] = [1, 4, 16, 64, 256, 1000, 2000, 5000];

pub(super) fn measure(stage: &Stage) -> Result<Curve> {
    let (_subject, target) = gate(stage, "", true)?;
    let bare = bare::start(&stage.programs)?;
    let bare = bare.target(&payload("start")?, ACCEPTED);
    let (mut ours, mut limit) = (Line::new("start"), Line::new("bare"));
    for connections in SIZES {
        let load = Load::full(usize::try_from(connections)?);
        let came = bare.ask(&stage.programs, load, stage.rounds)?;
        limit.push(connections, came.per_second);
        rustix::fs::sync();
        let came = target.ask(&stage.programs, load, stage.rounds)?;
        ours.push(connections, came.per_second);
    }
    Ok(Curve {
        name: "growth_connections",
        title: "By the number of connections that ask at the same time",
        axes: ["connections", "answers per second"],
        lines: vec![ours, limit],
    })
}
