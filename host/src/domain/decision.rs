//! Decisions: what was answered, by whom, why, and how long it took.
//!
//! An answer has one type per question, so that a start can never be answered with
//! a transfer. Plugins give an [`Opinion`] of it; operators write the same answers
//! as verdicts; dialects (`ingest`) render them.

mod form;

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Json;
use super::binding::PluginVersion;
use super::event::Kind;
use super::id::BindingId;
use super::plugin::Handler;
use super::seed::Seed;

/// A text for a caller or a log: at least one character, at most [`Reason::MAX_LEN`] bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reason(String);

crate::domain::schema::of!(Reason as String);

impl Reason {
    pub const MAX_LEN: usize = 4096;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Reason {
    type Error = InvalidAnswer;
    fn try_from(text: String) -> Result<Self, InvalidAnswer> {
        if text.trim().is_empty() {
            return Err(InvalidAnswer::EmptyReason);
        }
        if text.len() > Self::MAX_LEN {
            return Err(InvalidAnswer::LongReason(text.len()));
        }
        Ok(Self(text))
    }
}

impl From<Reason> for String {
    fn from(reason: Reason) -> Self {
        reason.0
    }
}

/// Where a call is transferred to: an E.164 number or a `sip:` or `sips:` URI.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Destination(String);

crate::domain::schema::of!(Destination as String);

impl Destination {
    const MAX_LEN: usize = 512;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Destination {
    type Error = InvalidAnswer;
    fn try_from(text: String) -> Result<Self, InvalidAnswer> {
        let e164 = |number: &str| {
            (2..=15).contains(&number.len())
                && !number.starts_with('0')
                && number.bytes().all(|b| b.is_ascii_digit())
        };
        let uri = |rest: &str| {
            !rest.is_empty() && !rest.contains(|c: char| c.is_whitespace() || c.is_control())
        };
        let valid = text.len() <= Self::MAX_LEN
            && (text.strip_prefix('+').is_some_and(e164)
                || text.strip_prefix("sip:").is_some_and(uri)
                || text.strip_prefix("sips:").is_some_and(uri));
        if valid {
            Ok(Self(text))
        } else {
            Err(InvalidAnswer::Destination)
        }
    }
}

impl From<Destination> for String {
    fn from(destination: Destination) -> Self {
        destination.0
    }
}

/// An answer that cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAnswer {
    #[error("the reason for a rejection must have at least one character")]
    EmptyReason,
    #[error("the reason for a rejection may have {max} bytes, this one has {0}", max = Reason::MAX_LEN)]
    LongReason(usize),
    #[error("a transfer's destination must be an E.164 number like +14155550100 or a sip: URI")]
    Destination,
    #[error("{field} is not valid JSON: {problem}")]
    Json {
        field: &'static str,
        problem: String,
    },
    #[error("{0} must be a JSON object")]
    NotAnObject(&'static str),
    #[error("agent-config replaces the whole configuration, but has no {0}")]
    IncompleteAgentConfig(&'static str),
    #[error(
        "{platform} starts a call only with {wanted}: give it as agent-config, or set agent_config of the source"
    )]
    NoAgentConfig {
        platform: &'static str,
        wanted: &'static str,
    },
    #[error("agent-config must have {0}")]
    WrongAgentConfig(&'static str),
    #[error("{0} has no such question")]
    NeverAsked(&'static str),
    #[error("{platform} {problem}")]
    CannotSay {
        platform: &'static str,
        problem: &'static str,
    },
    #[error("an endpoint's name has 1 to 128 bytes")]
    EndpointName,
    #[error("an event may be delivered to at most {0} endpoints")]
    TooManyDeliveries(usize),
    #[error(
        "the answer has more than the {most} bytes it may have; see limits.reply_bytes of the binding"
    )]
    TooLarge { most: u64 },
}

/// Answers a start.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum StartAnswer {
    Accept {
        #[serde(skip_serializing_if = "Option::is_none")]
        agent_config: Option<Json>,
        #[serde(skip_serializing_if = "Option::is_none")]
        additional_data: Option<Json>,
    },
    Reject {
        reason: Reason,
    },
    /// Let the platform's own fallback act; only a verdict says so.
    Unavailable {},
}

/// Where to, and what only one platform knows about it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    pub destination: Destination,
    /// An object merged into the reply.
    #[serde(
        default,
        deserialize_with = "form::object",
        skip_serializing_if = "Option::is_none"
    )]
    pub options: Option<Json>,
}

/// Answers a transfer.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum TransferAnswer {
    Cold { target: Target },
    Warm { target: Target },
    Unavailable {},
}

/// Answers a tool call.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum ToolAnswer {
    Answer { result: Json },
    Unavailable {},
}

/// One event for one endpoint, as a plugin asks for it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Addressed {
    pub endpoint: String,
    /// None sends the payload as it was received.
    pub body: Option<Json>,
}

/// What becomes of a notice.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum EventAnswer {
    Unchanged {},
    Drop {},
    Deliver { deliveries: Vec<Addressed> },
}

/// What becomes of a notice whose handler failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum EventVerdict {
    Unchanged {},
    Drop {},
}

impl From<EventVerdict> for EventAnswer {
    fn from(verdict: EventVerdict) -> Self {
        match verdict {
            EventVerdict::Unchanged {} => Self::Unchanged {},
            EventVerdict::Drop {} => Self::Drop {},
        }
    }
}

/// Any answer. Its JSON form is that of the answer within.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Answer {
    Start(StartAnswer),
    Transfer(TransferAnswer),
    Tool(ToolAnswer),
    Event(EventAnswer),
}

impl Answer {
    /// Which question it answers.
    pub fn handler(&self) -> Handler {
        match self {
            Self::Start(_) => Handler::Start,
            Self::Transfer(_) => Handler::Transfer,
            Self::Tool(_) => Handler::Tool,
            Self::Event(_) => Handler::Event,
        }
    }

    /// The word in the field `decision` of its JSON form.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Start(StartAnswer::Accept { .. }) => "accept",
            Self::Start(StartAnswer::Reject { .. }) => "reject",
            Self::Transfer(TransferAnswer::Cold { .. }) => "cold",
            Self::Transfer(TransferAnswer::Warm { .. }) => "warm",
            Self::Tool(ToolAnswer::Answer { .. }) => "answer",
            Self::Event(EventAnswer::Unchanged {}) => "unchanged",
            Self::Event(EventAnswer::Drop {}) => "drop",
            Self::Event(EventAnswer::Deliver { .. }) => "deliver",
            Self::Start(StartAnswer::Unavailable {})
            | Self::Transfer(TransferAnswer::Unavailable {})
            | Self::Tool(ToolAnswer::Unavailable {}) => "unavailable",
        }
    }
}

/// What a handler thinks.
#[derive(Debug, Clone)]
pub enum Opinion {
    Answer(Answer),
    /// The endpoint of that name shall answer.
    Forward(String),
    /// No opinion: ask the next binding.
    Pass,
}

/// Answers for when no plugin gave one: all of them, as a source has.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Verdicts {
    pub start: StartAnswer,
    pub transfer: TransferAnswer,
    pub tool: ToolAnswer,
    pub event: EventVerdict,
}

impl Default for Verdicts {
    /// A call that nobody judged starts; for the rest the platforms have
    /// fallbacks of their own; a notice that nobody handled goes to everybody.
    fn default() -> Self {
        Self {
            start: StartAnswer::Accept {
                agent_config: None,
                additional_data: None,
            },
            transfer: TransferAnswer::Unavailable {},
            tool: ToolAnswer::Unavailable {},
            event: EventVerdict::Unchanged {},
        }
    }
}

/// Verdicts for some events, as a binding has.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OnFailure {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<StartAnswer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transfer: Option<TransferAnswer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<ToolAnswer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<EventVerdict>,
}

impl Verdicts {
    pub fn for_handler(&self, handler: Handler) -> Answer {
        match handler {
            Handler::Start => Answer::Start(self.start.clone()),
            Handler::Transfer => Answer::Transfer(self.transfer.clone()),
            Handler::Tool => Answer::Tool(self.tool.clone()),
            Handler::Event => Answer::Event(self.event.into()),
        }
    }
}

impl OnFailure {
    pub fn for_handler(&self, handler: Handler) -> Option<Answer> {
        match handler {
            Handler::Start => self.start.clone().map(Answer::Start),
            Handler::Transfer => self.transfer.clone().map(Answer::Transfer),
            Handler::Tool => self.tool.clone().map(Answer::Tool),
            Handler::Event => self.event.map(|verdict| Answer::Event(verdict.into())),
        }
    }
}

/// Why a verdict stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// No binding matched.
    NoBinding,
    /// Every plugin that was asked passed.
    AllPassed,
    /// A plugin failed: an error, a trap, a timeout, an answer that cannot be sent.
    PluginFailed,
    /// A plugin forwarded to an endpoint that is not there, is disabled, or could not
    /// be asked in time.
    ForwardUnavailable,
    /// A plugin forwarded to an endpoint that gave no usable answer.
    ForwardFailed,
    /// It is not known whether the plugin ran: the server died meanwhile, or could not
    /// store the decision.
    Interrupted,
}

impl Why {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoBinding => "no_binding",
            Self::AllPassed => "all_passed",
            Self::PluginFailed => "plugin_failed",
            Self::ForwardUnavailable => "forward_unavailable",
            Self::ForwardFailed => "forward_failed",
            Self::Interrupted => "interrupted",
        }
    }
}

/// Whose answer it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Answered,
    /// By an endpoint, to which a plugin left it.
    Forwarded,
    Verdict(Why),
}

impl Outcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Forwarded => "forwarded",
            Self::Verdict(_) => "verdict",
        }
    }

    pub fn why(self) -> Option<Why> {
        match self {
            Self::Answered | Self::Forwarded => None,
            Self::Verdict(why) => Some(why),
        }
    }
}

/// What went wrong in a plugin. The codes are public and stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureCode {
    Timeout,
    /// The guest has run for as long as it may.
    Cpu,
    Trap,
    Memory,
    /// The handler returned `err`.
    PluginError,
    InvalidAnswer,
    /// No sandbox became free in time.
    Overloaded,
    /// It failed too often of late and was not called.
    CircuitOpen,
    /// The component could not be loaded.
    Unavailable,
}

impl FailureCode {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Cpu => "cpu",
            Self::Trap => "trap",
            Self::Memory => "memory",
            Self::PluginError => "plugin_error",
            Self::InvalidAnswer => "invalid_answer",
            Self::Overloaded => "overloaded",
            Self::CircuitOpen => "circuit_open",
            Self::Unavailable => "unavailable",
        }
    }
}

impl fmt::Display for FailureCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Failure {
    pub code: FailureCode,
    pub message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// How one call of a plugin ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InvocationOutcome {
    Answered,
    Passed,
    Forwarded,
    Failed,
}

impl InvocationOutcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Passed => "passed",
            Self::Forwarded => "forwarded",
            Self::Failed => "failed",
        }
    }
}

/// One call of a plugin on the way to a decision.
#[derive(Debug, Clone, Serialize)]
pub struct Invocation {
    pub binding: BindingId,
    #[serde(flatten)]
    pub plugin: PluginVersion,
    pub handler: Handler,
    pub outcome: InvocationOutcome,
    pub error: Option<Failure>,
    /// Wall time with instantiation, in microseconds.
    #[serde(rename = "elapsed_us", serialize_with = "microseconds")]
    pub elapsed: Duration,
    /// Most linear memory held, in bytes.
    pub memory_bytes: u64,
    /// Of its random numbers.
    pub seed: Seed,
}

/// What stands at the end.
#[derive(Debug, Clone)]
pub struct Decision {
    pub kind: Kind,
    pub outcome: Outcome,
    pub answer: Answer,
    pub invocations: Vec<Invocation>,
    /// From the arrival to here.
    pub elapsed: Duration,
    pub decided_at: Timestamp,
}

fn microseconds<S: serde::Serializer>(
    elapsed: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(elapsed.as_micros() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_numbers_or_sip_uris() {
        let parse = |text: &str| Destination::try_from(text.to_owned());
        for good in [
            "+14155550100",
            "+49301234567",
            "sip:bob@example.com",
            "sips:x",
            "+12",
        ] {
            assert!(parse(good).is_ok(), "{good:?} was refused");
        }
        for bad in [
            "",
            "+",
            "+0123456",
            "14155550100",
            "+1415555010012345",
            "sip:",
            "sip:a b",
            "+1-415",
        ] {
            assert!(parse(bad).is_err(), "{bad:?} was taken for a destination");
        }
    }

    #[test]
    fn verdicts_read_and_show_the_documented_form() {
        let text = r#"{"start":{"decision":"reject","reason":"closed"},
            "transfer":{"decision":"warm","target":{"destination":"+14155550100","options":{"a":1}}},
            "tool":{"decision":"answer","result":[1,2]},
            "event":{"decision":"drop"}}"#;
        let verdicts: Verdicts = serde_json::from_str(text).unwrap();
        let shown = serde_json::to_value(&verdicts).unwrap();
        assert_eq!(
            shown,
            serde_json::from_str::<serde_json::Value>(text).unwrap()
        );
    }

    #[test]
    fn words_are_those_of_the_json_form() {
        let target = Target {
            destination: Destination::try_from("+12".to_owned()).unwrap(),
            options: None,
        };
        let cold = TransferAnswer::Cold {
            target: target.clone(),
        };
        for answer in [
            Verdicts::default().for_handler(Handler::Start),
            Verdicts::default().for_handler(Handler::Transfer),
            Verdicts::default().for_handler(Handler::Tool),
            Verdicts::default().for_handler(Handler::Event),
            Answer::Start(StartAnswer::Reject {
                reason: Reason::try_from("closed".to_owned()).unwrap(),
            }),
            Answer::Start(StartAnswer::Unavailable {}),
            Answer::Transfer(cold),
            Answer::Transfer(TransferAnswer::Warm { target }),
            Answer::Tool(ToolAnswer::Answer {
                result: crate::domain::empty_object(),
            }),
            Answer::Event(EventAnswer::Drop {}),
            Answer::Event(EventAnswer::Deliver {
                deliveries: Vec::new(),
            }),
        ] {
            let json = serde_json::to_value(&answer).unwrap();
            assert_eq!(json["decision"], answer.word());
        }
        for outcome in [
            InvocationOutcome::Answered,
            InvocationOutcome::Passed,
            InvocationOutcome::Forwarded,
            InvocationOutcome::Failed,
        ] {
            let json = serde_json::to_value(outcome).unwrap();
            assert_eq!(json, outcome.as_str());
        }
        for code in [
            FailureCode::Timeout,
            FailureCode::Cpu,
            FailureCode::Trap,
            FailureCode::Memory,
            FailureCode::PluginError,
            FailureCode::InvalidAnswer,
            FailureCode::Overloaded,
            FailureCode::CircuitOpen,
            FailureCode::Unavailable,
        ] {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }

    #[test]
    fn verdicts_with_typing_mistakes_are_refused() {
        for text in [
            r#"{"start":{"decision":"acept"}}"#,
            r#"{"start":{"decision":"reject"}}"#,
            r#"{"start":{"decision":"reject","reason":" "}}"#,
            r#"{"start":{"decision":"unavailable","reason":"x"}}"#,
            r#"{"start":{"decision":"cold","target":{"destination":"+14155550100"}}}"#,
            r#"{"transfer":{"decision":"cold","target":{"destination":"415"}}}"#,
            r#"{"tool":{"decision":"answer"}}"#,
            r#"{"strat":{"decision":"accept"}}"#,
            r#"{"event":{"decision":"deliver","deliveries":[]}}"#,
        ] {
            assert!(
                serde_json::from_str::<Verdicts>(text).is_err(),
                "{text} was taken"
            );
        }
    }
}
