//! How many requests a token may make.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::domain::id::TokenId;
use crate::domain::rate::PerSecond;

/// So many in a second of each token, and twice as many in a burst. Cheap to clone.
#[derive(Clone)]
pub struct Pace {
    rate: PerSecond,
    limiter: Arc<DefaultKeyedRateLimiter<TokenId>>,
}

impl std::fmt::Debug for Pace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pace")
            .field("rate", &self.rate)
            .finish_non_exhaustive()
    }
}

/// How many seconds' worth may come at once.
const BURST: NonZeroU32 = NonZeroU32::MIN.saturating_add(1);

impl Pace {
    pub fn new(rate: PerSecond) -> Self {
        let burst = rate.count().saturating_mul(BURST);
        let quota = Quota::per_second(rate.count()).allow_burst(burst);
        Self {
            rate,
            limiter: Arc::new(RateLimiter::keyed(quota)),
        }
    }

    pub(super) fn rate(&self) -> PerSecond {
        self.rate
    }

    /// Counts a request, or says how long to wait.
    pub(super) fn take(&self, token: TokenId) -> Result<(), Duration> {
        let counted = self.limiter.check_key(&token);
        counted.map_err(|early| early.wait_time_from(DefaultClock::default().now()))
    }

    /// Forgets tokens that have not been used for so long that they may make a burst
    /// again. To be called now and then.
    pub fn forget_idle(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
    }
}
