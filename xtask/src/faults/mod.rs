//! `cargo xtask faults`: what is acknowledged arrives, whatever breaks.
//!
//! `kinds` is the list of faults, the same for this table and for the tests in
//! `tests/it/faults.rs`. A fault happens in a `field`: a server that forwards to a
//! `receiver`, both on this machine, while a `load` of notices comes in; a `ledger`
//! holds what was acknowledged against what arrived. `disk` fills the disk, `dead` is
//! the fault with a thousand endpoints, `table` prints.

mod dead;
mod disk;
mod field;
mod kinds;
mod ledger;
mod load;
mod receiver;
mod table;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

pub use self::disk::limit_files;
pub use self::kinds::Fault;
use crate::host;
use crate::terminal::say;

/// What `cargo xtask faults` was told.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// How often the server is killed; the other faults follow, fewer times
    #[arg(long, default_value_t = 50)]
    rounds: u32,
    /// Let them happen to a release build, also where there is none yet
    #[arg(long)]
    release: bool,
    /// Faults to try, by the beginning of their names; all unless given
    #[arg(value_name = "FAULT")]
    only: Vec<String>,
}

/// A row of the table: what came of a fault.
#[derive(Debug)]
pub struct Row {
    pub fault: &'static str,
    pub rounds: u32,
    /// Notices that the platform was told are taken.
    pub acknowledged: usize,
    /// Of these, those that arrived.
    pub delivered: usize,
    /// Requests with a `webhook-id` that was there before.
    pub duplicates: usize,
    /// What else there is to say.
    pub remark: String,
}

impl Row {
    pub fn lost(&self) -> usize {
        self.acknowledged - self.delivered
    }
}

/// Lets every fault happen, prints the table, and fails if anything was lost.
pub fn run(options: &Options) -> Result<()> {
    let host = host_to_break(options.release)?;
    let wanted = |fault: &Fault| {
        let only = &options.only;
        only.is_empty() || only.iter().any(|name| fault.name().starts_with(name))
    };
    let chosen: Vec<Fault> = Fault::ALL.into_iter().filter(wanted).collect();
    ensure!(!chosen.is_empty(), "there is no fault of that name");
    let mut rows = Vec::new();
    for fault in chosen {
        let row = strike(fault, &host, fault.rounds_of(options.rounds))?;
        say(table::line(&row));
        rows.push(row);
    }
    say(format!("\n{}\n{}", table::render(&rows), table::FOOTNOTE));
    let lost: usize = rows.iter().map(Row::lost).sum();
    ensure!(lost == 0, "{lost} acknowledged notices were lost");
    Ok(())
}

/// Lets one fault happen so many times to a host of its own.
pub fn strike(fault: Fault, host: &Path, rounds: u32) -> Result<Row> {
    let row = fault.strike(host, rounds);
    let row = row.with_context(|| format!("in the fault {}", fault.name()))?;
    ensure!(row.acknowledged > 0, "{}: nothing happened", row.fault);
    Ok(row)
}

fn host_to_break(release: bool) -> Result<PathBuf> {
    let there = host::workspace()?
        .join("target/release/hookswitch")
        .is_file();
    if release || there {
        host::ensure_release()
    } else {
        say("A development build is broken; --release makes a release build.");
        host::ensure()
    }
}
