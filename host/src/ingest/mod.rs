//! The way in: one platform's wire format to a call event, and an answer back.
//!
//! A [`Dialect`] is one platform in one file; [`DIALECTS`] is the registry, and
//! adding a platform touches nothing else. Proof of origin is the same for all of
//! them ([`proof`]), and so is knowing a request again ([`fingerprint`]). `call` uses this module and joins it with `runtime` and
//! `store`, which it does not know. For trying things out a dialect also speaks as its
//! platform would ([`Sample`]) and says what is wrong with a reply ([`review`]).

mod dasha;
pub mod fingerprint;
mod payload;
pub mod proof;
mod sample;

use std::net::IpAddr;

use ::http::HeaderMap;
use bytes::Bytes;
use serde_json::value::RawValue;

pub use self::sample::{Sample, Topic};
use crate::domain::Json;
use crate::domain::decision::{Answer, InvalidAnswer, StartAnswer, ToolAnswer, TransferAnswer};
use crate::domain::event::CallEvent;
use crate::domain::id::EventId;
use crate::domain::plugin::Handler;
use crate::json::ReadError;

/// A request as it came in, nothing of it believed yet.
#[derive(Debug, Clone)]
pub struct Inbound {
    pub headers: HeaderMap,
    pub body: Bytes,
    pub peer: IpAddr,
}

/// What goes back to the platform.
#[derive(Debug, Clone)]
pub enum Reply {
    /// 200 with this body.
    Body(Json),
    /// No answer: a 503, so that the platform's own fallback acts.
    Unavailable,
}

/// One platform's wire format.
pub trait Dialect: Send + Sync {
    /// Its name in a source's settings and in plugins (`call.platform`).
    fn name(&self) -> &'static str;

    /// Reads a payload. Tolerant: what is not needed to route and to decide may be
    /// absent, unknown types become notices of the kind `unknown`.
    fn parse(&self, payload: &str) -> Result<CallEvent, ReadError>;

    fn start(&self, answer: &StartAnswer) -> Result<Reply, InvalidAnswer>;

    fn transfer(&self, answer: &TransferAnswer) -> Result<Reply, InvalidAnswer>;

    fn tool(&self, answer: &ToolAnswer) -> Result<Reply, InvalidAnswer>;

    /// Reads what somebody else would reply to the platform: an endpoint that answers
    /// a question in our place. What the platform would not understand is an error.
    fn read_reply(&self, handler: Handler, reply: &str) -> Result<Answer, ReadError>;

    /// All that is wrong with what somebody else would reply, as far as it can be told.
    fn faults(&self, handler: Handler, reply: &str) -> Vec<ReadError>;

    /// A payload as the platform would send it.
    fn sample(&self, sample: &Sample) -> Json;

    /// The reply to a notice that is stored.
    fn acknowledge(&self, event: EventId) -> Json;
}

/// The dialect whose words the test of a webhook is asked for in.
pub const DASHA: &dyn Dialect = &dasha::Dasha;

/// Every dialect there is.
pub static DIALECTS: &[&dyn Dialect] = &[DASHA];

/// The dialect of that name.
pub fn dialect(name: &str) -> Option<&'static dyn Dialect> {
    DIALECTS
        .iter()
        .copied()
        .find(|dialect| dialect.name() == name)
}

/// Checks what an endpoint replied to a question. It goes to the platform as it is, with
/// everything in it that we do not know.
pub fn relay(
    dialect: &dyn Dialect,
    handler: Handler,
    reply: &str,
) -> Result<(Answer, Json), UnusableReply> {
    let answer = dialect.read_reply(handler, reply)?;
    render(dialect, &answer)?;
    let reply = RawValue::from_string(reply.to_owned()).map_err(ReadError::NotJson)?;
    Ok((answer, reply))
}

/// A reply that the platform would not understand.
#[derive(Debug, thiserror::Error)]
pub enum UnusableReply {
    #[error(transparent)]
    Unreadable(#[from] ReadError),
    #[error(transparent)]
    Invalid(#[from] InvalidAnswer),
}

/// What is wrong with a reply to a question, in words; nothing if it could be relayed.
pub fn review(dialect: &dyn Dialect, handler: Handler, reply: &str) -> Vec<String> {
    let Err(refused) = relay(dialect, handler, reply) else {
        return Vec::new();
    };
    let faults = dialect.faults(handler, reply);
    if faults.is_empty() {
        return vec![refused.to_string()];
    }
    faults.iter().map(ToString::to_string).collect()
}

/// Renders the answer to a question and so checks it against the platform's form.
/// A notice's answer is not sent to the platform.
pub fn render(dialect: &dyn Dialect, answer: &Answer) -> Result<Option<Reply>, InvalidAnswer> {
    match answer {
        Answer::Start(answer) => dialect.start(answer).map(Some),
        Answer::Transfer(answer) => dialect.transfer(answer).map(Some),
        Answer::Tool(answer) => dialect.tool(answer).map(Some),
        Answer::Event(_) => Ok(None),
    }
}
