//! Many calls added up: how fast, how long, what went wrong.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use serde::Serialize;

use super::outcome::{Outcome, Played};

/// Problems that are shown; of all others there is the count.
const MOST_PROBLEMS: usize = 10;

#[derive(Debug, Default, Serialize)]
pub(super) struct Summary {
    calls: u64,
    requests: u64,
    failed: u64,
    seconds: f64,
    requests_per_second: f64,
    steps: BTreeMap<String, Times>,
    problems: BTreeMap<String, u64>,
}

/// How long one step took in all calls.
#[derive(Debug, Default)]
struct Times(Vec<Duration>);

impl Times {
    fn sorted(&self) -> Vec<Duration> {
        let mut times = self.0.clone();
        times.sort_unstable();
        times
    }
}

/// Of sorted times the one that so many of a hundred are not above.
fn percentile(sorted: &[Duration], hundredths: usize) -> f64 {
    let rank = (sorted.len() * hundredths).div_ceil(100);
    let time = sorted
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or_default();
    (time.as_secs_f64() * 1e6).round() / 1e3
}

impl Serialize for Times {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let sorted = self.sorted();
        let figures = [
            ("p50_ms", 50),
            ("p90_ms", 90),
            ("p99_ms", 99),
            ("max_ms", 100),
        ];
        let figures = figures.map(|(name, of)| (name, percentile(&sorted, of)));
        serializer.collect_map(figures)
    }
}

impl Summary {
    pub(super) fn add(&mut self, outcomes: &[Outcome]) {
        self.calls += 1;
        for outcome in outcomes {
            let Some(elapsed) = outcome.elapsed_ms else {
                continue;
            };
            self.requests += 1;
            let step = outcome.step.to_string();
            if let Played::Failed { problem } = &outcome.result {
                self.failed += 1;
                let problem = format!("{step}: {problem}");
                if self.problems.len() < MOST_PROBLEMS || self.problems.contains_key(&problem) {
                    *self.problems.entry(problem).or_default() += 1;
                }
            }
            self.steps.entry(step).or_default().0.push(elapsed);
        }
    }

    pub(super) fn took(&mut self, elapsed: Duration) {
        self.seconds = elapsed.as_secs_f64();
        self.requests_per_second = self.requests as f64 / self.seconds.max(f64::EPSILON);
    }

    pub(super) fn is_well(&self) -> bool {
        self.failed == 0
    }

    pub(super) fn print(&self, out: &mut impl Write) -> std::io::Result<()> {
        let width = self.steps.keys().map(String::len).max().unwrap_or(0).max(4);
        writeln!(
            out,
            "{:<width$}  {:>9}  {:>9}  {:>9}  {:>9}",
            "step", "p50 ms", "p90 ms", "p99 ms", "max ms"
        )?;
        for (step, times) in &self.steps {
            let sorted = times.sorted();
            write!(out, "{step:<width$}")?;
            for of in [50, 90, 99, 100] {
                write!(out, "  {:>9.2}", percentile(&sorted, of))?;
            }
            writeln!(out)?;
        }
        for (problem, times) in &self.problems {
            writeln!(out, "FAILED {times} times: {problem}")?;
        }
        writeln!(
            out,
            "{} calls, {} requests in {:.1} s ({:.0} a second), {} failed",
            self.calls, self.requests, self.seconds, self.requests_per_second, self.failed
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_time_that_was_measured() {
        let times: Vec<_> = (1..=200).map(Duration::from_millis).collect();
        for (of, wanted) in [(50, 100.0), (99, 198.0), (100, 200.0)] {
            assert!((percentile(&times, of) - wanted).abs() < 1e-9, "{of}");
        }
        assert!(percentile(&[], 99).abs() < 1e-9);
        assert!((percentile(&times[..1], 1) - 1.0).abs() < 1e-9);
    }
}
