//! What a run has: programs, components, payloads, and how long its rounds are.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::Options;
use super::load::MARK;
use super::programs::Programs;
use super::report;
use crate::guests::{self, Guests};
use crate::host;

/// What ends by itself takes no longer than that.
const PATIENCE: Duration = Duration::from_mins(30);

/// How long is measured, and how often.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rounds {
    pub(super) count: u32,
    /// Before anything is counted.
    pub(super) warm: Duration,
    pub(super) long: Duration,
}

impl Rounds {
    /// For what ends by itself.
    pub(super) fn once() -> Self {
        Self {
            count: 1,
            warm: Duration::ZERO,
            long: PATIENCE,
        }
    }
}

#[derive(Debug)]
pub(super) struct Stage {
    pub(super) programs: Programs,
    pub(super) guests: Guests,
    pub(super) rounds: Rounds,
    quick: bool,
    /// What is asked for, by the beginnings of names.
    pub(super) only: Vec<String>,
    /// The most that are stored.
    pub(super) events: u64,
}

impl Stage {
    pub(super) fn build(options: &Options) -> Result<Self> {
        let guests = guests::ensure()?;
        let programs = Programs::build()?;
        let rounds = if options.quick {
            Rounds {
                count: 2,
                warm: Duration::from_millis(500),
                long: Duration::from_millis(1500),
            }
        } else {
            Rounds {
                count: 5,
                warm: Duration::from_secs(2),
                long: Duration::from_secs(6),
            }
        };
        Ok(Self {
            programs,
            guests,
            rounds,
            quick: options.quick,
            only: options.only.clone(),
            events: options.events,
        })
    }

    /// The one number for quick runs, the other for those that count.
    pub(super) fn pick<T>(&self, quick: T, whole: T) -> T {
        if self.quick { quick } else { whole }
    }

    /// A component's bytes.
    pub(super) fn component(&self, guest: &str) -> Result<Vec<u8>> {
        let path = self.guests.path(guest)?;
        std::fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))
    }

    /// A folder on the disk that is measured too: that of temporary files may be none.
    pub(super) fn folder() -> Result<TempDir> {
        let runs = report::folder().join("runs");
        std::fs::create_dir_all(&runs)?;
        Ok(TempDir::with_prefix_in("run-", runs)?)
    }
}

/// The platform's sample of that type, of a call whose id is different each time.
pub(super) fn payload(name: &str) -> Result<Value> {
    let path = host::workspace()?.join(format!("tests/fixtures/dasha/{name}.json"));
    let mut payload: Value = serde_json::from_slice(&std::fs::read(path)?)?;
    payload["callId"] = json!(format!("call_{MARK}"));
    Ok(payload)
}
