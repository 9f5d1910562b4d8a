//! Reads an order from standard input, carries it out, says what came of it.

use std::io;

use anyhow::{Context as _, Result};
use hookswitch_bench::load::{self, Order};

fn main() -> Result<()> {
    let order: Order = serde_json::from_reader(io::stdin().lock()).context("no order")?;
    let outcome = load::run(order)?;
    serde_json::to_writer(io::stdout().lock(), &outcome)?;
    Ok(())
}
