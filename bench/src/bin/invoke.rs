//! One call after the other of a plugin in this process: a fresh instance, the call, its
//! end; no HTTP, no store.
//!
//! Reads from standard input which plugin, payload and settings, and how often; tells the
//! microseconds of a call for each round, once with one caller, and once with one for each
//! processor, where it is time of the wall divided by all calls.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use hookswitch::domain::binding::Settings;
use hookswitch::domain::decision::Opinion;
use hookswitch::domain::event::CallEvent;
use hookswitch::domain::id::{EventId, OrganizationId};
use hookswitch::domain::limits::{CallLimits, Limits};
use hookswitch::domain::plugin::Digest;
use hookswitch::domain::seed::Seed;
use hookswitch::ingest;
use hookswitch::runtime::capability::kv::Denied;
use hookswitch::runtime::capability::recorder::Recorder;
use hookswitch::runtime::{CompileOptions, Context, EngineOptions, Grants, Input, Loaded, Runtime};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    plugin: PathBuf,
    payload: String,
    settings: Settings,
    /// The host's program, which compiles.
    host: PathBuf,
    /// For compiled plugins.
    folder: PathBuf,
    rounds: u32,
    calls: u32,
}

/// Everything that is the same for each call.
struct Stage {
    runtime: Runtime,
    plugin: Arc<Loaded>,
    event: Arc<CallEvent>,
    payload: Bytes,
    settings: Arc<Settings>,
}

/// The same runtime as the server's.
fn main() -> Result<()> {
    let order: Order = serde_json::from_reader(io::stdin().lock()).context("no order")?;
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let told = tokio.block_on(measure(&order))?;
    serde_json::to_writer(io::stdout().lock(), &told)?;
    Ok(())
}

async fn measure(order: &Order) -> Result<serde_json::Value> {
    let stage = Arc::new(stage(order).await?);
    let callers = std::thread::available_parallelism()?.get();
    // Once for nothing: the first calls find everything cold.
    together(&stage, callers, order.calls).await?;
    let (mut one, mut all) = (Vec::new(), Vec::new());
    for _ in 0..order.rounds {
        one.push(together(&stage, 1, order.calls).await?);
        all.push(together(&stage, callers, order.calls).await?);
    }
    Ok(json!({"one_us": one, "all_us": all, "callers": callers}))
}

async fn stage(order: &Order) -> Result<Stage> {
    let runtime = Runtime::new(EngineOptions {
        concurrent_calls: 128,
        calls_per_organization: 96,
        ceilings: CallLimits::CEILINGS,
        loaded_plugins: 4,
        compiled_dir: order.folder.clone(),
        compile: CompileOptions {
            at_once: 1,
            time: CompileOptions::DEFAULT_TIME,
            memory_bytes: CompileOptions::DEFAULT_MEMORY,
            program: order.host.clone(),
        },
    })?;
    let bytes = Bytes::from(std::fs::read(&order.plugin)?);
    let digest = Digest::of(&bytes);
    let plugin = runtime.load(digest, async { Ok::<_, io::Error>(bytes) });
    let dialect = ingest::dialect("dasha").context("the dialect is gone")?;
    Ok(Stage {
        plugin: plugin.await?,
        event: Arc::new(dialect.parse(&order.payload)?),
        payload: order.payload.clone().into(),
        settings: Arc::new(Settings(order.settings.0.clone())),
        runtime,
    })
}

/// So many calls of so many callers, in microseconds of the wall a call.
async fn together(stage: &Arc<Stage>, callers: usize, calls: u32) -> Result<f64> {
    let began = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|_| tokio::spawn(one_after_the_other(Arc::clone(stage), calls)))
        .collect();
    for task in tasks {
        task.await??;
    }
    let calls = f64::from(calls) * callers as f64;
    Ok(began.elapsed().as_secs_f64() * 1e6 / calls)
}

async fn one_after_the_other(stage: Arc<Stage>, calls: u32) -> Result<()> {
    for _ in 0..calls {
        stage.call().await?;
    }
    Ok(())
}

impl Stage {
    async fn call(&self) -> Result<()> {
        let context = Context {
            event_id: EventId::from(Uuid::nil()),
            payload: self.payload.clone(),
            received_at: Timestamp::UNIX_EPOCH,
            deadline: tokio::time::Instant::now() + Duration::from_secs(10),
            organization: OrganizationId::from(Uuid::nil()),
            seed: Seed([0; 16]),
            recorder: Recorder::off(),
        };
        let grants = Grants {
            config: Arc::clone(&self.settings),
            kv: Arc::new(Denied),
            http: None,
            limits: self.runtime.limits(&Limits::default()),
        };
        let event = Arc::clone(&self.event);
        let ran = self
            .runtime
            .invoke(&self.plugin, Input { event, context }, grants)
            .await;
        let answered = matches!(ran.result, Ok(Opinion::Answer(_)));
        ensure!(answered, "the plugin did not answer: {:?}", ran.result);
        Ok(())
    }
}
