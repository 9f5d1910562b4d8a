//! Samples: events that never happened, for trying out who receives them.
//!
//! What a sample is about is said here in words of no platform; a dialect writes it
//! down as its platform would ([`super::Dialect::sample`]).

use jiff::Timestamp;

use crate::domain::Json;
use crate::domain::plugin::Handler;

/// An event to be made up. What is not said here, the dialect makes up.
#[derive(Debug)]
pub struct Sample {
    pub topic: Topic,
    pub call_id: String,
    pub agent_id: String,
    /// An object.
    pub call_data: Json,
    /// An object.
    pub agent_data: Json,
    pub now: Timestamp,
}

/// What a sample is about.
#[derive(Debug)]
pub enum Topic {
    Start,
    Transfer,
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
            Self::Transfer => Handler::Transfer,
            Self::Tool { .. } => Handler::Tool,
            Self::Completed | Self::Failed | Self::Deadline | Self::Unknown => Handler::Event,
        }
    }
}
