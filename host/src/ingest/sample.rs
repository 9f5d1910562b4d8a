//! Samples: events that never happened, for trying out who receives them.
//!
//! What a sample is about is said here in words of no platform; a dialect writes it
//! down as its platform would ([`super::Dialect::sample`]).

use jiff::Timestamp;

use crate::domain::plugin::Handler;
use crate::domain::{Json, empty_object};

/// An event to be made up. What is not said here, the dialect makes up.
#[derive(Debug, Clone)]
pub struct Sample {
    pub topic: Topic,
    pub call_id: String,
    pub agent_id: String,
    /// The other party: who calls, or is called.
    pub caller: String,
    /// Our side's number.
    pub line: String,
    /// An object.
    pub call_data: Json,
    /// An object.
    pub agent_data: Json,
    /// What was said so far; if nothing, something is made up where the platform has it.
    pub said: Vec<Said>,
    pub now: Timestamp,
}

/// One thing said in a call.
#[derive(Debug, Clone)]
pub struct Said {
    pub by_customer: bool,
    pub text: String,
    pub at: Timestamp,
}

/// What a sample is about.
#[derive(Debug, Clone)]
pub enum Topic {
    Start,
    /// The call has begun.
    Started,
    /// The last thing that was said.
    Said,
    Transfer {
        reason: Option<String>,
    },
    Tool {
        name: String,
        /// An object.
        arguments: Json,
    },
    Completed,
    Failed,
    Deadline,
    Unknown,
}

impl Topic {
    /// Who would be asked.
    pub fn handler(&self) -> Handler {
        match self {
            Self::Start => Handler::Start,
            Self::Transfer { .. } => Handler::Transfer,
            Self::Tool { .. } => Handler::Tool,
            Self::Started
            | Self::Said
            | Self::Completed
            | Self::Failed
            | Self::Deadline
            | Self::Unknown => Handler::Event,
        }
    }

    /// A question for that handler; none for the one that nobody waits for.
    pub fn asking(handler: Handler) -> Option<Self> {
        Some(match handler {
            Handler::Start => Self::Start,
            Handler::Transfer => Self::Transfer { reason: None },
            Handler::Tool => Self::Tool {
                name: "tool".to_owned(),
                arguments: empty_object(),
            },
            Handler::Event => return None,
        })
    }
}

/// A number that is nobody's.
const CALLER: &str = "+14155550100";
/// Another one.
const LINE: &str = "+14155550199";

impl Sample {
    /// About that, and nothing in particular.
    pub fn about(topic: Topic) -> Self {
        Self {
            topic,
            call_id: "call_test".to_owned(),
            agent_id: "agent_test".to_owned(),
            caller: CALLER.to_owned(),
            line: LINE.to_owned(),
            call_data: empty_object(),
            agent_data: empty_object(),
            said: Vec::new(),
            now: Timestamp::UNIX_EPOCH,
        }
    }
}
