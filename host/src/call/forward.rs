//! A question that a plugin leaves to an endpoint: asked inside the time that is left,
//! its reply checked and relayed.
//!
//! It goes ahead of what is owed to the endpoint, is not tried again (nobody would
//! wait), and is kept in the log of deliveries like everything that was sent.

use tokio::time::timeout_at;
use uuid::Uuid;

use super::decide::{Case, Standing};
use super::{Route, Switch};
use crate::dispatch::{Attempt, Message, Ready};
use crate::domain::decision::{Outcome, Why};
use crate::domain::delivery::{Judgement, State, judge};
use crate::domain::id::DeliveryId;
use crate::ingest::{self, Reply};
use crate::store::journal::{AttemptRecord, ForwardRecord, OwedDelivery};

/// Largest reply of an endpoint to a question, in bytes.
pub(super) const MOST_REPLY: usize = 1 << 20;

/// How it went: the answer, or why there is none; and the record of what was sent, if
/// anything was.
pub(super) struct Forwarded {
    pub(super) result: Result<Standing, Why>,
    pub(super) record: Option<ForwardRecord>,
}

impl Switch {
    pub(super) async fn forward(&self, route: &Route, case: &Case<'_>, to: &str) -> Forwarded {
        let unavailable = Forwarded {
            result: Err(Why::ForwardUnavailable),
            record: None,
        };
        let directory = match self.directories.of(case.record.organization).await {
            Ok(directory) => directory,
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "endpoints cannot be read"
                );
                return unavailable;
            }
        };
        let Some(ready) = directory.named(to).filter(|it| it.endpoint.is_enabled()) else {
            return unavailable;
        };
        let gate = self.dispatcher.gate(&ready.endpoint);
        let Ok(Ok(pass)) = timeout_at(case.deadline, gate.enter()).await else {
            return unavailable;
        };
        let delivery = DeliveryId::from(Uuid::now_v7());
        let message = Message {
            delivery,
            event: case.record.id,
            kind: case.record.kind.clone(),
            made: 0,
            body: case.record.payload.clone(),
        };
        let deadline = Some(case.deadline);
        let attempt = self
            .dispatcher
            .attempt(ready, message, deadline, MOST_REPLY);
        let attempt = attempt.await;
        pass.ended(attempt.heard, std::time::Instant::now());
        let answered = read(route, case, &attempt);
        Forwarded {
            record: Some(record(delivery, ready, attempt, answered.as_ref().err())),
            result: answered.map_err(|_| Why::ForwardFailed),
        }
    }
}

/// The answer in a reply, or what is wrong with it.
fn read(route: &Route, case: &Case<'_>, attempt: &Attempt) -> Result<Standing, String> {
    let judgement = judge(attempt.heard);
    let (Judgement::Delivered, Some(reply)) = (judgement, &attempt.reply) else {
        return Err("there is no reply with a status of success".to_owned());
    };
    if !reply.complete {
        return Err("the reply did not end in time, or has more than 1 MiB".to_owned());
    }
    let text = std::str::from_utf8(&reply.body).map_err(|error| error.to_string())?;
    let (answer, reply) =
        ingest::relay(route.dialect, case.event, text).map_err(|error| error.to_string())?;
    Ok(Standing {
        answer,
        reply: Some(Reply::Body(reply)),
        outcome: Outcome::Forwarded,
    })
}

fn record(
    delivery: DeliveryId,
    ready: &Ready,
    attempt: Attempt,
    problem: Option<&String>,
) -> ForwardRecord {
    let attempt_at = attempt.started_at;
    let mut record = AttemptRecord::from(attempt);
    record.detail = record.detail.or_else(|| problem.cloned());
    ForwardRecord {
        delivery: OwedDelivery {
            id: delivery,
            endpoint: ready.endpoint.id,
            body: None,
            due: attempt_at,
        },
        state: match problem {
            None => State::Delivered,
            Some(_) => State::Refused,
        },
        attempt: record,
    }
}
