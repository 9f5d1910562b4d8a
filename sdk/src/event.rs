//! Deciding what is delivered to whom, after the fact.

use serde::{Deserialize, Serialize};

use crate::{Call, Json, Result};

/// Sees what happened, after the platform has its acknowledgement, and decides
/// what is delivered to whom.
///
/// ```
/// use hookswitch_sdk::{Delivery, Event, EventDecision, EventHandler, Result, json};
///
/// struct FailuresToOps;
///
/// impl EventHandler for FailuresToOps {
///     fn on_event(event: &Event) -> Result<EventDecision> {
///         if event.kind != "call.failed" {
///             return Ok(EventDecision::Unchanged);
///         }
///         let alert = json!({"text": format!("Call {} failed", event.call.call_id)});
///         Ok(EventDecision::deliver([Delivery::to("ops").with_body(alert)?]))
///     }
/// }
/// hookswitch_sdk::export!(FailuresToOps: event);
/// ```
pub trait EventHandler {
    /// An error is the plugin's own failure: the host falls back to the failure
    /// verdict, and the error's text goes to the log.
    fn on_event(event: &Event) -> Result<EventDecision>;
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// The host's id of the event, `evt_…`. A handler may see one event more
    /// than once (after a crash); this id is then the same.
    pub id: String,
    /// `call.completed`, `call.failed`, `call.deadline`, … More may come.
    pub kind: String,
    /// The call it happened to.
    pub call: Call,
    /// The platform's payload as it was received.
    pub body: Json,
}

impl Event {
    /// The platform's payload, read into a type.
    pub fn body_as<'a, T: Deserialize<'a>>(&'a self) -> Result<T> {
        self.body
            .parse()
            .map_err(|error| error.context("the event's body"))
    }
}

/// Who gets to know of an event.
#[derive(Clone, Debug, PartialEq)]
pub enum EventDecision {
    /// Every endpoint whose filter matches, as it was received.
    Unchanged,
    /// Nobody.
    Drop,
    /// These endpoints, and no others.
    Deliver(Vec<Delivery>),
}

impl EventDecision {
    /// Delivers to these endpoints, and no others.
    pub fn deliver(deliveries: impl IntoIterator<Item = Delivery>) -> Self {
        Self::Deliver(deliveries.into_iter().collect())
    }
}

/// One event for one endpoint.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Delivery {
    /// The name of one of the organization's endpoints.
    pub endpoint: String,
    /// What is sent; none sends the payload as it was received.
    pub body: Option<Json>,
}

impl Delivery {
    /// Sends the payload as it was received to the endpoint of that name.
    pub fn to(endpoint: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            body: None,
        }
    }

    /// Sends this instead of the payload. Fails when the value has no JSON
    /// form.
    pub fn with_body(mut self, body: impl Serialize) -> Result<Self> {
        self.body = Some(Json::of(&body)?);
        Ok(self)
    }
}
