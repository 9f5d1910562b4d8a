//! Bindings.

use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use sqlx::FromRow;
use sqlx::sqlite::SqliteConnection;
use uuid::Uuid;

use super::page::{Page, PageRequest};
use super::row;
use super::setup::{Action, By, Created, Creation};
use super::{Store, StoreError};
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

/// What of an event decides which bindings may match it.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    pub source: SourceId,
    pub agent: &'a str,
    pub tool: Option<&'a str>,
}

/// That a binding runs another version from now on.
#[derive(Debug, Clone, Copy)]
pub struct VersionChange {
    pub binding: BindingId,
    pub from: u32,
    pub to: u32,
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
    revision: u32,
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
            revision: self.revision.into(),
            created_at: row::timestamp(self.created_at, "binding.created_at")?,
        })
    }
}

/// Bindings with what of their plugins and versions belongs to them.
macro_rules! select {
    () => {
        "SELECT binding.id, binding.plugin_id, plugin.name AS plugin, \
    binding.version, plugin_version.digest, plugin_version.exports, plugin_version.imports, \
    binding.source_id, binding.agent, binding.kind, binding.tool, binding.config, binding.on_failure, \
    binding.limits, binding.granted, binding.revision, binding.created_at FROM binding \
    JOIN plugin ON plugin.id = binding.plugin_id \
    JOIN plugin_version ON plugin_version.plugin_id = binding.plugin_id \
    AND plugin_version.number = binding.version"
    };
}

const BINDINGS: &str = concat!(select!(), " WHERE binding.organization_id = ?1");

/// A part for each way a selector may leave things open, each of which is found by the
/// index: with `OR` all bindings of the source would be looked at, and if the organization
/// were asked for once more, all of its bindings.
static FOR_EVENT: LazyLock<String> = LazyLock::new(|| {
    let mut open = Vec::new();
    for source in ["= ?2", "IS NULL"] {
        for agent in ["= ?3", "IS NULL"] {
            for tool in ["= ?4", "IS NULL"] {
                open.push(format!(
                    "SELECT id FROM binding WHERE organization_id = ?1 \
                     AND source_id {source} AND agent {agent} AND tool {tool}"
                ));
            }
        }
    }
    let open = open.join(" UNION ALL ");
    let select = select!();
    format!("{select} WHERE binding.id IN ({open})")
});

const NARROWLY: &str = "SELECT \
    EXISTS (SELECT 1 FROM binding WHERE organization_id = ?1 AND source_id = ?2 \
        AND agent IS NOT NULL) \
    OR EXISTS (SELECT 1 FROM binding WHERE organization_id = ?1 AND source_id IS NULL \
        AND agent IS NOT NULL) \
    OR EXISTS (SELECT 1 FROM binding WHERE organization_id = ?1 AND source_id = ?2 \
        AND agent IS NULL AND tool IS NOT NULL) \
    OR EXISTS (SELECT 1 FROM binding WHERE organization_id = ?1 AND source_id IS NULL \
        AND agent IS NULL AND tool IS NOT NULL)";

const WHAT: &str = "binding";

const INSERT: &str = "INSERT INTO binding (id, organization_id, source_id, agent, kind, tool, \
    config, on_failure, limits, granted, plugin_id, version, created_at) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";

const UPDATE: &str = "UPDATE binding SET source_id = ?3, agent = ?4, kind = ?5, tool = ?6, \
    config = ?7, on_failure = ?8, limits = ?9, granted = ?10, revision = revision + 1 \
    WHERE id = ?1 AND organization_id = ?2 AND revision = ?11";

const REMEMBER: &str = "INSERT INTO activation (binding_id, number, version, ended_at) \
    SELECT ?1, coalesce(max(number), 0) + 1, ?2, ?3 FROM activation WHERE binding_id = ?1";

const TAKE_LAST: &str = "DELETE FROM activation WHERE binding_id = ?1 AND number = \
    (SELECT max(number) FROM activation WHERE binding_id = ?1) RETURNING version";

fn changed_meanwhile(id: BindingId) -> StoreError {
    StoreError::Changed {
        what: "the binding",
        id: id.to_string(),
    }
}

fn missing(id: BindingId) -> StoreError {
    StoreError::NotFound {
        what: "binding",
        id: id.to_string(),
    }
}

impl Store {
    pub async fn create_binding(
        &self,
        new: NewBinding,
        creation: Creation<Binding>,
    ) -> Result<Created<Binding>, StoreError> {
        let columns = Columns::of(&new.config, &new.on_failure, &new.limits, &new.granted)?;
        self.create(WHAT, creation, move |connection| {
            Box::pin(async move {
                sqlx::query(INSERT)
                    .bind(new.id.uuid())
                    .bind(new.organization.uuid())
                    .bind(new.selector.source.map(SourceId::uuid))
                    .bind(&new.selector.agent)
                    .bind(new.selector.kind.as_ref().map(Kind::as_str))
                    .bind(&new.selector.tool)
                    .bind(columns.config)
                    .bind(columns.on_failure)
                    .bind(columns.limits)
                    .bind(columns.granted)
                    .bind(new.plugin.uuid())
                    .bind(new.version)
                    .bind(new.created_at.as_millisecond())
                    .execute(&mut *connection)
                    .await?;
                let binding = binding_of(connection, new.organization, new.id).await?;
                Ok((binding, new.id.to_string()))
            })
        })
        .await
    }

    /// Writes a changed binding, if nobody changed it since it was read. Which version
    /// it runs is not changed here.
    pub async fn update_binding(
        &self,
        organization: OrganizationId,
        after: Binding,
        by: By<Binding>,
    ) -> Result<Binding, StoreError> {
        let columns = Columns::of(
            &after.config,
            &after.on_failure,
            &after.limits,
            &after.granted,
        )?;
        self.set_up(by.author, 0, move |connection| {
            Box::pin(async move {
                let before = binding_of(connection, organization, after.id).await?;
                let changed = sqlx::query(UPDATE)
                    .bind(after.id.uuid())
                    .bind(organization.uuid())
                    .bind(after.selector.source.map(SourceId::uuid))
                    .bind(&after.selector.agent)
                    .bind(after.selector.kind.as_ref().map(Kind::as_str))
                    .bind(&after.selector.tool)
                    .bind(columns.config)
                    .bind(columns.on_failure)
                    .bind(columns.limits)
                    .bind(columns.granted)
                    .bind(after.revision.get())
                    .execute(&mut *connection)
                    .await?;
                if changed.rows_affected() == 0 {
                    return Err(changed_meanwhile(after.id));
                }
                let after = binding_of(connection, organization, after.id).await?;
                let line = by.updated(Action::Update, WHAT, &after.id, &before, &after);
                Ok((after, Some(line)))
            })
        })
        .await
    }

    pub async fn binding(
        &self,
        organization: OrganizationId,
        id: BindingId,
    ) -> Result<Binding, StoreError> {
        binding_of(&mut *self.readers.acquire().await?, organization, id).await
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

    /// All bindings that may match an event of a source, as far as its agent and its tool
    /// tell.
    pub async fn bindings_for(
        &self,
        organization: OrganizationId,
        about: About<'_>,
    ) -> Result<Vec<Binding>, StoreError> {
        let rows: Vec<BindingRow> = sqlx::query_as(FOR_EVENT.as_str())
            .bind(organization.uuid())
            .bind(about.source.uuid())
            .bind(about.agent)
            .bind(about.tool)
            .fetch_all(&self.readers)
            .await?;
        rows.into_iter().map(BindingRow::read).collect()
    }

    /// Whether any binding that may match an event of a source names an agent or a tool.
    pub async fn binds_narrowly(
        &self,
        organization: OrganizationId,
        source: SourceId,
    ) -> Result<bool, StoreError> {
        let (narrowly,): (bool,) = sqlx::query_as(NARROWLY)
            .bind(organization.uuid())
            .bind(source.uuid())
            .fetch_one(&self.readers)
            .await?;
        Ok(narrowly)
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

    /// Has bindings run other versions of their plugins, all of them or none: each only if
    /// it still runs the one that the decision to do so was made about. Calls in flight
    /// end with the version they began with.
    pub async fn activate(
        &self,
        organization: OrganizationId,
        changes: Vec<VersionChange>,
        by: By<Binding>,
    ) -> Result<Vec<Binding>, StoreError> {
        self.set_up(by.author, 0, move |connection| {
            Box::pin(async move {
                let mut activated = Vec::with_capacity(changes.len());
                for change in changes {
                    let before = binding_of(connection, organization, change.binding).await?;
                    if before.plugin.version != change.from {
                        return Err(changed_meanwhile(change.binding));
                    }
                    sqlx::query(REMEMBER)
                        .bind(change.binding.uuid())
                        .bind(change.from)
                        .bind(by.author.at.as_millisecond())
                        .execute(&mut *connection)
                        .await?;
                    let after = run(connection, organization, change.binding, change.to).await?;
                    by.updated(Action::Activate, WHAT, &after.id, &before, &after)
                        .write(connection, by.author)
                        .await?;
                    activated.push(after);
                }
                Ok((activated, None))
            })
        })
        .await
    }

    /// Has bindings run the versions they ran before, all of them or none. Those that
    /// have run no other are left as they are; it is an error if all are such.
    pub async fn roll_back(
        &self,
        organization: OrganizationId,
        bindings: Vec<BindingId>,
        by: By<Binding>,
    ) -> Result<Vec<Binding>, StoreError> {
        self.set_up(by.author, 0, move |connection| {
            Box::pin(async move {
                let mut rolled_back = Vec::new();
                for &id in &bindings {
                    let before = binding_of(connection, organization, id).await?;
                    let last: Option<(u32,)> = sqlx::query_as(TAKE_LAST)
                        .bind(id.uuid())
                        .fetch_optional(&mut *connection)
                        .await?;
                    let Some((version,)) = last else { continue };
                    let after = run(connection, organization, id, version).await?;
                    by.updated(Action::Rollback, WHAT, &id, &before, &after)
                        .write(connection, by.author)
                        .await?;
                    rolled_back.push(after);
                }
                match (bindings.first(), rolled_back.is_empty()) {
                    (Some(first), true) => Err(StoreError::NothingBefore {
                        id: first.to_string(),
                    }),
                    _ => Ok((rolled_back, None)),
                }
            })
        })
        .await
    }

    pub async fn delete_binding(
        &self,
        organization: OrganizationId,
        id: BindingId,
        by: By<Binding>,
    ) -> Result<(), StoreError> {
        self.set_up(by.author, 0, move |connection| {
            Box::pin(async move {
                let before = binding_of(connection, organization, id).await?;
                sqlx::query("DELETE FROM binding WHERE id = ?1")
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
    config: String,
    on_failure: String,
    limits: String,
    granted: String,
}

impl Columns {
    fn of(
        config: &Settings,
        on_failure: &OnFailure,
        limits: &Limits,
        granted: &Granted,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            config: row::written(config)?,
            on_failure: row::written(on_failure)?,
            limits: row::written(limits)?,
            granted: row::written(granted)?,
        })
    }
}

async fn binding_of(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    id: BindingId,
) -> Result<Binding, StoreError> {
    let statement = format!("{BINDINGS} AND binding.id = ?2");
    let row: Option<BindingRow> = sqlx::query_as(sqlx::AssertSqlSafe(statement))
        .bind(organization.uuid())
        .bind(id.uuid())
        .fetch_optional(connection)
        .await?;
    row.ok_or_else(|| missing(id))?.read()
}

async fn run(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    id: BindingId,
    version: u32,
) -> Result<Binding, StoreError> {
    sqlx::query("UPDATE binding SET version = ?2, revision = revision + 1 WHERE id = ?1")
        .bind(id.uuid())
        .bind(version)
        .execute(&mut *connection)
        .await?;
    binding_of(connection, organization, id).await
}

#[cfg(test)]
mod tests;
