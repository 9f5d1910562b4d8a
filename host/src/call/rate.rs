//! How many webhooks a source may bring in a second, and an organization over all its
//! sources.
//!
//! Routes hold the limits of their source and its organization, so asking costs a few
//! atomic operations. The limits outlive the routes, which are read anew whenever
//! anything is set up: only another rate begins anew.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use crate::domain::id::{OrganizationId, SourceId};
use crate::domain::rate::PerSecond;

/// Whose limit it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limited {
    Source(SourceId),
    Organization(OrganizationId),
}

/// More came than may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{} takes {rate} webhooks in a second, and more have come: send this one again later", noun(.whose))]
pub struct TooFast {
    pub whose: Limited,
    pub rate: PerSecond,
    /// Until one more may come.
    pub wait: Duration,
}

fn noun(whose: &Limited) -> &'static str {
    match whose {
        Limited::Source(_) => "this source",
        Limited::Organization(_) => "the organization of this source",
    }
}

/// The limits that hold for a route, the narrower first: what a source may not bring
/// uses nothing up of what its organization may.
#[derive(Debug, Default)]
pub(super) struct Limits(Vec<Arc<Limit>>);

struct Limit {
    whose: Limited,
    rate: PerSecond,
    limiter: DefaultDirectRateLimiter,
    born: Instant,
    /// Nobody gets through before, in nanoseconds since then.
    closed_until: AtomicU64,
}

impl std::fmt::Debug for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limit")
            .field("whose", &self.whose)
            .field("rate", &self.rate)
            .finish_non_exhaustive()
    }
}

impl Limit {
    fn new(whose: Limited, rate: PerSecond) -> Self {
        Self {
            whose,
            rate,
            limiter: RateLimiter::direct(Quota::per_second(rate.count())),
            born: Instant::now(),
            closed_until: AtomicU64::new(0),
        }
    }

    /// Whether it is known already that none may come now.
    fn look(&self) -> Result<(), TooFast> {
        let until = Duration::from_nanos(self.closed_until.load(Ordering::Relaxed));
        match until.checked_sub(self.born.elapsed()) {
            Some(wait) if !wait.is_zero() => Err(self.refusal(wait)),
            _ => Ok(()),
        }
    }

    /// Lets one through.
    fn take(&self) -> Result<(), TooFast> {
        self.limiter.check().map_err(|early| {
            let wait = early.wait_time_from(DefaultClock::default().now());
            let until = (self.born.elapsed() + wait).as_nanos();
            let until = u64::try_from(until).unwrap_or(u64::MAX);
            self.closed_until.fetch_max(until, Ordering::Relaxed);
            self.refusal(wait)
        })
    }

    fn refusal(&self, wait: Duration) -> TooFast {
        TooFast {
            whose: self.whose,
            rate: self.rate,
            wait,
        }
    }
}

impl Limits {
    /// Tells, without counting, whether a request would be one too many for sure.
    pub(super) fn look(&self) -> Result<(), TooFast> {
        self.0.iter().try_for_each(|limit| limit.look())
    }

    /// Counts a request.
    pub(super) fn take(&self) -> Result<(), TooFast> {
        self.0.iter().try_for_each(|limit| limit.take())
    }
}

/// The limits of everybody who has one. One for the process.
#[derive(Debug, Default)]
pub(super) struct Rates {
    all: Mutex<HashMap<Limited, Arc<Limit>>>,
}

/// Limits kept before those that no route holds are dropped: four times as many as the
/// kept routes can hold of either kind, so that this seldom has to be done.
const KEPT: usize = 40_000;

impl Rates {
    pub(super) fn of(
        &self,
        source: (SourceId, Option<PerSecond>),
        organization: (OrganizationId, Option<PerSecond>),
    ) -> Limits {
        let source = source.1.map(|rate| (Limited::Source(source.0), rate));
        let organization = organization
            .1
            .map(|rate| (Limited::Organization(organization.0), rate));
        let limits = source.into_iter().chain(organization);
        Limits(
            limits
                .map(|(whose, rate)| self.limit(whose, rate))
                .collect(),
        )
    }

    fn limit(&self, whose: Limited, rate: PerSecond) -> Arc<Limit> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= KEPT {
            all.retain(|_, limit| Arc::strong_count(limit) > 1);
        }
        let limit = all
            .entry(whose)
            .or_insert_with(|| Arc::new(Limit::new(whose, rate)));
        if limit.rate != rate {
            *limit = Arc::new(Limit::new(whose, rate));
        }
        Arc::clone(limit)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn rate(count: u32) -> PerSecond {
        count.try_into().unwrap()
    }

    fn limits(rates: &Rates, source: u128, own: u32, all: u32) -> Limits {
        let (source, organization) = (Uuid::from_u128(source), Uuid::from_u128(1));
        rates.of(
            (source.into(), Some(rate(own))),
            (organization.into(), Some(rate(all))),
        )
    }

    /// How many of so many get through. All at once, as far as the limits can tell.
    fn through(limits: &Limits, requests: u32) -> u32 {
        (0..requests)
            .map(|_| u32::from(limits.take().is_ok()))
            .sum()
    }

    #[test]
    fn what_a_source_may_not_bring_uses_nothing_of_its_organizations_up() {
        let rates = Rates::default();
        let (one, other) = (limits(&rates, 1, 1, 3), limits(&rates, 2, 20, 3));
        assert_eq!(through(&one, 10), 1);
        assert_eq!(through(&other, 10), 2);
        let refused = other.take().unwrap_err();
        assert!(matches!(refused.whose, Limited::Organization(_)));
    }

    #[test]
    fn a_limit_that_is_reached_is_known_without_counting() {
        let rates = Rates::default();
        let limits = limits(&rates, 1, 1, 9);
        limits.look().unwrap();
        limits.take().unwrap();
        limits.look().unwrap();
        let refused = limits.take().unwrap_err();
        let seen = limits.look().unwrap_err();
        assert_eq!((seen.whose, seen.rate), (refused.whose, refused.rate));
        assert!(seen.wait <= refused.wait);
    }

    #[test]
    fn a_route_that_is_read_anew_finds_its_limits_as_they_stand() {
        let rates = Rates::default();
        assert_eq!(through(&limits(&rates, 1, 2, 9), 9), 2);
        assert_eq!(through(&limits(&rates, 1, 2, 9), 9), 0);
        assert_eq!(through(&limits(&rates, 1, 3, 9), 9), 3);
    }
}
