//! Entries of a timeline as the API shows them: in a call's and, one by one, in the
//! stream.

use schemars::JsonSchema;
use serde::Serialize;

use super::Time;
use crate::call::Directory;
use crate::domain::delivery::State;
use crate::domain::event::Kind;
use crate::domain::id::{BindingId, DeliveryId, EndpointId, EventId, SourceId};
use crate::domain::log::Level;
use crate::domain::plugin::Name;
use crate::domain::timeline::{Asked, Decided, Entry, Failed, Owed, Said, Tried, What, Word};

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct EntryBody {
    at: Time,
    event: EventId,
    source: Option<SourceId>,
    kind: Kind,
    call_id: String,
    agent_id: String,
    tool: Option<String>,
    #[serde(flatten)]
    what: WhatBody,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
enum WhatBody {
    Event { platform_type: String },
    Log(SaidBody),
    Gap { missed: Option<u64> },
    Forward(TriedBody),
    Decision(DecidedBody),
    Delivery(OwedBody),
    Attempt(TriedBody),
}

#[derive(Debug, Serialize, JsonSchema)]
struct SaidBody {
    number: u32,
    binding: BindingId,
    plugin: Option<Name>,
    level: Level,
    message: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct DecidedBody {
    outcome: Word,
    reason: Option<Word>,
    decision: Word,
    reply_status: Option<u16>,
    elapsed_us: u64,
    invocations: Vec<AskedBody>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct AskedBody {
    binding: BindingId,
    plugin: Name,
    version: u32,
    outcome: Word,
    error: Option<FailedBody>,
    elapsed_us: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct FailedBody {
    code: Word,
    message: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct OwedBody {
    delivery: DeliveryId,
    endpoint: EndpointId,
    endpoint_name: Option<Name>,
    state: State,
    attempts_made: u32,
    due_at: Option<Time>,
    ended_at: Option<Time>,
    status: Option<u16>,
    error: Option<Word>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct TriedBody {
    delivery: DeliveryId,
    endpoint: EndpointId,
    endpoint_name: Option<Name>,
    number: u32,
    status: Option<u16>,
    error: Option<Word>,
    detail: Option<String>,
    elapsed_us: u64,
    state: Option<State>,
}

impl EntryBody {
    pub(super) fn new(entry: &Entry, endpoints: &Directory) -> Self {
        let about = &entry.about;
        Self {
            at: Time(entry.at),
            event: about.event,
            source: about.source,
            kind: about.kind.clone(),
            call_id: about.call_id.clone(),
            agent_id: about.agent_id.clone(),
            tool: about.tool.clone(),
            what: WhatBody::new(&entry.what, endpoints),
        }
    }

    /// The word in its field `type`.
    pub(super) fn word(&self) -> &'static str {
        match self.what {
            WhatBody::Event { .. } => "event",
            WhatBody::Log(_) => "log",
            WhatBody::Gap { .. } => "gap",
            WhatBody::Forward(_) => "forward",
            WhatBody::Decision(_) => "decision",
            WhatBody::Delivery(_) => "delivery",
            WhatBody::Attempt(_) => "attempt",
        }
    }
}

impl WhatBody {
    fn new(what: &What, endpoints: &Directory) -> Self {
        match what {
            What::Event { platform_type } => Self::Event {
                platform_type: platform_type.clone(),
            },
            What::Log(said) => Self::Log(said.into()),
            What::LeftOut { lines } => Self::Gap { missed: *lines },
            What::Forward(tried) => Self::Forward(TriedBody::new(tried, endpoints)),
            What::Decision(decided) => Self::Decision(decided.into()),
            What::Delivery(owed) => Self::Delivery(OwedBody::new(owed, endpoints)),
            What::Attempt(tried) => Self::Attempt(TriedBody::new(tried, endpoints)),
        }
    }
}

/// Of an endpoint that is still there.
fn name(endpoints: &Directory, id: EndpointId) -> Option<Name> {
    endpoints.get(id).map(|ready| ready.endpoint.name.clone())
}

impl From<&Said> for SaidBody {
    fn from(said: &Said) -> Self {
        Self {
            number: said.number,
            binding: said.binding,
            plugin: said.plugin.clone(),
            level: said.level,
            message: said.message.clone(),
        }
    }
}

impl From<&Decided> for DecidedBody {
    fn from(decided: &Decided) -> Self {
        Self {
            outcome: decided.outcome.clone(),
            reason: decided.reason.clone(),
            decision: decided.decision.clone(),
            reply_status: decided.reply_status,
            elapsed_us: decided.elapsed_us,
            invocations: decided.invocations.iter().map(AskedBody::from).collect(),
        }
    }
}

impl From<&Asked> for AskedBody {
    fn from(asked: &Asked) -> Self {
        Self {
            binding: asked.binding,
            plugin: asked.plugin.clone(),
            version: asked.version,
            outcome: asked.outcome.clone(),
            error: asked.error.as_ref().map(FailedBody::from),
            elapsed_us: asked.elapsed_us,
        }
    }
}

impl From<&Failed> for FailedBody {
    fn from(failed: &Failed) -> Self {
        Self {
            code: failed.code.clone(),
            message: failed.message.clone(),
        }
    }
}

impl OwedBody {
    fn new(owed: &Owed, endpoints: &Directory) -> Self {
        Self {
            delivery: owed.delivery,
            endpoint: owed.endpoint,
            endpoint_name: name(endpoints, owed.endpoint),
            state: owed.state,
            attempts_made: owed.attempts,
            due_at: owed.due_at.map(Time),
            ended_at: owed.ended_at.map(Time),
            status: owed.status,
            error: owed.error.clone(),
        }
    }
}

impl TriedBody {
    fn new(tried: &Tried, endpoints: &Directory) -> Self {
        Self {
            delivery: tried.delivery,
            endpoint: tried.endpoint,
            endpoint_name: name(endpoints, tried.endpoint),
            number: tried.number,
            status: tried.status,
            error: tried.error.clone(),
            detail: tried.detail.clone(),
            elapsed_us: tried.elapsed_us,
            state: tried.state,
        }
    }
}
