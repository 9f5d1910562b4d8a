//! A circuit breaker: what fails again and again is not asked for a while.
//!
//! Closed, it lets every call through and counts failures. After
//! [`Policy::failures`] of them within [`Policy::window`] it opens: calls are
//! refused at once. When [`Policy::pause`] is over one call may try; if it succeeds
//! the breaker closes, else it opens again, for twice as long up to
//! [`Policy::longest_pause`].

use std::collections::VecDeque;
use std::time::{Duration, Instant};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    pub failures: usize,
    pub window: Duration,
    pub pause: Duration,
    pub longest_pause: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            failures: 10,
            window: Duration::from_secs(30),
            pause: Duration::from_secs(5),
            longest_pause: Duration::from_mins(1),
        }
    }
}

/// What a call may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    Go,
    /// Go, and the breaker's future hangs on it.
    Probe,
    Refused,
}

/// How a breaker stands, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stand {
    Closed,
    Open { until: Instant },
    Probing,
}

#[derive(Debug)]
enum State {
    /// With the times of recent failures.
    Closed(VecDeque<Instant>),
    Open {
        until: Instant,
        pause: Duration,
    },
    /// One call is trying. If nothing is heard of it, another may after the pause.
    Probing {
        since: Instant,
        pause: Duration,
    },
}

#[derive(Debug)]
pub struct Breaker {
    policy: Policy,
    state: State,
}

impl Breaker {
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            state: State::Closed(VecDeque::new()),
        }
    }

    pub fn admit(&mut self, now: Instant) -> Admission {
        match self.state {
            State::Closed(_) => Admission::Go,
            State::Open { until, pause } if now >= until => {
                self.state = State::Probing { since: now, pause };
                Admission::Probe
            }
            State::Probing { since, pause } if now >= since + pause => {
                self.state = State::Probing { since: now, pause };
                Admission::Probe
            }
            State::Open { .. } | State::Probing { .. } => Admission::Refused,
        }
    }

    /// Takes note of how a call that was let through ended.
    pub fn ended(&mut self, now: Instant, failed: bool) {
        match &mut self.state {
            State::Closed(failures) => {
                let window = self.policy.window;
                if failed {
                    failures.push_back(now);
                }
                while failures.front().is_some_and(|&at| at + window < now) {
                    failures.pop_front();
                }
                if failures.len() >= self.policy.failures {
                    self.open(now, self.policy.pause);
                }
            }
            State::Probing { pause, .. } => {
                let pause = *pause;
                if failed {
                    self.open(now, (pause * 2).min(self.policy.longest_pause));
                } else {
                    self.state = State::Closed(VecDeque::new());
                }
            }
            // A call from before it opened: old news.
            State::Open { .. } => {}
        }
    }

    fn open(&mut self, now: Instant, pause: Duration) {
        let until = now + pause;
        self.state = State::Open { until, pause };
    }

    pub fn stand(&self) -> Stand {
        match self.state {
            State::Closed(_) => Stand::Closed,
            State::Open { until, .. } => Stand::Open { until },
            State::Probing { .. } => Stand::Probing,
        }
    }

    /// Whether forgetting it would change nothing.
    pub fn is_at_rest(&self) -> bool {
        matches!(&self.state, State::Closed(failures) if failures.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy {
        failures: 3,
        window: Duration::from_secs(10),
        pause: Duration::from_secs(5),
        longest_pause: Duration::from_secs(15),
    };

    struct Clock(Instant);

    impl Clock {
        fn at(&self, seconds: u64) -> Instant {
            self.0 + Duration::from_secs(seconds)
        }
    }

    fn opened() -> (Breaker, Clock) {
        let clock = Clock(Instant::now());
        let mut breaker = Breaker::new(POLICY);
        for second in 0..3 {
            assert_eq!(breaker.admit(clock.at(second)), Admission::Go);
            breaker.ended(clock.at(second), true);
        }
        (breaker, clock)
    }

    #[test]
    fn enough_failures_in_the_window_open_it() {
        let (mut breaker, clock) = opened();
        assert_eq!(breaker.admit(clock.at(3)), Admission::Refused);
        assert_eq!(breaker.stand(), Stand::Open { until: clock.at(7) });
    }

    #[test]
    fn failures_spread_over_a_longer_time_do_not() {
        let clock = Clock(Instant::now());
        let mut breaker = Breaker::new(POLICY);
        for second in [0, 6, 12, 18, 24] {
            breaker.ended(clock.at(second), true);
            assert_eq!(breaker.admit(clock.at(second)), Admission::Go, "{second}");
        }
    }

    #[test]
    fn one_call_probes_and_success_closes_it() {
        let (mut breaker, clock) = opened();
        assert_eq!(breaker.admit(clock.at(7)), Admission::Probe);
        assert_eq!(breaker.admit(clock.at(7)), Admission::Refused);
        breaker.ended(clock.at(8), false);
        assert_eq!(breaker.admit(clock.at(8)), Admission::Go);
        assert!(breaker.is_at_rest());
    }

    #[test]
    fn each_failed_probe_doubles_the_pause_up_to_the_longest() {
        let (mut breaker, clock) = opened();
        let mut now = 7;
        for pause in [10, 15, 15] {
            assert_eq!(breaker.admit(clock.at(now)), Admission::Probe);
            breaker.ended(clock.at(now), true);
            assert_eq!(breaker.admit(clock.at(now + pause - 1)), Admission::Refused);
            now += pause;
        }
    }

    #[test]
    fn a_probe_that_is_never_heard_of_is_followed_by_another() {
        let (mut breaker, clock) = opened();
        assert_eq!(breaker.admit(clock.at(7)), Admission::Probe);
        assert_eq!(breaker.admit(clock.at(11)), Admission::Refused);
        assert_eq!(breaker.admit(clock.at(12)), Admission::Probe);
    }

    #[test]
    fn calls_from_before_it_opened_change_nothing() {
        let (mut breaker, clock) = opened();
        breaker.ended(clock.at(4), false);
        breaker.ended(clock.at(4), true);
        assert_eq!(breaker.stand(), Stand::Open { until: clock.at(7) });
    }
}
