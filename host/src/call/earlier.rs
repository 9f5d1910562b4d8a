//! Repeats: what an earlier request came to is what its repetition is answered.
//!
//! A platform tries again when a reply is lost or late. The first of equal requests is
//! decided; the others wait for it and get its stored reply, also those that come after
//! a crash. What was never answered may be asked again where that can hurt nobody; a
//! tool that may have run is never run again. Neighbours: `repeats.rs` remembers,
//! `domain::repeat` says what is equal and for how long, `store::repeat` reads back.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::decide::unavailable;
use super::repeats::{Entered, Place};
use super::{CallError, Origin, Received, RouteError, Switch, sent};
use crate::domain::decision::{Decision, Outcome, Why};
use crate::domain::event::{CallEvent, Kind};
use crate::domain::id::EventId;
use crate::domain::repeat::{Basis, Fingerprint};
use crate::ingest::Reply;
use crate::json;
use crate::store::StoreError;
use crate::store::event::StoredDecision;
use crate::store::journal::DecisionRecord;
use crate::store::repeat::{Earlier, OpenQuestion};

/// Whose turn it is.
pub(super) enum Turn {
    /// The request is to be dealt with. Who has a place gives it up with the outcome.
    First(Option<Place>),
    /// It has been dealt with before.
    Repeat(Box<Received>),
}

/// What a repetition would be answered.
struct Known {
    received: Received,
    /// Asking again could hurt nobody, and may give an answer.
    may_be_asked_again: bool,
}

impl Switch {
    /// Settles what the process before has left. To be called once, before the first
    /// request is taken.
    pub async fn recover(&self) -> Result<(), StoreError> {
        let (now, time) = (Instant::now(), Timestamp::now());
        let longest = self.store.longest_repeat_window().await?;
        self.repeats.keep_for(longest.duration());
        self.store
            .recent(longest, time, |recent| {
                let age = time.duration_since(recent.at);
                let age = Duration::try_from(age).unwrap_or(Duration::ZERO);
                if let Some(at) = now.checked_sub(age) {
                    self.repeats.restore(recent.fingerprint, recent.event, at);
                }
            })
            .await?;
        for question in self.store.open_questions().await? {
            self.recover_question(&question).await?;
            // However long ago it came: platforms try again once they reach a server.
            if let Some(fingerprint) = question.fingerprint {
                self.repeats.restore(fingerprint, question.event, now);
            }
        }
        Ok(())
    }

    /// Settles a question that the process before has left open.
    async fn recover_question(&self, question: &OpenQuestion) -> Result<(), StoreError> {
        let origin = match self.routes.origin(question.source).await {
            Ok(origin) => origin,
            Err(RouteError::Store(error)) => return Err(error),
            Err(RouteError::UnknownSource(_) | RouteError::UnknownDialect(_)) => {
                return self.interrupt(None, question).await;
            }
        };
        let payload = self.store.payload(question.event).await?;
        let text = payload.as_deref().map(json::text);
        let event = text.and_then(|text| origin.dialect.parse(text.ok()?).ok());
        let asked = event.as_ref().map(|event| (&*origin, event));
        self.interrupt(asked, question).await
    }

    /// Whether a request is a first or a repeat; of one whose first is running it is
    /// known when that has ended.
    pub(super) async fn turn(
        &self,
        origin: &Origin,
        asked: &CallEvent,
        fingerprint: Option<Fingerprint>,
    ) -> Result<Turn, CallError> {
        let Some(fingerprint) = fingerprint else {
            return Ok(Turn::First(None));
        };
        let known_for = fingerprint.known_for(origin.source.repeat_window);
        let mut waited = false;
        loop {
            let now = Instant::now();
            match self.repeats.enter(fingerprint, known_for, now) {
                Entered::First(mut place) => match self.stored(origin, fingerprint).await? {
                    Some(event) => place.stand_for(event),
                    None => return Ok(Turn::First(Some(place))),
                },
                Entered::Running(ended) => {
                    ended.await;
                    waited = true;
                }
                Entered::Settled(event) => match self.known(origin, asked, event).await? {
                    // Who has waited for an answer has asked already.
                    Some(known) if waited || !known.may_be_asked_again => {
                        tracing::debug!(source = %origin.source.id, %event, waited, "a request repeats an earlier one");
                        return Ok(Turn::Repeat(Box::new(known.received)));
                    }
                    Some(_) | None => {
                        if let Some(place) = self.repeats.reopen(fingerprint, event) {
                            return Ok(Turn::First(Some(place)));
                        }
                    }
                },
            }
        }
    }

    /// The event of a named delivery that memory does not know.
    async fn stored(
        &self,
        origin: &Origin,
        fingerprint: Fingerprint,
    ) -> Result<Option<EventId>, StoreError> {
        match fingerprint.basis {
            Basis::SameBody => Ok(None),
            Basis::Identified => {
                let longest = SignedDuration::try_from(Fingerprint::IDENTIFIED);
                let since = Timestamp::now().saturating_sub(longest.unwrap_or_default());
                let since = since.unwrap_or(Timestamp::UNIX_EPOCH);
                let organization = origin.source.organization;
                self.store
                    .identified(organization, fingerprint, since)
                    .await
            }
        }
    }

    /// What an earlier event came to; none if it is gone.
    async fn known(
        &self,
        origin: &Origin,
        asked: &CallEvent,
        event: EventId,
    ) -> Result<Option<Known>, StoreError> {
        let organization = origin.source.organization;
        let decision = match self.store.earlier(organization, event).await? {
            None => return Ok(None),
            Some(Earlier::Notice) => {
                let reply = origin.dialect.acknowledge(asked, event);
                return Ok(Some(Known {
                    received: repeated(event, reply),
                    may_be_asked_again: false,
                }));
            }
            Some(Earlier::Answered(decision)) => decision,
            Some(Earlier::Open(question)) => {
                self.interrupt(Some((origin, asked)), &question).await?;
                self.store.decided(organization, event).await?
            }
        };
        let may_be_asked_again = may_be_asked_again(&decision)?;
        let reply = match decision.reply {
            Some((_, Some(body))) => Reply::Body(body),
            Some((_, None)) | None => Reply::Unavailable,
        };
        Ok(Some(Known {
            received: repeated(event, reply),
            may_be_asked_again,
        }))
    }

    /// Gives a question whose plugin may have run, and of which no more is known, its
    /// verdict. To be called only when it surely is not running.
    async fn interrupt(
        &self,
        asked: Option<(&Origin, &CallEvent)>,
        question: &OpenQuestion,
    ) -> Result<(), StoreError> {
        tracing::warn!(event = %question.event, "a question was interrupted, its verdict stands");
        let handler = question.kind.handler();
        let (answer, reply) = match asked {
            Some((origin, event)) => {
                let standing = origin.verdict(None, event, Why::Interrupted);
                (standing.answer, standing.reply)
            }
            None => (unavailable(handler), None),
        };
        let decided_at = Timestamp::now();
        let elapsed = decided_at.duration_since(question.received_at);
        let decision = Decision {
            kind: question.kind.clone(),
            outcome: Outcome::Verdict(Why::Interrupted),
            answer,
            invocations: Vec::new(),
            elapsed: Duration::try_from(elapsed).unwrap_or(Duration::ZERO),
            decided_at,
        };
        let record = DecisionRecord {
            organization: question.organization,
            event: question.event,
            decision,
            reply: Some(sent(&reply.unwrap_or(Reply::Unavailable))),
            log: Vec::new(),
        };
        self.store.answer(&record, None).await?;
        self.tell_decision_alone(&record).await;
        Ok(())
    }
}

fn repeated(event: EventId, reply: Reply) -> Received {
    Received {
        event,
        more: Vec::new(),
        reply,
        decided: None,
        repeat: true,
    }
}

/// What is read of a stored invocation.
#[derive(Deserialize)]
struct Invoked {
    error: Option<Failed>,
}

#[derive(Deserialize)]
struct Failed {
    code: String,
}

impl Invoked {
    /// Whether the plugin was not called at all.
    fn was_refused(&self) -> bool {
        let code = self.error.as_ref().map(|error| error.code.as_str());
        matches!(code, Some("overloaded" | "circuit_open" | "unavailable"))
    }
}

/// Whether a question that was answered "unavailable" may be asked again: a start or a
/// transfer always, as deciding changes nothing in the world; a tool only if it surely
/// has not run.
fn may_be_asked_again(decision: &StoredDecision) -> Result<bool, StoreError> {
    let answered = decision
        .reply
        .as_ref()
        .is_some_and(|(_, body)| body.is_some());
    if answered || decision.reason.as_deref() == Some(Why::Interrupted.as_str()) {
        return Ok(false);
    }
    if decision.kind != Kind::TOOL.as_str() {
        return Ok(true);
    }
    let invocations: Vec<Invoked> = decision.invocations()?;
    Ok(invocations.iter().all(Invoked::was_refused))
}
