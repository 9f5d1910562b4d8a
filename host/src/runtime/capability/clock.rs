//! The clocks a guest sees: the host's wall clock, and a monotonic clock that
//! begins with the call, so that it tells nothing of the host's uptime.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

use super::recorder::{Import, Recorder};

pub(super) struct WallClock(pub(super) Recorder);

pub(super) struct MonotonicClock {
    pub(super) recorder: Recorder,
    pub(super) started: Instant,
}

/// WASI's clocks cannot fail: in a replay that diverges they show nothing, and
/// [`Recorder::diverged`] tells.
impl HostWallClock for WallClock {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        let live = || {
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default()
        };
        self.0
            .ask(Import::WallClock, &(), live)
            .unwrap_or(Duration::ZERO)
    }
}

impl HostMonotonicClock for MonotonicClock {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        let live = || u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.recorder
            .ask(Import::MonotonicClock, &(), live)
            .unwrap_or(0)
    }
}
