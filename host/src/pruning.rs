//! The task that keeps organizations within their quota of events.
//!
//! Goes through an organization's oldest events in small batches, so many of them as are
//! too many, and remembers how far it came: what has to stay is not looked at again every
//! minute. How many there are the store knows without counting. Neighbour:
//! [`crate::store::prune`], which says what may go.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::id::{EventId, OrganizationId};
use crate::store::prune::Excess;
use crate::store::{Store, StoreError};

/// How often it is looked for events that are too many.
const EVERY: Duration = Duration::from_mins(1);

/// What had to stay is looked at again after this.
const ANEW: Duration = Duration::from_hours(1);

/// Runs at once and then every minute, until told to stop.
pub async fn run(store: Store, stop: CancellationToken) {
    let mut pruning = Pruning::new(store);
    while !stop.is_cancelled() {
        if let Err(error) = pruning.run(&stop, Timestamp::now()).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "pruning was not finished, it goes on later"
            );
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stop.cancelled() => {}
        }
    }
}

#[derive(Debug)]
struct Pruning {
    store: Store,
    walks: HashMap<OrganizationId, Walk>,
}

/// How far an organization's events were gone through.
#[derive(Debug)]
struct Walk {
    begun: Instant,
    after: Option<EventId>,
    /// How many lie before that, and had to stay.
    passed: u64,
}

impl Walk {
    fn new() -> Self {
        Self {
            begun: Instant::now(),
            after: None,
            passed: 0,
        }
    }
}

impl Pruning {
    fn new(store: Store) -> Self {
        Self {
            store,
            walks: HashMap::new(),
        }
    }

    /// Prunes until nothing that is too many may go. Organizations take turns.
    async fn run(&mut self, stop: &CancellationToken, now: Timestamp) -> Result<(), StoreError> {
        self.walks.retain(|_, walk| walk.begun.elapsed() < ANEW);
        let mut pruned = 0;
        let mut goes_on = true;
        while goes_on {
            goes_on = false;
            for excess in self.store.excesses().await? {
                if stop.is_cancelled() {
                    return Ok(());
                }
                let batch = self.batch(excess, now).await?;
                goes_on |= batch.looked_at > 0;
                pruned += batch.pruned;
            }
        }
        if pruned > 0 {
            tracing::info!(events = pruned, "events beyond quotas were pruned");
        }
        Ok(())
    }

    async fn batch(&mut self, excess: Excess, now: Timestamp) -> Result<Batch, StoreError> {
        let organization = excess.organization;
        let walk = self.walks.entry(organization).or_insert_with(Walk::new);
        // The newest stay, as many as the quota says, whatever has to stay beside them.
        let left = excess.events.saturating_sub(walk.passed);
        if left == 0 {
            return Ok(Batch::default());
        }
        let oldest = self
            .store
            .oldest_events(organization, walk.after, left, now)
            .await?;
        let pruned = match oldest.to_prune.as_slice() {
            [] => 0,
            events => self.store.prune(organization, events).await?,
        };
        walk.after = oldest.last.or(walk.after);
        walk.passed += oldest.looked_at.saturating_sub(pruned);
        Ok(Batch {
            looked_at: oldest.looked_at,
            pruned,
        })
    }
}

/// What a batch came to.
#[derive(Debug, Clone, Copy, Default)]
struct Batch {
    looked_at: u64,
    pruned: u64,
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::domain::decision::EventAnswer;
    use crate::domain::delivery::State;
    use crate::domain::organization::Quotas;
    use crate::store::event::EventFilter;
    use crate::store::fixture::Fixture;
    use crate::store::{By, PageRequest};

    async fn keep(fixture: &Fixture, events: u64) {
        let store = fixture.store();
        let mut organization = store.organization(fixture.organization).await.unwrap();
        organization.quotas = Quotas {
            events_kept: Some(events),
            ..Quotas::default()
        };
        let by = By::of_host(organization.id, Timestamp::now());
        store.update_organization(organization, by).await.unwrap();
    }

    async fn events(fixture: &Fixture) -> Vec<EventId> {
        let page = PageRequest {
            limit: 1000,
            after: None,
        };
        let store = fixture.store();
        let all = EventFilter::default();
        let page = store.events(fixture.organization, &all, page);
        let page = page.await.unwrap();
        let mut events: Vec<_> = page.items.iter().map(|event| event.id).collect();
        events.reverse();
        let usage = store.usage(fixture.organization).await.unwrap();
        assert_eq!(usage.events, events.len() as u64);
        events
    }

    async fn run(pruning: &mut Pruning) {
        let now = Timestamp::now() + SignedDuration::from_hours(48);
        let stop = CancellationToken::new();
        pruning.run(&stop, now).await.unwrap();
    }

    #[tokio::test]
    async fn the_newest_stay_and_what_is_owed_beside_them() {
        let fixture = Fixture::new().await;
        let mut owed = Vec::new();
        let mut all = Vec::new();
        // More than a batch.
        for n in 0..450 {
            if n % 100 == 0 {
                owed.push(fixture.owe());
            }
            let due = if n % 100 == 0 { &owed[n / 100..] } else { &[] };
            all.push(fixture.handled("", EventAnswer::Unchanged {}, due).await);
        }
        let mut pruning = Pruning::new(fixture.store().clone());
        run(&mut pruning).await;
        assert_eq!(events(&fixture).await, all);

        keep(&fixture, 20).await;
        run(&mut pruning).await;
        let mut stay: Vec<_> = (0..430).step_by(100).map(|n| all[n]).collect();
        stay.extend(&all[430..]);
        assert_eq!(events(&fixture).await, stay);

        // What has to stay takes nothing away from the newest, this time nor the next.
        run(&mut pruning).await;
        assert_eq!(events(&fixture).await, stay);
        for delivery in owed {
            fixture.end(delivery.id, 0, State::Delivered).await;
        }
        // As after a restart.
        run(&mut Pruning::new(fixture.store().clone())).await;
        assert_eq!(events(&fixture).await, all[430..]);
    }

    #[tokio::test]
    async fn who_goes_on_after_a_while_goes_on_where_it_stood() {
        let fixture = Fixture::new().await;
        fixture.owed("owed").await;
        keep(&fixture, 2).await;
        let mut pruning = Pruning::new(fixture.store().clone());
        for n in 0..3 {
            for _ in 0..4 {
                fixture.handled("", EventAnswer::Unchanged {}, &[]).await;
            }
            run(&mut pruning).await;
            assert_eq!(events(&fixture).await.len(), 3, "{n}");
        }
        let walk = &pruning.walks[&fixture.organization];
        assert_eq!(walk.passed, 1);
    }
}
