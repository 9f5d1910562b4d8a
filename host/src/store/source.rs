//! Sources.

use jiff::Timestamp;
use sqlx::FromRow;
use uuid::Uuid;

use super::page::{Page, PageRequest};
use super::{Durability, Store, StoreError};
use super::{proof, row};
use crate::domain::decision::Verdicts;
use crate::domain::id::{OrganizationId, SourceId};
use crate::domain::plugin::Name;
use crate::domain::repeat::RepeatWindow;
use crate::domain::source::{Patience, Proof, Source};

/// A source that is to be.
#[derive(Debug, Clone)]
pub struct NewSource {
    pub id: SourceId,
    pub organization: OrganizationId,
    pub name: Name,
    pub dialect: String,
    pub proof: Vec<Proof>,
    pub patience: Patience,
    pub repeat_window: RepeatWindow,
    pub verdicts: Verdicts,
    pub created_at: Timestamp,
}

#[derive(FromRow)]
struct SourceRow {
    id: Uuid,
    organization_id: Uuid,
    name: String,
    dialect: String,
    proof: String,
    patience: String,
    verdicts: String,
    created_at: i64,
    repeat_window_ms: u32,
}

impl SourceRow {
    fn read(self) -> Result<Source, StoreError> {
        Ok(Source {
            id: self.id.into(),
            organization: self.organization_id.into(),
            name: self
                .name
                .parse()
                .map_err(|e| StoreError::corrupt("source.name", e))?,
            dialect: self.dialect,
            proof: proof::read(&self.proof, "source.proof")?,
            patience: row::parsed(&self.patience, "source.patience")?,
            repeat_window: RepeatWindow::from_ms(self.repeat_window_ms).ok_or_else(|| {
                StoreError::corrupt("source.repeat_window_ms", self.repeat_window_ms)
            })?,
            verdicts: row::parsed(&self.verdicts, "source.verdicts")?,
            created_at: row::timestamp(self.created_at, "source.created_at")?,
        })
    }
}

fn missing(id: SourceId) -> StoreError {
    StoreError::NotFound {
        what: "source",
        id: id.to_string(),
    }
}

impl Store {
    pub async fn create_source(&self, new: NewSource) -> Result<Source, StoreError> {
        let row = SourceRow {
            id: new.id.uuid(),
            organization_id: new.organization.uuid(),
            name: new.name.into(),
            dialect: new.dialect,
            proof: proof::write(&new.proof)?,
            patience: row::written(&new.patience)?,
            verdicts: row::written(&new.verdicts)?,
            created_at: new.created_at.as_millisecond(),
            repeat_window_ms: new.repeat_window.ms(),
        };
        let source = self
            .writer
            .change(Durability::PowerLoss, move |connection| {
                Box::pin(async move {
                    sqlx::query(
                        "INSERT INTO source (id, organization_id, name, dialect, proof, patience, \
                         verdicts, created_at, repeat_window_ms) \
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                    )
                    .bind(row.id)
                    .bind(row.organization_id)
                    .bind(&row.name)
                    .bind(&row.dialect)
                    .bind(&row.proof)
                    .bind(&row.patience)
                    .bind(&row.verdicts)
                    .bind(row.created_at)
                    .bind(row.repeat_window_ms)
                    .execute(connection)
                    .await
                    .map_err(|error| StoreError::or_name_taken(error, "source"))?;
                    row.read()
                })
            })
            .await?;
        self.setup_changed();
        Ok(source)
    }

    pub async fn source(
        &self,
        organization: OrganizationId,
        id: SourceId,
    ) -> Result<Source, StoreError> {
        let source = self.any_source(id).await?;
        source
            .filter(|source| source.organization == organization)
            .ok_or_else(|| missing(id))
    }

    /// A source of whichever organization: its id in the hook's URL names it.
    pub async fn any_source(&self, id: SourceId) -> Result<Option<Source>, StoreError> {
        let row: Option<SourceRow> = sqlx::query_as("SELECT * FROM source WHERE id = ?1")
            .bind(id.uuid())
            .fetch_optional(&self.readers)
            .await?;
        row.map(SourceRow::read).transpose()
    }

    pub async fn sources(
        &self,
        organization: OrganizationId,
        page: PageRequest,
    ) -> Result<Page<Source>, StoreError> {
        let rows: Vec<SourceRow> = sqlx::query_as(
            "SELECT * FROM source WHERE organization_id = ?1 AND (?2 IS NULL OR id < ?2) \
             ORDER BY id DESC LIMIT ?3",
        )
        .bind(organization.uuid())
        .bind(page.after)
        .bind(page.fetch())
        .fetch_all(&self.readers)
        .await?;
        Page::of(rows, page, |row| row.id, SourceRow::read)
    }

    /// Deletes a source with its bindings. Its events stay.
    pub async fn delete_source(
        &self,
        organization: OrganizationId,
        id: SourceId,
    ) -> Result<(), StoreError> {
        self.writer
            .change(Durability::PowerLoss, move |connection| {
                Box::pin(async move {
                    let deleted =
                        sqlx::query("DELETE FROM source WHERE id = ?1 AND organization_id = ?2")
                            .bind(id.uuid())
                            .bind(organization.uuid())
                            .execute(connection)
                            .await?;
                    if deleted.rows_affected() == 0 {
                        Err(missing(id))
                    } else {
                        Ok(())
                    }
                })
            })
            .await?;
        self.setup_changed();
        Ok(())
    }
}
