//! Organizations.

use jiff::Timestamp;
use sqlx::FromRow;
use sqlx::sqlite::SqliteConnection;
use uuid::Uuid;

use super::page::{Page, PageRequest};
use super::setup::{Action, By, Created, Creation};
use super::{Store, StoreError, row};
use crate::domain::id::OrganizationId;
use crate::domain::organization::{Organization, Quotas};
use crate::domain::plugin::Name;

/// An organization that is to be.
#[derive(Debug, Clone)]
pub struct NewOrganization {
    pub id: OrganizationId,
    pub name: Name,
    pub quotas: Quotas,
    pub created_at: Timestamp,
}

#[derive(FromRow)]
struct OrganizationRow {
    id: Uuid,
    name: String,
    quotas: String,
    revision: u32,
    created_at: i64,
}

impl OrganizationRow {
    fn read(self) -> Result<Organization, StoreError> {
        let name = self.name.parse();
        Ok(Organization {
            id: self.id.into(),
            name: name.map_err(|e| StoreError::corrupt("organization.name", e))?,
            quotas: row::parsed(&self.quotas, "organization.quotas")?,
            revision: self.revision.into(),
            created_at: row::timestamp(self.created_at, "organization.created_at")?,
        })
    }
}

fn missing(id: OrganizationId) -> StoreError {
    StoreError::NotFound {
        what: "organization",
        id: id.to_string(),
    }
}

const WHAT: &str = "organization";

pub(super) async fn find(
    connection: &mut SqliteConnection,
    id: OrganizationId,
) -> Result<Organization, StoreError> {
    let row: Option<OrganizationRow> = sqlx::query_as("SELECT * FROM organization WHERE id = ?1")
        .bind(id.uuid())
        .fetch_optional(connection)
        .await?;
    row.ok_or_else(|| missing(id))?.read()
}

impl Store {
    pub async fn create_organization(
        &self,
        new: NewOrganization,
        creation: Creation<Organization>,
    ) -> Result<Created<Organization>, StoreError> {
        let quotas = row::written(&new.quotas)?;
        self.create(WHAT, creation, move |connection| {
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO organization (id, name, quotas, created_at) \
                     VALUES (?1, ?2, ?3, ?4)",
                )
                .bind(new.id.uuid())
                .bind(new.name.as_str())
                .bind(quotas)
                .bind(new.created_at.as_millisecond())
                .execute(&mut *connection)
                .await
                .map_err(|error| StoreError::or_name_taken(error, WHAT))?;
                Ok((find(connection, new.id).await?, new.id.to_string()))
            })
        })
        .await
    }

    /// Writes a changed organization, if nobody changed it since it was read.
    pub async fn update_organization(
        &self,
        after: Organization,
        by: By<Organization>,
    ) -> Result<Organization, StoreError> {
        let quotas = row::written(&after.quotas)?;
        let id = after.id;
        let changed = self.set_up(by.author, 0, move |connection| {
            Box::pin(async move {
                let before = find(connection, after.id).await?;
                let changed = sqlx::query(
                    "UPDATE organization SET name = ?2, quotas = ?3, revision = revision + 1 \
                     WHERE id = ?1 AND revision = ?4",
                )
                .bind(after.id.uuid())
                .bind(after.name.as_str())
                .bind(quotas)
                .bind(after.revision.get())
                .execute(&mut *connection)
                .await
                .map_err(|error| StoreError::or_name_taken(error, WHAT))?;
                if changed.rows_affected() == 0 {
                    return Err(StoreError::Changed {
                        what: "the organization",
                        id: after.id.to_string(),
                    });
                }
                let after = find(connection, after.id).await?;
                let line = by.updated(Action::Update, WHAT, &after.id, &before, &after);
                Ok((after, Some(line)))
            })
        });
        let changed = changed.await?;
        // An administrator changes others' organizations too.
        self.editions.changed(id);
        Ok(changed)
    }

    pub async fn organization(&self, id: OrganizationId) -> Result<Organization, StoreError> {
        find(&mut *self.readers.acquire().await?, id).await
    }

    pub async fn organization_named(
        &self,
        name: &Name,
    ) -> Result<Option<Organization>, StoreError> {
        let row: Option<OrganizationRow> =
            sqlx::query_as("SELECT * FROM organization WHERE name = ?1")
                .bind(name.as_str())
                .fetch_optional(&self.readers)
                .await?;
        row.map(OrganizationRow::read).transpose()
    }

    /// The newest first.
    pub async fn organizations(&self, page: PageRequest) -> Result<Page<Organization>, StoreError> {
        let rows: Vec<OrganizationRow> = sqlx::query_as(
            "SELECT * FROM organization WHERE ?1 IS NULL OR id < ?1 ORDER BY id DESC LIMIT ?2",
        )
        .bind(page.after)
        .bind(page.fetch())
        .fetch_all(&self.readers)
        .await?;
        Page::of(rows, page, |row| row.id, OrganizationRow::read)
    }
}
