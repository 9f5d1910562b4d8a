//! One call: a fresh instance, a deadline, an opinion, and nothing left behind.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};
use wasmtime::{Store, Trap, UpdateDeadline};

use super::Runtime;
use super::admission::Refused;
use super::capability::CallState;
use super::capability::http::HttpAccess;
use super::capability::kv::KeyValue;
use super::capability::recorder::Recorder;
use super::cpu::{CpuTime, FIRST_INTERRUPTION_TICKS};
use super::engine::TICK;
use super::limits::MemoryLimit;
use super::loaded::Loaded;
use crate::domain::binding::Settings;
use crate::domain::decision::{Failure, FailureCode, Opinion};
use crate::domain::event::CallEvent;
use crate::domain::id::{EventId, OrganizationId};
use crate::domain::limits::CallLimits;
use crate::domain::log::LogLine;
use crate::domain::seed::Seed;

/// What a plugin is called about.
#[derive(Debug, Clone)]
pub struct Input {
    pub event: Arc<CallEvent>,
    pub context: Context,
}

/// What the guest can ask the host about its call.
#[derive(Debug, Clone)]
pub struct Context {
    pub event_id: EventId,
    /// The request's body: valid UTF-8, valid JSON.
    pub payload: Bytes,
    pub received_at: Timestamp,
    /// When the answer must be there.
    pub deadline: Instant,
    /// On whose behalf: who waits is served in turn with other organizations.
    pub organization: OrganizationId,
    /// Of the guest's random numbers.
    pub seed: Seed,
    pub recorder: Recorder,
}

/// What a binding gives its plugin.
#[derive(Clone)]
pub struct Grants {
    pub config: Arc<Settings>,
    pub kv: Arc<dyn KeyValue>,
    /// None grants no host.
    pub http: Option<Arc<HttpAccess>>,
    pub limits: CallLimits,
}

impl std::fmt::Debug for Grants {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Grants")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// How a call went.
#[derive(Debug)]
pub struct Ran {
    pub result: Result<Opinion, Failure>,
    pub log: Vec<LogLine>,
    /// With instantiation.
    pub elapsed: Duration,
    pub memory_bytes: u64,
}

/// Why the host stopped a guest that would have run on.
#[derive(Debug, Clone, Copy, thiserror::Error)]
enum Stopped {
    #[error("the deadline has passed")]
    Deadline,
    #[error("{} ms of running time are used up", .0.as_millis())]
    Cpu(Duration),
}

impl Runtime {
    /// Calls the handler for the event's kind. The plugin must export it.
    ///
    /// The sandbox is gone when this returns, whatever happened; dropping the
    /// future ends the call at once.
    pub async fn invoke(&self, plugin: &Arc<Loaded>, input: Input, grants: Grants) -> Ran {
        let started = Instant::now();
        let Input { event, context } = input;
        let deadline = context.deadline;
        let admitted = self.admission.admit(context.organization, deadline).await;
        let sandbox = match admitted {
            Ok(admitted) => admitted,
            Err(refused) => {
                return Ran {
                    result: Err(overloaded(refused)),
                    log: Vec::new(),
                    elapsed: started.elapsed(),
                    memory_bytes: 0,
                };
            }
        };
        plugin.warmth.note();
        let cpu = CpuTime::default();
        let mut store = self.fresh_store(context, grants, &cpu);
        let log = store.data().log_book();
        let called = Arc::clone(plugin);
        let call = async move {
            let called = timeout_at(deadline, called.call(&mut store, &event)).await;
            let result = match called {
                Ok(Ok(result)) => result,
                Ok(Err(error)) => Err(failure(&error, &store.data().memory)),
                Err(_elapsed) => Err(timeout()),
            };
            let memory_bytes = store.data().memory.peak();
            // Giving memory back takes time as well, so it is part of the call.
            drop(store);
            drop(sandbox);
            (result, memory_bytes)
        };
        let (result, memory_bytes) = self.slow_lane.run(&plugin.pace, &cpu, call).await;
        Ran {
            result,
            log: log.take(),
            elapsed: started.elapsed(),
            memory_bytes,
        }
    }

    pub(super) fn fresh_store(
        &self,
        context: Context,
        grants: Grants,
        cpu: &CpuTime,
    ) -> Store<CallState> {
        let limits = grants.limits;
        let memory = MemoryLimit::new(&limits);
        let deadline = context.deadline;
        let mut store = Store::new(&self.engine, CallState::new(context, grants, memory));
        store.limiter(|state| &mut state.memory);
        store.set_hostcall_fuel(usize::try_from(limits.host_call_bytes).unwrap_or(usize::MAX));
        store.set_max_component_handles(limits.handles as usize);
        store.set_epoch_deadline(FIRST_INTERRUPTION_TICKS.into());
        let allowed = Duration::from_millis(limits.cpu_ms.into());
        // Yielding lets neighbours run and tokio see the timeout; but a loaded scheduler
        // may come back late, so the deadline is looked at here as well.
        let cpu = cpu.clone();
        store.epoch_deadline_callback(move |_| {
            if Instant::now() >= deadline {
                return Err(Stopped::Deadline.into());
            }
            if cpu.when_interrupted() > allowed {
                return Err(Stopped::Cpu(allowed).into());
            }
            Ok(UpdateDeadline::Yield(1))
        });
        store
    }
}

fn timeout() -> Failure {
    Failure {
        code: FailureCode::Timeout,
        message: format!(
            "the plugin was stopped at its deadline (to {} ms)",
            TICK.as_millis()
        ),
    }
}

fn overloaded(refused: Refused) -> Failure {
    let message = match refused {
        Refused::QueueFull => "too many calls of the organization wait for a sandbox",
        Refused::TooLate => "no sandbox became free in time",
    };
    Failure {
        code: FailureCode::Overloaded,
        message: message.to_owned(),
    }
}

/// Tells apart why a guest stopped without returning.
pub(super) fn failure(error: &wasmtime::Error, memory: &MemoryLimit) -> Failure {
    match error.downcast_ref::<Stopped>() {
        Some(Stopped::Deadline) => return timeout(),
        Some(stopped @ Stopped::Cpu(_)) => {
            return Failure {
                code: FailureCode::Cpu,
                message: format!(
                    "the plugin was stopped: its {stopped}; see limits.cpu_ms of the binding"
                ),
            };
        }
        None => {}
    }
    if memory.refused() {
        return Failure {
            code: FailureCode::Memory,
            message: format!(
                "the plugin wanted more than its {} bytes of memory: raise limits.memory_bytes of the binding, or hold less at once",
                memory.allowed()
            ),
        };
    }
    let message = match error.downcast_ref::<Trap>() {
        Some(trap) => format!("the plugin trapped: {trap}"),
        None => format!("the plugin could not go on: {error:#}"),
    };
    Failure {
        code: FailureCode::Trap,
        message,
    }
}
