//! The bytes of components, by digest.

use std::collections::HashSet;

use bytes::Bytes;

use super::{Store, StoreError};
use crate::domain::id::OrganizationId;
use crate::domain::plugin::Digest;

impl Store {
    /// All components that an organization has uploaded.
    pub async fn components_of(
        &self,
        organization: OrganizationId,
    ) -> Result<HashSet<Digest>, StoreError> {
        let rows: Vec<(String,)> = sqlx::query_as(
            "SELECT DISTINCT digest FROM plugin_version \
             JOIN plugin ON plugin.id = plugin_version.plugin_id \
             WHERE plugin.organization_id = ?1",
        )
        .bind(organization.uuid())
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter()
            .map(|(digest,)| {
                let digest = digest.parse();
                digest.map_err(|e| StoreError::corrupt("version.digest", e))
            })
            .collect()
    }

    pub async fn component(&self, digest: Digest) -> Result<Bytes, StoreError> {
        let found: Option<(Vec<u8>,)> =
            sqlx::query_as("SELECT bytes FROM component WHERE digest = ?1")
                .bind(digest.to_string())
                .fetch_optional(&self.readers)
                .await?;
        let missing = || StoreError::NotFound {
            what: "component",
            id: digest.to_string(),
        };
        found.map(|(bytes,)| bytes.into()).ok_or_else(missing)
    }
}
