//! The composition root: builds everything in order, and takes it down in reverse.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::call::{Switch, WaysOut};
use crate::config::{CompileLimits, Config, Limits};
use crate::domain::id::OrganizationId;
use crate::domain::limits::CallLimits;
use crate::egress::{Egress, EgressError};
use crate::http::{self, Caps, LastUse, Pace, Parts, Services, TokenText, TrustedProxies};
use crate::runtime::{CompileOptions, EngineOptions, Runtime, StartError};
use crate::store::{OpenError, OpenStore, Store, StoreError, TokenHash};
use crate::{delivery, notices, pruning};

/// The server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Engine(#[from] StartError),
    #[error(transparent)]
    Egress(#[from] EgressError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot listen on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
}

/// A server that serves.
#[derive(Debug)]
pub struct App {
    pub address: SocketAddr,
    /// The first start's token, if one had to be made up. It is shown once.
    pub new_token: Option<String>,
    open: OpenStore,
    switch: Arc<Switch>,
    stop: CancellationToken,
    server: JoinHandle<()>,
    worker: JoinHandle<()>,
    deliveries: JoinHandle<()>,
    jobs: JoinHandle<()>,
    pruning: JoinHandle<()>,
    housekeeping: JoinHandle<()>,
}

/// The engine's settings for a data folder.
pub fn engine_options(
    limits: &Limits,
    ceilings: CallLimits,
    compile: CompileLimits,
    data_dir: &Path,
) -> EngineOptions {
    EngineOptions {
        concurrent_calls: limits.concurrent_calls,
        calls_per_organization: limits.calls_per_organization,
        ceilings,
        loaded_plugins: limits.loaded_plugins,
        compiled_dir: data_dir.join("compiled"),
        compile: CompileOptions {
            at_once: compile.at_once,
            time: Duration::from_secs(compile.seconds),
            memory_bytes: compile.memory_bytes,
            program: CompileOptions::this_program(),
        },
    }
}

impl App {
    /// Builds and starts everything; serving has begun when this returns.
    pub async fn start(config: &Config, admin_token: Option<&str>) -> Result<Self, AppError> {
        let open = OpenStore::open(&config.data_dir, config.answers, &config.keys).await?;
        let open = open.with_quotas(config.quotas);
        let store = open.store.clone();
        let new_token = first_token(&store, admin_token).await?;
        let options = engine_options(
            &config.limits,
            config.ceilings,
            config.compile,
            &config.data_dir,
        );
        let runtime = Arc::new(Runtime::new(options)?);
        let ways_out = WaysOut {
            plugins: Egress::new(&config.egress, runtime.connections())?,
            endpoints: Egress::new(&config.egress, Handle::current())?,
        };
        let switch = Arc::new(Switch::new(store.clone(), Arc::clone(&runtime), ways_out));

        runtime.load_ahead();
        switch.recover().await?;
        let address = config.listen;
        let listen = |source| AppError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;

        let caps = Caps {
            hook_body: config.limits.hook_body_bytes,
            plugin_body: config.limits.plugin_body_bytes,
            plain_endpoints: config.plain_endpoints,
        };
        let last_use = LastUse::default();
        let pace = Pace::new(config.limits.api_requests_per_second);
        let services = Services::new(Parts {
            switch: Arc::clone(&switch),
            runtime,
            store: store.clone(),
            last_use: last_use.clone(),
            pace: pace.clone(),
            trusted_proxies: TrustedProxies::new(config.trusted_proxies.clone()),
            caps,
        });
        let stop = CancellationToken::new();
        let router = http::router(services);
        let server = tokio::spawn(http::server::serve(
            listener,
            router,
            stop.clone(),
            config.drain,
        ));
        let at_once = config.limits.concurrent_notices;
        let deliveries = delivery::run(
            Arc::clone(&switch),
            store.clone(),
            stop.clone(),
            config.drain,
        );
        let deliveries = tokio::spawn(deliveries);
        let jobs = delivery::jobs::run(Arc::clone(&switch), store.clone(), stop.clone());
        let jobs = tokio::spawn(jobs);
        let worker = tokio::spawn(notices::run(
            Arc::clone(&switch),
            store.clone(),
            at_once,
            stop.clone(),
        ));
        let pruning = tokio::spawn(pruning::run(store.clone(), stop.clone()));
        let housekeeping = tokio::spawn(housekeeping(store, last_use, pace));
        Ok(Self {
            address,
            new_token,
            open,
            switch,
            stop,
            server,
            worker,
            deliveries,
            jobs,
            pruning,
            housekeeping,
        })
    }

    /// Reads the keys that seal secrets again, where they are in a file.
    pub async fn reload_keys(&self, config: &Config) {
        let store = &self.open.store;
        if let Err(error) = store.reload_keys(&config.data_dir, &config.keys).await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "other keys cannot be used, those from before stay"
            );
        }
    }

    /// Stops taking requests, waits for those in flight, writes what is waiting.
    pub async fn stop(self) {
        self.stop.cancel();
        // Streams have no end of their own; requests are waited for.
        self.switch.live().close();
        for (task, name) in [
            (self.server, "server"),
            (self.worker, "notice worker"),
            (self.deliveries, "delivery worker"),
            (self.jobs, "job worker"),
            (self.pruning, "pruning"),
        ] {
            if task.await.is_err() {
                tracing::error!(task = name, "a task has panicked");
            }
        }
        self.switch.finish().await;
        drop(self.switch);
        self.housekeeping.abort();
        let _ = self.housekeeping.await;
        self.open.close().await;
    }
}

/// Sees to it that somebody can use the API: with the operator's token if one is
/// set, else with one made up here at the first start.
async fn first_token(
    store: &Store,
    admin_token: Option<&str>,
) -> Result<Option<String>, StoreError> {
    let organization = OrganizationId::from(Uuid::now_v7());
    let now = Timestamp::now();
    if let Some(token) = admin_token {
        let hash = TokenHash::of(token);
        store
            .add_operator(hash, "environment", None, organization, now)
            .await?;
        return Ok(None);
    }
    if store.has_token().await? {
        return Ok(None);
    }
    let token = TokenText::random();
    let (hash, prefix) = (TokenHash::of(&token.0), Some(token.prefix()));
    store
        .add_operator(hash, "first start", prefix, organization, now)
        .await?;
    Ok(Some(token.0))
}

/// What has to be done now and then. What fails is done the next time.
async fn housekeeping(store: Store, last_use: LastUse, pace: Pace) {
    const EVERY: Duration = Duration::from_mins(1);
    loop {
        tokio::time::sleep(EVERY).await;
        pace.forget_idle();
        if let Err(error) = tidy(&store, &last_use).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "housekeeping was not finished"
            );
        }
    }
}

async fn tidy(store: &Store, last_use: &LastUse) -> Result<(), StoreError> {
    let used = last_use.take();
    if !used.is_empty() {
        store.used_tokens(used).await?;
    }
    let now = Timestamp::now();
    let swept = store.sweep_kv(now).await?;
    let forgotten = store.forget_creations(now - REMEMBERED).await?;
    tracing::debug!(swept, forgotten, "expired entries are gone");
    Ok(())
}

/// For how long the answer of a creation is known by its idempotency key.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);
