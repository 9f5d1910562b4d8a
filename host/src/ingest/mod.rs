//! The way in: one platform's wire format to a call event, and an answer back.
//!
//! A [`Dialect`] is one platform in one file; [`DIALECTS`] is the registry, and
//! adding a platform touches nothing else. How a platform signs is in its file too
//! ([`Scheme`]); comparing is the same for all of them ([`proof`]), and so is knowing a
//! request again ([`fingerprint`]). `call` uses this module and joins it with `runtime`
//! and `store`, which it does not know. For trying things out a dialect also speaks as
//! its platform would ([`Sample`]) and says what is wrong with a reply ([`review`]).

mod dasha;
mod dsai;
pub mod fingerprint;
mod generic;
mod payload;
pub mod proof;
mod retell;
mod sample;
mod scheme;
mod vapi;

use std::net::IpAddr;

use ::http::HeaderMap;
use bytes::Bytes;
use serde_json::value::RawValue;

pub use self::sample::{Said, Sample, Topic};
pub use self::scheme::{Claim, NoKey, Scheme, Signed};
use crate::domain::Json;
use crate::domain::decision::{
    Answer, InvalidAnswer, Reason, StartAnswer, Target, ToolAnswer, TransferAnswer,
};
use crate::domain::event::{CallEvent, Kind, Matter, Question};
use crate::domain::id::EventId;
use crate::domain::plugin::Handler;
use crate::domain::source::Patience;
use crate::json::{self, ReadError};

/// A request as it came in, nothing of it believed yet.
#[derive(Debug, Clone)]
pub struct Inbound {
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The client: what trusted proxies say of it, else whoever is connected.
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

/// How a call is handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// And left.
    Cold,
    /// After speaking to the other side.
    Warm,
}

/// The replies to what a payload was split into, as one.
pub type Join = fn(&[(&CallEvent, &Reply)]) -> Json;

/// Several questions that came in one payload.
#[derive(Debug)]
pub struct Split<T = Json> {
    /// The payloads, each about one of them.
    pub payloads: Vec<T>,
    pub join: Join,
}

/// What a request's body holds.
#[derive(Debug)]
pub enum Bodies {
    One(Bytes),
    Several(Split<Bytes>),
}

/// One platform's wire format.
pub trait Dialect: Send + Sync {
    /// Its name in a source's settings and in plugins (`call.platform`).
    fn name(&self) -> &'static str;

    /// The platform's own way to prove where a request comes from.
    fn scheme(&self) -> &'static dyn Scheme;

    /// How long the platform waits, unless a source says otherwise.
    fn patience(&self) -> Patience;

    /// Its types that are notices, and what kind each is as a rule.
    fn notices(&self) -> &'static [(&'static str, Kind)];

    /// The kind of a notice by its type, where the type alone tells it.
    fn notice(&self, named: &str) -> Kind {
        let known = self.notices().iter().find(|(name, _)| *name == named);
        known.map_or(Kind::UNKNOWN, |(_, kind)| kind.clone())
    }

    /// Headers that name the agent, for platforms that do not in the body.
    fn agent_headers(&self) -> &'static [&'static str] {
        &[]
    }

    /// A payload with several questions as payloads with one each; none if it has one,
    /// as nearly all have.
    fn split(&self, _payload: &str) -> Result<Option<Split>, ReadError> {
        Ok(None)
    }

    /// Reads a payload. Tolerant: what is not needed to route and to decide may be
    /// absent, unknown types become notices of the kind `unknown`.
    fn parse(&self, payload: &str) -> Result<CallEvent, ReadError>;

    /// Lets a call start, with this configuration and these additional data.
    fn accept(
        &self,
        asked: &CallEvent,
        agent_config: Option<&RawValue>,
        additional_data: Option<&RawValue>,
    ) -> Result<Json, InvalidAnswer>;

    fn reject(&self, asked: &CallEvent, reason: &Reason) -> Result<Json, InvalidAnswer>;

    fn transfer(
        &self,
        _asked: &CallEvent,
        _mode: Mode,
        _target: &Target,
    ) -> Result<Json, InvalidAnswer> {
        Err(InvalidAnswer::NeverAsked(self.name()))
    }

    fn tool(&self, _asked: &CallEvent, _result: &RawValue) -> Result<Json, InvalidAnswer> {
        Err(InvalidAnswer::NeverAsked(self.name()))
    }

    /// Reads what somebody else would reply to the platform: an endpoint that answers
    /// a question in our place. What the platform would not understand is an error.
    fn read_reply(&self, asked: &CallEvent, reply: &str) -> Result<Answer, ReadError>;

    /// All that is wrong with what somebody else would reply, as far as it can be told;
    /// the first thing is told anyway.
    fn faults(&self, _handler: Handler, _reply: &str) -> Vec<ReadError> {
        Vec::new()
    }

    /// The reply to a notice that is stored.
    fn acknowledge(&self, notice: &CallEvent, event: EventId) -> Reply;

    /// A payload as the platform would send it; none if it has nothing of the sort.
    fn sample(&self, sample: &Sample) -> Option<Json>;
}

/// The dialect whose words the test of a webhook is asked for in.
pub const DASHA: &dyn Dialect = &dasha::Dasha;

/// Every dialect there is.
pub static DIALECTS: &[&dyn Dialect] = &[
    DASHA,
    &dsai::Dsai,
    &generic::Generic,
    &retell::Retell,
    &vapi::Vapi,
];

/// The dialect of that name.
pub fn dialect(name: &str) -> Option<&'static dyn Dialect> {
    DIALECTS
        .iter()
        .copied()
        .find(|dialect| dialect.name() == name)
}

/// The names of all dialects, for those who named another.
pub fn names() -> String {
    let names: Vec<_> = DIALECTS.iter().map(|dialect| dialect.name()).collect();
    names.join(", ")
}

/// Most questions in one payload.
const MOST_PARTS: usize = 32;

/// The payloads in a request's body, each about one thing.
pub fn bodies(dialect: &dyn Dialect, body: Bytes) -> Result<Bodies, ReadError> {
    let Some(Split { payloads, join }) = dialect.split(json::text(&body)?)? else {
        return Ok(Bodies::One(body));
    };
    if payloads.len() > MOST_PARTS {
        let problem = format!(
            "the body has {} questions, at most {MOST_PARTS} are answered",
            payloads.len()
        );
        return Err(ReadError::invalid("", problem));
    }
    let bytes = |payload| Bytes::from(String::from(Box::<str>::from(payload)));
    Ok(Bodies::Several(Split {
        payloads: payloads.into_iter().map(bytes).collect(),
        join,
    }))
}

/// The agent that a request's headers name.
pub fn agent(dialect: &dyn Dialect, headers: &HeaderMap) -> Option<String> {
    dialect.agent_headers().iter().find_map(|name| {
        let value = headers.get(*name)?.to_str().ok()?.trim();
        (!value.is_empty() && value.len() <= payload::MAX_WORD_BYTES).then(|| value.to_owned())
    })
}

/// Checks what an endpoint replied to a question. It goes to the platform as it is, with
/// everything in it that we do not know.
pub fn relay(
    dialect: &dyn Dialect,
    asked: &CallEvent,
    reply: &str,
) -> Result<(Answer, Json), UnusableReply> {
    let answer = match asked.kind().handler() {
        Handler::Event => return Err(ReadError::invalid("", "nobody waits for this answer").into()),
        Handler::Start | Handler::Transfer | Handler::Tool => dialect.read_reply(asked, reply)?,
    };
    render(dialect, asked, &answer)?;
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
pub fn review(dialect: &dyn Dialect, asked: &CallEvent, reply: &str) -> Vec<String> {
    let Err(refused) = relay(dialect, asked, reply) else {
        return Vec::new();
    };
    let faults = dialect.faults(asked.kind().handler(), reply);
    if faults.is_empty() {
        return vec![refused.to_string()];
    }
    faults.iter().map(ToString::to_string).collect()
}

/// Renders the answer to a question and so checks it against the platform's form.
/// A notice's answer is not sent to the platform.
pub fn render(
    dialect: &dyn Dialect,
    asked: &CallEvent,
    answer: &Answer,
) -> Result<Option<Reply>, InvalidAnswer> {
    let body = match answer {
        Answer::Start(StartAnswer::Accept {
            agent_config,
            additional_data,
        }) => {
            let data = additional_data.as_deref();
            if data.is_some_and(|data| !crate::domain::is_object(data)) {
                return Err(InvalidAnswer::NotAnObject("additional-data"));
            }
            dialect.accept(asked, agent_config.as_deref(), data)
        }
        Answer::Start(StartAnswer::Reject { reason }) => dialect.reject(asked, reason),
        Answer::Transfer(TransferAnswer::Cold { target }) => {
            dialect.transfer(asked, Mode::Cold, target)
        }
        Answer::Transfer(TransferAnswer::Warm { target }) => {
            dialect.transfer(asked, Mode::Warm, target)
        }
        Answer::Tool(ToolAnswer::Answer { result }) => dialect.tool(asked, result),
        Answer::Start(StartAnswer::Unavailable {})
        | Answer::Transfer(TransferAnswer::Unavailable {})
        | Answer::Tool(ToolAnswer::Unavailable {}) => return Ok(Some(Reply::Unavailable)),
        Answer::Event(_) => return Ok(None),
    };
    body.map(|body| Some(Reply::Body(body)))
}

/// Checks that a dialect could send an answer, before anybody has asked: by a question
/// of that sort, made up. What its platform never asks needs no answer.
pub fn check(
    dialect: &dyn Dialect,
    agent_config: Option<&RawValue>,
    answer: &Answer,
) -> Result<(), InvalidAnswer> {
    let Some(topic) = Topic::asking(answer.handler()) else {
        return Ok(());
    };
    let Some(asked) = dialect.sample(&Sample::about(topic)) else {
        return Ok(());
    };
    let Ok(mut asked) = dialect.parse(asked.get()) else {
        return Ok(());
    };
    suppose(&mut asked, agent_config);
    render(dialect, &asked, answer).map(drop)
}

/// Puts the configuration that a source has for its calls where the platform said none.
pub fn suppose(event: &mut CallEvent, config: Option<&RawValue>) {
    if let Matter::Question(Question::Start { agent_config }) = &mut event.matter
        && agent_config.is_none()
    {
        *agent_config = config.map(ToOwned::to_owned);
    }
}

#[cfg(test)]
mod tests;
