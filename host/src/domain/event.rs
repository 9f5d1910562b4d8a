//! Call events: what a platform told us, in words that no platform owns.
//!
//! Dialects (`ingest`) make them, `call` routes them by their [`Facts`], `runtime`
//! hands them to plugins.

use std::borrow::Cow;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Json;
use super::plugin::Handler;

/// What a call event is about: `call.start`, `tool.call`, `call.completed`, …
///
/// An open word, because every platform brings kinds of its own.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Kind(
    #[schemars(regex(pattern = r"^[a-z_]+(\.[a-z_]+)*$"), length(max = 64))] Cow<'static, str>,
);

impl Kind {
    pub const START: Self = Self(Cow::Borrowed("call.start"));
    pub const TRANSFER: Self = Self(Cow::Borrowed("call.transfer"));
    pub const TOOL: Self = Self(Cow::Borrowed("tool.call"));
    pub const COMPLETED: Self = Self(Cow::Borrowed("call.completed"));
    pub const FAILED: Self = Self(Cow::Borrowed("call.failed"));
    pub const DEADLINE: Self = Self(Cow::Borrowed("call.deadline"));
    /// The parties are speaking.
    pub const STARTED: Self = Self(Cow::Borrowed("call.started"));
    /// Something was said.
    pub const TRANSCRIPTION: Self = Self(Cow::Borrowed("call.transcription"));
    /// A type the dialect does not know; the platform's own word for it is kept
    /// in [`CallEvent::platform_type`].
    pub const UNKNOWN: Self = Self(Cow::Borrowed("unknown"));

    /// An endpoint fails again and again.
    pub const ENDPOINT_FAILING: Self = Self(Cow::Borrowed("endpoint.failing"));
    /// An endpoint takes events again.
    pub const ENDPOINT_RECOVERED: Self = Self(Cow::Borrowed("endpoint.recovered"));
    /// Nothing is sent to an endpoint any more.
    pub const ENDPOINT_DISABLED: Self = Self(Cow::Borrowed("endpoint.disabled"));
    /// A delivery was given up.
    pub const DELIVERY_EXHAUSTED: Self = Self(Cow::Borrowed("delivery.exhausted"));

    /// Longest kind, in bytes.
    pub const MAX_LEN: usize = 64;

    /// One that a dialect has in its table; there it is tested to be one.
    pub(crate) const fn of(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    /// Reads lower-case words joined by dots.
    pub fn parse(text: &str) -> Result<Self, InvalidKind> {
        let word = |word: &str| {
            !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        };
        if text.len() <= Self::MAX_LEN && text.split('.').all(word) {
            Ok(Self(Cow::Owned(text.to_owned())))
        } else {
            Err(InvalidKind)
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the platform waits for an answer.
    pub fn is_question(&self) -> bool {
        self.handler() != Handler::Event
    }

    /// Whether Hookswitch says it about itself. A platform cannot: its dialect
    /// gives its events other names.
    pub fn is_our_own(&self) -> bool {
        ["endpoint.", "delivery."]
            .iter()
            .any(|group| self.as_str().starts_with(group))
    }

    /// The handler that is asked about events of this kind.
    pub fn handler(&self) -> Handler {
        match self.as_str() {
            "call.start" => Handler::Start,
            "call.transfer" => Handler::Transfer,
            "tool.call" => Handler::Tool,
            _ => Handler::Event,
        }
    }
}

/// A text that is no kind.
#[derive(Debug, thiserror::Error)]
#[error("expected lower-case words joined by dots, such as call.start")]
pub struct InvalidKind;

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// What the SIP signalling said about an inbound call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sip {
    pub from_user: Option<String>,
    pub from_domain: Option<String>,
    pub to_user: Option<String>,
    pub to_domain: Option<String>,
    pub diversion: Vec<String>,
}

/// The call an event is about. Empty strings where the platform said nothing.
#[derive(Debug, Clone)]
pub struct Call {
    /// The dialect that read the event.
    pub platform: &'static str,
    pub org_id: String,
    pub agent_id: String,
    pub call_id: String,
    /// In the platform's own word.
    pub status: String,
    /// The other party: E.164 or `sip:`.
    pub endpoint: Option<String>,
    /// An object the customer attached to the call.
    pub call_data: Json,
    /// An object the customer attached to the agent.
    pub agent_data: Json,
    pub sip: Option<Sip>,
}

/// One thing said in a call. Times are as the platform wrote them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Utterance {
    pub speaker: String,
    pub name: Option<String>,
    pub text: String,
    pub start_time: Option<String>,
    pub end_time: Option<String>,
}

/// An event that waits for an answer.
#[derive(Debug, Clone)]
pub enum Question {
    Start {
        /// What the call would start with; none if nobody said.
        agent_config: Option<Json>,
    },
    Transfer {
        reason: Option<String>,
        transcription: Vec<Utterance>,
    },
    Tool {
        /// By which the platform knows the answer again, where it does.
        id: Option<String>,
        name: String,
        arguments: Json,
    },
}

/// A call event either asks or tells.
#[derive(Debug, Clone)]
pub enum Matter {
    Question(Question),
    /// Only informs; its content is the payload itself.
    Notice(Kind),
}

/// What arrived, in the domain's own form.
#[derive(Debug, Clone)]
pub struct CallEvent {
    pub call: Call,
    pub matter: Matter,
    /// The type in the platform's own word, for people and filters.
    pub platform_type: String,
}

impl CallEvent {
    pub fn kind(&self) -> Kind {
        match &self.matter {
            Matter::Question(Question::Start { .. }) => Kind::START,
            Matter::Question(Question::Transfer { .. }) => Kind::TRANSFER,
            Matter::Question(Question::Tool { .. }) => Kind::TOOL,
            Matter::Notice(kind) => kind.clone(),
        }
    }

    /// The tool that is called, where one is.
    pub fn tool(&self) -> Option<&str> {
        match &self.matter {
            Matter::Question(Question::Tool { name, .. }) => Some(name),
            _ => None,
        }
    }

    /// What a call that is asked about would start with, if anybody has said so.
    pub fn agent_config(&self) -> Option<&RawValue> {
        match &self.matter {
            Matter::Question(Question::Start { agent_config }) => agent_config.as_deref(),
            _ => None,
        }
    }

    pub fn facts(&self) -> Facts<'_> {
        Facts {
            agent: &self.call.agent_id,
            kind: self.kind(),
            tool: self.tool(),
        }
    }
}

/// What bindings select by, beside the source.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    pub agent: &'a str,
    pub kind: Kind,
    pub tool: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_words_joined_by_dots() {
        for good in ["call.start", "unknown", "contact.created", "a.b_c.d"] {
            assert_eq!(Kind::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            ".",
            "call.",
            "Call.start",
            "call start",
            "call.1",
            &"a".repeat(65),
        ] {
            assert!(Kind::parse(bad).is_err(), "{bad:?} was taken for a kind");
        }
    }

    #[test]
    fn kinds_that_are_no_question_go_to_the_event_handler() {
        assert_eq!(Kind::START.handler(), Handler::Start);
        assert_eq!(Kind::TRANSFER.handler(), Handler::Transfer);
        assert_eq!(Kind::TOOL.handler(), Handler::Tool);
        assert_eq!(Kind::COMPLETED.handler(), Handler::Event);
        assert_eq!(Kind::UNKNOWN.handler(), Handler::Event);
    }
}
