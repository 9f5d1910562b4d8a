//! Reading events and decisions back, for the API.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use sqlx::{FromRow, QueryBuilder, Sqlite};
use uuid::Uuid;

use super::delivery::DeliverySummary;
use super::page::{Page, PageRequest};
use super::row;
use super::{Store, StoreError};
use crate::domain::Json;
use crate::domain::event::Kind;
use crate::domain::id::{BindingId, EventId, OrganizationId, SourceId};
use crate::domain::log::LogLine;

/// How far an event has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventState {
    /// A question whose plugin is being asked.
    Asked,
    /// A question with its decision.
    Answered,
    /// A notice whose handler has not run yet.
    Accepted,
    /// A notice whose decision is made.
    Handled,
}

/// An event in a list.
#[derive(Debug, Clone)]
pub struct EventSummary {
    pub id: EventId,
    /// None for what Hookswitch says itself.
    pub source: Option<SourceId>,
    pub kind: String,
    pub platform_type: String,
    pub call_id: String,
    pub agent_id: String,
    pub tool: Option<String>,
    pub state: EventState,
    pub received_at: Timestamp,
}

/// An event with all that came of it.
#[derive(Debug, Clone)]
pub struct EventDetail {
    pub summary: EventSummary,
    pub payload: Json,
    pub decision: Option<StoredDecision>,
    pub log: Vec<(BindingId, LogLine)>,
    pub deliveries: Vec<DeliverySummary>,
}

/// A decision as it was stored. Answer and invocations are in their JSON form.
#[derive(Debug, Clone)]
pub struct StoredDecision {
    pub event: EventId,
    pub kind: String,
    pub outcome: String,
    pub reason: Option<String>,
    pub answer: Json,
    pub reply: Option<(u16, Option<Json>)>,
    pub elapsed_us: u64,
    pub invocations: Json,
    pub decided_at: Timestamp,
}

impl StoredDecision {
    /// The invocations in whatever form is wanted of them.
    pub fn invocations<T: DeserializeOwned>(&self) -> Result<Vec<T>, StoreError> {
        row::parsed(self.invocations.get(), "decision.invocations")
    }
}

/// Which events are wanted. Absent fields match everything.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    pub source: Option<SourceId>,
    pub kind: Option<Kind>,
    pub call: Option<String>,
}

#[derive(FromRow)]
struct EventRow {
    id: Uuid,
    source_id: Uuid,
    kind: String,
    platform_type: String,
    call_id: String,
    agent_id: String,
    tool: Option<String>,
    received_at: i64,
    pending: bool,
}

impl EventRow {
    fn read(self) -> Result<EventSummary, StoreError> {
        let question = Kind::parse(&self.kind)
            .map_err(|e| StoreError::corrupt("event.kind", e))?
            .is_question();
        let state = match (question, self.pending) {
            (true, true) => EventState::Asked,
            (true, false) => EventState::Answered,
            (false, true) => EventState::Accepted,
            (false, false) => EventState::Handled,
        };
        Ok(EventSummary {
            id: self.id.into(),
            source: row::source(self.source_id),
            kind: self.kind,
            platform_type: self.platform_type,
            call_id: self.call_id,
            agent_id: self.agent_id,
            tool: self.tool,
            state,
            received_at: row::timestamp(self.received_at, "event.received_at")?,
        })
    }
}

const EVENT_COLUMNS: &str = "id, source_id, kind, platform_type, call_id, agent_id, tool, \
    received_at, EXISTS (SELECT 1 FROM pending_notice WHERE event_id = id) \
    OR EXISTS (SELECT 1 FROM pending_question WHERE event_id = id) AS pending";

#[derive(FromRow)]
struct DecisionRow {
    event_id: Uuid,
    kind: String,
    outcome: String,
    reason: Option<String>,
    answer: String,
    reply_status: Option<u16>,
    reply_body: Option<String>,
    elapsed_us: i64,
    invocations: String,
    decided_at: i64,
}

impl DecisionRow {
    fn read(self) -> Result<StoredDecision, StoreError> {
        let body = self
            .reply_body
            .map(|b| row::json(b, "decision.reply_body"))
            .transpose()?;
        Ok(StoredDecision {
            event: self.event_id.into(),
            kind: self.kind,
            outcome: self.outcome,
            reason: self.reason,
            answer: row::json(self.answer, "decision.answer")?,
            reply: self.reply_status.map(|status| (status, body)),
            elapsed_us: self.elapsed_us.unsigned_abs(),
            invocations: row::json(self.invocations, "decision.invocations")?,
            decided_at: row::timestamp(self.decided_at, "decision.decided_at")?,
        })
    }
}

const DECISION_COLUMNS: &str = "event_id, kind, outcome, reason, answer, reply_status, \
    reply_body, elapsed_us, invocations, decided_at";

impl Store {
    pub async fn events(
        &self,
        organization: OrganizationId,
        filter: &EventFilter,
        page: PageRequest,
    ) -> Result<Page<EventSummary>, StoreError> {
        let mut query = list_events(organization, filter, page);
        let rows: Vec<EventRow> = query
            .build_query_as()
            .fetch_all(self.journal_readers().await?)
            .await?;
        Page::of(rows, page, |row| row.id, EventRow::read)
    }

    pub async fn event(
        &self,
        organization: OrganizationId,
        id: EventId,
    ) -> Result<EventDetail, StoreError> {
        let missing = || StoreError::NotFound {
            what: "event",
            id: id.to_string(),
        };
        let statement =
            format!("SELECT {EVENT_COLUMNS} FROM event WHERE organization_id = ?1 AND id = ?2");
        let row: Option<EventRow> = sqlx::query_as(sqlx::AssertSqlSafe(statement))
            .bind(organization.uuid())
            .bind(id.uuid())
            .fetch_optional(self.journal_readers().await?)
            .await?;
        let summary = row.ok_or_else(missing)?.read()?;
        let payload: Option<(String,)> =
            sqlx::query_as("SELECT body FROM payload WHERE event_id = ?1")
                .bind(id.uuid())
                .fetch_optional(self.journal_readers().await?)
                .await?;
        // It may have been pruned meanwhile.
        let (payload,) = payload.ok_or_else(missing)?;
        Ok(EventDetail {
            summary,
            payload: row::json(payload, "payload.body")?,
            decision: self.decision(organization, id).await?,
            log: self.log(id).await?,
            deliveries: self.deliveries_of(organization, id).await?,
        })
    }

    pub async fn decisions(
        &self,
        organization: OrganizationId,
        outcome: Option<&str>,
        page: PageRequest,
    ) -> Result<Page<StoredDecision>, StoreError> {
        let mut query: QueryBuilder<Sqlite> = QueryBuilder::new("SELECT ");
        let index = outcome.map_or("", |_| " INDEXED BY decision_by_outcome");
        query
            .push(DECISION_COLUMNS)
            .push(" FROM decision")
            .push(index);
        query
            .push(" WHERE organization_id = ")
            .push_bind(organization.uuid());
        if let Some(outcome) = outcome {
            query.push(" AND outcome = ").push_bind(outcome);
        }
        if let Some(after) = page.after {
            query.push(" AND event_id < ").push_bind(after);
        }
        query
            .push(" ORDER BY event_id DESC LIMIT ")
            .push_bind(page.fetch());
        let rows: Vec<DecisionRow> = query
            .build_query_as()
            .fetch_all(self.journal_readers().await?)
            .await?;
        Page::of(rows, page, |row| row.event_id, DecisionRow::read)
    }

    pub(super) async fn decision(
        &self,
        organization: OrganizationId,
        event: EventId,
    ) -> Result<Option<StoredDecision>, StoreError> {
        let statement = format!(
            "SELECT {DECISION_COLUMNS} FROM decision WHERE organization_id = ?1 AND event_id = ?2"
        );
        let row: Option<DecisionRow> = sqlx::query_as(sqlx::AssertSqlSafe(statement))
            .bind(organization.uuid())
            .bind(event.uuid())
            .fetch_optional(self.journal_readers().await?)
            .await?;
        row.map(DecisionRow::read).transpose()
    }

    async fn log(&self, event: EventId) -> Result<Vec<(BindingId, LogLine)>, StoreError> {
        let rows: Vec<(Uuid, String, String)> = sqlx::query_as(
            "SELECT binding_id, level, message FROM log_line WHERE event_id = ?1 ORDER BY number",
        )
        .bind(event.uuid())
        .fetch_all(self.journal_readers().await?)
        .await?;
        rows.into_iter()
            .map(|(binding, level, message)| {
                let level = serde_json::from_value(level.into())
                    .map_err(|e| StoreError::corrupt("log_line.level", e))?;
                Ok((binding.into(), LogLine { level, message }))
            })
            .collect()
    }
}

fn list_events(
    organization: OrganizationId,
    filter: &EventFilter,
    page: PageRequest,
) -> QueryBuilder<Sqlite> {
    let mut query: QueryBuilder<Sqlite> = QueryBuilder::new("SELECT ");
    // Without statistics the planner walks the primary key and filters; what fits
    // best is known here.
    let index = match filter {
        EventFilter { call: Some(_), .. } => " INDEXED BY event_by_call",
        EventFilter {
            source: Some(_), ..
        } => " INDEXED BY event_by_source",
        EventFilter { kind: Some(_), .. } => " INDEXED BY event_by_kind",
        _ => "",
    };
    query.push(EVENT_COLUMNS).push(" FROM event").push(index);
    query
        .push(" WHERE organization_id = ")
        .push_bind(organization.uuid());
    if let Some(source) = filter.source {
        query.push(" AND source_id = ").push_bind(source.uuid());
    }
    if let Some(kind) = &filter.kind {
        query
            .push(" AND kind = ")
            .push_bind(kind.as_str().to_owned());
    }
    if let Some(call) = &filter.call {
        // The second term lets the partial index serve.
        query
            .push(" AND call_id = ")
            .push_bind(call.clone())
            .push(" AND call_id <> ''");
    }
    if let Some(after) = page.after {
        query.push(" AND id < ").push_bind(after);
    }
    query
        .push(" ORDER BY id DESC LIMIT ")
        .push_bind(page.fetch());
    query
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::plan::plan;
    use crate::store::{Durability, KeySource, OpenStore};

    /// Lists stay as fast with ten million events as with ten: they walk an index
    /// from its end, without reading what they leave out and without sorting.
    #[tokio::test]
    async fn lists_walk_an_index_in_its_order() {
        let folder = tempfile::tempdir().unwrap();
        let open = OpenStore::open(folder.path(), Durability::Process, &KeySource::DataFolder)
            .await
            .unwrap();
        let organization = OrganizationId::from(Uuid::from_u128(1));
        let any = EventFilter::default;
        let source = Some(SourceId::from(Uuid::from_u128(2)));
        let filters = [
            (any(), "USING PRIMARY KEY (organization_id=?"),
            (
                EventFilter { source, ..any() },
                "event_by_source (organization_id=? AND source_id=?",
            ),
            (
                EventFilter {
                    kind: Some(Kind::COMPLETED),
                    ..any()
                },
                "event_by_kind (organization_id=? AND kind=?",
            ),
            (
                EventFilter {
                    call: Some("c".to_owned()),
                    ..any()
                },
                "event_by_call (organization_id=? AND call_id=?",
            ),
        ];
        for (filter, index) in filters {
            for after in [None, Some(Uuid::from_u128(3))] {
                let page = PageRequest { limit: 50, after };
                let query = list_events(organization, &filter, page);
                let plan = plan(&open.store, query.sql().as_str()).await;
                assert!(plan.contains(index), "{filter:?}: {plan}");
                assert!(
                    !plan.contains("SCAN event") && !plan.contains("TEMP B-TREE"),
                    "{plan}"
                );
            }
        }
    }
}
