//! The journal: events, decisions, what is pending and what is owed.
//!
//! One [`Entry`] is what belongs together: it is committed whole or not at all.
//! Rows are JSON arrays, written by the sender; the writer joins the rows of many
//! entries and inserts them with one statement per table (measured three to five
//! times faster than a statement per row; STORE.md).

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::sqlite::SqliteConnection;
use uuid::Uuid;

use super::endpoint::Alert;
use super::{Durability, Store, StoreError};
use crate::domain::Json;
use crate::domain::decision::{Decision, Why};
use crate::domain::delivery::{SendFailure, State};
use crate::domain::event::Kind;
use crate::domain::id::{BindingId, DeliveryId, EndpointId, EventId, OrganizationId, SourceId};
use crate::domain::log::LogLine;
use crate::domain::repeat::{Basis, Fingerprint};

/// An event as it is stored.
#[derive(Debug, Clone)]
pub struct EventRecord {
    pub organization: OrganizationId,
    pub id: EventId,
    /// None for what Hookswitch says itself.
    pub source: Option<SourceId>,
    pub kind: Kind,
    pub platform_type: String,
    pub call_id: String,
    pub agent_id: String,
    pub tool: Option<String>,
    pub received_at: Timestamp,
    /// By what a repetition is known; none where nobody looks for one.
    pub fingerprint: Option<Fingerprint>,
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

/// A delivery that is owed.
#[derive(Debug, Clone)]
pub struct OwedDelivery {
    pub id: DeliveryId,
    pub endpoint: EndpointId,
    /// What is sent; none sends the event's payload.
    pub body: Option<Json>,
    /// When the first attempt may begin.
    pub due: Timestamp,
}

/// One attempt, as it is kept.
#[derive(Debug, Clone)]
pub struct AttemptRecord {
    pub started_at: Timestamp,
    pub elapsed: Duration,
    pub status: Option<u16>,
    pub error: Option<SendFailure>,
    /// In words, for people.
    pub detail: Option<String>,
    /// The beginning of the reply's body.
    pub response: Option<String>,
}

/// What an attempt came to.
#[derive(Debug, Clone)]
pub struct Settlement {
    pub organization: OrganizationId,
    pub delivery: DeliveryId,
    pub endpoint: EndpointId,
    /// Attempts made before this one. Whoever finds another number lost its lease.
    pub made: u32,
    pub attempt: AttemptRecord,
    pub now: Next,
}

/// What is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Attempt { due: Timestamp },
    End { state: State, at: Timestamp },
}

/// A question that an endpoint was asked: a delivery that was never waiting.
#[derive(Debug, Clone)]
pub struct ForwardRecord {
    pub delivery: OwedDelivery,
    pub state: State,
    pub attempt: AttemptRecord,
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

    /// Stores a notice that no handler is asked about, with what is owed for it, in one
    /// go. When this returns it survives the loss of power.
    pub async fn accept_handled(
        &self,
        event: &EventRecord,
        decision: &DecisionRecord,
        owed: &[OwedDelivery],
    ) -> Result<(), StoreError> {
        let mut entry = Entry::default();
        entry.event(event);
        entry.decision(decision);
        entry.deliveries(event, owed, decision.decision.decided_at);
        self.writer.journal(entry, Durability::PowerLoss).await
    }

    /// Stores a question with its decision, and with what is owed for it.
    pub async fn record(
        &self,
        event: &EventRecord,
        decision: &DecisionRecord,
        owed: &[OwedDelivery],
        forward: Option<&ForwardRecord>,
    ) -> Result<(), StoreError> {
        let mut entry = Entry::default();
        entry.event(event);
        entry.decision(decision);
        entry.deliveries(event, owed, decision.decision.decided_at);
        if let Some(forward) = forward {
            entry.forward(event, forward, decision.decision.decided_at);
        }
        self.writer.journal(entry, self.answers).await
    }

    /// Stores a question whose plugin is to be asked once only. When this returns it
    /// survives the loss of power: whatever happens then, it is known that the plugin
    /// may have run. What is owed for it is owed from then on.
    pub async fn reserve(
        &self,
        event: &EventRecord,
        owed: &[OwedDelivery],
    ) -> Result<(), StoreError> {
        let mut entry = Entry::default();
        entry.event(event);
        entry.deliveries(event, owed, event.received_at);
        entry.row(
            Table::PendingQuestion,
            &(hex(event.id.uuid()), hex(event.organization.uuid())),
        );
        self.writer.journal(entry, Durability::PowerLoss).await
    }

    /// Stores the decision of a reserved question. The first one stands.
    pub async fn answer(
        &self,
        decision: &DecisionRecord,
        forward: Option<(&EventRecord, &ForwardRecord)>,
    ) -> Result<(), StoreError> {
        let mut entry = Entry::default();
        entry.decision(decision);
        if let Some((event, forward)) = forward {
            entry.forward(event, forward, decision.decision.decided_at);
        }
        entry.row(Table::AnsweredQuestion, &(hex(decision.event.uuid()),));
        self.writer.journal(entry, self.answers).await
    }

    /// Stores what became of a notice, and the deliveries that are now owed.
    ///
    /// If power is lost right after, the notice is pending again and its handler
    /// runs once more: handlers run at least once.
    pub async fn complete(
        &self,
        event: &EventRecord,
        decision: &DecisionRecord,
        owed: &[OwedDelivery],
    ) -> Result<(), StoreError> {
        let mut entry = Entry::default();
        entry.decision(decision);
        entry.deliveries_of_pending(event, owed, decision.decision.decided_at);
        entry.row(Table::HandledNotice, &(hex(decision.event.uuid()),));
        self.writer.journal(entry, Durability::Process).await
    }

    /// Stores what an attempt came to, together with the event that says so if there
    /// is one.
    ///
    /// If power is lost right after, the attempt is made once more: deliveries are
    /// made at least once.
    pub async fn settle(
        &self,
        settlement: &Settlement,
        alert: Option<&Alert>,
    ) -> Result<(), StoreError> {
        let mut entry = alert.map(Entry::of_alert).unwrap_or_default();
        entry.settlement(settlement);
        self.writer.journal(entry, Durability::Process).await
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Table {
    Event,
    Payload,
    PendingNotice,
    PendingQuestion,
    Decision,
    LogLine,
    Delivery,
    DeliveryBody,
    Attempt,
    /// Not a table but a change of its rows.
    Settled,
    /// Not a table but a row that leaves one.
    HandledNotice,
    /// Likewise.
    AnsweredQuestion,
}

/// In the order in which they are written: a delivery looks for the pending notice
/// it comes from, so that a notice handled twice owes once.
const STATEMENTS: [(Table, &str); 12] = [
    (
        Table::Event,
        "INSERT INTO event (organization_id, id, source_id, kind, platform_type, call_id, \
         agent_id, tool, received_at, fingerprint, identified) \
         SELECT unhex(value->>0), unhex(value->>1), unhex(value->>2), value->>3, value->>4, \
         value->>5, value->>6, value->>7, value->>8, unhex(value->>9), value->>10 \
         FROM json_each(?)",
    ),
    (
        Table::Payload,
        "INSERT INTO payload (event_id, body) \
         SELECT unhex(value->>0), value->>1 FROM json_each(?)",
    ),
    (
        Table::PendingNotice,
        "INSERT INTO pending_notice (event_id, organization_id, leased_until, attempts) \
         SELECT unhex(value->>0), unhex(value->>1), 0, 0 FROM json_each(?)",
    ),
    (
        Table::PendingQuestion,
        "INSERT INTO pending_question (event_id, organization_id) \
         SELECT unhex(value->>0), unhex(value->>1) FROM json_each(?)",
    ),
    (
        Table::Decision,
        "INSERT INTO decision (organization_id, event_id, kind, outcome, reason, answer, \
         reply_status, reply_body, elapsed_us, invocations, decided_at) \
         SELECT unhex(value->>0), unhex(value->>1), value->>2, value->>3, value->>4, value->>5, \
         value->>6, value->>7, value->>8, value->>9, value->>10 FROM json_each(?) WHERE true \
         ON CONFLICT DO NOTHING",
    ),
    (
        Table::LogLine,
        "INSERT INTO log_line (event_id, number, binding_id, level, message) \
         SELECT unhex(value->>0), value->>1, unhex(value->>2), value->>3, value->>4 \
         FROM json_each(?) WHERE true ON CONFLICT DO NOTHING",
    ),
    (
        Table::Delivery,
        "INSERT INTO delivery (id, organization_id, event_id, endpoint_id, kind, call_id, bytes, \
         created_at, due_at, state, ended_at, attempts, forwarded, status, error, forgiven, \
         leased_until) \
         SELECT unhex(value->>'$[0][0]'), unhex(value->>'$[0][1]'), unhex(value->>'$[0][2]'), \
         unhex(value->>'$[1][0]'), value->>'$[1][1]', value->>'$[1][2]', value->>'$[2][0]', \
         value->>'$[2][1]', value->>'$[2][2]', value->>'$[3][0]', value->>'$[3][1]', \
         value->>'$[3][2]', value->>'$[3][3]', value->>'$[4][0]', value->>'$[4][1]', 0, 0 \
         FROM json_each(?) WHERE value->>'$[4][2]' IS NULL OR EXISTS \
         (SELECT 1 FROM pending_notice WHERE event_id = unhex(value->>'$[4][2]'))",
    ),
    (
        Table::DeliveryBody,
        "INSERT INTO delivery_body (delivery_id, body) \
         SELECT unhex(value->>0), value->>1 FROM json_each(?) WHERE value->>2 IS NULL \
         OR EXISTS (SELECT 1 FROM pending_notice WHERE event_id = unhex(value->>2))",
    ),
    (
        Table::Attempt,
        "INSERT INTO attempt (delivery_id, number, endpoint_id, started_at, elapsed_us, status, \
         error, detail, response) \
         SELECT unhex(value->>0), value->>1, unhex(value->>2), value->>3, value->>4, value->>5, \
         value->>6, value->>7, value->>8 FROM json_each(?) WHERE true ON CONFLICT DO NOTHING",
    ),
    (Table::Settled, SETTLE),
    (
        Table::HandledNotice,
        "DELETE FROM pending_notice \
         WHERE event_id IN (SELECT unhex(value->>0) FROM json_each(?))",
    ),
    (
        Table::AnsweredQuestion,
        "DELETE FROM pending_question \
         WHERE event_id IN (SELECT unhex(value->>0) FROM json_each(?))",
    ),
];

/// Who lost its lease finds another number of attempts, and changes nothing.
pub(super) const SETTLE: &str = "UPDATE delivery SET state = value->>3, due_at = value->>4, \
    ended_at = value->>5, status = value->>6, error = value->>7, \
    attempts = delivery.attempts + 1, leased_until = 0 FROM json_each(?) \
    WHERE delivery.organization_id = unhex(value->>0) AND delivery.id = unhex(value->>1) \
    AND delivery.attempts = value->>2 AND delivery.state = 'owed'";

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

    /// Commits the rows in a transaction of their own. All of it is one message to
    /// the thread that has the connection: each more would be a wait there and one
    /// back, and on a busy machine that is most of what a commit takes.
    pub(super) async fn commit(&self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        let transaction = format!("BEGIN IMMEDIATE;{}COMMIT", self.statements());
        let committed = self.run(transaction, &mut *connection).await;
        if committed.is_err() {
            // Fails where there is no transaction to undo, and then need not be done.
            let _ = sqlx::query("ROLLBACK").execute(connection).await;
        }
        committed
    }

    /// Writes the rows within the caller's transaction.
    pub(super) async fn write(&self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        self.run(self.statements(), connection).await
    }

    async fn run(
        &self,
        statements: String,
        connection: &mut SqliteConnection,
    ) -> Result<(), StoreError> {
        let mut query = sqlx::query(sqlx::AssertSqlSafe(statements))
            // Texts with large payloads are of any length; they would fill the cache.
            .persistent(self.large_payloads.is_empty());
        for rows in self.rows.iter().filter(|rows| !rows.is_empty()) {
            query = query.bind(format!("[{}]", rows.join(",")));
        }
        for (event, payload) in &self.large_payloads {
            query = query.bind(event).bind(text(payload));
        }
        query.execute(connection).await?;
        Ok(())
    }

    /// The statements for which there are rows; they take one argument each, in this
    /// order.
    fn statements(&self) -> String {
        let mut text = String::new();
        for ((_, statement), rows) in STATEMENTS.into_iter().zip(&self.rows) {
            if !rows.is_empty() {
                text.push_str(statement);
                text.push(';');
            }
        }
        for _ in &self.large_payloads {
            text.push_str("INSERT INTO payload (event_id, body) VALUES (?, ?);");
        }
        text
    }

    /// Rows that name events by a number, which may be there twice.
    #[cfg(test)]
    pub(super) fn of_pending_notices(numbers: &[u8]) -> Self {
        let mut entry = Self::default();
        for &number in numbers {
            let id = hex(Uuid::from_u128(number.into()));
            entry.row(Table::PendingNotice, &(&id, &id));
        }
        entry
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
        let fingerprint = event.fingerprint;
        self.row(
            Table::Event,
            &(
                hex(event.organization.uuid()),
                &id,
                hex(event.source.map_or(Uuid::nil(), SourceId::uuid)),
                &event.kind,
                &event.platform_type,
                &event.call_id,
                &event.agent_id,
                &event.tool,
                event.received_at.as_millisecond(),
                fingerprint.map(|fingerprint| ::hex::encode(fingerprint.digest)),
                u8::from(fingerprint.is_some_and(|f| f.basis == Basis::Identified)),
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

    fn deliveries(&mut self, event: &EventRecord, owed: &[OwedDelivery], at: Timestamp) {
        for delivery in owed {
            self.delivery(event, delivery, at, None, Standing::OWED);
        }
    }

    /// The same, owed only if the notice is still pending: it may have been handled
    /// by somebody else meanwhile.
    fn deliveries_of_pending(&mut self, event: &EventRecord, owed: &[OwedDelivery], at: Timestamp) {
        let pending = hex(event.id.uuid());
        for delivery in owed {
            self.delivery(event, delivery, at, Some(&pending), Standing::OWED);
        }
    }

    fn forward(&mut self, event: &EventRecord, forward: &ForwardRecord, at: Timestamp) {
        let standing = Standing {
            state: forward.state,
            ended_at: Some(at.as_millisecond()),
            attempts: 1,
            forwarded: true,
            status: forward.attempt.status,
            error: forward.attempt.error,
        };
        let delivery = &forward.delivery;
        self.delivery(event, delivery, at, None, standing);
        self.attempt(delivery.id, delivery.endpoint, 1, &forward.attempt);
    }

    fn delivery(
        &mut self,
        event: &EventRecord,
        delivery: &OwedDelivery,
        at: Timestamp,
        if_pending: Option<&str>,
        standing: Standing,
    ) {
        let id = hex(delivery.id.uuid());
        let (at, due) = (at.as_millisecond(), delivery.due.as_millisecond());
        let body = delivery.body.as_deref().map(RawValue::get);
        self.row(
            Table::Delivery,
            &(
                (&id, hex(event.organization.uuid()), hex(event.id.uuid())),
                (hex(delivery.endpoint.uuid()), &event.kind, &event.call_id),
                (body.map_or(event.payload.len(), str::len), at, due),
                (
                    standing.state,
                    standing.ended_at,
                    standing.attempts,
                    u8::from(standing.forwarded),
                ),
                (standing.status, standing.error, if_pending),
            ),
        );
        if let Some(body) = body {
            self.row(Table::DeliveryBody, &(&id, body, if_pending));
        }
    }

    fn settlement(&mut self, settlement: &Settlement) {
        let (state, due_at, ended_at) = match settlement.now {
            Next::Attempt { due } => (State::Owed, due, None),
            Next::End { state, at } => (state, at, Some(at.as_millisecond())),
        };
        let attempt = &settlement.attempt;
        let number = settlement.made + 1;
        self.attempt(settlement.delivery, settlement.endpoint, number, attempt);
        self.row(
            Table::Settled,
            &(
                hex(settlement.organization.uuid()),
                hex(settlement.delivery.uuid()),
                settlement.made,
                state,
                due_at.as_millisecond(),
                ended_at,
                attempt.status,
                attempt.error,
            ),
        );
    }

    fn attempt(
        &mut self,
        delivery: DeliveryId,
        endpoint: EndpointId,
        number: u32,
        attempt: &AttemptRecord,
    ) {
        self.row(
            Table::Attempt,
            &(
                hex(delivery.uuid()),
                number,
                hex(endpoint.uuid()),
                attempt.started_at.as_millisecond(),
                attempt.elapsed.as_micros() as u64,
                attempt.status,
                attempt.error,
                &attempt.detail,
                &attempt.response,
            ),
        );
    }

    pub(super) fn of_alert(alert: &Alert) -> Self {
        let mut entry = Self::default();
        let event = &alert.event;
        entry.event(event);
        entry.deliveries(event, &alert.owed, event.received_at);
        entry
    }
}

/// How a delivery stands when it is first written.
#[derive(Debug, Clone, Copy)]
struct Standing {
    state: State,
    ended_at: Option<i64>,
    attempts: u32,
    forwarded: bool,
    status: Option<u16>,
    error: Option<SendFailure>,
}

impl Standing {
    const OWED: Self = Self {
        state: State::Owed,
        ended_at: None,
        attempts: 0,
        forwarded: false,
        status: None,
        error: None,
    };
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
    fn every_table_has_one_statement_and_what_is_pending_leaves_last() {
        let order = STATEMENTS.map(|(table, _)| table);
        assert!(order.ends_with(&[Table::HandledNotice, Table::AnsweredQuestion]));
        for table in order {
            assert_eq!(
                order.iter().filter(|&&other| other == table).count(),
                1,
                "{table:?}"
            );
        }
    }
}
