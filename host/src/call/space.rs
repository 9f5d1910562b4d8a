//! A plugin's key-value space, over the store: what `runtime` asks for and does
//! not know.

use std::future::Future;
use std::pin::Pin;

use jiff::Timestamp;

use crate::domain::kv::{Fault, Operation, Outcome, Quota, Space};
use crate::runtime::capability::kv::KeyValue;
use crate::store::Store;

#[derive(Debug)]
pub(super) struct PluginSpace {
    store: Store,
    space: Space,
    quota: Quota,
}

impl PluginSpace {
    pub(super) fn new(store: Store, space: Space, quota: Quota) -> Self {
        Self {
            store,
            space,
            quota,
        }
    }
}

impl KeyValue for PluginSpace {
    fn apply(
        &self,
        key: String,
        operation: Operation,
    ) -> Pin<Box<dyn Future<Output = Result<Outcome, Fault>> + Send + '_>> {
        Box::pin(async move {
            let now = Timestamp::now();
            let applied = self
                .store
                .kv(self.space, key, operation, self.quota, now)
                .await;
            applied.unwrap_or_else(|error| {
                tracing::error!(plugin = %self.space.plugin, error = &error as &dyn std::error::Error, "a plugin's key-value operation failed");
                Err(Fault::Unavailable)
            })
        })
    }
}
