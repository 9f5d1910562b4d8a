//! Endpoints.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use sqlx::sqlite::SqliteConnection;
use uuid::Uuid;

use super::journal::{EventRecord, OwedDelivery};
use super::page::{Page, PageRequest};
use super::rows::Entry;
use super::seal::values::{ENDPOINT_PROOF, ENDPOINT_SIGNING};
use super::seal::{Place, Sealer};
use super::setup::{Action, By, Created, Creation};
use super::{Durability, Store, StoreError, proof, row};
use crate::domain::endpoint::{Disabled, Endpoint, Settings, Signing, SigningSecret, Standing};
use crate::domain::id::{EndpointId, OrganizationId};
use crate::domain::plugin::Name;
use crate::domain::proof::Credential;
use crate::domain::revision::Revision;

/// An endpoint that is to be.
#[derive(Debug, Clone)]
pub struct NewEndpoint {
    pub id: EndpointId,
    pub organization: OrganizationId,
    pub name: Name,
    pub settings: Settings,
    pub proof: Vec<Credential>,
    pub signing: Signing,
    pub enabled: bool,
    pub created_at: Timestamp,
}

/// An event of our own, with the deliveries it owes.
#[derive(Debug, Clone)]
pub struct Alert {
    pub event: EventRecord,
    pub owed: Vec<OwedDelivery>,
}

/// Keys as they are stored.
#[derive(Serialize, Deserialize)]
struct SigningColumn {
    current: String,
    previous: Option<(String, i64)>,
}

impl From<&Signing> for SigningColumn {
    fn from(signing: &Signing) -> Self {
        let previous = signing.previous.as_ref();
        Self {
            current: signing.current.expose(),
            previous: previous.map(|(secret, until)| (secret.expose(), until.as_millisecond())),
        }
    }
}

impl TryFrom<SigningColumn> for Signing {
    type Error = StoreError;
    fn try_from(column: SigningColumn) -> Result<Self, StoreError> {
        let secret = |text: String| {
            SigningSecret::try_from(text).map_err(|e| StoreError::corrupt("endpoint.signing", e))
        };
        let previous = column.previous.map(|(text, until)| {
            let until = row::timestamp(until, "endpoint.signing")?;
            Ok::<_, StoreError>((secret(text)?, until))
        });
        Ok(Self {
            current: secret(column.current)?,
            previous: previous.transpose()?,
        })
    }
}

#[derive(FromRow)]
struct EndpointRow {
    id: Uuid,
    organization_id: Uuid,
    name: String,
    settings: String,
    proof: String,
    signing: String,
    disabled_why: Option<String>,
    disabled_at: Option<i64>,
    failing_since: Option<i64>,
    revision: u32,
    created_at: i64,
    updated_at: i64,
}

impl EndpointRow {
    fn new(endpoint: &Endpoint, sealer: &Sealer) -> Result<Self, StoreError> {
        let (organization, id) = (endpoint.organization.uuid(), endpoint.id.uuid());
        let (proof, signing) = places(organization, &id);
        let (disabled, failing_since) = columns(endpoint.standing);
        Ok(Self {
            id,
            organization_id: organization,
            name: endpoint.name.to_string(),
            settings: row::written(&endpoint.settings)?,
            proof: proof::write(&endpoint.proof, proof, sealer)?,
            signing: row::sealed(&SigningColumn::from(&endpoint.signing), signing, sealer)?,
            disabled_why: disabled.map(|(why, _)| why.as_str().to_owned()),
            disabled_at: disabled.map(|(_, since)| since),
            failing_since,
            revision: endpoint.revision.get(),
            created_at: endpoint.created_at.as_millisecond(),
            updated_at: endpoint.updated_at.as_millisecond(),
        })
    }

    fn read(self, sealer: &Sealer) -> Result<Endpoint, StoreError> {
        let (proof, signing) = places(self.organization_id, &self.id);
        let signing: SigningColumn = row::opened(&self.signing, signing, sealer)?;
        let name = self.name.parse();
        Ok(Endpoint {
            id: self.id.into(),
            organization: self.organization_id.into(),
            name: name.map_err(|e| StoreError::corrupt("endpoint.name", e))?,
            settings: row::parsed(&self.settings, "endpoint.settings")?,
            proof: proof::read(&self.proof, proof, sealer)?,
            signing: signing.try_into()?,
            standing: self.standing()?,
            revision: self.revision.into(),
            created_at: row::timestamp(self.created_at, "endpoint.created_at")?,
            updated_at: row::timestamp(self.updated_at, "endpoint.updated_at")?,
        })
    }

    fn standing(&self) -> Result<Standing, StoreError> {
        let Some(why) = &self.disabled_why else {
            let failing_since = self.failing_since;
            let failing_since =
                failing_since.map(|at| row::timestamp(at, "endpoint.failing_since"));
            return Ok(Standing::Enabled {
                failing_since: failing_since.transpose()?,
            });
        };
        let why: Disabled = serde_json::from_value(why.as_str().into())
            .map_err(|e| StoreError::corrupt("endpoint.disabled_why", e))?;
        let since = self.disabled_at.unwrap_or(self.updated_at);
        Ok(Standing::Disabled {
            why,
            since: row::timestamp(since, "endpoint.disabled_at")?,
        })
    }
}

/// Where the proofs and the keys of an endpoint are sealed.
fn places(organization: Uuid, id: &Uuid) -> (Place<'_>, Place<'_>) {
    let place = |column| Place::new(column, organization, id.as_bytes());
    (place(&ENDPOINT_PROOF), place(&ENDPOINT_SIGNING))
}

/// A standing as columns: why and since when disabled, since when failing.
fn columns(standing: Standing) -> (Option<(Disabled, i64)>, Option<i64>) {
    match standing {
        Standing::Enabled { failing_since } => (None, failing_since.map(Timestamp::as_millisecond)),
        Standing::Disabled { why, since } => (Some((why, since.as_millisecond())), None),
    }
}

fn missing(id: EndpointId) -> StoreError {
    StoreError::NotFound {
        what: "endpoint",
        id: id.to_string(),
    }
}

const WHAT: &str = "endpoint";

const INSERT: &str = "INSERT INTO endpoint (id, organization_id, name, settings, proof, signing, \
    disabled_why, disabled_at, failing_since, created_at, updated_at) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";

/// Only if nobody changed it since it was read.
const UPDATE: &str = "UPDATE endpoint SET name = ?3, settings = ?4, proof = ?5, signing = ?6, \
    disabled_why = ?7, disabled_at = ?8, failing_since = ?9, updated_at = ?11, \
    revision = revision + 1 \
    WHERE id = ?1 AND organization_id = ?2 AND updated_at = ?12";

const SET_STANDING: &str = "UPDATE endpoint SET disabled_why = ?2, disabled_at = ?3, \
    failing_since = ?4, updated_at = max(updated_at + 1, ?5) \
    WHERE id = ?1 AND disabled_why IS NULL RETURNING organization_id";

/// What was still owed to a deleted endpoint.
const CANCEL: &str = "UPDATE delivery SET state = 'cancelled', ended_at = ?2, leased_until = 0 \
    WHERE endpoint_id = ?1 AND state = 'owed'";

impl Store {
    /// Most endpoints of an organization.
    pub const MAX_ENDPOINTS: i64 = 10_000;

    pub async fn create_endpoint(
        &self,
        new: NewEndpoint,
        creation: Creation<Endpoint>,
    ) -> Result<Created<Endpoint>, StoreError> {
        let standing = if new.enabled {
            Standing::Enabled {
                failing_since: None,
            }
        } else {
            Standing::Disabled {
                why: Disabled::ByHand,
                since: new.created_at,
            }
        };
        let endpoint = Endpoint {
            id: new.id,
            organization: new.organization,
            name: new.name,
            settings: new.settings,
            proof: new.proof,
            signing: new.signing,
            standing,
            revision: Revision::FIRST,
            created_at: new.created_at,
            updated_at: new.created_at,
        };
        let row = EndpointRow::new(&endpoint, &self.sealer)?;
        self.create(WHAT, creation, move |connection| {
            Box::pin(async move {
                check_count(connection, row.organization_id).await?;
                write(connection, INSERT, &row, None).await?;
                let subject = endpoint.id.to_string();
                Ok((endpoint, subject))
            })
        })
        .await
    }

    /// Writes a changed endpoint. `read_at` is the `updated_at` it was read with; if
    /// somebody was faster, that one's change stands and this one is refused.
    pub async fn update_endpoint(
        &self,
        after: Endpoint,
        read_at: Timestamp,
        action: Action,
        by: By<Endpoint>,
    ) -> Result<Endpoint, StoreError> {
        let sealer = self.sealer.clone();
        let row = EndpointRow::new(&after, &sealer)?;
        let read_at = read_at.as_millisecond();
        self.set_up(by.author, 0, move |connection| {
            Box::pin(async move {
                let before = endpoint_of(connection, &sealer, after.organization, after.id).await?;
                let written = write(connection, UPDATE, &row, Some(read_at)).await?;
                if written == 0 {
                    return Err(StoreError::Changed {
                        what: "the endpoint",
                        id: after.id.to_string(),
                    });
                }
                let after = endpoint_of(connection, &sealer, after.organization, after.id).await?;
                let line = by.updated(action, WHAT, &after.id, &before, &after);
                Ok((after, Some(line)))
            })
        })
        .await
    }

    pub async fn endpoint(
        &self,
        organization: OrganizationId,
        id: EndpointId,
    ) -> Result<Endpoint, StoreError> {
        endpoint_of(
            &mut *self.readers.acquire().await?,
            &self.sealer,
            organization,
            id,
        )
        .await
    }

    /// An endpoint of whichever organization, for the worker.
    pub async fn any_endpoint(&self, id: EndpointId) -> Result<Option<Endpoint>, StoreError> {
        let row: Option<EndpointRow> = sqlx::query_as("SELECT * FROM endpoint WHERE id = ?1")
            .bind(id.uuid())
            .fetch_optional(&self.readers)
            .await?;
        row.map(|row| row.read(&self.sealer)).transpose()
    }

    pub async fn endpoints(
        &self,
        organization: OrganizationId,
        page: PageRequest,
    ) -> Result<Page<Endpoint>, StoreError> {
        let rows: Vec<EndpointRow> = sqlx::query_as(
            "SELECT * FROM endpoint WHERE organization_id = ?1 AND (?2 IS NULL OR id < ?2) \
             ORDER BY id DESC LIMIT ?3",
        )
        .bind(organization.uuid())
        .bind(page.after)
        .bind(page.fetch())
        .fetch_all(&self.readers)
        .await?;
        Page::of(rows, page, |row| row.id, |row| row.read(&self.sealer))
    }

    /// All endpoints of an organization, the oldest first.
    pub async fn all_endpoints(
        &self,
        organization: OrganizationId,
    ) -> Result<Vec<Endpoint>, StoreError> {
        let rows: Vec<EndpointRow> =
            sqlx::query_as("SELECT * FROM endpoint WHERE organization_id = ?1 ORDER BY id")
                .bind(organization.uuid())
                .fetch_all(&self.readers)
                .await?;
        let rows = rows.into_iter();
        rows.map(|row| row.read(&self.sealer)).collect()
    }

    /// Deletes an endpoint. Its log stays; what was still owed to it is cancelled.
    pub async fn delete_endpoint(
        &self,
        organization: OrganizationId,
        id: EndpointId,
        by: By<Endpoint>,
    ) -> Result<(), StoreError> {
        let sealer = self.sealer.clone();
        self.set_up(by.author, 0, move |connection| {
            Box::pin(async move {
                let before = endpoint_of(connection, &sealer, organization, id).await?;
                sqlx::query("DELETE FROM endpoint WHERE id = ?1")
                    .bind(id.uuid())
                    .execute(&mut *connection)
                    .await?;
                sqlx::query(CANCEL)
                    .bind(id.uuid())
                    .bind(by.author.at.as_millisecond())
                    .execute(connection)
                    .await?;
                Ok(((), Some(by.deleted(WHAT, &id, &before))))
            })
        })
        .await
    }

    /// Takes note of how an enabled endpoint stands, together with the event that
    /// says so. Whether it was still enabled: a choice of its owner is not overwritten.
    pub async fn set_standing(
        &self,
        id: EndpointId,
        standing: Standing,
        alert: Option<Alert>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let (disabled, failing_since) = columns(standing);
        let entry = alert.map(|alert| Entry::of_alert(&alert));
        let changed = self
            .writer
            .change(Durability::Process, move |connection| {
                Box::pin(async move {
                    let changed: Option<(Uuid,)> = sqlx::query_as(SET_STANDING)
                        .bind(id.uuid())
                        .bind(disabled.map(|(why, _)| why.as_str()))
                        .bind(disabled.map(|(_, since)| since))
                        .bind(failing_since)
                        .bind(now.as_millisecond())
                        .fetch_optional(&mut *connection)
                        .await?;
                    if let Some(entry) = entry.filter(|_| changed.is_some()) {
                        entry.write(connection).await?;
                    }
                    Ok(changed)
                })
            })
            .await?;
        // Failing changes nothing about who is owed an event; a flapping endpoint must
        // not make everybody's routes stale.
        if let Some((organization,)) = changed
            && matches!(standing, Standing::Disabled { .. })
        {
            self.editions.changed(organization.into());
        }
        Ok(changed.is_some())
    }
}

async fn endpoint_of(
    connection: &mut SqliteConnection,
    sealer: &Sealer,
    organization: OrganizationId,
    id: EndpointId,
) -> Result<Endpoint, StoreError> {
    let row: Option<EndpointRow> =
        sqlx::query_as("SELECT * FROM endpoint WHERE id = ?1 AND organization_id = ?2")
            .bind(id.uuid())
            .bind(organization.uuid())
            .fetch_optional(connection)
            .await?;
    row.ok_or_else(|| missing(id))?.read(sealer)
}

async fn check_count(
    connection: &mut SqliteConnection,
    organization: Uuid,
) -> Result<(), StoreError> {
    let (count,): (i64,) =
        sqlx::query_as("SELECT count(*) FROM endpoint WHERE organization_id = ?1")
            .bind(organization)
            .fetch_one(connection)
            .await?;
    if count < Store::MAX_ENDPOINTS {
        Ok(())
    } else {
        Err(StoreError::TooMany {
            what: "endpoints",
            most: Store::MAX_ENDPOINTS,
        })
    }
}

async fn write(
    connection: &mut SqliteConnection,
    statement: &'static str,
    row: &EndpointRow,
    read_at: Option<i64>,
) -> Result<u64, StoreError> {
    let mut query = sqlx::query(statement)
        .bind(row.id)
        .bind(row.organization_id)
        .bind(&row.name)
        .bind(&row.settings)
        .bind(&row.proof)
        .bind(&row.signing)
        .bind(&row.disabled_why)
        .bind(row.disabled_at)
        .bind(row.failing_since)
        .bind(row.created_at)
        .bind(row.updated_at);
    if let Some(read_at) = read_at {
        query = query.bind(read_at);
    }
    let written = query.execute(connection).await;
    let written = written.map_err(|error| StoreError::or_name_taken(error, "endpoint"))?;
    Ok(written.rows_affected())
}
