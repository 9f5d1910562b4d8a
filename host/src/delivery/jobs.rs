//! The worker of jobs: many deliveries become owed again, a batch at a time.
//!
//! Jobs take turns, one batch each, and after every batch the writer of the store is
//! left to others for as long as the batch took. What comes to be owed is sent by the
//! [lanes](super::lane). A job that the process did not finish goes on at the next start.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::call::Switch;
use crate::domain::endpoint::{Filter, Subject};
use crate::domain::id::{DeliveryId, EndpointId};
use crate::domain::job::Task;
use crate::store::job::{Batch, Job, Passed, Recovery};
use crate::store::{Store, StoreError};

/// Jobs that take turns.
const AT_ONCE: u16 = 16;
/// Shortest and longest rest after a batch.
const REST: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));
/// After an error of the store.
const AGAIN: Duration = Duration::from_secs(1);

struct Jobs {
    switch: Arc<Switch>,
    store: Store,
}

/// Runs until told to stop, which takes no longer than a batch.
pub async fn run(switch: Arc<Switch>, store: Store, stop: CancellationToken) {
    let jobs = Jobs { switch, store };
    let work = async {
        loop {
            match jobs.turn().await {
                Ok(Some(rest)) => tokio::time::sleep(rest).await,
                Ok(None) => jobs.switch.doorbell().heard_of_job().await,
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "jobs cannot go on yet"
                    );
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    };
    // A batch that was begun is committed or not, whoever waits for it.
    tokio::select! {
        () = work => {}
        () = stop.cancelled() => {}
    }
}

impl Jobs {
    /// One batch of each job that is to be done, and how long to rest then; none if
    /// there is nothing to do.
    async fn turn(&self) -> Result<Option<Duration>, StoreError> {
        let running = self.store.running_jobs(AT_ONCE).await?;
        let mut rest = None;
        for job in running {
            let begun = Instant::now();
            let batch = self.batch(&job).await?;
            if batch.done {
                tracing::info!(job = %job.id, "a job is done");
            }
            let owed = batch.owed.into_iter().map(|it| (job.organization, it));
            self.switch.doorbell().ring(owed);
            if let Some(rest) = rest.replace(begun.elapsed().clamp(REST.0, REST.1)) {
                tokio::time::sleep(rest).await;
            }
        }
        Ok(rest)
    }

    async fn batch(&self, job: &Job) -> Result<Batch, StoreError> {
        match &job.task {
            Task::Retry(selection) => {
                let due = self.switch.clock().now();
                self.store.retry_batch(job, selection, due).await
            }
            Task::Recover { endpoint, .. } => self.recover(job, *endpoint).await,
        }
    }

    async fn recover(&self, job: &Job, id: EndpointId) -> Result<Batch, StoreError> {
        let mut recovery = Recovery {
            endpoint: id,
            looked_at: Vec::new(),
            missed: Vec::new(),
        };
        // Nothing can be owed to an endpoint that was deleted: the job ends.
        if let Some(endpoint) = self.store.any_endpoint(id).await? {
            let filter = &endpoint.settings.filter;
            for passed in self.store.passed_events(job, id).await? {
                recovery.looked_at.push(passed.event);
                if self.missed(&passed, filter).await? {
                    let delivery = DeliveryId::from(Uuid::now_v7());
                    recovery.missed.push((passed.event, delivery));
                }
            }
        }
        let due = self.switch.clock().now();
        self.store.recover_batch(job, recovery, due).await
    }

    /// Whether the endpoint would have got the event, and was not owed it.
    async fn missed(&self, passed: &Passed, filter: &Filter) -> Result<bool, StoreError> {
        let subject = Subject {
            kind: &passed.kind,
            agent: &passed.agent_id,
        };
        if passed.owed
            || !passed.for_everybody
            || passed.kind.is_our_own()
            || !filter.covers(&subject)
        {
            return Ok(false);
        }
        if !filter.looks_at_fields() {
            return Ok(true);
        }
        let Some(payload) = self.store.payload(passed.event).await? else {
            // It was pruned meanwhile.
            return Ok(false);
        };
        // It is JSON, checked when it came in.
        let payload: Value = serde_json::from_slice(&payload).unwrap_or_default();
        Ok(filter.fields_hold(&payload))
    }
}
