//! What is owed to whom: the deliveries that an event and the decision about it come
//! to.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::to_raw_value;
use uuid::Uuid;

use super::endpoints::Directory;
use super::{Clock, Switch};
use crate::domain::decision::{Addressed, EventAnswer};
use crate::domain::empty_object;
use crate::domain::endpoint::{Endpoint, Subject};
use crate::domain::event::Kind;
use crate::domain::id::{DeliveryId, EventId, OrganizationId};
use crate::domain::log::{Level, LogLine};
use crate::store::journal::{EventRecord, OwedDelivery};
use crate::store::{Alert, StoreError};

/// What a notice's answer owes, and what its author should know.
pub(super) fn for_answer(
    directory: &Directory,
    event: &EventRecord,
    answer: &EventAnswer,
    clock: &Clock,
) -> (Vec<OwedDelivery>, Vec<LogLine>) {
    match answer {
        EventAnswer::Drop {} => (Vec::new(), Vec::new()),
        EventAnswer::Unchanged {} => (for_subscribers(directory, event, clock), Vec::new()),
        EventAnswer::Deliver { deliveries } => for_addressees(directory, deliveries, clock),
    }
}

/// The event as it is, for everybody who wants it.
pub(super) fn for_subscribers(
    directory: &Directory,
    event: &EventRecord,
    clock: &Clock,
) -> Vec<OwedDelivery> {
    let subject = Subject {
        kind: &event.kind,
        agent: &event.agent_id,
    };
    let subscribers = directory.subscribers(&subject, &event.payload);
    subscribers.iter().map(|it| owe(it, clock)).collect()
}

/// What a plugin asked for. Endpoints that are disabled are owed all the same, and get
/// it when they are enabled: only the plugin knows what they would miss.
fn for_addressees(
    directory: &Directory,
    addressed: &[Addressed],
    clock: &Clock,
) -> (Vec<OwedDelivery>, Vec<LogLine>) {
    let (mut owed, mut log) = (Vec::new(), Vec::new());
    for Addressed { endpoint, body } in addressed {
        match directory.named(endpoint) {
            Some(ready) => owed.push(OwedDelivery {
                body: body.clone(),
                ..owe(&ready.endpoint, clock)
            }),
            None => log.push(LogLine {
                level: Level::Error,
                message: format!("there is no endpoint {endpoint:?}: nothing is delivered there"),
            }),
        }
    }
    (owed, log)
}

fn owe(endpoint: &Endpoint, clock: &Clock) -> OwedDelivery {
    let schedule = &endpoint.settings.schedule;
    let wait = schedule.next(0, Duration::ZERO, rand::random());
    OwedDelivery {
        id: DeliveryId::from(Uuid::now_v7()),
        endpoint: endpoint.id,
        body: None,
        due: clock.after(wait.unwrap_or_default()),
    }
}

/// Our own events, in the envelope of Standard Webhooks.
#[derive(Serialize)]
struct Envelope<'a, T> {
    #[serde(rename = "type")]
    kind: &'a Kind,
    timestamp: Timestamp,
    data: &'a T,
}

impl Switch {
    /// An event about ourselves, with the deliveries it owes to those who want to know.
    pub async fn alert(
        &self,
        organization: OrganizationId,
        kind: Kind,
        data: &(impl Serialize + Sync),
        now: Timestamp,
    ) -> Result<Alert, StoreError> {
        let envelope = Envelope {
            kind: &kind,
            timestamp: now,
            data,
        };
        let payload = to_raw_value(&envelope).unwrap_or_else(|_| empty_object());
        let event = EventRecord {
            organization,
            id: EventId::from(Uuid::now_v7()),
            source: None,
            platform_type: kind.to_string(),
            kind,
            call_id: String::new(),
            agent_id: String::new(),
            tool: None,
            received_at: now,
            fingerprint: None,
            payload: String::from(Box::<str>::from(payload)).into(),
        };
        let directory = self.directories.of(organization).await?;
        let owed = for_subscribers(&directory, &event, &self.clock);
        Ok(Alert { event, owed })
    }
}
