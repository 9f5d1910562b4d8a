//! Plugins ready to be called: compiled, linked, their exports found.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};
use wasmtime::component::{Component, InstancePre};

use super::capability::recorder::Recorder;
use super::capability::{CallState, kv};
use super::inspect::{self, Rejection};
use super::invoke::{self, Context, Grants};
use super::{Runtime, v1};
use crate::domain::id::{EventId, OrganizationId};
use crate::domain::limits::Limits;
use crate::domain::plugin::{Digest, Inspection};
use crate::domain::seed::Seed;

/// How long a component may take to start when it is uploaded.
const PROBE: Duration = Duration::from_secs(5);

/// A plugin ready to be called.
pub struct Loaded {
    pub(super) pre: InstancePre<CallState>,
    pub(super) exports: v1::Exports,
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

    /// Decides whether bytes are a plugin, and has it ready if they are.
    pub async fn inspect(
        &self,
        bytes: Bytes,
        organization: OrganizationId,
    ) -> Result<Inspection, Rejection> {
        let digest = Digest::of(&bytes);
        inspect::check_form(&bytes)?;
        let size = bytes.len() as u64;
        let component = match self.compiled.load(&self.engine, &digest) {
            Some(component) => component,
            None => self.compile(digest, bytes).await?,
        };
        let imports = inspect::imports(&component, &self.engine);
        let loaded = self.link(&component)?;
        let exports = loaded.exports.handlers();
        if exports.is_empty() {
            return Err(inspect::no_known_export(&component, &self.engine));
        }
        self.probe(&loaded, organization).await?;
        self.loaded.insert(digest, Arc::new(loaded)).await;
        Ok(Inspection {
            digest,
            size,
            exports,
            imports,
        })
    }

    /// Compiles, one component at a time, and keeps the compiled form.
    ///
    /// Compiling cannot be broken off. If the caller gives up, it goes on with its
    /// turn in hand, and whoever asks next finds the compiled form.
    async fn compile(&self, digest: Digest, bytes: Bytes) -> Result<Component, Rejection> {
        let turn = Arc::clone(&self.compiling).acquire_owned().await;
        let (engine, cache) = (self.engine.clone(), self.compiled.clone());
        let compile = move || {
            // The semaphore is never closed; if it were, going on is still right.
            let _turn = turn;
            let component = Component::from_binary(&engine, &bytes)
                .map_err(|error| inspect::not_compiled(&error, bytes.len()))?;
            if let Err(error) = cache.store(&digest, &component) {
                // It only costs the next start a compilation.
                tracing::warn!(%digest, %error, "compiled form could not be kept");
            }
            Ok(component)
        };
        let compiled = tokio::task::spawn_blocking(compile).await;
        compiled.unwrap_or(Err(Rejection::CompilerFailed))
    }

    /// Makes one instance, with nothing granted, to see that it starts and that its
    /// handlers have the contract's types.
    async fn probe(&self, loaded: &Loaded, organization: OrganizationId) -> Result<(), Rejection> {
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
        let _sandbox = admitted.map_err(|_| Rejection::Busy)?;
        let mut store = self.fresh_store(context, grants);
        let started = timeout_at(deadline, loaded.pre.instantiate_async(&mut store)).await;
        let instance = match started {
            Ok(Ok(instance)) => instance,
            Ok(Err(error)) => {
                let failure = invoke::failure(&error, &store.data().memory);
                return Err(Rejection::CannotStart(failure.message));
            }
            Err(_elapsed) => {
                let problem = format!("it took more than {} seconds", PROBE.as_secs());
                return Err(Rejection::CannotStart(problem));
            }
        };
        loaded
            .exports
            .check(&mut store, &instance)
            .map_err(|(handler, error)| {
                let problem = format!("{error:#}");
                Rejection::WrongHandler {
                    handler: handler.interface(),
                    problem,
                }
            })
    }

    fn link(&self, component: &Component) -> Result<Loaded, Rejection> {
        let pre = self
            .linker
            .instantiate_pre(component)
            .map_err(|error| inspect::not_linked(component, &self.engine, &error))?;
        let exports = v1::Exports::find(&pre);
        Ok(Loaded { pre, exports })
    }
}
