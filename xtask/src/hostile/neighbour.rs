//! The customer next door: asks a good plugin at a steady, modest rate, and notes how
//! long each answer takes.
//!
//! Requests are sent on a schedule and their time counts from when they were due, not
//! from when they could be sent: else a server that stalls would be asked less just
//! then, and look well.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use ureq::Agent;

use super::target::{GOOD_PLUGIN, Target, source};
use crate::api;

/// Threads that ask in turn, so that a slow answer does not hold up the next request.
const THREADS: u32 = 4;

/// Between two requests: 250 a second, some percent of what the server can do.
const INTERVAL: Duration = Duration::from_millis(4);

pub(super) struct Neighbour {
    url: String,
    payload: Value,
    /// One for each thread, with a connection that stays open.
    agents: Vec<Agent>,
}

/// How long answers took.
#[derive(Debug, Clone, Default)]
pub(super) struct Latencies {
    sorted: Vec<Duration>,
}

impl Neighbour {
    /// Binds the good plugin for a source of its own.
    pub(super) fn move_in(target: &Target, url: &str) -> Result<Self> {
        let source = target.api.post("/sources", &source("neighbour"))?;
        let source = source.success()?;
        let binding = json!({"plugin": GOOD_PLUGIN, "selector": {"source": source["id"]}});
        target.api.create("/bindings", &binding, "id")?;
        let hook_path = source["hook_path"].as_str();
        let hook_path = hook_path.context("the source has no hook_path")?;
        Ok(Self {
            url: format!("{url}{hook_path}"),
            payload: target.start_of("agent_next_door"),
            agents: (0..THREADS).map(|_| api::agent()).collect(),
        })
    }

    /// Asks for as long as `go_on` says so. Every answer has to be the right one.
    pub(super) fn ask(&self, go_on: impl Fn() -> bool + Sync) -> Result<Latencies> {
        let begin = Instant::now() + INTERVAL;
        let all = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .zip(&self.agents)
                .map(|(thread, agent)| {
                    let (all, go_on) = (&all, &go_on);
                    let named = std::thread::Builder::new().name("neighbour".to_owned());
                    named.spawn_scoped(scope, move || -> Result<()> {
                        let mut mine = Vec::new();
                        let mut due = begin + INTERVAL * thread;
                        while go_on() {
                            std::thread::sleep(due.saturating_duration_since(Instant::now()));
                            self.once(agent)?;
                            mine.push(due.elapsed());
                            due += INTERVAL * THREADS;
                        }
                        all.lock()
                            .map_err(|_| anyhow::anyhow!("poisoned"))?
                            .extend(mine);
                        Ok(())
                    })
                })
                .collect::<std::io::Result<_>>()?;
            threads.into_iter().try_for_each(|thread| {
                let ended = thread.join();
                ended.map_err(|_| anyhow::anyhow!("a client thread panicked"))?
            })
        })?;
        let mut sorted = all.into_inner().map_err(|_| anyhow::anyhow!("poisoned"))?;
        sorted.sort_unstable();
        Ok(Latencies { sorted })
    }

    fn once(&self, agent: &Agent) -> Result<()> {
        let mut response = agent.post(&self.url).send_json(&self.payload)?;
        let text = response.body_mut().read_to_string()?;
        ensure!(
            text == r#"{"accept":true}"#,
            "the neighbour was answered {} {text}",
            response.status()
        );
        Ok(())
    }
}

impl Latencies {
    /// Those of another time, too.
    pub(super) fn add(&mut self, more: Self) {
        self.sorted.extend(more.sorted);
        self.sorted.sort_unstable();
    }

    pub(super) fn count(&self) -> usize {
        self.sorted.len()
    }

    /// The answer time that so many of a hundred answers did not exceed, in
    /// milliseconds.
    pub(super) fn percentile(&self, of_hundred: usize) -> f64 {
        let rank = (self.sorted.len() * of_hundred).div_ceil(100);
        let time = rank.checked_sub(1).and_then(|at| self.sorted.get(at));
        time.map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_times() {
        let sorted = (1..=200).map(Duration::from_millis).collect();
        let latencies = Latencies { sorted };
        for (of_hundred, wanted) in [(50, 100.0), (99, 198.0), (100, 200.0)] {
            let difference = latencies.percentile(of_hundred) - wanted;
            assert!(difference.abs() < 1e-6, "{of_hundred}: {difference}");
        }
    }

    #[test]
    fn without_answers_there_is_no_percentile() {
        let latencies = Latencies { sorted: Vec::new() };
        assert!(latencies.percentile(99).is_nan());
    }
}
