//! Secrets that bindings add to outbound requests.

use std::collections::HashMap;

use jiff::Timestamp;
use sqlx::FromRow;
use sqlx::sqlite::SqliteConnection;
use uuid::Uuid;

use super::row;
use super::{Durability, Store, StoreError};
use crate::domain::id::{BindingId, OrganizationId};
use crate::domain::plugin::Name;
use crate::domain::secret::Secret;

/// A secret as it is listed: without its value.
#[derive(Debug, Clone)]
pub struct SecretEntry {
    pub name: Name,
    pub updated_at: Timestamp,
}

#[derive(FromRow)]
struct SecretRow {
    name: String,
    updated_at: i64,
}

impl SecretRow {
    fn read(self) -> Result<SecretEntry, StoreError> {
        Ok(SecretEntry {
            name: name(&self.name)?,
            updated_at: row::timestamp(self.updated_at, "secret.updated_at")?,
        })
    }
}

fn name(text: &str) -> Result<Name, StoreError> {
    text.parse()
        .map_err(|e| StoreError::corrupt("secret.name", e))
}

impl Store {
    /// Most secrets of an organization.
    pub const MAX_SECRETS: u32 = 1_000;

    /// Sets a secret; requests from now on are sent with the new value.
    pub async fn put_secret(
        &self,
        organization: OrganizationId,
        name: Name,
        value: Secret,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.writer
            .change(Durability::PowerLoss, move |connection| {
                Box::pin(async move {
                    sqlx::query(
                        "INSERT INTO secret (organization_id, name, value, updated_at) \
                         VALUES (?1, ?2, ?3, ?4) ON CONFLICT (organization_id, name) \
                         DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at",
                    )
                    .bind(organization.uuid())
                    .bind(name.as_str())
                    .bind(value.expose())
                    .bind(now.as_millisecond())
                    .execute(connection)
                    .await?;
                    Ok(())
                })
            })
            .await?;
        self.setup_changed();
        Ok(())
    }

    /// All names, in their order.
    pub async fn secrets(
        &self,
        organization: OrganizationId,
    ) -> Result<Vec<SecretEntry>, StoreError> {
        let rows: Vec<SecretRow> = sqlx::query_as(
            "SELECT name, updated_at FROM secret WHERE organization_id = ?1 ORDER BY name",
        )
        .bind(organization.uuid())
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(SecretRow::read).collect()
    }

    /// All values, for those who fill in headers.
    pub async fn secret_values(
        &self,
        organization: OrganizationId,
    ) -> Result<HashMap<Name, Secret>, StoreError> {
        let rows: Vec<(String, String)> =
            sqlx::query_as("SELECT name, value FROM secret WHERE organization_id = ?1")
                .bind(organization.uuid())
                .fetch_all(&self.readers)
                .await?;
        rows.into_iter()
            .map(|(text, value)| {
                let value = Secret::try_from(value);
                let value = value.map_err(|e| StoreError::corrupt("secret.value", e))?;
                Ok((name(&text)?, value))
            })
            .collect()
    }

    /// Deletes a secret that no binding uses.
    pub async fn delete_secret(
        &self,
        organization: OrganizationId,
        name: Name,
    ) -> Result<(), StoreError> {
        self.writer
            .change(Durability::PowerLoss, move |connection| {
                Box::pin(async move {
                    if let Some(binding) = user(connection, organization, &name).await? {
                        return Err(StoreError::InUse {
                            what: "the secret",
                            id: name.to_string(),
                            by: binding.to_string(),
                        });
                    }
                    let deleted =
                        sqlx::query("DELETE FROM secret WHERE organization_id = ?1 AND name = ?2")
                            .bind(organization.uuid())
                            .bind(name.as_str())
                            .execute(connection)
                            .await?;
                    if deleted.rows_affected() == 0 {
                        return Err(StoreError::NotFound {
                            what: "secret",
                            id: name.to_string(),
                        });
                    }
                    Ok(())
                })
            })
            .await?;
        self.setup_changed();
        Ok(())
    }
}

/// A binding with a header that uses the secret. Names hold no character that JSON
/// would write in another way.
async fn user(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    name: &Name,
) -> Result<Option<BindingId>, StoreError> {
    let found: Option<(Uuid,)> = sqlx::query_as(
        "SELECT id FROM binding WHERE organization_id = ?1 AND instr(granted, ?2) LIMIT 1",
    )
    .bind(organization.uuid())
    .bind(format!("${{secret:{name}}}"))
    .fetch_optional(connection)
    .await?;
    Ok(found.map(|(id,)| id.into()))
}
