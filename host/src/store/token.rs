//! Tokens of the API. Only their hashes are kept.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{Durability, Store, StoreError};
use crate::domain::id::OrganizationId;

/// The SHA-256 of a token. Tokens are random, so a slow hash would add nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }
}

impl std::fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenHash")
    }
}

impl Store {
    /// The organization a token speaks for.
    pub async fn organization_of(
        &self,
        token: TokenHash,
    ) -> Result<Option<OrganizationId>, StoreError> {
        let found: Option<(Uuid,)> =
            sqlx::query_as("SELECT organization_id FROM token WHERE hash = ?1")
                .bind(token.0.as_slice())
                .fetch_optional(&self.readers)
                .await?;
        Ok(found.map(|(id,)| id.into()))
    }

    /// Whether there is any token, that is, whether anybody can use the API.
    pub async fn has_token(&self) -> Result<bool, StoreError> {
        let (there,): (bool,) = sqlx::query_as("SELECT EXISTS (SELECT 1 FROM token)")
            .fetch_one(&self.readers)
            .await?;
        Ok(there)
    }

    /// Adds a token for the first organization, which comes into being with it. A
    /// token that is there already is left as it is.
    pub async fn add_token(
        &self,
        token: TokenHash,
        label: &'static str,
        new_organization: OrganizationId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.writer
            .change(Durability::PowerLoss, move |connection| {
                Box::pin(async move {
                    sqlx::query(
                        "INSERT INTO organization (id, name, created_at) SELECT ?1, 'default', ?2 \
                         WHERE NOT EXISTS (SELECT 1 FROM organization)",
                    )
                    .bind(new_organization.uuid())
                    .bind(now.as_millisecond())
                    .execute(&mut *connection)
                    .await?;
                    sqlx::query(
                        "INSERT INTO token (hash, organization_id, label, created_at) \
                         SELECT ?1, id, ?2, ?3 FROM organization ORDER BY created_at, id LIMIT 1 \
                         ON CONFLICT DO NOTHING",
                    )
                    .bind(token.0.as_slice())
                    .bind(label)
                    .bind(now.as_millisecond())
                    .execute(connection)
                    .await?;
                    Ok(())
                })
            })
            .await
    }
}
