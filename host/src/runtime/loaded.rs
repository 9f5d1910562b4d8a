//! Plugins ready to be called: compiled, linked, their exports found.

use std::collections::HashSet;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::AbortOnDropHandle;
use wasmtime::Store;
use wasmtime::component::{Component, InstancePre};

use super::capability::recorder::Recorder;
use super::capability::{CallState, kv};
use super::cpu::CpuTime;
use super::inspect::{self, Rejection};
use super::invoke::{self, Context, Grants};
use super::slow_lane::Pace;
use super::warmth::{IDLE_KEPT, Warmth};
use super::{Runtime, compile, v1};
use crate::domain::id::{EventId, OrganizationId};
use crate::domain::inspection::{Inspection, Tool};
use crate::domain::limits::Limits;
use crate::domain::plugin::Digest;
use crate::domain::seed::Seed;

/// How long a component may take to start when it is uploaded.
const PROBE: Duration = Duration::from_secs(5);

/// Between two plugins that are loaded ahead, which takes a tenth of it: who calls now
/// is not to feel it.
const AHEAD_PAUSE: Duration = Duration::from_millis(2);

/// A plugin ready to be called.
pub struct Loaded {
    pub(super) pre: InstancePre<CallState>,
    pub(super) exports: v1::Exports,
    pub(super) pace: Pace,
    pub(super) warmth: Warmth,
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loaded")
            .field("handlers", &self.exports.handlers())
            .finish_non_exhaustive()
    }
}

/// A stored component could not be made ready.
#[derive(Debug, thiserror::Error)]
pub enum LoadError<E: std::error::Error + 'static> {
    #[error("the component's bytes cannot be had")]
    Bytes(#[source] E),
    #[error(transparent)]
    Rejected(#[from] Rejection),
}

impl Loaded {
    /// Makes one instance and asks it for its tools.
    async fn try_out(&self, store: &mut Store<CallState>) -> Result<Vec<Tool>, Rejection> {
        let instance = match self.pre.instantiate_async(&mut *store).await {
            Ok(instance) => instance,
            Err(error) => {
                let failure = invoke::failure(&error, &store.data().memory);
                return Err(Rejection::CannotStart(failure.message));
            }
        };
        let checked = self.exports.check(store, &instance);
        checked.map_err(|(handler, error)| Rejection::WrongHandler {
            handler: handler.interface(),
            problem: format!("{error:#}"),
        })?;
        let tools = match self.exports.tools(store, &instance).await {
            Ok(tools) => tools.map_err(Rejection::BadTools)?,
            Err(error) => {
                let failure = invoke::failure(&error, &store.data().memory);
                return Err(Rejection::BadTools(failure.message));
            }
        };
        inspect::check_tools(&tools)?;
        Ok(tools)
    }
}

impl Runtime {
    /// The plugin with that digest: from memory, from its compiled form on disk, or
    /// compiled from the bytes. Callers who want the same one wait for the first.
    pub async fn load<E>(
        &self,
        digest: Digest,
        bytes: impl Future<Output = Result<Bytes, E>>,
    ) -> Result<Arc<Loaded>, Arc<LoadError<E>>>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let load = async {
            if let Some(component) = self.compiled.load(&self.engine, &digest) {
                return Ok(Arc::new(self.link(&component)?));
            }
            let bytes = bytes.await.map_err(LoadError::Bytes)?;
            let component = self.compile(digest, bytes).await?;
            Ok(Arc::new(self.link(&component)?))
        };
        self.loaded.try_get_with(digest, load).await
    }

    /// Loads what is compiled already, the newest first, behind all calls: whoever is
    /// called first after a start shall not wait for it. Not more than are kept although
    /// nobody calls them.
    pub fn load_ahead(self: &Arc<Self>) {
        let runtime = Arc::downgrade(self);
        let most = IDLE_KEPT as u64;
        let load = async move {
            let digests = match runtime.upgrade() {
                Some(runtime) => runtime.compiled.digests(),
                None => return,
            };
            let digests = digests.unwrap_or_else(|error| {
                tracing::warn!(%error, "compiled plugins cannot be loaded ahead");
                Vec::new()
            });
            for digest in digests {
                let Some(runtime) = runtime.upgrade() else {
                    return;
                };
                if runtime.loaded.entry_count() >= most.min(runtime.options.loaded_plugins) {
                    return;
                }
                // What cannot be loaded is told when it is asked for.
                let load = async { Err::<_, io::Error>(io::ErrorKind::NotFound.into()) };
                let _ = runtime.load(digest, load).await;
                drop(runtime);
                tokio::time::sleep(AHEAD_PAUSE).await;
            }
        };
        let started = self.slow_lane.start_behind(load);
        // It ends by itself.
        started.map(AbortOnDropHandle::detach);
    }

    /// Decides whether bytes are a plugin, and has it ready if they are.
    ///
    /// `known` are the components that the organization has already.
    ///
    /// All of it is done in the slow lane: megabytes are hashed, written and mapped,
    /// and a process is started, each of which keeps a thread for milliseconds.
    pub async fn inspect(
        self: &Arc<Self>,
        bytes: Bytes,
        organization: OrganizationId,
        known: HashSet<Digest>,
    ) -> Result<Inspection, Rejection> {
        // First: what is no component at all costs nothing more.
        inspect::check_form(&bytes)?;
        let runtime = Arc::clone(self);
        let examine = async move { runtime.examine(bytes, organization, &known).await };
        self.slow_lane.run_behind(examine).await
    }

    async fn examine(
        &self,
        bytes: Bytes,
        organization: OrganizationId,
        known: &HashSet<Digest>,
    ) -> Result<Inspection, Rejection> {
        let digest = Digest::of(&bytes);
        let size = bytes.len() as u64;
        let started = std::time::Instant::now();
        // What somebody else uploaded is compiled again, or the time it takes would tell
        // one customer what another has.
        let kept = known.contains(&digest);
        let kept = kept.then(|| self.compiled.load(&self.engine, &digest));
        let kept = kept.flatten();
        let compiles = kept.is_none();
        let component = match kept {
            Some(component) => component,
            None => self.compile(digest, bytes).await?,
        };
        let compile_ms = compiles.then(|| compile::milliseconds(started));
        inspect::check_contract(&component, &self.engine)?;
        let imports = inspect::imports(&component, &self.engine);
        let loaded = Arc::new(self.link(&component)?);
        let exports = loaded.exports.handlers();
        if exports.is_empty() {
            return Err(inspect::no_known_export(&component, &self.engine));
        }
        let resources = inspect::resources(&component);
        let tools = self.probe(&loaded, organization).await?;
        self.loaded.insert(digest, loaded).await;
        Ok(Inspection {
            digest,
            size,
            contract: v1::PACKAGE.to_owned(),
            exports,
            imports,
            tools,
            resources,
            compile_ms,
        })
    }

    /// Compiles in a child process when it is its turn, and keeps the compiled form.
    ///
    /// If the caller gives up, it goes on with its turn in hand, and whoever asks
    /// next finds the compiled form.
    async fn compile(&self, digest: Digest, bytes: Bytes) -> Result<Component, Rejection> {
        let place = Arc::clone(&self.waiting_to_compile).try_acquire_owned();
        let place = place.map_err(|_| Rejection::Busy)?;
        // The semaphore is never closed; if it were, going on is still right.
        let turn = Arc::clone(&self.compiling).acquire_owned().await;
        // Somebody may have wanted the same and been faster.
        if let Some(component) = self.compiled.load(&self.engine, &digest) {
            return Ok(component);
        }
        let (cache, options) = (self.compiled.clone(), self.options.compile.clone());
        // One processor at least is for calls alone, as it is of the slow lane.
        let threads = self.slow_lane.threads();
        let compile = async move {
            let _turn = (turn, place);
            let unavailable = |error: io::Error| {
                tracing::error!(%digest, %error, "the folder for compiled plugins cannot be written");
                Rejection::CompilerUnavailable
            };
            let scratch = cache.scratch(&bytes).map_err(unavailable)?;
            let (component, output) = (&scratch.component, &scratch.output);
            compile::in_child(&options, threads, component, output, bytes.len()).await?;
            cache.keep(&digest, scratch.output).map_err(unavailable)
        };
        match tokio::spawn(compile).await {
            Ok(compiled) => compiled?,
            Err(_panicked) => return Err(Rejection::CompilerFailed),
        }
        // It was compiled without a pool; the engine finds out here whether it fits.
        self.compiled
            .try_load(&self.engine, &digest)
            .map_err(|error| Rejection::NeedsTooMuch(format!("{error:#}")))
    }

    /// Makes one instance, with nothing granted, to see that it starts, that its
    /// handlers have the contract's types, and which tools it answers.
    async fn probe(
        &self,
        loaded: &Arc<Loaded>,
        organization: OrganizationId,
    ) -> Result<Vec<Tool>, Rejection> {
        let deadline = Instant::now() + PROBE;
        let context = Context {
            event_id: EventId::from(uuid::Uuid::nil()),
            payload: Bytes::new(),
            received_at: jiff::Timestamp::UNIX_EPOCH,
            deadline,
            organization,
            seed: Seed([0; 16]),
            recorder: Recorder::off(),
        };
        let grants = Grants {
            config: Arc::default(),
            kv: Arc::new(kv::Denied),
            http: None,
            limits: self.limits(&Limits::default()),
        };
        let admitted = self.admission.admit(organization, deadline).await;
        let sandbox = admitted.map_err(|_| Rejection::Busy)?;
        let cpu = CpuTime::default();
        let mut store = self.fresh_store(context, grants, &cpu);
        let loaded = Arc::clone(loaded);
        let tried = async move {
            let tried = timeout_at(deadline, loaded.try_out(&mut store)).await;
            drop((store, sandbox));
            tried
        };
        // Nobody knows yet how long it takes.
        let (tried, _busy) = self.slow_lane.run_measured(&cpu, tried).await;
        tried.unwrap_or_else(|_elapsed| {
            let problem = format!("it took more than {} seconds", PROBE.as_secs());
            Err(Rejection::CannotStart(problem))
        })
    }

    fn link(&self, component: &Component) -> Result<Loaded, Rejection> {
        let pre = self
            .linker
            .instantiate_pre(component)
            .map_err(|error| inspect::not_linked(component, &self.engine, &error))?;
        let exports = v1::Exports::find(&pre);
        Ok(Loaded {
            pre,
            exports,
            pace: Pace::default(),
            warmth: Warmth::default(),
        })
    }
}
