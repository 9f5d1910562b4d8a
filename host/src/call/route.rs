//! Who is asked: a source with its dialect and its bindings, kept in memory for as
//! long as nobody changes them.

use std::sync::Arc;

use moka::future::Cache;

use crate::domain::binding::{self, Binding};
use crate::domain::id::SourceId;
use crate::domain::source::Source;
use crate::ingest::{self, Dialect};
use crate::store::{Store, StoreError};

/// A source, and its bindings in the order in which they are asked.
pub(super) struct Route {
    pub(super) source: Source,
    pub(super) dialect: &'static dyn Dialect,
    pub(super) bindings: Vec<Binding>,
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
        generation: u64,
        mut bindings: Vec<Binding>,
    ) -> Result<Self, RouteError> {
        let dialect = ingest::dialect(&source.dialect)
            .ok_or_else(|| RouteError::UnknownDialect(source.dialect.clone()))?;
        binding::sort(&mut bindings);
        Ok(Self {
            source,
            dialect,
            bindings,
            generation,
        })
    }
}

/// Routes kept at once; the least used give way.
const KEPT: u64 = 10_000;

#[derive(Debug)]
pub(super) struct Routes {
    store: Store,
    kept: Cache<SourceId, Arc<Route>>,
}

impl Routes {
    pub(super) fn new(store: Store) -> Self {
        Self {
            store,
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
        let route = Arc::new(Route::new(source, generation, bindings)?);
        self.kept.insert(id, Arc::clone(&route)).await;
        Ok(route)
    }
}
