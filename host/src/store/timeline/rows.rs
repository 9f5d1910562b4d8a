//! What a timeline is read from: a statement for each table, and its rows.

use std::sync::Arc;

use serde::Deserialize;
use sqlx::FromRow;
use uuid::Uuid;

use crate::domain::delivery::State;
use crate::domain::event::Kind;
use crate::domain::id::BindingId;
use crate::domain::plugin::Name;
use crate::domain::timeline::{About, Asked, Decided, Failed, Owed, Tried, shortened};
use crate::store::{StoreError, row};

pub(super) const DECISIONS: &str = "SELECT event_id, outcome, reason, answer->>'decision' AS verdict, \
    reply_status, elapsed_us, invocations, decided_at FROM decision \
    WHERE organization_id = ?1 AND event_id IN (SELECT unhex(value) FROM json_each(?2))";

/// The next three go through what is wanted in its order, which the joins keep to, and
/// stop when they have enough.
pub(super) const LINES: &str = "SELECT event_id, number, binding_id, level, \
    substr(message, 1, ?3) AS message \
    FROM json_each(?1) AS wanted CROSS JOIN log_line ON event_id = unhex(wanted.value) LIMIT ?2";

pub(super) const DELIVERIES: &str = "SELECT event_id, delivery.id, endpoint_id, state, forwarded, attempts, \
    due_at, ended_at, status, error, created_at \
    FROM json_each(?2) AS wanted CROSS JOIN delivery INDEXED BY delivery_by_event \
    ON event_id = unhex(wanted.value) AND organization_id = ?1 LIMIT ?3";

pub(super) const ATTEMPTS: &str = "SELECT delivery_id, number, started_at, elapsed_us, status, error, \
    substr(detail, 1, ?3) AS detail \
    FROM json_each(?1) AS wanted CROSS JOIN attempt ON delivery_id = unhex(wanted.value) LIMIT ?2";

#[derive(Debug, FromRow)]
pub(super) struct EventRow {
    pub(super) id: Uuid,
    pub(super) source_id: Uuid,
    pub(super) kind: String,
    pub(super) platform_type: String,
    pub(super) call_id: String,
    pub(super) agent_id: String,
    pub(super) tool: Option<String>,
    pub(super) received_at: i64,
}

#[derive(FromRow)]
pub(super) struct DecisionRow {
    pub(super) event_id: Uuid,
    pub(super) outcome: String,
    pub(super) reason: Option<String>,
    pub(super) verdict: Option<String>,
    pub(super) reply_status: Option<u16>,
    pub(super) elapsed_us: i64,
    pub(super) invocations: String,
    pub(super) decided_at: i64,
}

#[derive(Debug, FromRow)]
pub(super) struct LineRow {
    pub(super) event_id: Uuid,
    pub(super) number: u32,
    pub(super) binding_id: Uuid,
    pub(super) level: String,
    pub(super) message: String,
}

#[derive(Debug, FromRow)]
pub(super) struct DeliveryRow {
    pub(super) event_id: Uuid,
    pub(super) id: Uuid,
    pub(super) endpoint_id: Uuid,
    pub(super) state: String,
    pub(super) forwarded: bool,
    pub(super) attempts: u32,
    pub(super) due_at: i64,
    pub(super) ended_at: Option<i64>,
    pub(super) status: Option<u16>,
    pub(super) error: Option<String>,
    pub(super) created_at: i64,
}

#[derive(Debug, FromRow)]
pub(super) struct AttemptRow {
    pub(super) delivery_id: Uuid,
    pub(super) number: u32,
    pub(super) started_at: i64,
    pub(super) elapsed_us: i64,
    pub(super) status: Option<u16>,
    pub(super) error: Option<String>,
    pub(super) detail: Option<String>,
}

/// What is read of a stored invocation.
#[derive(Deserialize)]
struct InvocationColumn {
    binding: BindingId,
    plugin: Name,
    version: u32,
    outcome: String,
    error: Option<FailureColumn>,
    elapsed_us: u64,
}

#[derive(Deserialize)]
struct FailureColumn {
    code: String,
    message: String,
}

impl EventRow {
    pub(super) fn about(&self) -> Result<Arc<About>, StoreError> {
        Ok(Arc::new(About {
            event: self.id.into(),
            source: row::source(self.source_id),
            kind: Kind::parse(&self.kind).map_err(|e| StoreError::corrupt("event.kind", e))?,
            call_id: self.call_id.clone(),
            agent_id: self.agent_id.clone(),
            tool: self.tool.clone(),
        }))
    }
}

impl DecisionRow {
    pub(super) fn read(self) -> Result<Decided, StoreError> {
        let asked: Vec<InvocationColumn> = row::parsed(&self.invocations, "decision.invocations")?;
        Ok(Decided {
            outcome: self.outcome.into(),
            reason: self.reason.map(Into::into),
            decision: self.verdict.unwrap_or_default().into(),
            reply_status: self.reply_status,
            elapsed_us: self.elapsed_us.unsigned_abs(),
            invocations: asked.into_iter().map(InvocationColumn::read).collect(),
        })
    }
}

impl InvocationColumn {
    fn read(self) -> Asked {
        Asked {
            binding: self.binding,
            plugin: self.plugin,
            version: self.version,
            outcome: self.outcome.into(),
            error: self.error.map(|error| Failed {
                code: error.code.into(),
                message: shortened(&error.message),
            }),
            elapsed_us: self.elapsed_us,
        }
    }
}

impl DeliveryRow {
    pub(super) fn read(&self) -> Result<Owed, StoreError> {
        let state = State::named(&self.state)
            .ok_or_else(|| StoreError::corrupt("delivery.state", &self.state))?;
        let due_at = (state == State::Owed).then_some(self.due_at);
        let time = |at: Option<i64>, what| at.map(|at| row::timestamp(at, what)).transpose();
        Ok(Owed {
            delivery: self.id.into(),
            endpoint: self.endpoint_id.into(),
            state,
            attempts: self.attempts,
            due_at: time(due_at, "delivery.due_at")?,
            ended_at: time(self.ended_at, "delivery.ended_at")?,
            status: self.status,
            error: self.error.clone().map(Into::into),
        })
    }
}

impl AttemptRow {
    /// What came of the earlier ones is not kept.
    pub(super) fn read(self, of: &Owed) -> Tried {
        Tried {
            delivery: of.delivery,
            endpoint: of.endpoint,
            number: self.number,
            status: self.status,
            error: self.error.map(Into::into),
            detail: self.detail.as_deref().map(shortened),
            elapsed_us: self.elapsed_us.unsigned_abs(),
            state: (self.number == of.attempts).then_some(of.state),
        }
    }
}
