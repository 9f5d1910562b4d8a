//! The journal: events, decisions, what is pending and what is owed.
//!
//! One [`Entry`] is what belongs together: it is committed whole or not at all.
//! Rows are JSON arrays, written by the sender; the writer joins the rows of many
//! entries and inserts them with one statement per table (measured three to five
//! times faster than a statement per row; STORE.md).

use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use sqlx::sqlite::SqliteConnection;
use uuid::Uuid;

use super::{Durability, Store, StoreError};
use crate::domain::Json;
use crate::domain::decision::{Decision, EventAnswer, Why};
use crate::domain::event::Kind;
use crate::domain::id::{BindingId, DeliveryId, EventId, OrganizationId, SourceId};
use crate::domain::log::LogLine;

/// An event as it is stored.
#[derive(Debug, Clone)]
pub struct EventRecord {
    pub organization: OrganizationId,
    pub id: EventId,
    pub source: SourceId,
    pub kind: Kind,
    pub platform_type: String,
    pub call_id: String,
    pub agent_id: String,
    pub tool: Option<String>,
    pub received_at: Timestamp,
    /// The request's body: UTF-8.
    pub payload: Bytes,
}

/// What was sent to the platform.
#[derive(Debug, Clone)]
pub struct SentReply {
    pub status: u16,
    /// None for a reply that is no decision's: the problem `no_answer`.
    pub body: Option<Json>,
}

/// A decision as it is stored.
#[derive(Debug, Clone)]
pub struct DecisionRecord {
    pub organization: OrganizationId,
    pub event: EventId,
    pub decision: Decision,
    /// None for a notice: it was acknowledged before anything was decided.
    pub reply: Option<SentReply>,
    pub log: Vec<(BindingId, LogLine)>,
}

/// A delivery that is owed. No body sends the event's payload.
#[derive(Debug, Clone)]
pub struct OwedDelivery {
    pub id: DeliveryId,
    pub endpoint: String,
    pub body: Option<Json>,
}

impl Store {
    /// Stores a notice, to be handled later. When this returns it survives the
    /// loss of power.
    pub async fn accept(&self, event: &EventRecord) -> Result<(), StoreError> {
        let mut entry = Entry::default();
        entry.event(event);
        entry.row(
            Table::PendingNotice,
            &(hex(event.id.uuid()), hex(event.organization.uuid())),
        );
        self.writer.journal(entry, Durability::PowerLoss).await
    }

    /// Stores a question with its decision.
    pub async fn record(
        &self,
        event: &EventRecord,
        decision: &DecisionRecord,
    ) -> Result<(), StoreError> {
        let mut entry = Entry::default();
        entry.event(event);
        entry.decision(decision);
        self.writer.journal(entry, self.answers).await
    }

    /// Stores what became of a notice, and the deliveries that are now owed.
    ///
    /// If power is lost right after, the notice is pending again and its handler
    /// runs once more: handlers run at least once.
    pub async fn complete(
        &self,
        decision: &DecisionRecord,
        owed: &[OwedDelivery],
    ) -> Result<(), StoreError> {
        let mut entry = Entry::default();
        entry.decision(decision);
        for delivery in owed {
            entry.delivery(decision, delivery);
        }
        entry.row(Table::HandledNotice, &(hex(decision.event.uuid()),));
        self.writer.journal(entry, Durability::Process).await
    }
}

/// Fills in the deliveries an answer asks for.
pub fn owed(answer: &EventAnswer, mut id: impl FnMut() -> DeliveryId) -> Vec<OwedDelivery> {
    match answer {
        // "Everybody whose filter matches" is nobody while there are no endpoints.
        EventAnswer::Unchanged {} | EventAnswer::Drop {} => Vec::new(),
        EventAnswer::Deliver { deliveries } => deliveries
            .iter()
            .map(|addressed| OwedDelivery {
                id: id(),
                endpoint: addressed.endpoint.clone(),
                body: addressed.body.clone(),
            })
            .collect(),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Table {
    Event,
    Payload,
    PendingNotice,
    Decision,
    LogLine,
    Delivery,
    /// Not a table but a row that leaves one.
    HandledNotice,
}

/// In the order in which they are written: a delivery looks for the pending notice
/// it comes from, so that a notice handled twice owes once.
const STATEMENTS: [(Table, &str); 7] = [
    (
        Table::Event,
        "INSERT INTO event (organization_id, id, source_id, kind, platform_type, call_id, \
         agent_id, tool, received_at) \
         SELECT unhex(value->>0), unhex(value->>1), unhex(value->>2), value->>3, value->>4, \
         value->>5, value->>6, value->>7, value->>8 FROM json_each(?1)",
    ),
    (
        Table::Payload,
        "INSERT INTO payload (event_id, body) \
         SELECT unhex(value->>0), value->>1 FROM json_each(?1)",
    ),
    (
        Table::PendingNotice,
        "INSERT INTO pending_notice (event_id, organization_id, leased_until, attempts) \
         SELECT unhex(value->>0), unhex(value->>1), 0, 0 FROM json_each(?1)",
    ),
    (
        Table::Decision,
        "INSERT INTO decision (organization_id, event_id, kind, outcome, reason, answer, \
         reply_status, reply_body, elapsed_us, invocations, decided_at) \
         SELECT unhex(value->>0), unhex(value->>1), value->>2, value->>3, value->>4, value->>5, \
         value->>6, value->>7, value->>8, value->>9, value->>10 FROM json_each(?1) WHERE true \
         ON CONFLICT DO NOTHING",
    ),
    (
        Table::LogLine,
        "INSERT INTO log_line (event_id, number, binding_id, level, message) \
         SELECT unhex(value->>0), value->>1, unhex(value->>2), value->>3, value->>4 \
         FROM json_each(?1) WHERE true ON CONFLICT DO NOTHING",
    ),
    (
        Table::Delivery,
        "INSERT INTO delivery (id, organization_id, event_id, endpoint, body, state, created_at) \
         SELECT unhex(value->>0), unhex(value->>1), unhex(value->>2), value->>3, value->>4, \
         'owed', value->>5 FROM json_each(?1) \
         WHERE EXISTS (SELECT 1 FROM pending_notice WHERE event_id = unhex(value->>2))",
    ),
    (
        Table::HandledNotice,
        "DELETE FROM pending_notice \
         WHERE event_id IN (SELECT unhex(value->>0) FROM json_each(?1))",
    ),
];

/// Payloads from this size on are bound as they are, not copied into JSON.
const LARGE_PAYLOAD: usize = 64 << 10;

/// Rows that are committed together.
#[derive(Debug, Default)]
pub(super) struct Entry {
    rows: [Vec<String>; STATEMENTS.len()],
    large_payloads: Vec<(Uuid, Bytes)>,
    bytes: usize,
}

impl Entry {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn append(&mut self, mut other: Self) {
        for (rows, more) in self.rows.iter_mut().zip(&mut other.rows) {
            rows.append(more);
        }
        self.large_payloads.append(&mut other.large_payloads);
        self.bytes += other.bytes;
    }

    pub(super) async fn write(&self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        for ((_, statement), rows) in STATEMENTS.into_iter().zip(&self.rows) {
            if !rows.is_empty() {
                let array = format!("[{}]", rows.join(","));
                sqlx::query(statement)
                    .bind(array)
                    .execute(&mut *connection)
                    .await?;
            }
        }
        for (event, payload) in &self.large_payloads {
            sqlx::query("INSERT INTO payload (event_id, body) VALUES (?1, ?2)")
                .bind(event)
                .bind(text(payload))
                .execute(&mut *connection)
                .await?;
        }
        Ok(())
    }

    fn row(&mut self, table: Table, row: &impl Serialize) {
        // Rows are tuples of texts and numbers: they always have a JSON form.
        let Ok(row) = serde_json::to_string(row) else {
            return;
        };
        self.bytes += row.len();
        if let Some(at) = STATEMENTS.iter().position(|(of, _)| *of == table) {
            self.rows[at].push(row);
        }
    }

    fn event(&mut self, event: &EventRecord) {
        let id = hex(event.id.uuid());
        self.row(
            Table::Event,
            &(
                hex(event.organization.uuid()),
                &id,
                hex(event.source.uuid()),
                &event.kind,
                &event.platform_type,
                &event.call_id,
                &event.agent_id,
                &event.tool,
                event.received_at.as_millisecond(),
            ),
        );
        if event.payload.len() < LARGE_PAYLOAD {
            self.row(Table::Payload, &(&id, text(&event.payload)));
        } else {
            self.bytes += event.payload.len();
            self.large_payloads
                .push((event.id.uuid(), event.payload.clone()));
        }
    }

    fn decision(&mut self, record: &DecisionRecord) {
        let decision = &record.decision;
        let event = hex(record.event.uuid());
        self.row(
            Table::Decision,
            &(
                hex(record.organization.uuid()),
                &event,
                &decision.kind,
                decision.outcome.as_str(),
                decision.outcome.why().map(Why::as_str),
                json_text(&decision.answer),
                record.reply.as_ref().map(|reply| reply.status),
                record
                    .reply
                    .as_ref()
                    .and_then(|reply| reply.body.as_ref())
                    .map(|body| body.get()),
                decision.elapsed.as_micros() as u64,
                json_text(&decision.invocations),
                decision.decided_at.as_millisecond(),
            ),
        );
        for (number, (binding, line)) in record.log.iter().enumerate() {
            let binding = hex(binding.uuid());
            self.row(
                Table::LogLine,
                &(&event, number, binding, line.level, &line.message),
            );
        }
    }

    fn delivery(&mut self, of: &DecisionRecord, delivery: &OwedDelivery) {
        self.row(
            Table::Delivery,
            &(
                hex(delivery.id.uuid()),
                hex(of.organization.uuid()),
                hex(of.event.uuid()),
                &delivery.endpoint,
                delivery.body.as_ref().map(|body| body.get()),
                of.decision.decided_at.as_millisecond(),
            ),
        );
    }
}

fn hex(id: Uuid) -> String {
    id.simple().to_string()
}

/// Payloads are checked to be UTF-8 where they come in.
fn text(payload: &Bytes) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(payload)
}

fn json_text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_has_one_statement_and_pending_notices_leave_last() {
        let order = STATEMENTS.map(|(table, _)| table);
        assert_eq!(order.last(), Some(&Table::HandledNotice));
        for table in order {
            assert_eq!(
                order.iter().filter(|&&other| other == table).count(),
                1,
                "{table:?}"
            );
        }
    }
}
