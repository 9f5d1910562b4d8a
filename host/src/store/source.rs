//! Sources.

use jiff::Timestamp;
use serde_json::value::RawValue;
use sqlx::FromRow;
use sqlx::sqlite::SqliteConnection;
use uuid::Uuid;

use super::page::{Page, PageRequest};
use super::seal::values::SOURCE_PROOF;
use super::seal::{Place, Sealer};
use super::setup::{Action, By, Created, Creation};
use super::{Store, StoreError};
use super::{proof, row};
use crate::domain::Json;
use crate::domain::decision::Verdicts;
use crate::domain::id::{OrganizationId, SourceId};
use crate::domain::plugin::Name;
use crate::domain::proof::Proof;
use crate::domain::rate::PerSecond;
use crate::domain::repeat::RepeatWindow;
use crate::domain::source::{Patience, Source};

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
    pub agent_config: Option<Json>,
    pub rate: Option<PerSecond>,
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
    rate_per_second: Option<u32>,
    agent_config: Option<String>,
    revision: u32,
}

impl SourceRow {
    fn read(self, sealer: &Sealer) -> Result<Source, StoreError> {
        let place = proof_place(self.organization_id, &self.id);
        Ok(Source {
            id: self.id.into(),
            organization: self.organization_id.into(),
            name: self
                .name
                .parse()
                .map_err(|e| StoreError::corrupt("source.name", e))?,
            dialect: self.dialect,
            proof: proof::read(&self.proof, place, sealer)?,
            patience: row::parsed(&self.patience, "source.patience")?,
            repeat_window: RepeatWindow::from_ms(self.repeat_window_ms).ok_or_else(|| {
                StoreError::corrupt("source.repeat_window_ms", self.repeat_window_ms)
            })?,
            agent_config: self
                .agent_config
                .map(|text| row::json(text, "source.agent_config"))
                .transpose()?,
            rate: rate(self.rate_per_second)?,
            verdicts: row::parsed(&self.verdicts, "source.verdicts")?,
            revision: self.revision.into(),
            created_at: row::timestamp(self.created_at, "source.created_at")?,
        })
    }
}

fn rate(column: Option<u32>) -> Result<Option<PerSecond>, StoreError> {
    let rate = column.map(PerSecond::try_from).transpose();
    rate.map_err(|e| StoreError::corrupt("source.rate_per_second", e))
}

const WHAT: &str = "source";

const INSERT: &str = "INSERT INTO source (id, organization_id, name, dialect, proof, patience, \
    verdicts, repeat_window_ms, created_at, rate_per_second, agent_config) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";

const UPDATE: &str = "UPDATE source SET name = ?3, dialect = ?4, proof = ?5, patience = ?6, \
    verdicts = ?7, repeat_window_ms = ?8, rate_per_second = ?10, agent_config = ?11, revision = revision + 1 \
    WHERE id = ?1 AND organization_id = ?2 AND revision = ?9";

/// Where the proofs of a source are sealed.
fn proof_place(organization: Uuid, id: &Uuid) -> Place<'_> {
    Place::new(&SOURCE_PROOF, organization, id.as_bytes())
}

fn missing(id: SourceId) -> StoreError {
    StoreError::NotFound {
        what: "source",
        id: id.to_string(),
    }
}

impl Store {
    pub async fn create_source(
        &self,
        new: NewSource,
        creation: Creation<Source>,
    ) -> Result<Created<Source>, StoreError> {
        let sealer = self.sealer.clone();
        let (organization, id) = (new.organization.uuid(), new.id.uuid());
        let proof = proof::write(&new.proof, proof_place(organization, &id), &sealer)?;
        let columns = Columns::of(proof, &new.patience, &new.verdicts)?;
        self.create(WHAT, creation, move |connection| {
            Box::pin(async move {
                sqlx::query(INSERT)
                    .bind(new.id.uuid())
                    .bind(new.organization.uuid())
                    .bind(new.name.as_str())
                    .bind(&new.dialect)
                    .bind(columns.proof)
                    .bind(columns.patience)
                    .bind(columns.verdicts)
                    .bind(new.repeat_window.ms())
                    .bind(new.created_at.as_millisecond())
                    .bind(new.rate.map(u32::from))
                    .bind(new.agent_config.as_deref().map(RawValue::get))
                    .execute(&mut *connection)
                    .await
                    .map_err(|error| StoreError::or_name_taken(error, WHAT))?;
                let source = source_of(connection, &sealer, new.organization, new.id).await?;
                Ok((source, new.id.to_string()))
            })
        })
        .await
    }

    /// Writes a changed source, if nobody changed it since it was read.
    pub async fn update_source(&self, after: Source, by: By<Source>) -> Result<Source, StoreError> {
        let sealer = self.sealer.clone();
        let (organization, id) = (after.organization.uuid(), after.id.uuid());
        let proof = proof::write(&after.proof, proof_place(organization, &id), &sealer)?;
        let columns = Columns::of(proof, &after.patience, &after.verdicts)?;
        self.set_up(by.author, 0, move |connection| {
            Box::pin(async move {
                let before = source_of(connection, &sealer, after.organization, after.id).await?;
                let changed = sqlx::query(UPDATE)
                    .bind(after.id.uuid())
                    .bind(after.organization.uuid())
                    .bind(after.name.as_str())
                    .bind(&after.dialect)
                    .bind(columns.proof)
                    .bind(columns.patience)
                    .bind(columns.verdicts)
                    .bind(after.repeat_window.ms())
                    .bind(after.revision.get())
                    .bind(after.rate.map(u32::from))
                    .bind(after.agent_config.as_deref().map(RawValue::get))
                    .execute(&mut *connection)
                    .await
                    .map_err(|error| StoreError::or_name_taken(error, WHAT))?;
                if changed.rows_affected() == 0 {
                    return Err(StoreError::Changed {
                        what: "the source",
                        id: after.id.to_string(),
                    });
                }
                let after = source_of(connection, &sealer, after.organization, after.id).await?;
                let line = by.updated(Action::Update, WHAT, &after.id, &before, &after);
                Ok((after, Some(line)))
            })
        })
        .await
    }

    pub async fn source(
        &self,
        organization: OrganizationId,
        id: SourceId,
    ) -> Result<Source, StoreError> {
        source_of(
            &mut *self.readers.acquire().await?,
            &self.sealer,
            organization,
            id,
        )
        .await
    }

    /// A source of whichever organization: its id in the hook's URL names it.
    pub async fn any_source(&self, id: SourceId) -> Result<Option<Source>, StoreError> {
        let row: Option<SourceRow> = sqlx::query_as("SELECT * FROM source WHERE id = ?1")
            .bind(id.uuid())
            .fetch_optional(&self.readers)
            .await?;
        row.map(|row| row.read(&self.sealer)).transpose()
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
        Page::of(rows, page, |row| row.id, |row| row.read(&self.sealer))
    }

    /// Deletes a source with its bindings. Its events stay.
    pub async fn delete_source(
        &self,
        organization: OrganizationId,
        id: SourceId,
        by: By<Source>,
    ) -> Result<(), StoreError> {
        let sealer = self.sealer.clone();
        self.set_up(by.author, 0, move |connection| {
            Box::pin(async move {
                let before = source_of(connection, &sealer, organization, id).await?;
                sqlx::query("DELETE FROM source WHERE id = ?1")
                    .bind(id.uuid())
                    .execute(connection)
                    .await?;
                Ok(((), Some(by.deleted(WHAT, &id, &before))))
            })
        })
        .await
    }
}

/// Settings as they are stored.
struct Columns {
    proof: String,
    patience: String,
    verdicts: String,
}

impl Columns {
    fn of(proof: String, patience: &Patience, verdicts: &Verdicts) -> Result<Self, StoreError> {
        Ok(Self {
            proof,
            patience: row::written(patience)?,
            verdicts: row::written(verdicts)?,
        })
    }
}

async fn source_of(
    connection: &mut SqliteConnection,
    sealer: &Sealer,
    organization: OrganizationId,
    id: SourceId,
) -> Result<Source, StoreError> {
    let row: Option<SourceRow> =
        sqlx::query_as("SELECT * FROM source WHERE id = ?1 AND organization_id = ?2")
            .bind(id.uuid())
            .bind(organization.uuid())
            .fetch_optional(connection)
            .await?;
    row.ok_or_else(|| missing(id))?.read(sealer)
}
