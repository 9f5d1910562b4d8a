//! The faults: what each of them does to a field under load.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::field::Field;
use super::receiver::Mood;
use super::{Row, dead, disk, load};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// kill -9 at a random moment.
    Kill,
    /// The server is stopped and started while deliveries wait to be tried again.
    Restart,
    /// The endpoint goes and comes back.
    Flaps,
    /// The endpoint does not answer for a while.
    Hangs,
    /// The endpoint ends connections for a while.
    Resets,
    /// The endpoint answers slowly.
    Slow,
    /// Nothing more can be written to the disk.
    DiskFull,
    /// A thousand endpoints are dead beside the one that is looked at.
    Dead,
}

impl Fault {
    pub const ALL: [Self; 8] = [
        Self::Kill,
        Self::Restart,
        Self::Flaps,
        Self::Hangs,
        Self::Resets,
        Self::Slow,
        Self::DiskFull,
        Self::Dead,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill -9 under load",
            Self::Restart => "restart amid retries",
            Self::Flaps => "endpoint flaps",
            Self::Hangs => "endpoint hangs",
            Self::Resets => "connections reset",
            Self::Slow => "endpoint is slow",
            Self::DiskFull => "disk full",
            Self::Dead => "1000 dead endpoints",
        }
    }

    /// How often it happens where the server is killed that often.
    pub(super) fn rounds_of(self, kills: u32) -> u32 {
        match self {
            Self::Kill => kills,
            Self::Restart | Self::DiskFull => (kills / 10).max(1),
            Self::Flaps | Self::Hangs | Self::Resets => (kills / 16).max(1),
            Self::Slow | Self::Dead => 1,
        }
    }

    pub(super) fn strike(self, host: &Path, rounds: u32) -> Result<Row> {
        // Long, so that it is not the machine's load that makes attempts fail.
        let timeout = match self {
            Self::Hangs => Duration::from_secs(1),
            _ => Duration::from_secs(20),
        };
        let field = Field::prepare(host, timeout)?;
        match self {
            Self::Kill => load::during(&field, || {
                for _ in 0..rounds {
                    sleep(at_random(100, 700));
                    field.kill_and_start()?;
                }
                Ok(())
            })?,
            Self::Restart => load::during(&field, || restart_amid_retries(&field, rounds))?,
            Self::Flaps => for_a_while(&field, Mood::Gone, rounds)?,
            Self::Hangs => for_a_while(&field, Mood::Hanging, rounds)?,
            Self::Resets => for_a_while(&field, Mood::Resetting, rounds)?,
            Self::Slow => for_a_while(&field, Mood::Slow, rounds * 2)?,
            Self::DiskFull => {
                for round in 0..rounds {
                    let fill = || disk::fill_for_a_while(&field, round);
                    load::at_intervals(&field, 16, Duration::from_millis(1), fill)?;
                }
                let refused = field.ledger.balance().refused;
                ensure!(refused > 0, "the disk was never full");
            }
            Self::Dead => return dead::strike(field),
        }
        field.close(self, rounds)
    }
}

/// Well, then badly, then well again.
fn for_a_while(field: &Field, mood: Mood, rounds: u32) -> Result<()> {
    load::during(field, || {
        for _ in 0..rounds {
            sleep(at_random(300, 700));
            field.receiver.be(mood)?;
            sleep(at_random(1_000, 2_000));
            field.receiver.be(Mood::Fine)?;
        }
        Ok(())
    })
}

fn restart_amid_retries(field: &Field, rounds: u32) -> Result<()> {
    for _ in 0..rounds {
        field.receiver.be(Mood::Failing)?;
        sleep(at_random(300, 900));
        field.stop_and_start()?;
        sleep(at_random(100, 300));
        field.receiver.be(Mood::Fine)?;
        sleep(at_random(100, 300));
    }
    Ok(())
}

/// So many milliseconds, from the one to the other.
fn at_random(least: u64, most: u64) -> Duration {
    // Every one of them has keys of its own.
    let random = RandomState::new().build_hasher().finish();
    Duration::from_millis(least + random % (most - least))
}
