//! Who is asked: a source with its dialect and its bindings, kept in memory for as
//! long as nobody changes them.

use std::collections::HashMap;
use std::sync::Arc;

use moka::future::Cache;

use super::outbound::Outbound;
use super::rate::{Limits, Rates};
use crate::domain::binding::{self, Binding};
use crate::domain::id::{BindingId, SourceId};
use crate::domain::source::Source;
use crate::ingest::{self, Dialect};
use crate::runtime::Runtime;
use crate::runtime::capability::http::HttpAccess;
use crate::store::{Store, StoreError};

/// A source, and its bindings in the order in which they are asked.
pub(super) struct Route {
    pub(super) source: Source,
    pub(super) dialect: &'static dyn Dialect,
    pub(super) bindings: Vec<Binding>,
    pub(super) limits: Limits,
    /// Of those bindings that grant any host.
    http: HashMap<BindingId, Arc<HttpAccess>>,
    /// The store's generation this was read at.
    generation: u64,
}

impl std::fmt::Debug for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Route")
            .field("source", &self.source.id)
            .finish_non_exhaustive()
    }
}

/// There is no way for a request.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RouteError {
    #[error("there is no source {0}")]
    UnknownSource(SourceId),
    #[error("the source speaks {0:?}, which this server does not know")]
    UnknownDialect(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Route {
    fn new(
        source: Source,
        limits: Limits,
        generation: u64,
        mut bindings: Vec<Binding>,
        http: HashMap<BindingId, Arc<HttpAccess>>,
    ) -> Result<Self, RouteError> {
        let dialect = ingest::dialect(&source.dialect)
            .ok_or_else(|| RouteError::UnknownDialect(source.dialect.clone()))?;
        binding::sort(&mut bindings);
        Ok(Self {
            source,
            dialect,
            bindings,
            limits,
            http,
            generation,
        })
    }

    /// What a binding's plugin may reach.
    pub(super) fn http(&self, binding: BindingId) -> Option<Arc<HttpAccess>> {
        self.http.get(&binding).cloned()
    }
}

/// Routes kept at once; the least used give way.
const KEPT: u64 = 10_000;

#[derive(Debug)]
pub(super) struct Routes {
    store: Store,
    runtime: Arc<Runtime>,
    outbound: Outbound,
    rates: Rates,
    kept: Cache<SourceId, Arc<Route>>,
}

impl Routes {
    pub(super) fn new(store: Store, runtime: Arc<Runtime>, outbound: Outbound) -> Self {
        Self {
            store,
            runtime,
            outbound,
            rates: Rates::default(),
            kept: Cache::new(KEPT),
        }
    }

    pub(super) async fn get(&self, source: SourceId) -> Result<Arc<Route>, RouteError> {
        let generation = self.store.setup_generation();
        match self.kept.get(&source).await {
            Some(route) if route.generation == generation => Ok(route),
            _ => self.read(source, generation).await,
        }
    }

    /// Reads a route. The generation was read before, so a change that comes in
    /// between makes the copy stale rather than wrong.
    async fn read(&self, id: SourceId, generation: u64) -> Result<Arc<Route>, RouteError> {
        let source = self
            .store
            .any_source(id)
            .await?
            .ok_or(RouteError::UnknownSource(id))?;
        let bindings = self.store.bindings_for(source.organization, id).await?;
        let http = self.http(&source, &bindings).await?;
        let quotas = self.store.quotas(source.organization).await?;
        let limits = self.rates.of(
            (id, source.rate),
            (source.organization, quotas.calls_per_second),
        );
        let route = Arc::new(Route::new(source, limits, generation, bindings, http)?);
        self.kept.insert(id, Arc::clone(&route)).await;
        Ok(route)
    }

    async fn http(
        &self,
        source: &Source,
        bindings: &[Binding],
    ) -> Result<HashMap<BindingId, Arc<HttpAccess>>, RouteError> {
        let mut grants = bindings.iter().flat_map(|binding| &binding.granted.http);
        let secrets = if grants.any(|grant| grant.secrets().next().is_some()) {
            self.store.secret_values(source.organization).await?
        } else {
            HashMap::new()
        };
        let access = bindings.iter().filter_map(|binding| {
            let limits = self.runtime.limits(&binding.limits);
            let access =
                self.outbound
                    .access(binding, limits.http_requests_per_minute, &secrets)?;
            Some((binding.id, access))
        });
        Ok(access.collect())
    }
}
