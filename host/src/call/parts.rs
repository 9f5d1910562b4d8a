//! What a request brings: one event as a rule, several questions where a platform asks
//! them in one breath.
//!
//! Each part has the payload that is about it alone, so that nothing further on, here or
//! at an endpoint that is asked instead, answers what another part is about. The parts
//! are dealt with side by side, and the dialect joins their replies.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;

use super::{Arrival, CallError, Origin, Received, Switch};
use crate::domain::event::CallEvent;
use crate::domain::plugin::Handler;
use crate::domain::repeat::Fingerprint;
use crate::domain::source::{Patience, Source};
use crate::ingest::{self, Bodies, Inbound, Join, Reply, Split, fingerprint};
use crate::json::{self, ReadError};

pub(super) enum Parts {
    One(Part),
    Several(Vec<Part>, Join),
}

/// An event with the payload that is about it.
pub(super) struct Part {
    pub(super) event: Arc<CallEvent>,
    pub(super) inbound: Inbound,
    /// Its place in the request, by which equal parts are told apart.
    place: usize,
}

/// Reads what a request brings.
pub(super) fn of(origin: &Origin, inbound: Inbound) -> Result<Parts, ReadError> {
    let bodies = ingest::bodies(origin.dialect, inbound.body.clone())?;
    let read = |place, inbound: Inbound| {
        let mut event = origin.dialect.parse(json::text(&inbound.body)?)?;
        if event.call.agent_id.is_empty()
            && let Some(agent) = ingest::agent(origin.dialect, &inbound.headers)
        {
            event.call.agent_id = agent;
        }
        ingest::suppose(&mut event, origin.source.agent_config.as_deref());
        Ok(Part {
            event: Arc::new(event),
            inbound,
            place,
        })
    };
    match bodies {
        Bodies::One(_) => read(0, inbound).map(Parts::One),
        Bodies::Several(Split { payloads, join }) => {
            let parts = payloads.into_iter().enumerate().map(|(place, body)| {
                let inbound = inbound.clone();
                read(place, Inbound { body, ..inbound })
            });
            Ok(Parts::Several(parts.collect::<Result<_, _>>()?, join))
        }
    }
}

impl Parts {
    /// How long the platform waits for the reply.
    pub(super) fn wait(&self, patience: &Patience) -> Duration {
        let parts = match self {
            Self::One(part) => std::slice::from_ref(part),
            Self::Several(parts, _) => parts,
        };
        let waits = parts
            .iter()
            .map(|it| patience.wait(it.event.kind().handler()));
        waits.min().unwrap_or_default()
    }
}

impl Part {
    pub(super) fn fingerprint(&self, source: &Source) -> Option<Fingerprint> {
        // Before a call has an id, another call may well be asked about in the same words.
        let starts = self.event.kind().handler() == Handler::Start;
        let anonymous = starts && self.event.call.call_id.is_empty();
        let fingerprint =
            fingerprint::of(source.id, source.repeat_window, &self.inbound, self.place);
        fingerprint.filter(|it| !anonymous || it.is_identified())
    }
}

impl Switch {
    /// Deals with all parts of a request side by side.
    pub(super) async fn several(
        self: &Arc<Self>,
        origin: &Arc<Origin>,
        parts: Vec<Part>,
        join: Join,
        arrival: Arrival,
    ) -> Result<Received, CallError> {
        let events: Vec<_> = parts.iter().map(|part| Arc::clone(&part.event)).collect();
        let dealt = parts
            .into_iter()
            .map(|part| self.once(origin, part, arrival));
        let received = try_join_all(dealt).await?;
        let replies: Vec<_> = events
            .iter()
            .zip(&received)
            .map(|(event, received)| (event.as_ref(), &received.reply))
            .collect();
        let silent = |(_, reply): &(_, &Reply)| matches!(reply, Reply::Unavailable);
        let reply = if replies.iter().all(silent) {
            Reply::Unavailable
        } else {
            Reply::Body(join(&replies))
        };
        let repeat = received.iter().all(|it| it.repeat);
        let mut received = received.into_iter();
        let first = received.next();
        let first = first.ok_or_else(|| ReadError::invalid("", "nothing is asked"))?;
        Ok(Received {
            more: received.map(|it| it.event).collect(),
            reply,
            repeat,
            ..first
        })
    }
}
