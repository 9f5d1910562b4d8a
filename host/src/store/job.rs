//! Jobs, done in batches: a batch and the job's progress are one transaction, so that
//! a job which was broken off goes on where it stood and does nothing twice.
//!
//! A batch looks at a bounded number of rows, however few of them it changes: the
//! writer is everybody's.

use std::ops::Range;

use jiff::Timestamp;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, FromRow};
use uuid::Uuid;

use super::page::{Page, PageRequest};
use super::row;
use super::setup::{Created, Creation};
use super::{Durability, Store, StoreError};
use crate::domain::delivery::State;
use crate::domain::event::Kind;
use crate::domain::id::{DeliveryId, EndpointId, EventId, JobId, OrganizationId};
use crate::domain::job::{Selection, Task};

/// A job that is to be.
#[derive(Debug, Clone)]
pub struct NewJob {
    pub organization: OrganizationId,
    pub id: JobId,
    pub task: Task,
    pub created_at: Timestamp,
}

/// A job as it stands.
#[derive(Debug, Clone)]
pub struct Job {
    pub organization: OrganizationId,
    pub id: JobId,
    pub task: Task,
    pub state: JobState,
    /// How many there were to look at, at the beginning.
    pub total: u64,
    pub looked_at: u64,
    /// Of these, those that came to be owed.
    pub changed: u64,
    pub created_at: Timestamp,
    /// The last one looked at.
    position: Option<Uuid>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    Running,
    Done { at: Timestamp },
}

/// What a batch came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// Whom something is owed now.
    pub owed: Vec<EndpointId>,
    pub done: bool,
}

/// An event that a recovery looks at.
#[derive(Debug, Clone)]
pub struct Passed {
    pub event: EventId,
    pub kind: Kind,
    pub agent_id: String,
    /// Whether it goes to everybody who wants it: its decision does not say otherwise,
    /// and is made.
    pub for_everybody: bool,
    /// Whether something of it was ever owed to the endpoint.
    pub owed: bool,
}

/// What a recovery found out about a batch of events.
#[derive(Debug, Clone)]
pub struct Recovery {
    pub endpoint: EndpointId,
    /// All that were looked at, in their order.
    pub looked_at: Vec<EventId>,
    /// Those that the endpoint would have got.
    pub missed: Vec<(EventId, DeliveryId)>,
}

#[derive(FromRow)]
struct JobRow {
    organization_id: Uuid,
    id: Uuid,
    task: String,
    state: String,
    total: i64,
    looked_at: i64,
    changed: i64,
    position: Option<Uuid>,
    created_at: i64,
    ended_at: Option<i64>,
}

impl JobRow {
    fn read(self) -> Result<Job, StoreError> {
        let state = match (self.state.as_str(), self.ended_at) {
            ("running", None) => JobState::Running,
            ("done", Some(at)) => JobState::Done {
                at: row::timestamp(at, "job.ended_at")?,
            },
            _ => return Err(StoreError::corrupt("job.state", &self.state)),
        };
        Ok(Job {
            organization: self.organization_id.into(),
            id: self.id.into(),
            task: row::parsed(&self.task, "job.task")?,
            state,
            total: self.total.unsigned_abs(),
            looked_at: self.looked_at.unsigned_abs(),
            changed: self.changed.unsigned_abs(),
            created_at: row::timestamp(self.created_at, "job.created_at")?,
            position: self.position,
        })
    }
}

const COUNT_RUNNING: &str = "SELECT count(*) FROM job INDEXED BY job_to_do \
    WHERE organization_id = ?1 AND state = 'running'";

const INSERT: &str = "INSERT INTO job (organization_id, id, task, state, total, looked_at, \
    changed, created_at) VALUES (?1, ?2, ?3, 'running', ?4, 0, 0, ?5)";

const RUNNING: &str = "SELECT * FROM job INDEXED BY job_to_do WHERE state = 'running' \
    ORDER BY id LIMIT ?1";

const PROGRESS: &str = "UPDATE job SET looked_at = looked_at + ?3, changed = changed + ?4, \
    position = coalesce(?5, position), state = iif(?6 IS NULL, 'running', 'done'), ended_at = ?6 \
    WHERE organization_id = ?1 AND id = ?2 AND state = 'running'";

const COUNT_EVENTS: &str = "SELECT count(*) FROM event WHERE organization_id = ?1 \
    AND id > ?2 AND id < ?3";

/// Attempts that were made do not count for the schedule any more; their numbers go on.
const OWE_AGAIN: &str = "UPDATE delivery SET state = 'owed', forgiven = attempts, due_at = ?1, \
    ended_at = NULL, leased_until = 0 WHERE organization_id = ?2 \
    AND id IN (SELECT unhex(value) FROM json_each(?3)) \
    AND (state = 'exhausted' OR state = 'refused') AND forwarded = 0 \
    AND EXISTS (SELECT 1 FROM endpoint WHERE endpoint.id = delivery.endpoint_id) \
    RETURNING endpoint_id";

/// Questions have a decision that says what the platform was told, and go to everybody.
const PASSED: &str = "SELECT id, kind, agent_id, \
    EXISTS (SELECT 1 FROM pending_notice WHERE event_id = event.id) AS pending, \
    CASE WHEN kind IN ('call.start', 'call.transfer', 'tool.call') THEN 'unchanged' \
    ELSE (SELECT answer ->> '$.decision' FROM decision \
    WHERE organization_id = ?1 AND event_id = event.id) END AS decision, \
    EXISTS (SELECT 1 FROM delivery INDEXED BY delivery_by_event WHERE event_id = event.id \
    AND organization_id = ?1 AND endpoint_id = ?2 AND forwarded = 0) AS owed \
    FROM event WHERE organization_id = ?1 AND id > ?3 AND id < ?4 ORDER BY id LIMIT ?5";

const FAILED_OF_EVENTS: &str = "SELECT hex(delivery.id) FROM json_each(?1) AS looked_at \
    CROSS JOIN delivery INDEXED BY delivery_by_event \
    WHERE delivery.event_id = unhex(looked_at.value) AND delivery.organization_id = ?2 \
    AND delivery.endpoint_id = ?3 AND (delivery.state = 'exhausted' OR delivery.state = 'refused')";

/// Looks once more whether something is owed: the worker of notices goes on meanwhile.
const OWE_MISSED: &str = "INSERT INTO delivery (organization_id, id, event_id, endpoint_id, kind, \
    call_id, bytes, state, forwarded, attempts, forgiven, due_at, leased_until, created_at) \
    SELECT ?1, unhex(value ->> 1), event.id, ?2, event.kind, event.call_id, \
    (SELECT octet_length(body) FROM payload WHERE event_id = event.id), \
    'owed', 0, 0, 0, ?3, 0, ?3 \
    FROM json_each(?4) AS missed CROSS JOIN event \
    WHERE event.organization_id = ?1 AND event.id = unhex(missed.value ->> 0) \
    AND EXISTS (SELECT 1 FROM endpoint WHERE endpoint.id = ?2 AND organization_id = ?1) \
    AND NOT EXISTS (SELECT 1 FROM pending_notice WHERE event_id = event.id) \
    AND NOT EXISTS (SELECT 1 FROM delivery INDEXED BY delivery_by_event \
    WHERE event_id = event.id AND organization_id = ?1 AND endpoint_id = ?2 AND forwarded = 0)";

/// Failed deliveries in the order of their ids: of one endpoint, or of everybody's.
fn candidates(selection: &Selection) -> String {
    let (index, key) = match selection.endpoint {
        Some(_) => ("delivery_failed", "endpoint_id"),
        None => ("delivery_by_state", "organization_id"),
    };
    let of_states: Vec<String> = selection
        .states()
        .iter()
        .map(|&state| {
            let state = State::from(state).as_str();
            format!(
                "SELECT id, kind, call_id FROM delivery INDEXED BY {index} \
                 WHERE {key} = ?1 AND state = '{state}' AND state <> 'delivered' \
                 AND id > ?2 AND id < ?3"
            )
        })
        .collect();
    of_states.join(" UNION ALL ")
}

fn next_candidates(selection: &Selection) -> String {
    format!("{} ORDER BY id LIMIT ?4", candidates(selection))
}

fn count_candidates(selection: &Selection) -> String {
    format!("SELECT count(*) FROM ({})", candidates(selection))
}

/// Whose rows are looked at.
fn key(organization: OrganizationId, selection: &Selection) -> Uuid {
    selection
        .endpoint
        .map_or(organization.uuid(), EndpointId::uuid)
}

/// From after the first id to before the second: what there was when the job began.
fn bounds(task: &Task, created_at: Timestamp) -> Range<Uuid> {
    let (since, until) = match task {
        Task::Retry(selection) => (selection.since, selection.until),
        Task::Recover { since, .. } => (Some(*since), None),
    };
    let first = since.map_or(Uuid::nil(), row::first_id).as_u128();
    let end = row::first_id(created_at.saturating_add(MILLISECOND).unwrap_or(created_at));
    let end = until.map_or(end, |until| end.min(row::first_id(until)));
    Uuid::from_u128(first.saturating_sub(1))..end
}

const MILLISECOND: jiff::SignedDuration = jiff::SignedDuration::from_millis(1);

impl Job {
    /// What is left to look at.
    fn rest(&self) -> Range<Uuid> {
        let bounds = bounds(&self.task, self.created_at);
        self.position.unwrap_or(bounds.start)..bounds.end
    }
}

impl Store {
    /// Most jobs of an organization that run at the same time.
    pub const MAX_RUNNING_JOBS: i64 = 100;
    /// Rows that a batch looks at.
    pub const JOB_BATCH: u16 = 500;

    /// Stores a job. When this returns it will be done, whatever happens.
    pub async fn create_job(
        &self,
        new: NewJob,
        creation: Creation<Job>,
    ) -> Result<Created<Job>, StoreError> {
        let total = self.count_to_do(&new).await?;
        let task = row::written(&new.task)?;
        self.create("job", creation, move |connection| {
            Box::pin(async move {
                check_running(connection, new.organization).await?;
                sqlx::query(INSERT)
                    .bind(new.organization.uuid())
                    .bind(new.id.uuid())
                    .bind(task)
                    .bind(total)
                    .bind(new.created_at.as_millisecond())
                    .execute(&mut *connection)
                    .await?;
                let job = job_of(connection, new.organization, new.id).await?;
                Ok((job, new.id.to_string()))
            })
        })
        .await
    }

    async fn count_to_do(&self, new: &NewJob) -> Result<i64, StoreError> {
        let bounds = bounds(&new.task, new.created_at);
        let (statement, key) = match &new.task {
            Task::Retry(selection) => (
                count_candidates(selection),
                key(new.organization, selection),
            ),
            Task::Recover { .. } => (COUNT_EVENTS.to_owned(), new.organization.uuid()),
        };
        let (total,): (i64,) = sqlx::query_as(sqlx::AssertSqlSafe(statement))
            .bind(key)
            .bind(bounds.start)
            .bind(bounds.end)
            .fetch_one(self.journal_readers().await?)
            .await?;
        Ok(total)
    }

    pub async fn job(&self, organization: OrganizationId, id: JobId) -> Result<Job, StoreError> {
        job_of(&mut *self.readers.acquire().await?, organization, id).await
    }

    pub async fn jobs(
        &self,
        organization: OrganizationId,
        page: PageRequest,
    ) -> Result<Page<Job>, StoreError> {
        let rows: Vec<JobRow> = sqlx::query_as(
            "SELECT * FROM job WHERE organization_id = ?1 AND (?2 IS NULL OR id < ?2) \
             ORDER BY id DESC LIMIT ?3",
        )
        .bind(organization.uuid())
        .bind(page.after)
        .bind(page.fetch())
        .fetch_all(self.journal_readers().await?)
        .await?;
        Page::of(rows, page, |row| row.id, JobRow::read)
    }

    /// Jobs to be done, the oldest first, of whichever organization.
    pub async fn running_jobs(&self, limit: u16) -> Result<Vec<Job>, StoreError> {
        let rows: Vec<JobRow> = sqlx::query_as(RUNNING)
            .bind(limit)
            .fetch_all(self.journal_readers().await?)
            .await?;
        rows.into_iter().map(JobRow::read).collect()
    }

    /// Makes the next failed deliveries of a selection owed again.
    pub async fn retry_batch(
        &self,
        job: &Job,
        selection: &Selection,
        due: Timestamp,
    ) -> Result<Batch, StoreError> {
        let (job, selection) = (job.clone(), selection.clone());
        self.writer
            .change(Durability::Process, move |connection| {
                Box::pin(async move {
                    let mut transaction = connection.begin().await?;
                    let batch = retry(&mut transaction, &job, &selection, due).await?;
                    transaction.commit().await?;
                    Ok(batch)
                })
            })
            .await
    }

    /// The next events that a recovery has to look at.
    pub async fn passed_events(
        &self,
        job: &Job,
        endpoint: EndpointId,
    ) -> Result<Vec<Passed>, StoreError> {
        let rest = job.rest();
        let rows: Vec<PassedRow> = sqlx::query_as(PASSED)
            .bind(job.organization.uuid())
            .bind(endpoint.uuid())
            .bind(rest.start)
            .bind(rest.end)
            .bind(Self::JOB_BATCH)
            .fetch_all(self.journal_readers().await?)
            .await?;
        rows.into_iter().map(PassedRow::read).collect()
    }

    /// Makes what an endpoint did not get of these events owed to it.
    pub async fn recover_batch(
        &self,
        job: &Job,
        recovery: Recovery,
        due: Timestamp,
    ) -> Result<Batch, StoreError> {
        let job = job.clone();
        self.writer
            .change(Durability::Process, move |connection| {
                Box::pin(async move {
                    let mut transaction = connection.begin().await?;
                    let batch = recover(&mut transaction, &job, &recovery, due).await?;
                    transaction.commit().await?;
                    Ok(batch)
                })
            })
            .await
    }
}

#[derive(FromRow)]
struct PassedRow {
    id: Uuid,
    kind: String,
    agent_id: String,
    pending: bool,
    decision: Option<String>,
    owed: bool,
}

impl PassedRow {
    fn read(self) -> Result<Passed, StoreError> {
        Ok(Passed {
            event: self.id.into(),
            kind: Kind::parse(&self.kind).map_err(|e| StoreError::corrupt("event.kind", e))?,
            agent_id: self.agent_id,
            for_everybody: !self.pending && self.decision.as_deref() == Some("unchanged"),
            owed: self.owed,
        })
    }
}

async fn job_of(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    id: JobId,
) -> Result<Job, StoreError> {
    let row: Option<JobRow> =
        sqlx::query_as("SELECT * FROM job WHERE organization_id = ?1 AND id = ?2")
            .bind(organization.uuid())
            .bind(id.uuid())
            .fetch_optional(connection)
            .await?;
    let row = row.ok_or_else(|| StoreError::NotFound {
        what: "job",
        id: id.to_string(),
    })?;
    row.read()
}

async fn check_running(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
) -> Result<(), StoreError> {
    let (running,): (i64,) = sqlx::query_as(COUNT_RUNNING)
        .bind(organization.uuid())
        .fetch_one(connection)
        .await?;
    if running < Store::MAX_RUNNING_JOBS {
        Ok(())
    } else {
        Err(StoreError::TooMany {
            what: "running jobs",
            most: Store::MAX_RUNNING_JOBS,
        })
    }
}

/// What a batch did, for the job's row.
struct Done {
    looked_at: u32,
    changed: u32,
    position: Option<Uuid>,
}

async fn retry(
    connection: &mut SqliteConnection,
    job: &Job,
    selection: &Selection,
    due: Timestamp,
) -> Result<Batch, StoreError> {
    let rest = job.rest();
    let found: Vec<(Uuid, String, String)> =
        sqlx::query_as(sqlx::AssertSqlSafe(next_candidates(selection)))
            .bind(key(job.organization, selection))
            .bind(rest.start)
            .bind(rest.end)
            .bind(Store::JOB_BATCH)
            .fetch_all(&mut *connection)
            .await?;
    let meant = found
        .iter()
        .filter(|(_, kind, call)| selection.covers(kind, call));
    let meant: Vec<String> = meant.map(|(id, ..)| id.simple().to_string()).collect();
    let owed = owe_again(connection, job.organization, &meant, due).await?;
    let done = Done {
        looked_at: found.len() as u32,
        changed: owed.len() as u32,
        position: found.last().map(|(id, ..)| *id),
    };
    progress(connection, job, done, owed).await
}

async fn recover(
    connection: &mut SqliteConnection,
    job: &Job,
    recovery: &Recovery,
    due: Timestamp,
) -> Result<Batch, StoreError> {
    let looked_at = recovery.looked_at.iter();
    let looked_at: Vec<String> = looked_at.map(|it| it.uuid().simple().to_string()).collect();
    let failed: Vec<(String,)> = sqlx::query_as(FAILED_OF_EVENTS)
        .bind(row::written(&looked_at)?)
        .bind(job.organization.uuid())
        .bind(recovery.endpoint.uuid())
        .fetch_all(&mut *connection)
        .await?;
    let failed: Vec<String> = failed.into_iter().map(|(id,)| id).collect();
    let mut owed = owe_again(connection, job.organization, &failed, due).await?;
    let missed = recovery.missed.iter().map(|(event, delivery)| {
        let (event, delivery) = (event.uuid().simple(), delivery.uuid().simple());
        (event.to_string(), delivery.to_string())
    });
    let inserted = sqlx::query(OWE_MISSED)
        .bind(job.organization.uuid())
        .bind(recovery.endpoint.uuid())
        .bind(due.as_millisecond())
        .bind(row::written(&missed.collect::<Vec<_>>())?)
        .execute(&mut *connection)
        .await?;
    let changed = owed.len() as u32 + inserted.rows_affected() as u32;
    owed = if changed == 0 {
        Vec::new()
    } else {
        vec![recovery.endpoint]
    };
    let done = Done {
        looked_at: looked_at.len() as u32,
        changed,
        position: recovery.looked_at.last().map(|it| it.uuid()),
    };
    progress(connection, job, done, owed).await
}

/// Makes failed deliveries owed again. Whom, once for each of them.
async fn owe_again(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    deliveries: &[String],
    due: Timestamp,
) -> Result<Vec<EndpointId>, StoreError> {
    let owed: Vec<(Uuid,)> = sqlx::query_as(OWE_AGAIN)
        .bind(due.as_millisecond())
        .bind(organization.uuid())
        .bind(row::written(&deliveries)?)
        .fetch_all(connection)
        .await?;
    Ok(owed.into_iter().map(|(id,)| id.into()).collect())
}

/// A batch that finds fewer than it may is the last one.
async fn progress(
    connection: &mut SqliteConnection,
    job: &Job,
    done: Done,
    mut owed: Vec<EndpointId>,
) -> Result<Batch, StoreError> {
    let last = done.looked_at < u32::from(Store::JOB_BATCH);
    sqlx::query(PROGRESS)
        .bind(job.organization.uuid())
        .bind(job.id.uuid())
        .bind(done.looked_at)
        .bind(done.changed)
        .bind(done.position)
        .bind(last.then(|| Timestamp::now().as_millisecond()))
        .execute(connection)
        .await?;
    owed.sort_unstable();
    owed.dedup();
    Ok(Batch { owed, done: last })
}

#[cfg(test)]
mod tests;
