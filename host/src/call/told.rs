//! What was just stored, as the entries that listeners are told (`live`).
//!
//! `store::timeline` reads the same entries back from the tables.

use std::sync::Arc;

use super::Switch;
use crate::domain::decision::{Invocation, Why};
use crate::domain::delivery::{SendFailure, State};
use crate::domain::id::{BindingId, DeliveryId, EndpointId, EventId, OrganizationId};
use crate::domain::log::LogLine;
use crate::domain::timeline::{About, Asked, Decided, Entry, Failed, Said, Tried, What, shortened};
use crate::live::Live;
use crate::store::journal::{
    AttemptRecord, DecisionRecord, EventRecord, ForwardRecord, Next, Settlement,
};

/// Lines of one decision that are told; the others can be read.
const MOST_LINES: usize = 200;

impl Switch {
    /// Who listens to what happens.
    pub fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// To be called when the event is stored, and its decision is not or with it.
    pub fn tell_event(&self, record: &EventRecord) {
        if let Some(audience) = self.live.audience(record.organization) {
            audience.tell([event(record)]);
        }
    }

    /// To be called when the decision about an event is stored.
    pub(super) fn tell_decision(
        &self,
        record: &EventRecord,
        decision: &DecisionRecord,
        forward: Option<&ForwardRecord>,
    ) {
        if let Some(audience) = self.live.audience(record.organization) {
            audience.tell(decided(&about(record), decision, forward));
        }
    }

    /// The same, where only the event's id is at hand.
    pub(super) async fn tell_decision_alone(&self, decision: &DecisionRecord) {
        let Some(audience) = self.live.audience(decision.organization) else {
            return;
        };
        if let Some(about) = self.about(decision.organization, decision.event).await {
            audience.tell(decided(&about, decision, None));
        }
    }

    /// To be called when an attempt at a delivery of that event is stored.
    pub async fn tell_attempt(&self, of: EventId, settlement: &Settlement) {
        let organization = settlement.organization;
        let Some(audience) = self.live.audience(organization) else {
            return;
        };
        if let Some(about) = self.about(organization, of).await {
            audience.tell([attempted(about, settlement)]);
        }
    }

    async fn about(&self, organization: OrganizationId, event: EventId) -> Option<Arc<About>> {
        match self.store.about(organization, event).await {
            Ok(about) => about,
            Err(error) => {
                tracing::warn!(%event, error = &error as &dyn std::error::Error, "listeners are not told of something that was stored");
                None
            }
        }
    }
}

fn about(record: &EventRecord) -> Arc<About> {
    Arc::new(About {
        event: record.id,
        source: record.source,
        kind: record.kind.clone(),
        call_id: record.call_id.clone(),
        agent_id: record.agent_id.clone(),
        tool: record.tool.clone(),
    })
}

fn event(record: &EventRecord) -> Entry {
    Entry {
        at: record.received_at,
        about: about(record),
        what: What::Event {
            platform_type: record.platform_type.clone(),
        },
    }
}

fn decided(
    about: &Arc<About>,
    record: &DecisionRecord,
    forward: Option<&ForwardRecord>,
) -> Vec<Entry> {
    let decision = &record.decision;
    let entry = |at, what| Entry {
        at,
        about: Arc::clone(about),
        what,
    };
    let mut entries = Vec::new();
    for (number, (binding, line)) in record.log.iter().enumerate().take(MOST_LINES) {
        let said = said(number, *binding, line, &decision.invocations);
        entries.push(entry(decision.decided_at, What::Log(said)));
    }
    if let Some(lines) = record.log.len().checked_sub(MOST_LINES + 1) {
        let lines = Some(lines as u64 + 1);
        entries.push(entry(decision.decided_at, What::LeftOut { lines }));
    }
    if let Some(forward) = forward {
        let attempt = &forward.attempt;
        let delivery = &forward.delivery;
        let tried = tried(delivery.id, delivery.endpoint, 1, attempt, forward.state);
        entries.push(entry(attempt.started_at, What::Forward(tried)));
    }
    let made = Decided {
        outcome: decision.outcome.as_str().into(),
        reason: decision.outcome.why().map(|why| Why::as_str(why).into()),
        decision: decision.answer.word().into(),
        reply_status: record.reply.as_ref().map(|reply| reply.status),
        elapsed_us: decision.elapsed.as_micros() as u64,
        invocations: decision.invocations.iter().map(asked).collect(),
    };
    entries.push(entry(decision.decided_at, What::Decision(made)));
    entries
}

fn said(number: usize, binding: BindingId, line: &LogLine, invocations: &[Invocation]) -> Said {
    let of = invocations.iter().find(|it| it.binding == binding);
    Said {
        number: u32::try_from(number).unwrap_or(u32::MAX),
        binding,
        plugin: of.map(|it| it.plugin.name.clone()),
        level: line.level,
        message: shortened(&line.message),
    }
}

fn asked(invocation: &Invocation) -> Asked {
    Asked {
        binding: invocation.binding,
        plugin: invocation.plugin.name.clone(),
        version: invocation.plugin.version,
        outcome: invocation.outcome.as_str().into(),
        error: invocation.error.as_ref().map(|failure| Failed {
            code: failure.code.as_str().into(),
            message: shortened(&failure.message),
        }),
        elapsed_us: invocation.elapsed.as_micros() as u64,
    }
}

fn attempted(about: Arc<About>, settlement: &Settlement) -> Entry {
    let state = match settlement.now {
        Next::Attempt { .. } => State::Owed,
        Next::End { state, .. } => state,
    };
    let (delivery, endpoint) = (settlement.delivery, settlement.endpoint);
    let attempt = &settlement.attempt;
    let tried = tried(delivery, endpoint, settlement.made + 1, attempt, state);
    Entry {
        at: attempt.started_at,
        about,
        what: What::Attempt(tried),
    }
}

fn tried(
    delivery: DeliveryId,
    endpoint: EndpointId,
    number: u32,
    attempt: &AttemptRecord,
    state: State,
) -> Tried {
    Tried {
        delivery,
        endpoint,
        number,
        status: attempt.status,
        error: attempt.error.map(|it| SendFailure::as_str(it).into()),
        detail: attempt.detail.as_deref().map(shortened),
        elapsed_us: attempt.elapsed.as_micros() as u64,
        state: Some(state),
    }
}
