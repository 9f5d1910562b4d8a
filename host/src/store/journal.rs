//! The journal: events, decisions, what is pending and what is owed.
//!
//! One [`Entry`] is what belongs together: it is there whole or not at all. It is
//! acknowledged once it is in the redo log ([`super::redo`]), and gets into its tables
//! ([`super::rows`]) a moment later, together with what else has come meanwhile.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::endpoint::Alert;
use super::rows::{Entry, Table, Value};
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
            &[
                (&event.id.uuid()).into(),
                (&event.organization.uuid()).into(),
            ],
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
            &[
                (&event.id.uuid()).into(),
                (&event.organization.uuid()).into(),
            ],
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
        entry.row(Table::AnsweredQuestion, &[(&decision.event.uuid()).into()]);
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
        entry.row(Table::HandledNotice, &[(&decision.event.uuid()).into()]);
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

/// Which rows things are made of.
impl Entry {
    fn event(&mut self, event: &EventRecord) {
        let id = event.id.uuid();
        let source = event.source.map_or(Uuid::nil(), SourceId::uuid);
        let fingerprint = event.fingerprint;
        let digest = fingerprint.as_ref().map(|it| Value::Blob(&it.digest));
        let identified = fingerprint.is_some_and(|it| it.basis == Basis::Identified);
        self.row(
            Table::Event,
            &[
                (&event.organization.uuid()).into(),
                (&id).into(),
                (&source).into(),
                event.kind.as_str().into(),
                event.platform_type.as_str().into(),
                event.call_id.as_str().into(),
                event.agent_id.as_str().into(),
                event.tool.as_deref().into(),
                event.received_at.as_millisecond().into(),
                digest.unwrap_or(Value::Null),
                identified.into(),
            ],
        );
        let payload = text(&event.payload);
        self.row(Table::Payload, &[(&id).into(), payload.as_ref().into()]);
    }

    fn decision(&mut self, record: &DecisionRecord) {
        let decision = &record.decision;
        let event = record.event.uuid();
        let reply = record.reply.as_ref();
        let reply_body = reply.and_then(|reply| reply.body.as_deref());
        self.row(
            Table::Decision,
            &[
                (&record.organization.uuid()).into(),
                (&event).into(),
                decision.kind.as_str().into(),
                decision.outcome.as_str().into(),
                decision.outcome.why().map(Why::as_str).into(),
                json_text(&decision.answer).as_str().into(),
                reply.map(|reply| reply.status).into(),
                reply_body.map(RawValue::get).into(),
                microseconds(decision.elapsed),
                json_text(&decision.invocations).as_str().into(),
                decision.decided_at.as_millisecond().into(),
            ],
        );
        for (number, (binding, line)) in (0_u32..).zip(&record.log) {
            self.row(
                Table::LogLine,
                &[
                    (&event).into(),
                    number.into(),
                    (&binding.uuid()).into(),
                    line.level.as_str().into(),
                    line.message.as_str().into(),
                ],
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
        for delivery in owed {
            self.delivery(event, delivery, at, Some(event.id.uuid()), Standing::OWED);
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
        if_pending: Option<Uuid>,
        standing: Standing,
    ) {
        let id = delivery.id.uuid();
        let body = delivery.body.as_deref().map(RawValue::get);
        let bytes = body.map_or(event.payload.len(), str::len);
        let if_pending = Value::from(if_pending.as_ref());
        self.row(
            Table::Delivery,
            &[
                (&id).into(),
                (&event.organization.uuid()).into(),
                (&event.id.uuid()).into(),
                (&delivery.endpoint.uuid()).into(),
                event.kind.as_str().into(),
                event.call_id.as_str().into(),
                Value::Integer(i64::try_from(bytes).unwrap_or(i64::MAX)),
                at.as_millisecond().into(),
                delivery.due.as_millisecond().into(),
                standing.state.as_str().into(),
                standing.ended_at.into(),
                standing.attempts.into(),
                standing.forwarded.into(),
                standing.status.into(),
                standing.error.map(SendFailure::as_str).into(),
                if_pending,
            ],
        );
        if let Some(body) = body {
            self.row(
                Table::DeliveryBody,
                &[(&id).into(), body.into(), if_pending],
            );
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
            &[
                (&settlement.organization.uuid()).into(),
                (&settlement.delivery.uuid()).into(),
                settlement.made.into(),
                state.as_str().into(),
                due_at.as_millisecond().into(),
                ended_at.into(),
                attempt.status.into(),
                attempt.error.map(SendFailure::as_str).into(),
            ],
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
            &[
                (&delivery.uuid()).into(),
                number.into(),
                (&endpoint.uuid()).into(),
                attempt.started_at.as_millisecond().into(),
                microseconds(attempt.elapsed),
                attempt.status.into(),
                attempt.error.map(SendFailure::as_str).into(),
                attempt.detail.as_deref().into(),
                attempt.response.as_deref().into(),
            ],
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

/// Payloads are checked to be UTF-8 where they come in.
fn text(payload: &Bytes) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(payload)
}

fn json_text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

fn microseconds(span: Duration) -> Value<'static> {
    Value::Integer(i64::try_from(span.as_micros()).unwrap_or(i64::MAX))
}
