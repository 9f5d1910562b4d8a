//! One call: a fresh instance, a deadline, an opinion, and nothing left behind.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::time::Instant;
use wasmtime::{Store, Trap, UpdateDeadline};

use super::Runtime;
use super::capability::CallState;
use super::capability::kv::KeyValue;
use super::engine::TICK;
use super::limits::MemoryLimit;
use super::loaded::Loaded;
use crate::domain::binding::Settings;
use crate::domain::decision::{Failure, FailureCode, Opinion};
use crate::domain::event::CallEvent;
use crate::domain::id::EventId;
use crate::domain::log::LogLine;

/// What a plugin is called about.
#[derive(Debug, Clone)]
pub struct Input<'a> {
    pub event: &'a CallEvent,
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
}

/// What a binding gives its plugin.
#[derive(Clone)]
pub struct Grants {
    pub config: Arc<Settings>,
    pub kv: Arc<dyn KeyValue>,
    /// Most linear memory, in bytes; the operator's ceiling cuts it.
    pub memory_bytes: Option<u64>,
}

impl std::fmt::Debug for Grants {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Grants")
            .field("memory_bytes", &self.memory_bytes)
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

/// Marks the trap of a guest that ran into its deadline.
#[derive(Debug)]
struct DeadlinePassed;

impl std::fmt::Display for DeadlinePassed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the deadline has passed")
    }
}

impl std::error::Error for DeadlinePassed {}

/// Most bytes a guest may pass to the host in one host call: a value of the
/// key-value store, or an answer, and something to spare.
const HOST_CALL_BYTES: usize = 16 << 20;
const COMPONENT_HANDLES: usize = 1_000;
/// Ticks before a guest yields for the first time: an ordinary call is over long
/// before, and should not lose its turn because a tick happened to fall into it.
const FIRST_YIELD_TICKS: u64 = 2;

impl Runtime {
    /// Calls the handler for the event's kind. The plugin must export it.
    ///
    /// The sandbox is gone when this returns, whatever happened; dropping the
    /// future ends the call at once.
    pub async fn invoke(&self, plugin: &Loaded, input: Input<'_>, grants: Grants) -> Ran {
        let started = Instant::now();
        let deadline = input.context.deadline;
        let Ok(Ok(_sandbox)) = tokio::time::timeout_at(deadline, self.sandboxes.acquire()).await
        else {
            return Ran {
                result: Err(overloaded()),
                log: Vec::new(),
                elapsed: started.elapsed(),
                memory_bytes: 0,
            };
        };
        let event = input.event;
        let mut store = self.fresh_store(input.context, grants);
        let log = store.data().log_book();
        let called = tokio::time::timeout_at(deadline, plugin.call(&mut store, event)).await;
        let result = match called {
            Ok(Ok(result)) => result,
            Ok(Err(error)) => Err(failure(&error, &store.data().memory)),
            Err(_elapsed) => Err(timeout()),
        };
        let memory_bytes = store.data().memory.peak();
        drop(store);
        Ran {
            result,
            log: log.take(),
            elapsed: started.elapsed(),
            memory_bytes,
        }
    }

    pub(super) fn fresh_store(&self, context: Context, grants: Grants) -> Store<CallState> {
        let ceiling = self.options.memory_bytes;
        let memory = MemoryLimit::new(grants.memory_bytes.map_or(ceiling, |b| b.min(ceiling)));
        let deadline = context.deadline;
        let mut store = Store::new(&self.engine, CallState::new(context, grants, memory));
        store.limiter(|state| &mut state.memory);
        store.set_hostcall_fuel(HOST_CALL_BYTES);
        store.set_max_component_handles(COMPONENT_HANDLES);
        store.set_epoch_deadline(FIRST_YIELD_TICKS);
        // Yielding lets neighbours run and tokio see the timeout; but a loaded
        // scheduler may come back late, so the deadline is looked at here as well.
        store.epoch_deadline_callback(move |_| {
            if Instant::now() >= deadline {
                return Err(DeadlinePassed.into());
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

fn overloaded() -> Failure {
    Failure {
        code: FailureCode::Overloaded,
        message: "no sandbox became free in time".to_owned(),
    }
}

/// Tells apart why a guest stopped without returning.
pub(super) fn failure(error: &wasmtime::Error, memory: &MemoryLimit) -> Failure {
    if error.is::<DeadlinePassed>() {
        return timeout();
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
