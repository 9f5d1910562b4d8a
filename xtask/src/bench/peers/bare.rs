//! The limit: `bench/src/bin/bare.rs`.

use anyhow::Result;

use super::Peer;
use crate::bench::programs::Programs;

pub(in crate::bench) fn start(programs: &Programs) -> Result<Peer> {
    let serving = programs.serve("bare")?;
    Ok(Peer { serving })
}
