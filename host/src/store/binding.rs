//! Bindings.

use std::sync::Arc;

use jiff::Timestamp;
use sqlx::FromRow;
use uuid::Uuid;

use super::page::{Page, PageRequest};
use super::row;
use super::{Durability, Store, StoreError};
use crate::domain::binding::{Binding, PluginVersion, Selector, Settings};
use crate::domain::decision::OnFailure;
use crate::domain::event::Kind;
use crate::domain::grant::Granted;
use crate::domain::id::{BindingId, OrganizationId, PluginId, SourceId};
use crate::domain::limits::Limits;
use crate::domain::permission::Permission;
use crate::domain::plugin::Name;

/// A binding that is to be. Plugin, version and source must exist.
#[derive(Debug, Clone)]
pub struct NewBinding {
    pub id: BindingId,
    pub organization: OrganizationId,
    pub plugin: PluginId,
    pub version: u32,
    pub selector: Selector,
    pub config: Settings,
    pub on_failure: OnFailure,
    pub limits: Limits,
    pub granted: Granted,
    pub created_at: Timestamp,
}

#[derive(FromRow)]
struct BindingRow {
    id: Uuid,
    plugin_id: Uuid,
    plugin: String,
    version: u32,
    digest: String,
    exports: String,
    imports: String,
    source_id: Option<Uuid>,
    agent: Option<String>,
    kind: Option<String>,
    tool: Option<String>,
    config: String,
    on_failure: String,
    limits: String,
    granted: String,
    created_at: i64,
}

impl BindingRow {
    fn read(self) -> Result<Binding, StoreError> {
        let kind = self
            .kind
            .map(|kind| Kind::parse(&kind).map_err(|e| StoreError::corrupt("binding.kind", e)))
            .transpose()?;
        Ok(Binding {
            id: self.id.into(),
            plugin_id: self.plugin_id.into(),
            plugin: PluginVersion {
                name: self
                    .plugin
                    .parse()
                    .map_err(|e| StoreError::corrupt("plugin.name", e))?,
                version: self.version,
                digest: self
                    .digest
                    .parse()
                    .map_err(|e| StoreError::corrupt("digest", e))?,
            },
            exports: row::parsed(&self.exports, "version.exports")?,
            permissions: {
                let imports: Vec<String> = row::parsed(&self.imports, "version.imports")?;
                Permission::of_all(&imports)
            },
            selector: Selector {
                source: self.source_id.map(SourceId::from),
                agent: self.agent,
                kind,
                tool: self.tool,
            },
            config: Arc::new(row::parsed(&self.config, "binding.config")?),
            on_failure: row::parsed(&self.on_failure, "binding.on_failure")?,
            limits: row::parsed(&self.limits, "binding.limits")?,
            granted: row::parsed(&self.granted, "binding.granted")?,
            created_at: row::timestamp(self.created_at, "binding.created_at")?,
        })
    }
}

const BINDINGS: &str = "SELECT binding.id, binding.plugin_id, plugin.name AS plugin, \
    binding.version, plugin_version.digest, plugin_version.exports, plugin_version.imports, \
    binding.source_id, binding.agent, binding.kind, binding.tool, binding.config, binding.on_failure, \
    binding.limits, binding.granted, binding.created_at FROM binding \
    JOIN plugin ON plugin.id = binding.plugin_id \
    JOIN plugin_version ON plugin_version.plugin_id = binding.plugin_id \
    AND plugin_version.number = binding.version \
    WHERE binding.organization_id = ?1";

fn missing(id: BindingId) -> StoreError {
    StoreError::NotFound {
        what: "binding",
        id: id.to_string(),
    }
}

impl Store {
    pub async fn create_binding(&self, new: NewBinding) -> Result<Binding, StoreError> {
        let (organization, id) = (new.organization, new.id);
        let config = row::written(&new.config)?;
        let on_failure = row::written(&new.on_failure)?;
        let limits = row::written(&new.limits)?;
        let granted = row::written(&new.granted)?;
        self.writer
            .change(Durability::PowerLoss, move |connection| {
                Box::pin(async move {
                    sqlx::query(
                        "INSERT INTO binding (id, organization_id, plugin_id, version, source_id, \
                         agent, kind, tool, config, on_failure, limits, granted, created_at) \
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
                    )
                    .bind(new.id.uuid())
                    .bind(new.organization.uuid())
                    .bind(new.plugin.uuid())
                    .bind(new.version)
                    .bind(new.selector.source.map(SourceId::uuid))
                    .bind(&new.selector.agent)
                    .bind(new.selector.kind.as_ref().map(Kind::as_str))
                    .bind(&new.selector.tool)
                    .bind(config)
                    .bind(on_failure)
                    .bind(limits)
                    .bind(granted)
                    .bind(new.created_at.as_millisecond())
                    .execute(connection)
                    .await?;
                    Ok(())
                })
            })
            .await?;
        self.setup_changed();
        self.binding(organization, id).await
    }

    pub async fn binding(
        &self,
        organization: OrganizationId,
        id: BindingId,
    ) -> Result<Binding, StoreError> {
        let statement = format!("{BINDINGS} AND binding.id = ?2");
        let row: Option<BindingRow> = sqlx::query_as(sqlx::AssertSqlSafe(statement))
            .bind(organization.uuid())
            .bind(id.uuid())
            .fetch_optional(&self.readers)
            .await?;
        row.ok_or_else(|| missing(id))?.read()
    }

    pub async fn bindings(
        &self,
        organization: OrganizationId,
        page: PageRequest,
    ) -> Result<Page<Binding>, StoreError> {
        let statement = format!(
            "{BINDINGS} AND (?2 IS NULL OR binding.id < ?2) ORDER BY binding.id DESC LIMIT ?3"
        );
        let rows: Vec<BindingRow> = sqlx::query_as(sqlx::AssertSqlSafe(statement))
            .bind(organization.uuid())
            .bind(page.after)
            .bind(page.fetch())
            .fetch_all(&self.readers)
            .await?;
        Page::of(rows, page, |row| row.id, BindingRow::read)
    }

    /// All bindings that may match an event of a source.
    pub async fn bindings_for(
        &self,
        organization: OrganizationId,
        source: SourceId,
    ) -> Result<Vec<Binding>, StoreError> {
        let statement = format!(
            "{BINDINGS} AND binding.source_id = ?2 \
             UNION ALL {BINDINGS} AND binding.source_id IS NULL"
        );
        let rows: Vec<BindingRow> = sqlx::query_as(sqlx::AssertSqlSafe(statement))
            .bind(organization.uuid())
            .bind(source.uuid())
            .fetch_all(&self.readers)
            .await?;
        rows.into_iter().map(BindingRow::read).collect()
    }

    /// All bindings of one plugin.
    pub async fn bindings_of(
        &self,
        organization: OrganizationId,
        plugin: &Name,
    ) -> Result<Vec<Binding>, StoreError> {
        let statement = format!("{BINDINGS} AND plugin.name = ?2 ORDER BY binding.id LIMIT 1000");
        let rows: Vec<BindingRow> = sqlx::query_as(sqlx::AssertSqlSafe(statement))
            .bind(organization.uuid())
            .bind(plugin.as_str())
            .fetch_all(&self.readers)
            .await?;
        rows.into_iter().map(BindingRow::read).collect()
    }

    /// Has a binding run another version of its plugin, if it still runs the one
    /// that the decision to do so was made about.
    pub async fn activate(
        &self,
        organization: OrganizationId,
        id: BindingId,
        from: u32,
        to: u32,
    ) -> Result<Binding, StoreError> {
        self.writer
            .change(Durability::PowerLoss, move |connection| {
                Box::pin(async move {
                    let changed = sqlx::query(
                        "UPDATE binding SET version = ?4 \
                         WHERE id = ?1 AND organization_id = ?2 AND version = ?3",
                    )
                    .bind(id.uuid())
                    .bind(organization.uuid())
                    .bind(from)
                    .bind(to)
                    .execute(connection)
                    .await?;
                    if changed.rows_affected() == 0 {
                        return Err(StoreError::Changed {
                            what: "the binding",
                            id: id.to_string(),
                        });
                    }
                    Ok(())
                })
            })
            .await?;
        self.setup_changed();
        self.binding(organization, id).await
    }

    pub async fn delete_binding(
        &self,
        organization: OrganizationId,
        id: BindingId,
    ) -> Result<(), StoreError> {
        self.writer
            .change(Durability::PowerLoss, move |connection| {
                Box::pin(async move {
                    let deleted =
                        sqlx::query("DELETE FROM binding WHERE id = ?1 AND organization_id = ?2")
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
