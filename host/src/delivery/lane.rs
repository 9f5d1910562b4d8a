//! One endpoint's lane: claims what is due, attempts as much of it at once as the
//! endpoint's gate lets through, and settles.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::Shared;
use super::standing::{self, Record};
use crate::call::{Addressee, KEPT_REPLY};
use crate::dispatch::gate::{Gate, Pass, Wait};
use crate::dispatch::{Message, Ready};
use crate::domain::delivery::{Heard, Judgement, State, judge};
use crate::store::delivery::{Claim, Claimed};
use crate::store::journal::{AttemptRecord, Next, Settlement};
use crate::store::{Alert, StoreError};

/// How long a claim holds: longer than what is claimed at once takes to be attempted,
/// even if every attempt takes the longest there is.
const LEASE: Duration = Duration::from_mins(10);
/// What was claimed so long ago and is not begun yet is given back.
const STALE: Duration = Duration::from_mins(5);
/// Most and fewest deliveries claimed at once.
const MOST: u16 = 256;
const FEWEST: u16 = 16;
/// Longest sleep without looking.
const LOOK: Duration = Duration::from_mins(1);
/// How often an ordered lane looks whether the handler of an older event has ended.
const ORDER_LOOK: Duration = Duration::from_millis(50);
/// An attempt's outcome that cannot be stored is tried again after this.
const STORE_AGAIN: Duration = Duration::from_secs(1);
const STORE_TRIES: u32 = 60;

/// What the lane knows of the queue in the store.
#[derive(Debug, Clone, Copy)]
enum Queue {
    /// Something may be due.
    MayHave,
    /// Nothing is due before then.
    NothingUntil(Instant),
}

struct Lane {
    shared: Arc<Shared>,
    addressee: Addressee,
    bell: Arc<Notify>,
    record: Arc<Record>,
    held: VecDeque<Claimed>,
    held_since: Instant,
    running: JoinSet<Option<Timestamp>>,
    queue: Queue,
}

/// Runs until its endpoint is gone, or the server stops; then finishes what it began.
pub(super) async fn run(shared: Arc<Shared>, addressee: Addressee, bell: Arc<Notify>) {
    let Some(ready) = ready(&shared, addressee).await else {
        return;
    };
    let mut lane = Lane {
        record: Arc::new(Record::of(&ready.endpoint)),
        shared,
        addressee,
        bell,
        held: VecDeque::new(),
        held_since: Instant::now(),
        running: JoinSet::new(),
        queue: Queue::MayHave,
    };
    while !lane.shared.stop.is_cancelled() {
        match self::ready(&lane.shared, addressee).await {
            None => break,
            Some(ready) if ready.endpoint.is_enabled() => lane.turn(&ready).await,
            Some(_disabled) => lane.rest().await,
        }
    }
    lane.give_back().await;
    while lane.running.join_next().await.is_some() {}
}

/// The endpoint as it is now; none if there is no such endpoint.
async fn ready(shared: &Shared, (organization, id): Addressee) -> Option<Arc<Ready>> {
    loop {
        match shared.switch.directories().of(organization).await {
            Ok(directory) => return directory.get(id).cloned(),
            Err(error) => tracing::error!(
                error = &error as &dyn std::error::Error,
                "endpoints cannot be read"
            ),
        }
        tokio::select! {
            () = tokio::time::sleep(STORE_AGAIN) => {}
            () = shared.stop.cancelled() => return None,
        }
    }
}

impl Lane {
    /// Claims, starts what may start, and waits until something changes.
    async fn turn(&mut self, ready: &Arc<Ready>) {
        let gate = self.shared.switch.dispatcher().gate(&ready.endpoint);
        if self.held_since.elapsed() > STALE {
            self.give_back().await;
        }
        if self.held.is_empty() {
            self.claim(ready).await;
        }
        let wait = self.start(ready, &gate);
        if self.held.is_empty() && matches!(self.queue, Queue::MayHave) && wait.is_none() {
            return;
        }
        let now = Instant::now();
        let until = match (wait, self.queue) {
            (Some(Wait::Until(until)), _) | (None, Queue::NothingUntil(until)) => until,
            (Some(Wait::Busy), _) | (None, Queue::MayHave) => now + LOOK,
        };
        tokio::select! {
            Some(ended) = self.running.join_next() => self.ended(ready, ended.ok().flatten()),
            () = gate.changed(), if wait.is_some() => {}
            () = self.bell.notified() => self.queue = Queue::MayHave,
            () = tokio::time::sleep_until(until.into()) => {
                if self.held.is_empty() {
                    self.queue = Queue::MayHave;
                }
            }
            () = self.shared.stop.cancelled() => {}
        }
    }

    /// Nothing is sent to an endpoint that is disabled; what is owed waits.
    async fn rest(&mut self) {
        self.give_back().await;
        self.record.forget();
        self.queue = Queue::MayHave;
        tokio::select! {
            Some(_ended) = self.running.join_next() => {}
            () = self.bell.notified() => {}
            () = tokio::time::sleep(LOOK) => {}
            () = self.shared.stop.cancelled() => {}
        }
    }

    /// Takes from the store what is due, if anything may be.
    async fn claim(&mut self, ready: &Ready) {
        if let Queue::NothingUntil(until) = self.queue
            && Instant::now() < until
        {
            return;
        }
        let settings = &ready.endpoint.settings;
        let limit = (settings.concurrency * 2).clamp(FEWEST, MOST);
        let limit = settings.rate_per_second.map_or(limit, |rate| {
            limit.min(u16::try_from(rate.saturating_mul(60)).unwrap_or(MOST))
        });
        let (organization, endpoint) = self.addressee;
        let claimed = self
            .shared
            .store
            .claim_deliveries(Claim {
                organization,
                endpoint,
                in_order: settings.ordered,
                now: self.shared.switch.clock().now(),
                leased_until: self.shared.switch.clock().after(LEASE),
                limit,
            })
            .await;
        match claimed {
            Ok(claimed) if claimed.is_empty() => self.queue = self.next_due(settings.ordered).await,
            Ok(claimed) => {
                let all = claimed.len() < usize::from(limit);
                self.held = claimed.into();
                self.held_since = Instant::now();
                self.queue = if all {
                    self.next_due(settings.ordered).await
                } else {
                    Queue::MayHave
                };
            }
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "deliveries cannot be claimed"
                );
                self.queue = Queue::NothingUntil(Instant::now() + STORE_AGAIN);
            }
        }
    }

    /// When the store has something again.
    async fn next_due(&self, in_order: bool) -> Queue {
        let clock = self.shared.switch.clock();
        let (endpoint, now) = (self.addressee.1, clock.now());
        let due = self.shared.store.next_due(endpoint, in_order, now).await;
        let wait = match due {
            // What is due and could not be claimed waits for the handler of an older
            // event, whose end rings only if it owes this endpoint something.
            Ok(Some(due)) if in_order => clock.until(due).clamp(ORDER_LOOK, LOOK),
            Ok(Some(due)) => clock.until(due).min(LOOK),
            Ok(None) => LOOK,
            Err(_logged_by_the_next_claim) => STORE_AGAIN,
        };
        Queue::NothingUntil(Instant::now() + wait)
    }

    /// Starts attempts until the gate says to wait.
    fn start(&mut self, ready: &Arc<Ready>, gate: &Arc<Gate>) -> Option<Wait> {
        while !self.held.is_empty() {
            let pass = match gate.try_enter(Instant::now()) {
                Ok(pass) => pass,
                Err(wait) => return Some(wait),
            };
            let claimed = self.held.pop_front()?;
            let attempt = Attempting {
                shared: Arc::clone(&self.shared),
                ready: Arc::clone(ready),
                record: Arc::clone(&self.record),
                claimed,
            };
            self.running.spawn(attempt.run(pass));
        }
        None
    }

    fn ended(&mut self, ready: &Ready, due: Option<Timestamp>) {
        if ready.endpoint.settings.ordered {
            self.queue = Queue::MayHave;
        } else if let (Some(due), Queue::NothingUntil(until)) = (due, self.queue) {
            let due = Instant::now() + self.shared.switch.clock().until(due);
            self.queue = Queue::NothingUntil(until.min(due));
        }
    }

    /// Gives back what was claimed and not begun.
    async fn give_back(&mut self) {
        let held: Vec<_> = self.held.drain(..).map(|claimed| claimed.id).collect();
        if held.is_empty() {
            return;
        }
        self.queue = Queue::MayHave;
        let organization = self.addressee.0;
        if let Err(error) = self.shared.store.release_claims(organization, held).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "claimed deliveries wait for the end of their lease"
            );
        }
    }
}

/// One attempt, from claim to settlement.
struct Attempting {
    shared: Arc<Shared>,
    ready: Arc<Ready>,
    record: Arc<Record>,
    claimed: Claimed,
}

impl Attempting {
    /// Makes the attempt. Gives the time of the next one, if there is to be one.
    async fn run(self, pass: Pass) -> Option<Timestamp> {
        let body = match self.shared.bodies.of(&self.claimed).await {
            Ok(body) => body,
            Err(error) => {
                // The lease ends, and it comes up again.
                let delivery = self.claimed.id;
                tracing::error!(%delivery, %error, "a delivery's body cannot be read");
                return None;
            }
        };
        let message = Message {
            delivery: self.claimed.id,
            event: self.claimed.event,
            kind: self.claimed.kind.clone(),
            made: self.claimed.made,
            body: body.bytes.clone(),
        };
        let dispatcher = self.shared.switch.dispatcher();
        let attempt = dispatcher.attempt(&self.ready, message, None, KEPT_REPLY);
        let attempt = attempt.await;
        drop(body);
        let heard = attempt.heard;
        pass.ended(heard, Instant::now());
        let now = self.next(heard);
        self.settle(attempt.into(), now).await;
        let noted = self.record.heard(&self.shared, &self.ready.endpoint, heard);
        if let Err(error) = noted.await {
            let endpoint = self.ready.endpoint.id;
            tracing::warn!(%endpoint, error = &error as &dyn std::error::Error, "an endpoint's standing cannot be written down");
        }
        match now {
            Next::Attempt { due } => Some(due),
            Next::End { .. } => None,
        }
    }

    fn next(&self, heard: Heard) -> Next {
        let end = |state| Next::End {
            state,
            at: Timestamp::now(),
        };
        match judge(heard) {
            Judgement::Delivered => end(State::Delivered),
            Judgement::Refused | Judgement::Gone => end(State::Refused),
            Judgement::Again { not_before } => {
                let made = self.claimed.made + 1 - self.claimed.forgiven;
                let schedule = &self.ready.endpoint.settings.schedule;
                match schedule.next(made, not_before, rand::random()) {
                    Some(wait) => Next::Attempt {
                        due: self.shared.switch.clock().after(wait),
                    },
                    None => end(State::Exhausted),
                }
            }
        }
    }

    /// Stores the outcome. As long as that cannot be done the delivery is not settled;
    /// if it never can, the lease ends and the attempt is made once more.
    async fn settle(&self, attempt: AttemptRecord, now: Next) {
        let settlement = Settlement {
            organization: self.ready.endpoint.organization,
            delivery: self.claimed.id,
            endpoint: self.ready.endpoint.id,
            made: self.claimed.made,
            attempt,
            now,
        };
        for _ in 0..STORE_TRIES {
            match self.store(&settlement).await {
                Ok(()) => return,
                Err(error) => {
                    let delivery = self.claimed.id;
                    tracing::error!(%delivery, error = &error as &dyn std::error::Error, "an attempt cannot be stored yet");
                }
            }
            tokio::time::sleep(STORE_AGAIN).await;
        }
    }

    async fn store(&self, settlement: &Settlement) -> Result<(), StoreError> {
        let alert = self.alert(settlement.now).await?;
        let shared = &self.shared;
        shared.store.settle(settlement, alert.as_ref()).await?;
        standing::ring(shared, alert.as_ref());
        let event = self.claimed.event;
        shared.switch.tell_attempt(event, settlement).await;
        if let Some(alert) = &alert {
            shared.switch.tell_event(&alert.event);
        }
        Ok(())
    }

    async fn alert(&self, now: Next) -> Result<Option<Alert>, StoreError> {
        match now {
            Next::End {
                state: State::Exhausted,
                ..
            } => standing::exhausted(&self.shared, &self.ready.endpoint, &self.claimed).await,
            Next::End { .. } | Next::Attempt { .. } => Ok(None),
        }
    }
}
