//! What came of it: how many answers in what time, how long they took.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::reply::Reply;

/// Of one connection.
#[derive(Debug, Default)]
pub(super) struct Tally {
    times: Vec<Duration>,
    wrong: u64,
    /// Shows what is wrong, to people.
    example: Option<String>,
}

/// What is told at the end. Times are of the answers that were counted.
#[derive(Debug, Serialize)]
pub struct Outcome {
    pub answers: usize,
    pub per_second: f64,
    /// Answers that are not what was expected, also of those that were not counted.
    pub wrong: u64,
    pub example: Option<String>,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
}

impl Tally {
    pub(super) fn took(&mut self, time: Duration) {
        self.times.push(time);
    }

    pub(super) fn is_wrong(&mut self, reply: &Reply) {
        self.wrong += 1;
        if self.example.is_none() {
            let body = String::from_utf8_lossy(&reply.body);
            self.example = Some(format!("{} {body}", reply.status));
        }
    }

    /// All of them together, in a window of that length.
    pub(super) fn sum(tallies: impl IntoIterator<Item = Self>, window: Duration) -> Outcome {
        let mut all = Self::default();
        for tally in tallies {
            all.times.extend(tally.times);
            all.wrong += tally.wrong;
            all.example = all.example.or(tally.example);
        }
        all.times.sort_unstable();
        let at = |of_thousand: usize| {
            let rank = (all.times.len() * of_thousand).div_ceil(1000);
            let time = rank.checked_sub(1).and_then(|at| all.times.get(at));
            time.map_or(0.0, |time| time.as_secs_f64() * 1000.0)
        };
        Outcome {
            answers: all.times.len(),
            per_second: all.times.len() as f64 / window.as_secs_f64(),
            wrong: all.wrong,
            example: all.example,
            p50_ms: at(500),
            p99_ms: at(990),
            max_ms: at(1000),
        }
    }
}

/// The tallies of threads, or why one of them failed.
pub(super) fn of_threads<T>(
    threads: Vec<std::thread::ScopedJoinHandle<'_, Result<T>>>,
) -> Result<Vec<T>> {
    let ended = threads.into_iter().map(|thread| {
        let ended = thread.join();
        ended.map_err(|_| anyhow::anyhow!("a thread of the load panicked"))?
    });
    ended.collect()
}
