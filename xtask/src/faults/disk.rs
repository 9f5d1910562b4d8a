//! A full disk, without one: for a while the server may not write further into its
//! files than a limit.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::field::Field;

/// What may still be written.
const ROOM: u64 = 64 << 10;
/// Until the server has no room.
const PATIENCE: Duration = Duration::from_mins(1);

/// Full in two ways, in turn: files may not grow, so that the last write is torn; or
/// nothing at all can be written but their beginnings.
pub(super) fn fill_for_a_while(field: &Field, round: u32) -> Result<()> {
    sleep(Duration::from_millis(500));
    let log = field.data().join("hookswitch.db-wal");
    let reached = if round.is_multiple_of(2) {
        size(&log)?
    } else {
        0
    };
    let server = field.server().id();
    let refused = || field.ledger.balance().refused;
    let before = refused();
    limit_files(server, Some(reached + ROOM))?;
    // What is acknowledged goes into the redo log's files, which are there already, until
    // they are full.
    let begun = Instant::now();
    while refused() == before && begun.elapsed() < PATIENCE {
        sleep(Duration::from_millis(50));
    }
    sleep(Duration::from_secs(1));
    limit_files(server, None)?;
    sleep(Duration::from_millis(500));
    Ok(())
}

fn size(file: &Path) -> Result<u64> {
    let file = file.metadata();
    Ok(file.context("the database has no log")?.len())
}

/// How far a process may write into its files from now on. It is the limit that can be
/// lifted again: the soft one.
pub fn limit_files(process: u32, bytes: Option<u64>) -> Result<()> {
    let pid = i32::try_from(process)?;
    let pid = Pid::from_raw(pid).context("that is no process")?;
    let limit = Rlimit {
        current: bytes,
        maximum: None,
    };
    prlimit(Some(pid), Resource::Fsize, limit).context("the limit cannot be set")?;
    Ok(())
}
