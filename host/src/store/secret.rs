//! Secrets that bindings add to outbound requests.

use std::collections::HashMap;

use jiff::Timestamp;
use sqlx::FromRow;
use sqlx::sqlite::SqliteConnection;
use uuid::Uuid;

use super::row;
use super::seal::Place;
use super::seal::values::SECRET_VALUE;
use super::setup::{Action, By, Line};
use super::{Store, StoreError};
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

/// Where the value of a secret is sealed.
fn place(organization: OrganizationId, name: &str) -> Place<'_> {
    Place::new(&SECRET_VALUE, organization.uuid(), name.as_bytes())
}

fn name(text: &str) -> Result<Name, StoreError> {
    text.parse()
        .map_err(|e| StoreError::corrupt("secret.name", e))
}

impl Store {
    /// Most secrets of an organization.
    pub const MAX_SECRETS: i64 = 1_000;

    /// Sets a secret; requests from now on are sent with the new value.
    pub async fn put_secret(
        &self,
        organization: OrganizationId,
        name: Name,
        value: Secret,
        by: By<SecretEntry>,
    ) -> Result<(), StoreError> {
        let place = place(organization, name.as_str());
        let value = self.sealer.seal(place, value.expose())?;
        self.set_up(by.author, 0, move |connection| {
            Box::pin(async move {
                let before = secret_of(connection, organization, &name).await?;
                if before.is_none() {
                    check_count(connection, organization).await?;
                }
                sqlx::query(PUT)
                    .bind(organization.uuid())
                    .bind(name.as_str())
                    .bind(value)
                    .bind(by.author.at.as_millisecond())
                    .execute(&mut *connection)
                    .await?;
                let after = secret_of(connection, organization, &name).await?;
                let line = Line {
                    action: if before.is_some() {
                        Action::Update
                    } else {
                        Action::Create
                    },
                    what: WHAT,
                    subject: name.to_string(),
                    before: before.as_ref().map(by.show),
                    after: after.as_ref().map(by.show),
                };
                Ok(((), Some(line)))
            })
        })
        .await
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
                let value = self.sealer.open(place(organization, &text), &value)?;
                let value = Secret::try_from(String::clone(&value));
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
        by: By<SecretEntry>,
    ) -> Result<(), StoreError> {
        self.set_up(by.author, 0, move |connection| {
            Box::pin(async move {
                let before = secret_of(connection, organization, &name).await?;
                let before = before.ok_or_else(|| StoreError::NotFound {
                    what: WHAT,
                    id: name.to_string(),
                })?;
                if let Some(binding) = user(connection, organization, &name).await? {
                    return Err(StoreError::InUse {
                        what: "the secret",
                        id: name.to_string(),
                        by: binding.to_string(),
                    });
                }
                sqlx::query("DELETE FROM secret WHERE organization_id = ?1 AND name = ?2")
                    .bind(organization.uuid())
                    .bind(name.as_str())
                    .execute(connection)
                    .await?;
                Ok(((), Some(by.deleted(WHAT, &name, &before))))
            })
        })
        .await
    }
}

const WHAT: &str = "secret";

const PUT: &str = "INSERT INTO secret (organization_id, name, value, updated_at) \
    VALUES (?1, ?2, ?3, ?4) ON CONFLICT (organization_id, name) \
    DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at";

async fn secret_of(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    name: &Name,
) -> Result<Option<SecretEntry>, StoreError> {
    let row: Option<SecretRow> = sqlx::query_as(
        "SELECT name, updated_at FROM secret WHERE organization_id = ?1 AND name = ?2",
    )
    .bind(organization.uuid())
    .bind(name.as_str())
    .fetch_optional(connection)
    .await?;
    row.map(SecretRow::read).transpose()
}

async fn check_count(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
) -> Result<(), StoreError> {
    let (count,): (i64,) = sqlx::query_as("SELECT count(*) FROM secret WHERE organization_id = ?1")
        .bind(organization.uuid())
        .fetch_one(connection)
        .await?;
    if count < Store::MAX_SECRETS {
        return Ok(());
    }
    Err(StoreError::TooMany {
        what: "secrets",
        most: Store::MAX_SECRETS,
    })
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
