//! Verdicts as operators write them. Answers are shown with serde's internal tag;
//! they are read through these, so that an error names the field.

use serde::{Deserialize, Deserializer};

use super::{EventVerdict, Reason, StartAnswer, Target, ToolAnswer, TransferAnswer};
use crate::domain::{Json, is_object};
use crate::json;

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Start {
    Accept {
        #[serde(default, deserialize_with = "object")]
        agent_config: Option<Json>,
        #[serde(default, deserialize_with = "object")]
        additional_data: Option<Json>,
    },
    Reject {
        reason: Reason,
    },
    Unavailable {},
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Transfer {
    Cold { target: Target },
    Warm { target: Target },
    Unavailable {},
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Tool {
    Answer { result: Json },
    Unavailable {},
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Event {
    Unchanged {},
    Drop {},
}

impl<'de> Deserialize<'de> for StartAnswer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match json::tagged(deserializer, "decision")? {
            Start::Accept {
                agent_config,
                additional_data,
            } => Self::Accept {
                agent_config,
                additional_data,
            },
            Start::Reject { reason } => Self::Reject { reason },
            Start::Unavailable {} => Self::Unavailable {},
        })
    }
}

impl<'de> Deserialize<'de> for TransferAnswer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match json::tagged(deserializer, "decision")? {
            Transfer::Cold { target } => Self::Cold { target },
            Transfer::Warm { target } => Self::Warm { target },
            Transfer::Unavailable {} => Self::Unavailable {},
        })
    }
}

impl<'de> Deserialize<'de> for ToolAnswer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match json::tagged(deserializer, "decision")? {
            Tool::Answer { result } => Self::Answer { result },
            Tool::Unavailable {} => Self::Unavailable {},
        })
    }
}

impl<'de> Deserialize<'de> for EventVerdict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match json::tagged(deserializer, "decision")? {
            Event::Unchanged {} => Self::Unchanged {},
            Event::Drop {} => Self::Drop {},
        })
    }
}

pub(super) fn object<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Json>, D::Error> {
    let json = Option::<Json>::deserialize(deserializer)?;
    match json {
        Some(json) if !is_object(&json) => Err(serde::de::Error::custom("must be a JSON object")),
        json => Ok(json),
    }
}
