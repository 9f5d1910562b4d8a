//! The time by which attempts are due.
//!
//! It begins with the system's clock and then runs by the monotonic one: when
//! somebody sets the system's clock back by an hour, no delivery waits an hour more,
//! and when it jumps ahead, nothing that is owed from then on is late. One for the
//! process: who owes and who sends must agree about the time.

use std::time::{Duration, Instant};

use jiff::Timestamp;

#[derive(Debug)]
pub struct Clock {
    begin: Timestamp,
    begun: Instant,
}

impl Clock {
    pub fn start() -> Self {
        Self {
            begin: Timestamp::now(),
            begun: Instant::now(),
        }
    }

    pub fn now(&self) -> Timestamp {
        self.after(Duration::ZERO)
    }

    /// The time in a while; the end of time, if that is sooner.
    pub fn after(&self, wait: Duration) -> Timestamp {
        let since = self.begun.elapsed().saturating_add(wait);
        self.begin.checked_add(since).unwrap_or(Timestamp::MAX)
    }

    /// How long until then.
    pub fn until(&self, at: Timestamp) -> Duration {
        let wait = at.duration_since(self.now());
        Duration::try_from(wait).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A clock that was started so long ago, when the system's clock said `begin`.
    fn started(begin: &str, ago: Duration) -> Clock {
        Clock {
            begin: begin.parse().unwrap(),
            begun: Instant::now().checked_sub(ago).unwrap(),
        }
    }

    #[test]
    fn it_goes_on_from_where_it_began_whatever_the_systems_clock_says_now() {
        // The system's clock was an age ahead then, or behind: it has been set since.
        for begin in ["2001-01-01T00:00:00Z", "2101-01-01T00:00:00Z"] {
            let clock = started(begin, Duration::from_secs(5));
            let begin: Timestamp = begin.parse().unwrap();
            let ran = Duration::try_from(clock.now().duration_since(begin)).unwrap();
            assert!((5..60).contains(&ran.as_secs()), "{ran:?}");
            let due = clock.after(Duration::from_secs(100));
            let wait = clock.until(due);
            assert!((90..=100).contains(&wait.as_secs()), "{wait:?}");
        }
    }

    #[test]
    fn it_never_goes_back() {
        let clock = Clock::start();
        let mut last = clock.now();
        for _ in 0..1_000 {
            let now = clock.now();
            assert!(now >= last);
            last = now;
        }
    }

    #[test]
    fn what_is_past_is_waited_for_no_time_and_the_end_of_time_is_the_latest() {
        let clock = started("2026-01-02T03:04:05Z", Duration::ZERO);
        let past = "2026-01-02T03:04:04Z".parse().unwrap();
        assert_eq!(clock.until(past), Duration::ZERO);
        assert_eq!(clock.after(Duration::MAX), Timestamp::MAX);
    }
}
