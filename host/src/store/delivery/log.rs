//! Deliveries and their attempts, as they are shown: lists by an index for each filter.

use jiff::Timestamp;
use sqlx::{FromRow, QueryBuilder, Sqlite};
use uuid::Uuid;

use super::missing;
use crate::domain::delivery::State;
use crate::domain::event::Kind;
use crate::domain::id::{DeliveryId, EndpointId, EventId, OrganizationId};
use crate::store::page::{Page, PageRequest};
use crate::store::{Store, StoreError, row};

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
    pub(in crate::store) async fn deliveries_of(
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
        query.push(" AND id >= ").push_bind(row::first_id(since));
    }
    if let Some(until) = filter.until {
        query.push(" AND id < ").push_bind(row::first_id(until));
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

pub(super) fn list_deliveries(
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
