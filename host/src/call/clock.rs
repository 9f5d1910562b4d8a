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
