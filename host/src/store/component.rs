//! The bytes of components, by digest.

use bytes::Bytes;

use super::{Store, StoreError};
use crate::domain::plugin::Digest;

impl Store {
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
