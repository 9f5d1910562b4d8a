//! The gate in front of each endpoint: how many requests at once, how many in a
//! second, and none at all for a while to one that keeps failing.
//!
//! Questions wait at the gate and go first; what is owed never waits here, its lane
//! is told when to come again. So a queue of notices cannot hold up a live call.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::domain::breaker::{Admission, Breaker, Policy, Stand};
use crate::domain::delivery::{Heard, Judgement, judge};
use crate::domain::endpoint::Endpoint;
use crate::domain::id::EndpointId;

/// After so many failures in a row of time an endpoint is left alone, then probed.
const POLICY: Policy = Policy {
    failures: 5,
    window: Duration::from_secs(30),
    pause: Duration::from_secs(5),
    longest_pause: Duration::from_mins(1),
};

/// An endpoint's wish to wait holds for everything sent there, but no longer than this:
/// one reply must not silence it for an hour.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// When nobody says when it opens, look again after this.
const AGAIN: Duration = Duration::from_secs(1);

pub struct Gate {
    limits: Limits,
    slots: Arc<Semaphore>,
    rate: Option<DefaultDirectRateLimiter>,
    questions: AtomicUsize,
    closed: Mutex<Closed>,
    changed: Notify,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Limits {
    concurrency: u16,
    rate_per_second: Option<u32>,
}

struct Closed {
    breaker: Breaker,
    paused_until: Option<Instant>,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Why something that is owed cannot be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Until somebody leaves ([`Gate::changed`]).
    Busy,
    Until(Instant),
}

/// The circuit is open: the endpoint keeps failing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the endpoint fails again and again and is left alone for a while")]
pub struct CircuitOpen;

/// Leave to send one request. Say how it went with [`Pass::ended`].
#[derive(Debug)]
pub struct Pass {
    gate: Arc<Gate>,
    /// Given back before anybody is told.
    slot: Option<OwnedSemaphorePermit>,
}

impl Gate {
    fn new(limits: Limits) -> Self {
        let quota = limits.rate_per_second.and_then(NonZeroU32::new);
        Self {
            limits,
            slots: Arc::new(Semaphore::new(limits.concurrency.into())),
            rate: quota.map(|rate| RateLimiter::direct(Quota::per_second(rate))),
            questions: AtomicUsize::new(0),
            closed: Mutex::new(Closed {
                breaker: Breaker::new(POLICY),
                paused_until: None,
            }),
            changed: Notify::new(),
        }
    }

    /// Lets something that is owed through, or says when to come again.
    pub fn try_enter(self: &Arc<Self>, now: Instant) -> Result<Pass, Wait> {
        if self.questions.load(Ordering::Acquire) > 0 {
            return Err(Wait::Busy);
        }
        let slot = Arc::clone(&self.slots).try_acquire_owned();
        let slot = slot.map_err(|_| Wait::Busy)?;
        self.closed_until(now)
            .map_or(Ok(()), |until| Err(Wait::Until(until)))?;
        if let Some(Err(early)) = self.rate.as_ref().map(RateLimiter::check) {
            let wait = early.wait_time_from(DefaultClock::default().now());
            return Err(Wait::Until(now + wait));
        }
        match self.lock().breaker.admit(now) {
            Admission::Go | Admission::Probe => Ok(Pass {
                gate: Arc::clone(self),
                slot: Some(slot),
            }),
            Admission::Refused => Err(Wait::Until(now + AGAIN)),
        }
    }

    /// Lets a question through as soon as there is room, ahead of all that is owed.
    /// The caller limits the time.
    pub async fn enter(self: &Arc<Self>) -> Result<Pass, CircuitOpen> {
        let _waiting = Waiting::new(self);
        let slot = Arc::clone(&self.slots).acquire_owned().await;
        let slot = slot.map_err(|_closed| CircuitOpen)?;
        if let Some(rate) = &self.rate {
            rate.until_ready().await;
        }
        match self.lock().breaker.admit(Instant::now()) {
            Admission::Go | Admission::Probe => Ok(Pass {
                gate: Arc::clone(self),
                slot: Some(slot),
            }),
            Admission::Refused => Err(CircuitOpen),
        }
    }

    /// Somebody left, or stopped waiting.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Whether the circuit is open, for people.
    pub fn stand(&self) -> Stand {
        self.lock().breaker.stand()
    }

    fn closed_until(&self, now: Instant) -> Option<Instant> {
        let closed = self.lock();
        let open = match closed.breaker.stand() {
            Stand::Open { until } => Some(until),
            Stand::Closed | Stand::Probing => None,
        };
        let until = open.max(closed.paused_until);
        until.filter(|until| *until > now)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Closed> {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A question at the gate.
struct Waiting<'g>(&'g Gate);

impl<'g> Waiting<'g> {
    fn new(gate: &'g Gate) -> Self {
        gate.questions.fetch_add(1, Ordering::AcqRel);
        Self(gate)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.questions.fetch_sub(1, Ordering::AcqRel);
        self.0.changed.notify_one();
    }
}

impl Pass {
    /// Takes note of what was heard, and makes room.
    pub fn ended(self, heard: Heard, now: Instant) {
        let mut closed = self.gate.lock();
        match judge(heard) {
            // One that says no is there.
            Judgement::Delivered | Judgement::Refused | Judgement::Gone => {
                closed.breaker.ended(now, false);
            }
            Judgement::Again { not_before } => {
                closed.breaker.ended(now, true);
                if !not_before.is_zero() {
                    closed.paused_until = Some(now + not_before.min(LONGEST_PAUSE));
                }
            }
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        // Who is told and finds no room would wait for somebody else to leave.
        drop(self.slot.take());
        self.gate.changed.notify_one();
    }
}

/// The gates of all endpoints.
#[derive(Debug, Default)]
pub(super) struct Gates {
    all: Mutex<HashMap<EndpointId, Arc<Gate>>>,
}

/// Gates kept before those that nobody uses and that remember nothing are dropped.
const KEPT: usize = 20_000;

impl Gates {
    /// A change of its limits gives an endpoint another gate; requests that went
    /// through the old one end there.
    pub(super) fn of(&self, endpoint: &Endpoint) -> Arc<Gate> {
        let limits = Limits {
            concurrency: endpoint.settings.concurrency,
            rate_per_second: endpoint.settings.rate_per_second,
        };
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= KEPT {
            all.retain(|_, gate| Arc::strong_count(gate) > 1 || !gate.lock().breaker.is_at_rest());
        }
        let gate = all
            .entry(endpoint.id)
            .or_insert_with(|| Arc::new(Gate::new(limits)));
        if gate.limits != limits {
            *gate = Arc::new(Gate::new(limits));
        }
        Arc::clone(gate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::delivery::SendFailure;

    fn gate(concurrency: u16, rate_per_second: Option<u32>) -> Arc<Gate> {
        Arc::new(Gate::new(Limits {
            concurrency,
            rate_per_second,
        }))
    }

    const FINE: Heard = Heard::Reply {
        status: 200,
        retry_after: None,
    };
    const DEAD: Heard = Heard::Nothing(SendFailure::ConnectionRefused);

    #[test]
    fn no_more_go_through_at_once_than_may() {
        let (gate, now) = (gate(2, None), Instant::now());
        let first = gate.try_enter(now).unwrap();
        let _second = gate.try_enter(now).unwrap();
        assert_eq!(gate.try_enter(now).unwrap_err(), Wait::Busy);
        first.ended(FINE, now);
        assert!(gate.try_enter(now).is_ok());
    }

    #[test]
    fn no_more_go_through_in_a_second_than_may() {
        let (gate, now) = (gate(9, Some(2)), Instant::now());
        for _ in 0..2 {
            gate.try_enter(now).unwrap().ended(FINE, now);
        }
        assert!(matches!(gate.try_enter(now).unwrap_err(), Wait::Until(at) if at > now));
    }

    #[test]
    fn one_that_keeps_failing_is_left_alone() {
        let (gate, now) = (gate(9, None), Instant::now());
        for _ in 0..POLICY.failures {
            gate.try_enter(now).unwrap().ended(DEAD, now);
        }
        let until = now + POLICY.pause;
        assert_eq!(gate.try_enter(now).unwrap_err(), Wait::Until(until));
        gate.try_enter(until).unwrap().ended(FINE, until);
        assert!(gate.try_enter(until).is_ok());
    }

    #[test]
    fn a_wish_to_wait_holds_for_everything_sent_there() {
        let (gate, now) = (gate(9, None), Instant::now());
        let heard = Heard::Reply {
            status: 429,
            retry_after: Some(Duration::from_hours(1)),
        };
        gate.try_enter(now).unwrap().ended(heard, now);
        let until = now + LONGEST_PAUSE;
        assert_eq!(gate.try_enter(now).unwrap_err(), Wait::Until(until));
    }

    #[tokio::test]
    async fn a_question_goes_ahead_of_what_is_owed() {
        let (gate, now) = (gate(1, None), Instant::now());
        let owed = gate.try_enter(now).unwrap();
        let question = tokio::spawn({
            let gate = Arc::clone(&gate);
            async move { gate.enter().await.map(|pass| pass.ended(FINE, now)) }
        });
        while gate.questions.load(Ordering::Acquire) == 0 {
            tokio::task::yield_now().await;
        }
        owed.ended(FINE, now);
        assert_eq!(gate.try_enter(now).unwrap_err(), Wait::Busy);
        question.await.unwrap().unwrap();
        assert!(gate.try_enter(Instant::now()).is_ok());
    }
}
