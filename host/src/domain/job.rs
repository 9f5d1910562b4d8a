//! Jobs: work on many deliveries that somebody asked for.
//!
//! `http` reads and shows them, `store` keeps them and their progress, `delivery` does
//! the work.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::delivery::State;
use super::event::Kind;
use super::id::EndpointId;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Task {
    /// Failed deliveries become owed again.
    Retry(Selection),
    /// Everything since then that one endpoint did not get becomes owed to it: what
    /// failed, and what never came to be owed because it was disabled or not there yet.
    Recover {
        endpoint: EndpointId,
        since: Timestamp,
    },
}

/// Which failed deliveries are meant. Absent fields match everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Selection {
    pub endpoint: Option<EndpointId>,
    pub kind: Option<Kind>,
    pub state: Option<Failed>,
    pub call: Option<String>,
    /// Owed since then or later.
    pub since: Option<Timestamp>,
    /// Owed before then.
    pub until: Option<Timestamp>,
}

/// States in which a delivery has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Failed {
    Exhausted,
    Refused,
}

impl From<Failed> for State {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Exhausted => Self::Exhausted,
            Failed::Refused => Self::Refused,
        }
    }
}

impl Selection {
    /// The states that are meant.
    pub fn states(&self) -> &'static [Failed] {
        match self.state {
            None => &[Failed::Exhausted, Failed::Refused],
            Some(Failed::Exhausted) => &[Failed::Exhausted],
            Some(Failed::Refused) => &[Failed::Refused],
        }
    }

    /// Whether a delivery of this kind and call is meant.
    pub fn covers(&self, kind: &str, call: &str) -> bool {
        self.kind.as_ref().is_none_or(|it| it.as_str() == kind)
            && self.call.as_ref().is_none_or(|it| it == call)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_selection_leaves_out_matches_everything() {
        let all: Selection = serde_json::from_str("{}").unwrap();
        assert!(all.covers("call.failed", "c") && all.covers("unknown", ""));
        assert_eq!(all.states().len(), 2);
        let some = r#"{"kind":"call.failed","call":"c","state":"refused"}"#;
        let some: Selection = serde_json::from_str(some).unwrap();
        assert!(some.covers("call.failed", "c"));
        assert!(!some.covers("call.failed", "d") && !some.covers("call.start", "c"));
        assert_eq!(some.states(), [Failed::Refused]);
    }

    #[test]
    fn a_task_reads_back_what_it_is_stored_as() {
        let endpoint = EndpointId::from(uuid::Uuid::from_u128(7));
        let since = Timestamp::UNIX_EPOCH;
        for task in [
            Task::Retry(Selection {
                endpoint: Some(endpoint),
                state: Some(Failed::Exhausted),
                since: Some(since),
                ..Selection::default()
            }),
            Task::Recover { endpoint, since },
        ] {
            let text = serde_json::to_string(&task).unwrap();
            assert_eq!(serde_json::from_str::<Task>(&text).unwrap(), task, "{text}");
        }
    }
}
