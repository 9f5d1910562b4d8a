//! The queue of what is owed to endpoints, and its log.
//!
//! A delivery is claimed under a lease, by one worker at a time, and is owed until
//! that worker says what came of it (`journal::Settlement`). A worker that dies says
//! nothing; its leases end, and its deliveries come up again. So every delivery is
//! made **at least once**: an endpoint that answered just before the process died
//! sees the same `webhook-id` again.

use bytes::Bytes;
use jiff::Timestamp;
use sqlx::{FromRow, QueryBuilder, Sqlite};
use uuid::Uuid;

use super::page::{Page, PageRequest};
use super::row;
use super::setup::{Action, Author, Line};
use super::{Durability, Store, StoreError};
use crate::domain::delivery::State;
use crate::domain::event::Kind;
use crate::domain::id::{DeliveryId, EndpointId, EventId, OrganizationId};

/// A delivery that a worker has claimed.
#[derive(Debug, Clone)]
pub struct Claimed {
    pub id: DeliveryId,
    pub event: EventId,
    pub kind: Kind,
    /// Attempts made before.
    pub made: u32,
    /// Of these, those that do not count for the schedule.
    pub forgiven: u32,
    pub body: ClaimedBody,
    /// Whether that is something else than the event's payload.
    pub own_body: bool,
}

/// What is to be sent.
#[derive(Debug, Clone)]
pub enum ClaimedBody {
    Here(Bytes),
    /// So large that it is read when its turn comes ([`Store::delivery_body`]).
    Stored {
        bytes: u64,
    },
}

/// Which deliveries a worker wants.
#[derive(Debug, Clone, Copy)]
pub struct Claim {
    pub organization: OrganizationId,
    pub endpoint: EndpointId,
    /// Only the oldest of each call, and that only if no older event of the call waits
    /// for its handler.
    pub in_order: bool,
    pub now: Timestamp,
    pub leased_until: Timestamp,
    pub limit: u16,
}

/// Bodies from this size on are not read with the claim, in bytes.
const LARGE: u32 = 64 << 10;

const CLAIM: &str = "UPDATE delivery SET leased_until = ?1 WHERE organization_id = ?2 AND id IN \
    (SELECT id FROM delivery INDEXED BY delivery_due WHERE endpoint_id = ?3 AND state = 'owed' \
    AND due_at <= ?4 AND leased_until <= ?4 ORDER BY due_at LIMIT ?5) RETURNING id";

const CLAIM_IN_ORDER: &str = "UPDATE delivery SET leased_until = ?1 \
    WHERE organization_id = ?2 AND id IN \
    (SELECT id FROM delivery AS owed INDEXED BY delivery_due WHERE endpoint_id = ?3 \
    AND state = 'owed' AND due_at <= ?4 AND leased_until <= ?4 \
    AND (call_id = '' OR (NOT EXISTS (SELECT 1 FROM delivery AS older \
    INDEXED BY delivery_in_order WHERE older.endpoint_id = ?3 AND older.state = 'owed' \
    AND older.call_id = owed.call_id AND older.event_id < owed.event_id) \
    AND NOT EXISTS (SELECT 1 FROM event JOIN pending_notice ON pending_notice.event_id = event.id \
    WHERE event.organization_id = ?2 AND event.call_id = owed.call_id AND event.call_id <> '' \
    AND event.id < owed.event_id))) \
    ORDER BY due_at LIMIT ?5) RETURNING id";

const READ_CLAIMED: &str = "SELECT id, event_id, kind, attempts, forgiven, bytes, \
    EXISTS (SELECT 1 FROM delivery_body WHERE delivery_id = delivery.id) AS own_body, \
    CASE WHEN bytes < ?3 THEN coalesce( \
    (SELECT body FROM delivery_body WHERE delivery_id = delivery.id), \
    (SELECT body FROM payload WHERE event_id = delivery.event_id)) END AS body \
    FROM delivery WHERE organization_id = ?2 \
    AND id IN (SELECT unhex(value) FROM json_each(?1)) ORDER BY id";

const READ_BODY: &str = "SELECT coalesce( \
    (SELECT body FROM delivery_body WHERE delivery_id = ?1), \
    (SELECT body FROM payload WHERE event_id = ?2))";

/// When the next attempt of an endpoint may begin, leases aside.
const NEXT_DUE: &str = "SELECT due_at FROM delivery INDEXED BY delivery_due \
    WHERE endpoint_id = ?1 AND state = 'owed' AND leased_until <= ?2 ORDER BY due_at LIMIT 1";

/// The same where only the oldest of each call may go. Whether an older event of the
/// call still waits for its handler is not looked at.
const NEXT_DUE_IN_ORDER: &str = "SELECT due_at FROM delivery AS owed INDEXED BY delivery_due \
    WHERE endpoint_id = ?1 AND state = 'owed' AND leased_until <= ?2 \
    AND (call_id = '' OR NOT EXISTS (SELECT 1 FROM delivery AS older \
    INDEXED BY delivery_in_order WHERE older.endpoint_id = ?1 AND older.state = 'owed' \
    AND older.call_id = owed.call_id AND older.event_id < owed.event_id)) \
    ORDER BY due_at LIMIT 1";

const WITH_WORK: &str = "SELECT organization_id, id FROM endpoint WHERE disabled_why IS NULL AND EXISTS \
    (SELECT 1 FROM delivery INDEXED BY delivery_due WHERE endpoint_id = endpoint.id \
    AND state = 'owed' AND due_at <= ?1 AND leased_until <= ?1)";

const RELEASE: &str = "UPDATE delivery INDEXED BY delivery_due \
    SET leased_until = 0, due_at = min(due_at, iif(attempts = 0, ?1, ?2)) \
    WHERE state = 'owed' AND (leased_until > 0 OR due_at > ?1)";

#[derive(FromRow)]
struct ClaimedRow {
    id: Uuid,
    event_id: Uuid,
    kind: String,
    attempts: u32,
    forgiven: u32,
    bytes: i64,
    own_body: bool,
    body: Option<String>,
}

impl ClaimedRow {
    fn read(self) -> Result<Claimed, StoreError> {
        Ok(Claimed {
            id: self.id.into(),
            event: self.event_id.into(),
            kind: Kind::parse(&self.kind).map_err(|e| StoreError::corrupt("delivery.kind", e))?,
            made: self.attempts,
            forgiven: self.forgiven,
            own_body: self.own_body,
            body: match self.body {
                Some(body) => ClaimedBody::Here(body.into()),
                None => ClaimedBody::Stored {
                    bytes: self.bytes.unsigned_abs(),
                },
            },
        })
    }
}

impl Store {
    /// Claims what is due for one endpoint, oldest first, until the lease ends: nobody
    /// else gets it before.
    pub async fn claim_deliveries(&self, claim: Claim) -> Result<Vec<Claimed>, StoreError> {
        let statement = if claim.in_order {
            CLAIM_IN_ORDER
        } else {
            CLAIM
        };
        let claimed: Vec<Uuid> = self
            .writer
            .change(Durability::Process, move |connection| {
                Box::pin(async move {
                    let ids: Vec<(Uuid,)> = sqlx::query_as(statement)
                        .bind(claim.leased_until.as_millisecond())
                        .bind(claim.organization.uuid())
                        .bind(claim.endpoint.uuid())
                        .bind(claim.now.as_millisecond())
                        .bind(claim.limit)
                        .fetch_all(connection)
                        .await?;
                    Ok(ids.into_iter().map(|(id,)| id).collect())
                })
            })
            .await?;
        self.claimed(claim.organization, &claimed).await
    }

    async fn claimed(
        &self,
        organization: OrganizationId,
        ids: &[Uuid],
    ) -> Result<Vec<Claimed>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<String> = ids.iter().map(|id| id.simple().to_string()).collect();
        let rows: Vec<ClaimedRow> = sqlx::query_as(READ_CLAIMED)
            .bind(row::written(&ids)?)
            .bind(organization.uuid())
            .bind(LARGE)
            .fetch_all(&self.readers)
            .await?;
        rows.into_iter().map(ClaimedRow::read).collect()
    }

    /// What a delivery sends.
    pub async fn delivery_body(
        &self,
        delivery: DeliveryId,
        event: EventId,
    ) -> Result<Bytes, StoreError> {
        let (body,): (Option<String>,) = sqlx::query_as(READ_BODY)
            .bind(delivery.uuid())
            .bind(event.uuid())
            .fetch_one(&self.readers)
            .await?;
        let body = body.ok_or_else(|| StoreError::corrupt("payload", "it is missing"))?;
        Ok(body.into())
    }

    /// What arrived with an event; none if there is no such event.
    pub async fn payload(&self, event: EventId) -> Result<Option<Bytes>, StoreError> {
        let body: Option<(String,)> =
            sqlx::query_as("SELECT body FROM payload WHERE event_id = ?1")
                .bind(event.uuid())
                .fetch_optional(self.journal_readers().await?)
                .await?;
        Ok(body.map(|(body,)| body.into()))
    }

    /// Gives claimed deliveries back, no attempt having been made.
    pub async fn release_claims(
        &self,
        organization: OrganizationId,
        deliveries: Vec<DeliveryId>,
    ) -> Result<(), StoreError> {
        let ids: Vec<String> = deliveries
            .iter()
            .map(|id| id.uuid().simple().to_string())
            .collect();
        let ids = row::written(&ids)?;
        self.writer
            .change(Durability::Process, move |connection| {
                Box::pin(async move {
                    sqlx::query(
                        "UPDATE delivery SET leased_until = 0 WHERE organization_id = ?1 \
                         AND state = 'owed' AND id IN (SELECT unhex(value) FROM json_each(?2))",
                    )
                    .bind(organization.uuid())
                    .bind(ids)
                    .execute(connection)
                    .await?;
                    Ok(())
                })
            })
            .await
    }

    /// When the next attempt of an endpoint may begin; none if nothing is owed to it
    /// that is not being attempted.
    pub async fn next_due(
        &self,
        endpoint: EndpointId,
        in_order: bool,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let statement = if in_order {
            NEXT_DUE_IN_ORDER
        } else {
            NEXT_DUE
        };
        let due: Option<(i64,)> = sqlx::query_as(statement)
            .bind(endpoint.uuid())
            .bind(now.as_millisecond())
            .fetch_optional(self.journal_readers().await?)
            .await?;
        due.map(|(due,)| row::timestamp(due, "delivery.due_at"))
            .transpose()
    }

    /// Endpoints to which something may be sent by then.
    pub async fn endpoints_with_work(
        &self,
        by: Timestamp,
    ) -> Result<Vec<(OrganizationId, EndpointId)>, StoreError> {
        let ids: Vec<(Uuid, Uuid)> = sqlx::query_as(WITH_WORK)
            .bind(by.as_millisecond())
            .fetch_all(self.journal_readers().await?)
            .await?;
        let ids = ids.into_iter();
        Ok(ids.map(|(owner, id)| (owner.into(), id.into())).collect())
    }

    /// Ends all leases; right only at start, when no worker can hold one: the data
    /// folder has one server at a time. First attempts are due by `now` afterwards and
    /// others by `latest`: a clock that was wrong and is set right again must not keep
    /// deliveries waiting for years.
    pub async fn release_deliveries(
        &self,
        now: Timestamp,
        latest: Timestamp,
    ) -> Result<(), StoreError> {
        self.writer
            .change(Durability::Process, move |connection| {
                Box::pin(async move {
                    sqlx::query(RELEASE)
                        .bind(now.as_millisecond())
                        .bind(latest.as_millisecond())
                        .execute(connection)
                        .await?;
                    Ok(())
                })
            })
            .await
    }
}

/// A delivery as it stands.
#[derive(Debug, Clone)]
pub struct DeliverySummary {
    pub id: DeliveryId,
    pub event: EventId,
    pub endpoint: EndpointId,
    pub kind: String,
    pub call_id: String,
    pub bytes: u64,
    pub state: State,
    /// A question that the endpoint was asked.
    pub forwarded: bool,
    pub attempts: u32,
    /// Of one that is owed.
    pub due_at: Option<Timestamp>,
    pub status: Option<u16>,
    pub error: Option<String>,
    pub created_at: Timestamp,
    pub ended_at: Option<Timestamp>,
}

/// One attempt, as it is kept.
#[derive(Debug, Clone)]
pub struct StoredAttempt {
    pub number: u32,
    pub started_at: Timestamp,
    pub elapsed_us: u64,
    pub status: Option<u16>,
    pub error: Option<String>,
    pub detail: Option<String>,
    pub response: Option<String>,
}

/// Which deliveries are wanted. Absent fields match everything.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    pub endpoint: Option<EndpointId>,
    pub event: Option<EventId>,
    pub kind: Option<Kind>,
    pub state: Option<State>,
    pub call: Option<String>,
    /// Owed since then or later.
    pub since: Option<Timestamp>,
    /// Owed before then.
    pub until: Option<Timestamp>,
}

#[derive(FromRow)]
struct DeliveryRow {
    id: Uuid,
    event_id: Uuid,
    endpoint_id: Uuid,
    kind: String,
    call_id: String,
    bytes: i64,
    state: String,
    forwarded: bool,
    attempts: u32,
    due_at: i64,
    status: Option<u16>,
    error: Option<String>,
    created_at: i64,
    ended_at: Option<i64>,
}

const DELIVERY_COLUMNS: &str = "id, event_id, endpoint_id, kind, call_id, bytes, state, \
    forwarded, attempts, due_at, status, error, created_at, ended_at";

impl DeliveryRow {
    fn read(self) -> Result<DeliverySummary, StoreError> {
        let state = State::named(&self.state)
            .ok_or_else(|| StoreError::corrupt("delivery.state", &self.state))?;
        let due_at = (state == State::Owed)
            .then(|| row::timestamp(self.due_at, "delivery.due_at"))
            .transpose()?;
        let ended_at = self.ended_at;
        Ok(DeliverySummary {
            id: self.id.into(),
            event: self.event_id.into(),
            endpoint: self.endpoint_id.into(),
            kind: self.kind,
            call_id: self.call_id,
            bytes: self.bytes.unsigned_abs(),
            state,
            forwarded: self.forwarded,
            attempts: self.attempts,
            due_at,
            status: self.status,
            error: self.error,
            created_at: row::timestamp(self.created_at, "delivery.created_at")?,
            ended_at: ended_at
                .map(|at| row::timestamp(at, "delivery.ended_at"))
                .transpose()?,
        })
    }
}

#[derive(FromRow)]
struct AttemptRow {
    number: u32,
    started_at: i64,
    elapsed_us: i64,
    status: Option<u16>,
    error: Option<String>,
    detail: Option<String>,
    response: Option<String>,
}

impl AttemptRow {
    fn read(self) -> Result<StoredAttempt, StoreError> {
        Ok(StoredAttempt {
            number: self.number,
            started_at: row::timestamp(self.started_at, "attempt.started_at")?,
            elapsed_us: self.elapsed_us.unsigned_abs(),
            status: self.status,
            error: self.error,
            detail: self.detail,
            response: self.response,
        })
    }
}

impl Store {
    pub async fn deliveries(
        &self,
        organization: OrganizationId,
        filter: &DeliveryFilter,
        page: PageRequest,
    ) -> Result<Page<DeliverySummary>, StoreError> {
        let mut query = list_deliveries(organization, filter, page);
        let rows: Vec<DeliveryRow> = query
            .build_query_as()
            .fetch_all(self.journal_readers().await?)
            .await?;
        Page::of(rows, page, |row| row.id, DeliveryRow::read)
    }

    /// All deliveries of an event, the oldest first.
    pub(super) async fn deliveries_of(
        &self,
        organization: OrganizationId,
        event: EventId,
    ) -> Result<Vec<DeliverySummary>, StoreError> {
        let statement = format!(
            "SELECT {DELIVERY_COLUMNS} FROM delivery INDEXED BY delivery_by_event \
             WHERE event_id = ?1 AND organization_id = ?2 ORDER BY id"
        );
        let rows: Vec<DeliveryRow> = sqlx::query_as(sqlx::AssertSqlSafe(statement))
            .bind(event.uuid())
            .bind(organization.uuid())
            .fetch_all(self.journal_readers().await?)
            .await?;
        rows.into_iter().map(DeliveryRow::read).collect()
    }

    /// A delivery, what it sends if that is not the payload, and its attempts.
    pub async fn delivery(
        &self,
        organization: OrganizationId,
        id: DeliveryId,
    ) -> Result<(DeliverySummary, Option<String>, Vec<StoredAttempt>), StoreError> {
        let statement = format!(
            "SELECT {DELIVERY_COLUMNS} FROM delivery WHERE organization_id = ?1 AND id = ?2"
        );
        let row: Option<DeliveryRow> = sqlx::query_as(sqlx::AssertSqlSafe(statement))
            .bind(organization.uuid())
            .bind(id.uuid())
            .fetch_optional(self.journal_readers().await?)
            .await?;
        let summary = row.ok_or_else(|| missing(id))?.read()?;
        let body: Option<(String,)> =
            sqlx::query_as("SELECT body FROM delivery_body WHERE delivery_id = ?1")
                .bind(id.uuid())
                .fetch_optional(self.journal_readers().await?)
                .await?;
        let attempts: Vec<AttemptRow> = sqlx::query_as(
            "SELECT number, started_at, elapsed_us, status, error, detail, response FROM attempt \
             WHERE delivery_id = ?1 ORDER BY number",
        )
        .bind(id.uuid())
        .fetch_all(self.journal_readers().await?)
        .await?;
        let attempts = attempts.into_iter().map(AttemptRow::read);
        Ok((
            summary,
            body.map(|(body,)| body),
            attempts.collect::<Result<_, _>>()?,
        ))
    }
}

/// Whether a delivery can be sent again.
#[derive(Debug, FromRow)]
struct Retryable {
    state: String,
    forwarded: bool,
    endpoint_exists: bool,
}

const READ_RETRYABLE: &str = "SELECT state, forwarded, \
    EXISTS (SELECT 1 FROM endpoint WHERE id = delivery.endpoint_id) AS endpoint_exists \
    FROM delivery WHERE organization_id = ?1 AND id = ?2";

/// Attempts that were made do not count for the schedule any more; their numbers go on.
/// One that is owed keeps its lease and its schedule: it only becomes due.
const OWE_ONE: &str = "UPDATE delivery SET due_at = ?3, ended_at = NULL, \
    forgiven = iif(state = 'owed', forgiven, attempts), \
    leased_until = iif(state = 'owed', leased_until, 0), state = 'owed' \
    WHERE organization_id = ?1 AND id = ?2";

impl Retryable {
    fn check(&self, id: DeliveryId, again: bool) -> Result<(), StoreError> {
        let refused = |why| {
            let id = id.to_string();
            Err(StoreError::NotRetryable { id, why })
        };
        let state = State::named(&self.state)
            .ok_or_else(|| StoreError::corrupt("delivery.state", &self.state))?;
        if self.forwarded {
            return refused("was a question to its endpoint, and the call has gone on");
        }
        if !self.endpoint_exists {
            return refused("cannot be sent: its endpoint was deleted");
        }
        if state == State::Delivered && !again {
            return refused("was delivered; to send it once more say {\"again\": true}");
        }
        Ok(())
    }
}

impl Store {
    /// Makes a delivery owed once more, as if nothing had been tried; one that is owed
    /// becomes due. One that was delivered is only sent again if that is meant.
    pub async fn retry_delivery(
        &self,
        organization: OrganizationId,
        id: DeliveryId,
        again: bool,
        due: Timestamp,
        author: Author,
    ) -> Result<(), StoreError> {
        self.writer
            .change(Durability::PowerLoss, move |connection| {
                Box::pin(async move {
                    let found: Option<Retryable> = sqlx::query_as(READ_RETRYABLE)
                        .bind(organization.uuid())
                        .bind(id.uuid())
                        .fetch_optional(&mut *connection)
                        .await?;
                    found.ok_or_else(|| missing(id))?.check(id, again)?;
                    sqlx::query(OWE_ONE)
                        .bind(organization.uuid())
                        .bind(id.uuid())
                        .bind(due.as_millisecond())
                        .execute(&mut *connection)
                        .await?;
                    let line = Line {
                        action: Action::Retry,
                        what: "delivery",
                        subject: id.to_string(),
                        before: None,
                        after: None,
                    };
                    line.write(connection, author).await
                })
            })
            .await
    }
}

fn missing(id: DeliveryId) -> StoreError {
    StoreError::NotFound {
        what: "delivery",
        id: id.to_string(),
    }
}

/// The least id that a row made then can have: ids begin with their milliseconds.
pub(super) fn first_id(at: Timestamp) -> Uuid {
    let milliseconds = u64::try_from(at.as_millisecond()).unwrap_or(0);
    Uuid::from_u128(u128::from(milliseconds) << 80)
}

/// Adds the conditions of a filter, after the first one. Times are conditions on ids.
fn push_filter(query: &mut QueryBuilder<Sqlite>, filter: &DeliveryFilter) {
    if let Some(endpoint) = filter.endpoint {
        query.push(" AND endpoint_id = ").push_bind(endpoint.uuid());
    }
    if let Some(event) = filter.event {
        query.push(" AND event_id = ").push_bind(event.uuid());
    }
    if let Some(kind) = &filter.kind {
        query
            .push(" AND kind = ")
            .push_bind(kind.as_str().to_owned());
    }
    if let Some(state) = filter.state {
        // Partial indexes serve only what is seen to be within them: the state, a word of
        // ours, is written out, and that it is not another one is said.
        query.push(" AND state = '").push(state.as_str()).push("'");
        if state != State::Delivered {
            query.push(" AND state <> 'delivered'");
        }
    }
    if let Some(call) = &filter.call {
        query
            .push(" AND call_id = ")
            .push_bind(call.clone())
            .push(" AND call_id <> ''");
    }
    if let Some(since) = filter.since {
        query.push(" AND id >= ").push_bind(first_id(since));
    }
    if let Some(until) = filter.until {
        query.push(" AND id < ").push_bind(first_id(until));
    }
}

/// What fits best: without statistics the planner walks the primary key and filters.
fn index_for(filter: &DeliveryFilter) -> &'static str {
    match filter {
        DeliveryFilter { event: Some(_), .. } => " INDEXED BY delivery_by_event",
        DeliveryFilter { call: Some(_), .. } => " INDEXED BY delivery_by_call",
        DeliveryFilter {
            endpoint: Some(_),
            state: Some(State::Exhausted | State::Refused),
            ..
        } => " INDEXED BY delivery_failed",
        DeliveryFilter {
            state: Some(State::Owed | State::Exhausted | State::Refused | State::Cancelled),
            ..
        } => " INDEXED BY delivery_by_state",
        DeliveryFilter {
            endpoint: Some(_), ..
        } => " INDEXED BY delivery_by_endpoint",
        DeliveryFilter { kind: Some(_), .. } => " INDEXED BY delivery_by_kind",
        _ => "",
    }
}

fn list_deliveries(
    organization: OrganizationId,
    filter: &DeliveryFilter,
    page: PageRequest,
) -> QueryBuilder<Sqlite> {
    let mut query: QueryBuilder<Sqlite> = QueryBuilder::new("SELECT ");
    query
        .push(DELIVERY_COLUMNS)
        .push(" FROM delivery")
        .push(index_for(filter))
        .push(" WHERE organization_id = ")
        .push_bind(organization.uuid());
    push_filter(&mut query, filter);
    if let Some(after) = page.after {
        query.push(" AND id < ").push_bind(after);
    }
    query
        .push(" ORDER BY id DESC LIMIT ")
        .push_bind(page.fetch());
    query
}

/// How an endpoint does, from its latest attempts.
#[derive(Debug, Clone, PartialEq)]
pub struct Health {
    /// Attempts looked at: up to [`Store::HEALTH_ATTEMPTS`] of the last 24 hours.
    pub attempts: u32,
    pub successes: u32,
    pub mean_us: Option<u64>,
    pub p95_us: Option<u64>,
    /// Of the latest attempt: its reply's status, none if there was none.
    pub last_status: Option<u16>,
    pub last_attempt_at: Option<Timestamp>,
    /// Deliveries that are owed now.
    pub owed: u64,
}

const HEALTH: &str = "SELECT started_at, elapsed_us, status FROM attempt \
    INDEXED BY attempt_by_endpoint WHERE endpoint_id = ?1 AND started_at >= ?2 \
    ORDER BY started_at DESC LIMIT ?3";

const COUNT_OWED: &str = "SELECT count(*) FROM (SELECT 1 FROM delivery INDEXED BY delivery_due \
    WHERE endpoint_id = ?1 AND state = 'owed' LIMIT ?2)";

impl Store {
    /// Attempts that an endpoint's health is made of.
    pub const HEALTH_ATTEMPTS: u32 = 1_000;
    /// No more owed deliveries are counted.
    pub const MOST_COUNTED: u32 = 1_000_000;

    pub async fn health(
        &self,
        endpoint: EndpointId,
        since: Timestamp,
    ) -> Result<Health, StoreError> {
        let attempts: Vec<(i64, i64, Option<u16>)> = sqlx::query_as(HEALTH)
            .bind(endpoint.uuid())
            .bind(since.as_millisecond())
            .bind(Self::HEALTH_ATTEMPTS)
            .fetch_all(self.journal_readers().await?)
            .await?;
        let (owed,): (i64,) = sqlx::query_as(COUNT_OWED)
            .bind(endpoint.uuid())
            .bind(Self::MOST_COUNTED)
            .fetch_one(self.journal_readers().await?)
            .await?;
        let last = attempts.first();
        let mut times: Vec<u64> = attempts
            .iter()
            .map(|(_, us, _)| us.unsigned_abs())
            .collect();
        times.sort_unstable();
        let successes = attempts
            .iter()
            .filter(|(_, _, status)| matches!(status, Some(200..=299)));
        let rank = (times.len() * 95).div_ceil(100);
        Ok(Health {
            attempts: times.len() as u32,
            successes: successes.count() as u32,
            mean_us: times.iter().sum::<u64>().checked_div(times.len() as u64),
            p95_us: rank.checked_sub(1).and_then(|at| times.get(at)).copied(),
            last_status: last.and_then(|(_, _, status)| *status),
            last_attempt_at: last
                .map(|(at, ..)| row::timestamp(*at, "attempt.started_at"))
                .transpose()?,
            owed: owed.unsigned_abs(),
        })
    }
}

#[cfg(test)]
mod tests;
