//! Who is asked: a source with its dialect, and the bindings that an event of it may
//! match, kept in memory for as long as nobody in the organization changes anything.
//!
//! A source may have a binding for each of a hundred thousand agents. So the bindings are
//! read for one agent and tool at a time, when it is first asked about: what an answer
//! costs, and the first one after a change, does not depend on how many others there are.
//! Where no binding names an agent or a tool, everybody's are kept with the source.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

use moka::future::Cache;

use super::outbound::Outbound;
use super::rate::{Limits, Rates};
use crate::domain::binding::{self, Binding};
use crate::domain::event::CallEvent;
use crate::domain::id::{OrganizationId, SourceId};
use crate::domain::source::Source;
use crate::ingest::{self, Dialect};
use crate::runtime::Runtime;
use crate::runtime::capability::http::HttpAccess;
use crate::store::{About, Edition, Store, StoreError};

/// A source, and what is known of its requests before they are read.
pub(super) struct Origin {
    pub(super) source: Source,
    pub(super) dialect: &'static dyn Dialect,
    pub(super) limits: Limits,
    /// Whoever an event is about; none if that makes a difference.
    everybody: Option<Bindings>,
    edition: Edition,
}

/// A binding, and what its plugin may reach if it grants any host.
pub(super) struct Bound {
    pub(super) binding: Binding,
    pub(super) http: Option<Arc<HttpAccess>>,
}

/// In the order in which they are asked.
type Bindings = Arc<[Bound]>;

/// A source, and the bindings that may match an event of it.
#[derive(Clone)]
pub(super) struct Route {
    origin: Arc<Origin>,
    bindings: Bindings,
}

impl Deref for Route {
    type Target = Origin;

    fn deref(&self) -> &Origin {
        &self.origin
    }
}

impl Route {
    /// Who is asked about an event, in this order.
    pub(super) fn candidates<'a>(
        &'a self,
        event: &'a CallEvent,
    ) -> impl Iterator<Item = &'a Bound> {
        let facts = event.facts();
        let source = self.source.id;
        let asked = move |bound: &&Bound| bound.binding.is_asked(source, &facts);
        self.bindings.iter().filter(asked)
    }

    /// Whether any plugin is asked about an event.
    pub(super) fn asks_anybody(&self, event: &CallEvent) -> bool {
        self.candidates(event).next().is_some()
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

/// Sources kept at once, and bindings kept at once for agents and tools; the least used
/// give way.
const KEPT_ORIGINS: u64 = 10_000;
const KEPT_BINDINGS: u64 = 100_000;
/// Bytes of an agent's and a tool's names that count as much as a binding.
const NAMES_OF_ONE: usize = 512;

/// Whom an event is about, as far as bindings tell apart.
#[derive(PartialEq, Eq, Hash)]
struct Subject {
    source: SourceId,
    agent: Box<str>,
    tool: Option<Box<str>>,
}

/// Bindings, and the edition they are of.
#[derive(Clone)]
struct Kept {
    bindings: Bindings,
    edition: u64,
}

pub(super) struct Routes {
    store: Store,
    runtime: Arc<Runtime>,
    outbound: Outbound,
    rates: Rates,
    origins: Cache<SourceId, Arc<Origin>>,
    narrow: Cache<Subject, Kept>,
}

impl std::fmt::Debug for Routes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Routes").finish_non_exhaustive()
    }
}

impl Routes {
    pub(super) fn new(store: Store, runtime: Arc<Runtime>, outbound: Outbound) -> Self {
        // Whoever asks chooses the names: long ones take the place of several.
        let weight = |subject: &Subject, kept: &Kept| {
            let names = subject.agent.len() + subject.tool.as_ref().map_or(0, |it| it.len());
            u32::try_from(1 + kept.bindings.len() + names / NAMES_OF_ONE)
        };
        let narrow = Cache::builder()
            .max_capacity(KEPT_BINDINGS)
            .weigher(move |subject, kept| weight(subject, kept).unwrap_or(u32::MAX));
        Self {
            store,
            runtime,
            outbound,
            rates: Rates::default(),
            origins: Cache::new(KEPT_ORIGINS),
            narrow: narrow.build(),
        }
    }

    pub(super) async fn origin(&self, source: SourceId) -> Result<Arc<Origin>, RouteError> {
        match self.origins.get(&source).await {
            Some(origin) if origin.edition.is_current() => Ok(origin),
            stale => self.read(source, stale.as_deref()).await,
        }
    }

    /// The way of an event of a source.
    pub(super) async fn of(
        &self,
        origin: &Arc<Origin>,
        event: &CallEvent,
    ) -> Result<Route, RouteError> {
        let bindings = match &origin.everybody {
            Some(bindings) => Arc::clone(bindings),
            None => self.narrow(origin, event).await?,
        };
        Ok(Route {
            origin: Arc::clone(origin),
            bindings,
        })
    }

    async fn narrow(&self, origin: &Origin, event: &CallEvent) -> Result<Bindings, RouteError> {
        let facts = event.facts();
        let subject = Subject {
            source: origin.source.id,
            agent: facts.agent.into(),
            tool: facts.tool.map(Into::into),
        };
        let edition = origin.edition.number();
        match self.narrow.get(&subject).await {
            Some(kept) if kept.edition == edition => Ok(kept.bindings),
            _ => {
                let about = About {
                    source: subject.source,
                    agent: &subject.agent,
                    tool: subject.tool.as_deref(),
                };
                let bindings = self.bindings(origin.source.organization, about).await?;
                let kept = Kept {
                    bindings: Arc::clone(&bindings),
                    edition,
                };
                self.narrow.insert(subject, kept).await;
                Ok(bindings)
            }
        }
    }

    /// Reads a source. The edition is taken before, so a change that comes in between
    /// makes the copy stale rather than wrong.
    async fn read(&self, id: SourceId, stale: Option<&Origin>) -> Result<Arc<Origin>, RouteError> {
        let organization = match stale {
            Some(origin) => origin.source.organization,
            None => self.source(id).await?.organization,
        };
        let edition = self.store.edition(organization);
        let source = self.source(id).await?;
        let dialect = ingest::dialect(&source.dialect)
            .ok_or_else(|| RouteError::UnknownDialect(source.dialect.clone()))?;
        let everybody = if self.store.binds_narrowly(organization, id).await? {
            None
        } else {
            let about = About {
                source: id,
                agent: "",
                tool: None,
            };
            Some(self.bindings(organization, about).await?)
        };
        let quotas = self.store.quotas(organization).await?;
        let limits = self
            .rates
            .of((id, source.rate), (organization, quotas.calls_per_second));
        let origin = Arc::new(Origin {
            source,
            dialect,
            limits,
            everybody,
            edition,
        });
        self.origins.insert(id, Arc::clone(&origin)).await;
        Ok(origin)
    }

    async fn source(&self, id: SourceId) -> Result<Source, RouteError> {
        let source = self.store.any_source(id).await?;
        source.ok_or(RouteError::UnknownSource(id))
    }

    /// Those that may match, in the order in which they are asked, and what they may reach.
    async fn bindings(
        &self,
        organization: OrganizationId,
        about: About<'_>,
    ) -> Result<Bindings, RouteError> {
        let mut bindings = self.store.bindings_for(organization, about).await?;
        binding::sort(&mut bindings);
        let mut grants = bindings.iter().flat_map(|binding| &binding.granted.http);
        let secrets = if grants.any(|grant| grant.secrets().next().is_some()) {
            self.store.secret_values(organization).await?
        } else {
            HashMap::new()
        };
        let bound = bindings.into_iter().map(|binding| {
            let per_minute = self
                .runtime
                .limits(&binding.limits)
                .http_requests_per_minute;
            let http = self.outbound.access(&binding, per_minute, &secrets);
            Bound { binding, http }
        });
        Ok(bound.collect())
    }
}
