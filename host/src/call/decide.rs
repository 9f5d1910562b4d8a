//! Who decides an event: the bound plugins, the most specific first, or a verdict.
//!
//! One binding after the other is asked until one answers, leaves the question to an
//! endpoint (`forward.rs`), or fails. What nobody answers is answered by a verdict, the
//! binding's own or the source's. Questions (`mod.rs`) and notices (`handle.rs`) come
//! here with a [`Case`]; nothing is stored here.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};

use super::route::{Bound, Origin, Route};
use super::space::PluginSpace;
use super::{Decided, Switch};
use crate::domain::binding::Binding;
use crate::domain::decision::{
    Answer, Decision, EventAnswer, Failure, FailureCode, Invocation, InvocationOutcome, Opinion,
    Outcome, StartAnswer, ToolAnswer, TransferAnswer, Why,
};
use crate::domain::event::CallEvent;
use crate::domain::id::{BindingId, EventId, OrganizationId};
use crate::domain::kv::Space;
use crate::domain::limits::CallLimits;
use crate::domain::log::LogLine;
use crate::domain::plugin::Handler;
use crate::domain::seed::Seed;
use crate::ingest::{self, Reply};
use crate::runtime::capability::kv::{Denied, KeyValue};
use crate::runtime::capability::recorder::Recorder;
use crate::runtime::{Context, Grants, Input, Loaded};
use crate::store::journal::EventRecord;

/// The event being decided.
pub(super) struct Case<'a> {
    pub(super) event: &'a Arc<CallEvent>,
    pub(super) record: &'a EventRecord,
    pub(super) started: Instant,
    pub(super) deadline: Instant,
}

/// An answer that the dialect can send, with its rendered form.
pub(super) struct Standing {
    pub(super) answer: Answer,
    pub(super) reply: Option<Reply>,
    pub(super) outcome: Outcome,
}

impl Switch {
    /// Asks one binding after the other until there is an answer.
    pub(super) async fn decide(&self, route: &Route, case: &Case<'_>) -> (Decided, Option<Reply>) {
        let mut invocations = Vec::new();
        let mut log = Vec::new();
        let mut standing = None;
        let mut forward = None;
        for bound in route.candidates(case.event) {
            let binding = &bound.binding;
            let asked = self.ask(route, bound, case).await;
            log.extend(asked.log.into_iter().map(|line| (binding.id, line)));
            invocations.push(asked.invocation);
            standing = match asked.says {
                Says::Answer(answer, reply) => Some(Standing {
                    answer,
                    reply,
                    outcome: Outcome::Answered,
                }),
                Says::Pass => continue,
                Says::Forward(to) => {
                    let forwarded = self.forward(route, case, &to).await;
                    forward = forwarded.record;
                    let verdict = |why| route.verdict(Some(binding), case.event, why);
                    Some(forwarded.result.unwrap_or_else(verdict))
                }
                Says::Nothing(why) => Some(route.verdict(Some(binding), case.event, why)),
            };
            break;
        }
        let why = if invocations.is_empty() {
            Why::NoBinding
        } else {
            Why::AllPassed
        };
        let standing = standing.unwrap_or_else(|| route.verdict(None, case.event, why));
        let decision = Decision {
            kind: case.record.kind.clone(),
            outcome: standing.outcome,
            answer: standing.answer,
            invocations,
            elapsed: case.started.elapsed(),
            decided_at: Timestamp::now(),
        };
        let decided = Decided {
            decision,
            log,
            forward,
        };
        (decided, standing.reply)
    }

    /// Calls one binding's plugin and checks what it says.
    async fn ask(&self, origin: &Origin, bound: &Bound, case: &Case<'_>) -> Asked {
        let binding = &bound.binding;
        let asked_at = Instant::now();
        let seed = Seed(rand::random());
        let limits = self.runtime.limits(&binding.limits);
        let deadline = case.deadline.min(asked_at + limits.time());
        let ready = match self.breakers.admit(binding.id, asked_at.into_std()) {
            Ok(()) => self.load(binding, deadline).await,
            Err(refused) => Err(refused),
        };
        let (result, log, memory_bytes) = match ready {
            Err(failure) => (Err(failure), Vec::new(), 0),
            Ok(plugin) => {
                let context = Context {
                    event_id: case.record.id,
                    payload: case.record.payload.clone(),
                    received_at: case.record.received_at,
                    deadline,
                    organization: case.record.organization,
                    seed,
                    recorder: Recorder::off(),
                };
                let event = Arc::clone(case.event);
                let input = Input { event, context };
                let ran = self
                    .runtime
                    .invoke(
                        &plugin,
                        input,
                        self.grants(bound, limits, case.record.organization),
                    )
                    .await;
                (ran.result, ran.log, ran.memory_bytes)
            }
        };
        let (says, outcome, error) = weigh(origin, case.event, result);
        if let Some(failure) = &error {
            log_failure(binding.id, case.record.id, failure.code);
        }
        self.breakers
            .ended(binding.id, Instant::now().into_std(), error.as_ref());
        let invocation = Invocation {
            binding: binding.id,
            plugin: binding.plugin.clone(),
            handler: case.record.kind.handler(),
            outcome,
            error,
            elapsed: asked_at.elapsed(),
            memory_bytes,
            seed,
        };
        Asked {
            says,
            invocation,
            log,
        }
    }

    async fn load(&self, binding: &Binding, deadline: Instant) -> Result<Arc<Loaded>, Failure> {
        let digest = binding.plugin.digest;
        let bytes = self.store.component(digest);
        match timeout_at(deadline, self.runtime.load(digest, bytes)).await {
            Ok(Ok(plugin)) => Ok(plugin),
            Ok(Err(error)) => {
                tracing::error!(binding = %binding.id, %digest, error = &error as &dyn std::error::Error, "a bound plugin cannot be loaded");
                let message = "the plugin cannot be loaded; the operator's log says why";
                Err(Failure {
                    code: FailureCode::Unavailable,
                    message: message.to_owned(),
                })
            }
            Err(_elapsed) => Err(Failure {
                code: FailureCode::Timeout,
                message: "the plugin was not ready before the deadline".to_owned(),
            }),
        }
    }

    fn grants(&self, bound: &Bound, limits: CallLimits, organization: OrganizationId) -> Grants {
        let binding = &bound.binding;
        let space = Space {
            organization,
            plugin: binding.plugin_id,
        };
        let kv: Arc<dyn KeyValue> = match binding.granted.kv {
            Some(grant) => Arc::new(PluginSpace::new(self.store.clone(), space, grant.into())),
            None => Arc::new(Denied),
        };
        Grants {
            config: Arc::clone(&binding.config),
            kv,
            http: bound.http.clone(),
            limits,
        }
    }
}

/// What asking one binding gave.
struct Asked {
    says: Says,
    invocation: Invocation,
    log: Vec<LogLine>,
}

enum Says {
    Answer(Answer, Option<Reply>),
    /// The endpoint of that name shall answer.
    Forward(String),
    Pass,
    Nothing(Why),
}

/// The operator's line. What the plugin said of it is kept with the decision.
fn log_failure(binding: BindingId, event: EventId, code: FailureCode) {
    match code {
        // The breaker has said so when it opened, and loading where it failed.
        FailureCode::CircuitOpen | FailureCode::Unavailable => {}
        FailureCode::Overloaded => {
            tracing::warn!(%binding, %event, "no sandbox became free for a call, its verdict stands");
        }
        _ => tracing::warn!(%binding, %event, %code, "a plugin failed, its verdict stands"),
    }
}

/// An opinion counts as an answer only if the dialect can send it.
fn weigh(
    origin: &Origin,
    event: &CallEvent,
    result: Result<Opinion, Failure>,
) -> (Says, InvocationOutcome, Option<Failure>) {
    let failed = |failure| {
        (
            Says::Nothing(Why::PluginFailed),
            InvocationOutcome::Failed,
            Some(failure),
        )
    };
    match result {
        Err(failure) => failed(failure),
        Ok(Opinion::Pass) => (Says::Pass, InvocationOutcome::Passed, None),
        Ok(Opinion::Forward(endpoint)) => {
            (Says::Forward(endpoint), InvocationOutcome::Forwarded, None)
        }
        Ok(Opinion::Answer(answer)) => match ingest::render(origin.dialect, event, &answer) {
            Ok(reply) => (
                Says::Answer(answer, reply),
                InvocationOutcome::Answered,
                None,
            ),
            Err(invalid) => failed(Failure {
                code: FailureCode::InvalidAnswer,
                message: invalid.to_string(),
            }),
        },
    }
}

impl Origin {
    /// The answer that stands when no plugin gave one: the binding's own, or the
    /// source's. One that the dialect cannot send gives way to "unavailable".
    pub(super) fn verdict(
        &self,
        binding: Option<&Binding>,
        event: &CallEvent,
        why: Why,
    ) -> Standing {
        let handler = event.kind().handler();
        let outcome = Outcome::Verdict(why);
        let own = binding.and_then(|binding| binding.on_failure.for_handler(handler));
        let answer = own.unwrap_or_else(|| self.source.verdicts.for_handler(handler));
        match ingest::render(self.dialect, event, &answer) {
            Ok(reply) => Standing {
                answer,
                reply,
                outcome,
            },
            Err(invalid) => {
                tracing::warn!(source = %self.source.id, binding = binding.map(|b| tracing::field::display(b.id)), error = %invalid, "a verdict cannot be sent by this dialect");
                Standing {
                    answer: unavailable(handler),
                    reply: Some(Reply::Unavailable),
                    outcome,
                }
            }
        }
    }
}

pub(super) fn unavailable(handler: Handler) -> Answer {
    match handler {
        Handler::Start => Answer::Start(StartAnswer::Unavailable {}),
        Handler::Transfer => Answer::Transfer(TransferAnswer::Unavailable {}),
        Handler::Tool => Answer::Tool(ToolAnswer::Unavailable {}),
        Handler::Event => Answer::Event(EventAnswer::Unchanged {}),
    }
}
