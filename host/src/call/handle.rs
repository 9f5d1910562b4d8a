//! The second half of a notice's way: its event handler runs, and what is owed to
//! whom is recorded.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::decide::Case;
use super::{CallError, Decided, Route, RouteError, Switch, owed};
use crate::domain::decision::{Answer, Decision, EventAnswer, Outcome, Why};
use crate::domain::event::CallEvent;
use crate::domain::log::LogLine;
use crate::domain::source::Patience;
use crate::json;
use crate::store::StoreError;
use crate::store::journal::{DecisionRecord, EventRecord, OwedDelivery};
use crate::store::notice::ClaimedNotice;

/// A notice that was claimed this often killed the host, or nearly: it is not
/// handled again, its verdict stands.
const MAX_ATTEMPTS: u32 = 5;

/// A decision that cannot be stored is tried again after this, so many times.
const STORE_AGAIN: Duration = Duration::from_secs(1);
const STORE_TRIES: u32 = 60;

impl Switch {
    /// Waits until a notice has been accepted.
    pub async fn notice_accepted(&self) {
        self.accepted.notified().await;
    }

    /// Runs the event handler of a stored notice, and records what is owed.
    pub async fn handle(&self, notice: &ClaimedNotice) -> Result<Decided, CallError> {
        let record = &notice.event;
        let started = Instant::now();
        let (decided, answer) = match self.reread(record).await? {
            Some((route, event)) if notice.attempts <= MAX_ATTEMPTS => {
                let deadline = started + Patience::EVENT;
                let case = Case {
                    event: &event,
                    record,
                    started,
                    deadline,
                };
                let (decided, _no_reply) = self.decide(&route, &case).await;
                let answer = decided.decision.answer.clone();
                (decided, answer)
            }
            Some((route, _)) => {
                tracing::warn!(event = %record.id, "a notice is not handled again, its verdict stands");
                let verdict = route.source.verdicts.event.into();
                unasked(record, verdict, Why::PluginFailed, started)
            }
            None => unasked(record, EventAnswer::Unchanged {}, Why::NoBinding, started),
        };
        let (owed, notes) = self.owed(record, &answer).await?;
        let mut log = decided.log;
        if let Some(last) = decided.decision.invocations.last() {
            log.extend(notes.into_iter().map(|line| (last.binding, line)));
        }
        let decision = DecisionRecord {
            organization: record.organization,
            event: record.id,
            decision: decided.decision,
            reply: None,
            log,
        };
        self.complete(record, &decision, &owed).await?;
        self.tell_decision(record, &decision, None);
        self.ring(record, &owed);
        Ok(Decided {
            decision: decision.decision,
            log: decision.log,
            forward: None,
        })
    }

    /// Stores what became of a notice as soon as the store takes it: its handler has
    /// run, and is not to run again, minutes later, because a disk was full.
    async fn complete(
        &self,
        record: &EventRecord,
        decision: &DecisionRecord,
        owed: &[OwedDelivery],
    ) -> Result<(), StoreError> {
        for _ in 0..STORE_TRIES {
            match self.store.complete(record, decision, owed).await {
                Err(error @ (StoreError::Database(_) | StoreError::Disk(_))) => {
                    tracing::error!(event = %record.id, error = &error as &dyn std::error::Error, "a decision cannot be stored yet");
                }
                ended => return ended,
            }
            tokio::time::sleep(STORE_AGAIN).await;
        }
        self.store.complete(record, decision, owed).await
    }

    /// Stores a notice that no handler is bound for, with what is owed for it.
    pub(super) async fn accept_unhandled(
        &self,
        record: &EventRecord,
    ) -> Result<Decided, CallError> {
        let started = Instant::now();
        let answer = EventAnswer::Unchanged {};
        let (decided, answer) = unasked(record, answer, Why::NoBinding, started);
        let (owed, _no_notes) = self.owed(record, &answer).await?;
        let decision = DecisionRecord {
            organization: record.organization,
            event: record.id,
            decision: decided.decision,
            reply: None,
            log: Vec::new(),
        };
        self.store.accept_handled(record, &decision, &owed).await?;
        self.tell_event(record);
        self.tell_decision(record, &decision, None);
        self.ring(record, &owed);
        Ok(Decided {
            decision: decision.decision,
            log: decision.log,
            forward: None,
        })
    }

    async fn owed(
        &self,
        record: &EventRecord,
        answer: &Answer,
    ) -> Result<(Vec<OwedDelivery>, Vec<LogLine>), CallError> {
        let Answer::Event(answer) = answer else {
            return Ok((Vec::new(), Vec::new()));
        };
        let directory = self.directories.of(record.organization).await?;
        Ok(owed::for_answer(&directory, record, answer, &self.clock))
    }

    /// A stored notice as an event again; none if its source is gone, or if its
    /// dialect can no longer read it.
    async fn reread(
        &self,
        record: &EventRecord,
    ) -> Result<Option<(Route, Arc<CallEvent>)>, CallError> {
        let Some(source) = record.source else {
            return Ok(None);
        };
        let origin = match self.routes.origin(source).await {
            Ok(origin) => origin,
            Err(RouteError::UnknownSource(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        match json::text(&record.payload).and_then(|text| origin.dialect.parse(text)) {
            Ok(mut event) => {
                // It may have stood in a header.
                event.call.agent_id.clone_from(&record.agent_id);
                let route = self.routes.of(&origin, &event).await?;
                Ok(Some((route, Arc::new(event))))
            }
            Err(error) => {
                tracing::error!(event = %record.id, error = &error as &dyn std::error::Error, "a stored notice cannot be read again");
                Ok(None)
            }
        }
    }
}

/// The decision about a notice that no plugin is asked about.
fn unasked(
    record: &EventRecord,
    verdict: EventAnswer,
    why: Why,
    started: Instant,
) -> (Decided, Answer) {
    let answer = Answer::Event(verdict);
    let decision = Decision {
        kind: record.kind.clone(),
        outcome: Outcome::Verdict(why),
        answer: answer.clone(),
        invocations: Vec::new(),
        elapsed: started.elapsed(),
        decided_at: Timestamp::now(),
    };
    (
        Decided {
            decision,
            log: Vec::new(),
            forward: None,
        },
        answer,
    )
}
