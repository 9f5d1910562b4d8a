//! One Wasmtime engine for the process, and what stands beside it: the epoch
//! ticker, the linker, the queue in front of the pool.
//!
//! Every choice here is explained in `docs/architecture.md`, "The engine".

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use moka::future::Cache;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::task::AbortOnDropHandle;
use wasmtime::component::Linker;
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, WasmFeatures,
};

use super::admission::Admission;
use super::capability::CallState;
use super::compile::CompileOptions;
use super::compiled::CompiledCache;
use super::connections::Connections;
use super::loaded::Loaded;
use super::slow_lane::SlowLane;
use super::{v1, warmth};
use crate::domain::limits::{CallLimits, Limits};
use crate::domain::plugin::Digest;

/// What an operator sets for all plugins together.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Sandboxes that may be alive at once.
    pub concurrent_calls: u32,
    /// Most of them that one organization holds.
    pub calls_per_organization: u32,
    /// The most a binding can ask for.
    pub ceilings: CallLimits,
    /// Plugins kept ready in memory.
    pub loaded_plugins: u64,
    /// Where compiled forms are kept. Only the host may write there.
    pub compiled_dir: PathBuf,
    pub compile: CompileOptions,
}

/// The engine could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the Wasm engine cannot start: {0}")]
    Engine(String),
    #[error("the folder for compiled plugins cannot be used")]
    CompiledDir(#[source] std::io::Error),
    #[error("the thread that interrupts plugins cannot start")]
    Ticker(#[source] std::io::Error),
    #[error("the threads for plugins that take long cannot start")]
    SlowLane(#[source] std::io::Error),
    #[error("the thread for plugins' connections cannot start")]
    Connections(#[source] std::io::Error),
}

/// How often running guests are interrupted. It is the longest a guest keeps a
/// worker thread to itself, and the grain of its time limit.
pub(super) const TICK: Duration = Duration::from_millis(1);

/// Calls of one organization that may wait for a sandbox; more are refused at once.
const WAITING_PER_ORGANIZATION: usize = 1_000;

/// A component may be made of several core modules with a memory and tables each.
const CORE_INSTANCES_PER_CALL: u32 = 40;
const MEMORIES_PER_CALL: u32 = 4;
const TABLES_PER_CALL: u32 = 8;
const TABLE_ELEMENTS: usize = 20_000;

/// Components that may wait to be compiled; more are refused at once.
const WAITING_TO_COMPILE: usize = 32;
/// What of a slot stays mapped between calls: enough for an SDK guest's initial
/// memory, so that the ordinary call neither faults nor returns pages.
const MEMORY_KEPT_RESIDENT: usize = 2 << 20;
/// Idle memories that keep what the plugin had mapped that had them last: for this many
/// plugins that are called in turn (divided by the processors, each of which has a share of
/// the pool) a call maps nothing. Of an ordinary plugin each holds 16 KiB of its own while
/// that is loaded, and half of it afterwards ([`warmth`]).
const WARM_MEMORIES: u32 = 2048;
const TABLE_KEPT_RESIDENT: usize = 16 << 10;

/// Runs plugins.
pub struct Runtime {
    pub(super) engine: Engine,
    pub(super) linker: Linker<CallState>,
    pub(super) compiled: CompiledCache,
    pub(super) loaded: Cache<Digest, Arc<Loaded>>,
    /// Turns at the compiler, and places in front of it.
    pub(super) compiling: Arc<Semaphore>,
    pub(super) waiting_to_compile: Arc<Semaphore>,
    /// Stands in front of the pool, where exhaustion would be an error.
    pub(super) admission: Admission,
    pub(super) options: EngineOptions,
    pub(super) slow_lane: SlowLane,
    connections: Connections,
    _ticker: Ticker,
    _take_back: Option<AbortOnDropHandle<()>>,
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Runtime {
    pub fn new(options: EngineOptions) -> Result<Self, StartError> {
        let engine = Engine::new(&config(&options)).map_err(|e| engine_error(&e))?;
        let mut linker = Linker::new(&engine);
        v1::add_to_linker(&mut linker).map_err(|e| engine_error(&e))?;
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).map_err(|e| engine_error(&e))?;
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)
            .map_err(|e| engine_error(&e))?;
        let compiled =
            CompiledCache::open(&options.compiled_dir, &engine).map_err(StartError::CompiledDir)?;
        let ticker = Ticker::start(engine.clone()).map_err(StartError::Ticker)?;
        let loaded = Cache::new(options.loaded_plugins);
        let slow_lane = SlowLane::start().map_err(StartError::SlowLane)?;
        let take_back = slow_lane.start_behind(warmth::take_back(loaded.clone()));
        Ok(Self {
            engine,
            linker,
            compiled,
            loaded,
            compiling: Arc::new(Semaphore::new(options.compile.at_once as usize)),
            waiting_to_compile: Arc::new(Semaphore::new(WAITING_TO_COMPILE)),
            admission: Admission::new(
                options.concurrent_calls,
                options.calls_per_organization,
                WAITING_PER_ORGANIZATION,
            ),
            options,
            slow_lane,
            connections: Connections::start().map_err(StartError::Connections)?,
            _ticker: ticker,
            _take_back: take_back,
        })
    }

    /// Where the connections of plugins' requests are to live.
    pub fn connections(&self) -> Handle {
        self.connections.handle()
    }

    /// The most a binding can ask for.
    pub fn ceilings(&self) -> &CallLimits {
        &self.options.ceilings
    }

    /// What a call may use whose binding asks for this.
    pub fn limits(&self, asked: &Limits) -> CallLimits {
        let ceilings = &self.options.ceilings;
        CallLimits::default().with(asked).under(ceilings)
    }
}

fn engine_error(error: &wasmtime::Error) -> StartError {
    StartError::Engine(format!("{error:#}"))
}

fn config(options: &EngineOptions) -> Config {
    let calls = options.concurrent_calls;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(calls)
        .total_core_instances(calls.saturating_mul(CORE_INSTANCES_PER_CALL))
        // Only addresses: those that are not in use have nothing behind them.
        .total_memories(
            calls
                .saturating_mul(MEMORIES_PER_CALL)
                .saturating_add(WARM_MEMORIES),
        )
        .max_unused_warm_slots(WARM_MEMORIES)
        .total_tables(calls.saturating_mul(TABLES_PER_CALL))
        .total_stacks(calls)
        .max_core_instances_per_component(CORE_INSTANCES_PER_CALL)
        .max_memories_per_component(MEMORIES_PER_CALL)
        .max_tables_per_component(TABLES_PER_CALL)
        .table_elements(TABLE_ELEMENTS)
        .max_memory_size(usize::try_from(options.ceilings.memory_bytes).unwrap_or(usize::MAX))
        .linear_memory_keep_resident(MEMORY_KEPT_RESIDENT)
        .table_keep_resident(TABLE_KEPT_RESIDENT)
        // Needs Linux 6.7; `Auto` does without where it is older.
        .pagemap_scan(Enabled::Auto);
    let mut config = codegen();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

/// All settings that shape compiled code: the same in the server and in the process
/// that compiles for it, which has no pool.
pub(super) fn codegen() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        // Handlers are synchronous functions: nothing of this is needed, and each
        // costs time at every call or is more for an attacker to try.
        .concurrency_support(false)
        .wasm_features(WasmFeatures::MEMORY64, false)
        .wasm_features(WasmFeatures::THREADS, false)
        // Dumps and backtraces would carry callers' data and paths of ours; so nobody
        // asks for what only they need, and compiled forms are smaller by a seventh.
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false)
        .native_unwind_info(false);
    config
}

/// The thread that advances the engine's epoch. It is a thread of the system and
/// not a task, because a guest that does not yield may hold up tokio's timer.
struct Ticker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    fn start(engine: Engine) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("epoch-ticker".to_owned())
            .spawn(move || {
                while !stopped.load(Ordering::Relaxed) {
                    std::thread::sleep(TICK);
                    engine.increment_epoch();
                }
            })?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic there has nothing to say to anybody any more.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use wasmtime::component::Component;

    use super::*;

    /// Components of JavaScript are made of several: the adapter between two of them
    /// has a memory of each, so multi-memory cannot be turned off.
    const TWO_MEMORIES: &str = r#"(component
      (component $callee
        (core module $m
          (memory (export "memory") 1)
          (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 0)
          (func (export "f") (param i32 i32)))
        (core instance $i (instantiate $m))
        (func (export "f") (param "s" string)
          (canon lift (core func $i "f")
            (memory (core memory $i "memory"))
            (realloc (core func $i "realloc")))))
      (component $caller
        (import "f" (func $f (param "s" string)))
        (core module $memory (memory (export "memory") 1))
        (core instance $memory (instantiate $memory))
        (core func $lowered (canon lower (func $f) (memory (core memory $memory "memory"))))
        (core module $m
          (import "" "f" (func $f (param i32 i32)))
          (func (export "go") i32.const 0 i32.const 0 call $f))
        (core instance $i (instantiate $m (with "" (instance (export "f" (func $lowered))))))
        (func (export "go") (canon lift (core func $i "go"))))
      (instance $callee (instantiate $callee))
      (instance $caller (instantiate $caller (with "f" (func $callee "f"))))
      (export "go" (func $caller "go")))"#;

    fn options() -> EngineOptions {
        EngineOptions {
            concurrent_calls: 1,
            calls_per_organization: 1,
            ceilings: CallLimits::CEILINGS,
            loaded_plugins: 1,
            compiled_dir: PathBuf::new(),
            compile: CompileOptions {
                at_once: 1,
                time: CompileOptions::DEFAULT_TIME,
                memory_bytes: CompileOptions::DEFAULT_MEMORY,
                program: PathBuf::new(),
            },
        }
    }

    fn compatibility(engine: &Engine) -> u64 {
        use std::hash::{DefaultHasher, Hash as _, Hasher as _};
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        hasher.finish()
    }

    #[test]
    fn the_server_runs_what_its_compiler_compiles() {
        let server = Engine::new(&config(&options())).unwrap();
        let compiler = Engine::new(&codegen()).unwrap();
        assert_eq!(compatibility(&server), compatibility(&compiler));
    }

    #[test]
    fn a_component_of_several_with_a_memory_each_compiles() {
        let engine = Engine::new(&config(&options())).unwrap();
        let bytes = wat::parse_str(TWO_MEMORIES).unwrap();
        assert!(Component::from_binary(&engine, &bytes).is_ok());
    }
}
