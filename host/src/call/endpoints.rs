//! Who may be told: an organization's endpoints, ready to be sent to, kept in memory
//! for as long as nobody changes them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;

use crate::dispatch::Ready;
use crate::domain::endpoint::{Endpoint, Subject};
use crate::domain::grant::http::HeaderTemplate;
use crate::domain::id::{EndpointId, OrganizationId};
use crate::domain::plugin::Name;
use crate::store::{Store, StoreError};

/// The endpoints of an organization.
#[derive(Debug, Default)]
pub struct Directory {
    /// The oldest first.
    all: Vec<Arc<Ready>>,
    by_id: HashMap<EndpointId, usize>,
    by_name: HashMap<Name, usize>,
}

impl Directory {
    fn new(endpoints: Vec<Ready>) -> Self {
        let all: Vec<_> = endpoints.into_iter().map(Arc::new).collect();
        let by_id = all.iter().map(|it| it.endpoint.id).zip(0..).collect();
        let names = all.iter().map(|it| it.endpoint.name.clone());
        Self {
            by_name: names.zip(0..).collect(),
            all,
            by_id,
        }
    }

    pub fn get(&self, id: EndpointId) -> Option<&Arc<Ready>> {
        self.by_id.get(&id).and_then(|&at| self.all.get(at))
    }

    pub fn named(&self, name: &str) -> Option<&Arc<Ready>> {
        let name: Name = name.parse().ok()?;
        self.by_name.get(&name).and_then(|&at| self.all.get(at))
    }

    /// The enabled endpoints whose filters match.
    pub(super) fn subscribers<'d>(
        &'d self,
        subject: &Subject<'_>,
        payload: &[u8],
    ) -> Vec<&'d Endpoint> {
        let endpoints = self.all.iter().map(|ready| &ready.endpoint);
        let mut found: Vec<_> = endpoints
            .filter(|it| it.is_enabled() && it.settings.filter.covers(subject))
            .collect();
        if found.iter().any(|it| it.settings.filter.looks_at_fields()) {
            // Read once for all of them. It is JSON, checked when it came in.
            let payload = serde_json::from_slice(payload).unwrap_or_default();
            found.retain(|it| it.settings.filter.fields_hold(&payload));
        }
        found
    }
}

/// Directories kept at once; the least used give way.
const KEPT: u64 = 10_000;
/// And those that nobody asks for any more, such as of a set-up that was changed.
const IDLE: Duration = Duration::from_mins(1);

/// The directories of all organizations.
#[derive(Debug)]
pub struct Directories {
    store: Store,
    /// By the edition they are of.
    kept: Cache<(OrganizationId, u64), Arc<Directory>>,
}

impl Directories {
    pub(super) fn new(store: Store) -> Self {
        let kept = Cache::builder().max_capacity(KEPT).time_to_idle(IDLE);
        Self {
            store,
            kept: kept.build(),
        }
    }

    /// The organization's endpoints as they are now. However many ask at once after a
    /// change, it is read once.
    pub async fn of(&self, organization: OrganizationId) -> Result<Arc<Directory>, StoreError> {
        // Read before the directory is: a change that comes in between makes the copy
        // stale rather than wrong.
        let edition = self.store.edition(organization).number();
        let read = self.read(organization);
        let directory = self.kept.try_get_with((organization, edition), read);
        directory.await.map_err(Arc::unwrap_or_clone)
    }

    async fn read(&self, organization: OrganizationId) -> Result<Arc<Directory>, StoreError> {
        let endpoints = self.store.all_endpoints(organization).await?;
        let templates = endpoints.iter().flat_map(|it| it.settings.headers.values());
        let secrets = if templates.flat_map(HeaderTemplate::names).next().is_some() {
            self.store.secret_values(organization).await?
        } else {
            HashMap::new()
        };
        let ready = endpoints.into_iter().map(|it| Ready::new(it, &secrets));
        Ok(Arc::new(Directory::new(ready.collect())))
    }
}
