//! Quotas: what an organization uses of what it may have.
//!
//! Nothing here reads more than it has to: plugins and their sizes from indexes, events
//! from a count that the database keeps as they come and go.

use std::sync::Arc;

use sqlx::sqlite::SqliteConnection;

use super::organization::find;
use super::{OpenStore, Store, StoreError};
use crate::domain::id::OrganizationId;
use crate::domain::organization::Quotas;

/// What an organization has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    pub plugins: u64,
    /// Of all versions of all plugins.
    pub plugin_bytes: u64,
    pub events: u64,
}

/// What is to be added.
#[derive(Debug, Clone, Copy)]
pub(super) struct Addition {
    pub(super) plugins: u64,
    pub(super) plugin_bytes: u64,
}

const PLUGINS: &str = "SELECT count(*) FROM plugin WHERE organization_id = ?1";

const PLUGIN_BYTES: &str = "SELECT coalesce(sum(size), 0) FROM plugin \
    CROSS JOIN plugin_version INDEXED BY plugin_version_by_size ON plugin_id = plugin.id \
    WHERE organization_id = ?1";

const EVENTS: &str = "SELECT coalesce( \
    (SELECT events FROM event_count WHERE organization_id = ?1), 0)";

impl OpenStore {
    /// Sets the quotas of organizations that have none of their own.
    #[must_use]
    pub fn with_quotas(mut self, everybodys: Quotas) -> Self {
        // Nobody has a copy of it before it is in use.
        if let Some(store) = Arc::get_mut(&mut self.store.0) {
            store.quotas = everybodys;
        }
        self
    }
}

impl Store {
    /// The quotas that hold for an organization: its own, and else everybody's.
    pub async fn quotas(&self, organization: OrganizationId) -> Result<Quotas, StoreError> {
        let organization = self.organization(organization).await?;
        Ok(organization.quotas.or(self.quotas))
    }

    pub async fn usage(&self, organization: OrganizationId) -> Result<Usage, StoreError> {
        let mut connection = self.journal_readers().await?.acquire().await?;
        let mut number = async |statement| number(&mut connection, statement, organization).await;
        Ok(Usage {
            plugins: number(PLUGINS).await?,
            plugin_bytes: number(PLUGIN_BYTES).await?,
            events: number(EVENTS).await?,
        })
    }
}

async fn number(
    connection: &mut SqliteConnection,
    statement: &'static str,
    organization: OrganizationId,
) -> Result<u64, StoreError> {
    let (number,): (i64,) = sqlx::query_as(statement)
        .bind(organization.uuid())
        .fetch_one(connection)
        .await?;
    Ok(number.unsigned_abs())
}

/// Whether there is room for what is to be added.
pub(super) async fn check(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    everybodys: Quotas,
    addition: Addition,
) -> Result<(), StoreError> {
    let quotas = find(connection, organization).await?.quotas.or(everybodys);
    let rows = [
        (
            "plugins",
            quotas.plugins.map(u64::from),
            addition.plugins,
            PLUGINS,
        ),
        (
            "plugin_bytes",
            quotas.plugin_bytes,
            addition.plugin_bytes,
            PLUGIN_BYTES,
        ),
    ];
    for (quota, most, needed, statement) in rows {
        let Some(most) = most.filter(|_| needed > 0) else {
            continue;
        };
        let used = number(connection, statement, organization).await?;
        if used.saturating_add(needed) > most {
            return Err(StoreError::QuotaExceeded {
                quota,
                used,
                most,
                needed,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fixture::Fixture;
    use crate::store::plan::plan;

    #[tokio::test]
    async fn usage_is_read_from_indexes_alone() {
        let fixture = Fixture::new().await;
        for (statement, index) in [
            (PLUGINS, "COVERING INDEX"),
            (PLUGIN_BYTES, "COVERING INDEX plugin_version_by_size"),
            (EVENTS, "event_count USING PRIMARY KEY"),
        ] {
            let plan = plan(fixture.store(), statement).await;
            assert!(plan.contains(index), "{plan}");
            assert!(!plan.contains("SCAN plugin"), "{plan}");
        }
    }
}
