//! Plugins and their versions.

use bytes::Bytes;
use jiff::Timestamp;
use sqlx::FromRow;
use sqlx::sqlite::SqliteConnection;
use uuid::Uuid;

use super::page::{Page, PageRequest};
use super::quota::{self, Addition};
use super::row;
use super::setup::{Action, By, Line};
use super::{Store, StoreError};
use crate::domain::id::{OrganizationId, PluginId};
use crate::domain::inspection::Inspection;
use crate::domain::plugin::{Name, Plugin, Version};

/// A component that is to be the next version of a plugin.
#[derive(Debug, Clone)]
pub struct Upload {
    pub organization: OrganizationId,
    pub plugin: Name,
    /// The plugin's id, if it comes into being with this version.
    pub new_plugin: PluginId,
    pub inspection: Inspection,
    pub bytes: Bytes,
}

/// What an upload came to.
#[derive(Debug, Clone)]
pub enum Uploaded {
    New(Version),
    /// These bytes were a version of the plugin already.
    Known(Version),
}

#[derive(FromRow)]
struct PluginRow {
    id: Uuid,
    name: String,
    latest_version: u32,
    created_at: i64,
}

impl PluginRow {
    fn read(self) -> Result<Plugin, StoreError> {
        Ok(Plugin {
            id: self.id.into(),
            name: self
                .name
                .parse()
                .map_err(|e| StoreError::corrupt("plugin.name", e))?,
            latest_version: self.latest_version,
            created_at: row::timestamp(self.created_at, "plugin.created_at")?,
        })
    }
}

#[derive(FromRow)]
struct VersionRow {
    number: u32,
    digest: String,
    size: i64,
    contract: String,
    exports: String,
    imports: String,
    tools: String,
    resources: String,
    compile_ms: Option<i64>,
    created_at: i64,
}

impl VersionRow {
    fn read(self, plugin: &Name) -> Result<Version, StoreError> {
        Ok(Version {
            plugin: plugin.clone(),
            number: self.number,
            inspection: Inspection {
                digest: self
                    .digest
                    .parse()
                    .map_err(|e| StoreError::corrupt("version.digest", e))?,
                size: self.size.unsigned_abs(),
                contract: self.contract,
                exports: row::parsed(&self.exports, "version.exports")?,
                imports: row::parsed(&self.imports, "version.imports")?,
                tools: row::parsed(&self.tools, "version.tools")?,
                resources: row::parsed(&self.resources, "version.resources")?,
                compile_ms: self.compile_ms.map(i64::unsigned_abs),
            },
            created_at: row::timestamp(self.created_at, "version.created_at")?,
        })
    }
}

const PLUGINS: &str = "SELECT plugin.id, plugin.name, \
    (SELECT max(number) FROM plugin_version WHERE plugin_id = plugin.id) AS latest_version, \
    plugin.created_at FROM plugin WHERE plugin.organization_id = ?1";

const VERSIONS: &str = "SELECT number, digest, size, contract, exports, imports, tools, resources, \
    compile_ms, created_at FROM plugin_version";

impl Store {
    /// Stores a component as the next version of a plugin, which comes into being
    /// with its first.
    pub async fn upload(&self, upload: Upload, by: By<Version>) -> Result<Uploaded, StoreError> {
        let Upload {
            organization,
            plugin,
            new_plugin,
            inspection,
            bytes,
        } = upload;
        let (now, everybodys) = (by.author.at, self.quotas);
        self.set_up(by.author, bytes.len(), move |connection| {
            Box::pin(async move {
                let existing = plugin_id(connection, organization, &plugin).await?;
                if let Some(id) = existing
                    && let Some(known) = version_with(connection, id, &inspection).await?
                {
                    return Ok((Uploaded::Known(known.read(&plugin)?), None));
                }
                let addition = Addition {
                    plugins: u64::from(existing.is_none()),
                    plugin_bytes: inspection.size,
                };
                quota::check(connection, organization, everybodys, addition).await?;
                let id = match existing {
                    Some(id) => id,
                    None => {
                        insert_plugin(connection, organization, &plugin, new_plugin, now).await?
                    }
                };
                let row = insert_version(connection, id, &inspection, &bytes, now).await?;
                let version = row.read(&plugin)?;
                let line = Line {
                    action: Action::Upload,
                    what: "plugin",
                    subject: plugin.to_string(),
                    before: None,
                    after: Some((by.show)(&version)),
                };
                Ok((Uploaded::New(version), Some(line)))
            })
        })
        .await
    }

    pub async fn plugin(
        &self,
        organization: OrganizationId,
        name: &Name,
    ) -> Result<(Plugin, Vec<Version>), StoreError> {
        let statement = format!("{PLUGINS} AND plugin.name = ?2");
        let row: Option<PluginRow> = sqlx::query_as(sqlx::AssertSqlSafe(statement))
            .bind(organization.uuid())
            .bind(name.as_str())
            .fetch_optional(&self.readers)
            .await?;
        let missing = || StoreError::NotFound {
            what: "plugin",
            id: name.to_string(),
        };
        let plugin = row.ok_or_else(missing)?.read()?;
        let statement = format!("{VERSIONS} WHERE plugin_id = ?1 ORDER BY number DESC LIMIT 1000");
        let versions: Vec<VersionRow> = sqlx::query_as(sqlx::AssertSqlSafe(statement))
            .bind(plugin.id.uuid())
            .fetch_all(&self.readers)
            .await?;
        let versions = versions
            .into_iter()
            .map(|row| row.read(name))
            .collect::<Result<_, _>>()?;
        Ok((plugin, versions))
    }

    pub async fn plugins(
        &self,
        organization: OrganizationId,
        page: PageRequest,
    ) -> Result<Page<Plugin>, StoreError> {
        let statement = format!(
            "{PLUGINS} AND (?2 IS NULL OR plugin.id < ?2) ORDER BY plugin.id DESC LIMIT ?3"
        );
        let rows: Vec<PluginRow> = sqlx::query_as(sqlx::AssertSqlSafe(statement))
            .bind(organization.uuid())
            .bind(page.after)
            .bind(page.fetch())
            .fetch_all(&self.readers)
            .await?;
        Page::of(rows, page, |row| row.id, PluginRow::read)
    }
}

async fn plugin_id(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    name: &Name,
) -> Result<Option<Uuid>, StoreError> {
    let found: Option<(Uuid,)> =
        sqlx::query_as("SELECT id FROM plugin WHERE organization_id = ?1 AND name = ?2")
            .bind(organization.uuid())
            .bind(name.as_str())
            .fetch_optional(connection)
            .await?;
    Ok(found.map(|(id,)| id))
}

async fn insert_plugin(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    name: &Name,
    id: PluginId,
    now: Timestamp,
) -> Result<Uuid, StoreError> {
    sqlx::query(
        "INSERT INTO plugin (id, organization_id, name, created_at) VALUES (?1, ?2, ?3, ?4)",
    )
    .bind(id.uuid())
    .bind(organization.uuid())
    .bind(name.as_str())
    .bind(now.as_millisecond())
    .execute(connection)
    .await?;
    Ok(id.uuid())
}

async fn version_with(
    connection: &mut SqliteConnection,
    plugin: Uuid,
    inspection: &Inspection,
) -> Result<Option<VersionRow>, StoreError> {
    let statement = format!("{VERSIONS} WHERE plugin_id = ?1 AND digest = ?2");
    Ok(sqlx::query_as(sqlx::AssertSqlSafe(statement))
        .bind(plugin)
        .bind(inspection.digest.to_string())
        .fetch_optional(connection)
        .await?)
}

async fn insert_version(
    connection: &mut SqliteConnection,
    plugin: Uuid,
    inspection: &Inspection,
    bytes: &Bytes,
    now: Timestamp,
) -> Result<VersionRow, StoreError> {
    let digest = inspection.digest.to_string();
    sqlx::query("INSERT INTO component (digest, bytes) VALUES (?1, ?2) ON CONFLICT DO NOTHING")
        .bind(&digest)
        .bind(bytes.as_ref())
        .execute(&mut *connection)
        .await?;
    Ok(sqlx::query_as(
        "INSERT INTO plugin_version (plugin_id, number, digest, size, contract, exports, \
         imports, tools, resources, compile_ms, created_at) \
         SELECT ?1, coalesce(max(number), 0) + 1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10 \
         FROM plugin_version WHERE plugin_id = ?1 \
         RETURNING number, digest, size, contract, exports, imports, tools, resources, \
         compile_ms, created_at",
    )
    .bind(plugin)
    .bind(&digest)
    .bind(i64::try_from(inspection.size).unwrap_or(i64::MAX))
    .bind(&inspection.contract)
    .bind(row::written(&inspection.exports)?)
    .bind(row::written(&inspection.imports)?)
    .bind(row::written(&inspection.tools)?)
    .bind(row::written(&inspection.resources)?)
    .bind(
        inspection
            .compile_ms
            .map(|ms| i64::try_from(ms).unwrap_or(i64::MAX)),
    )
    .bind(now.as_millisecond())
    .fetch_one(connection)
    .await?)
}
