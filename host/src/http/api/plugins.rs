//! `/api/v1/plugins`

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::bindings::{self, Activate, BindingBody};
use super::{PageBody, Paging, Time};
use crate::domain::binding::Binding;
use crate::domain::id::{BindingId, OrganizationId, PluginId};
use crate::domain::inspection::Report;
use crate::domain::permission::Difference;
use crate::domain::plugin::{Name, Plugin, Version};
use crate::http::Services;
use crate::http::auth::{Caller, Developer, Viewer};
use crate::http::body::JsonBody;
use crate::http::component::{Component, Stored};
use crate::http::path::{InPath, NewInPath, PluginName};
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::store::{StoreError, Upload, Uploaded};

#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::http) struct PluginBody {
    name: Name,
    latest_version: u32,
    created_at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    versions: Option<Vec<VersionBody>>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::http) struct VersionBody {
    plugin: Name,
    version: u32,
    #[serde(flatten)]
    report: Report,
    created_at: Time,
    /// Bindings that would run it only after a confirmation; of an upload.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    differences: Vec<BindingDifference>,
}

impl From<Plugin> for PluginBody {
    fn from(plugin: Plugin) -> Self {
        Self {
            name: plugin.name,
            latest_version: plugin.latest_version,
            created_at: Time(plugin.created_at),
            versions: None,
        }
    }
}

impl From<Version> for VersionBody {
    fn from(version: Version) -> Self {
        Self {
            plugin: version.plugin,
            version: version.number,
            report: version.inspection.into(),
            created_at: Time(version.created_at),
            differences: Vec::new(),
        }
    }
}

fn show(version: &Version) -> Value {
    super::shown(VersionBody::from(version.clone()))
}

/// What a version wants more, or no more, than the one that a binding runs.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::http) struct BindingDifference {
    binding: BindingId,
    version: u32,
    #[serde(flatten)]
    difference: Difference,
}

/// The bindings of the plugin for which the version is a difference.
async fn differences(
    services: &Services,
    organization: OrganizationId,
    version: &Version,
) -> Result<Vec<BindingDifference>, Problem> {
    let wants = version.inspection.permissions();
    let bindings = services
        .store
        .bindings_of(organization, &version.plugin)
        .await?;
    let differences = bindings.into_iter().map(|binding| BindingDifference {
        difference: Difference::between(&binding.permissions, &wants),
        binding: binding.id,
        version: binding.plugin.version,
    });
    Ok(differences
        .filter(|it| !(it.difference.added.is_empty() && it.difference.removed.is_empty()))
        .collect())
}

/// Whoever uploads learns why. Who runs the server sees that, and how often, somebody
/// tries.
fn refused(organization: OrganizationId, plugin: &Name, problem: Problem) -> Problem {
    tracing::info!(%organization, %plugin, code = %problem.code(), "an uploaded component was refused");
    problem
}

/// That an organization has met its quota may interest who sets quotas.
fn not_stored(organization: OrganizationId, plugin: &Name, error: StoreError) -> Problem {
    match error {
        StoreError::QuotaExceeded { .. } => refused(organization, plugin, error.into()),
        other => other.into(),
    }
}

/// Takes a component. It is inspected before anything is written.
pub(in crate::http) async fn upload(
    State(services): State<Services>,
    caller: Caller<Developer>,
    NewInPath(PluginName(name)): NewInPath<PluginName>,
    Component(bytes): Component,
) -> Result<Stored<VersionBody>, Problem> {
    let organization = caller.organization;
    let known = services.store.components_of(organization).await?;
    let inspection = services
        .runtime
        .inspect(bytes.clone(), organization, known)
        .await
        .map_err(|rejection| refused(organization, &name, rejection.into()))?;
    let plugin = name.clone();
    let upload = Upload {
        organization,
        plugin: name,
        new_plugin: PluginId::from(Uuid::now_v7()),
        inspection,
        bytes,
    };
    let uploaded = services
        .store
        .upload(upload, caller.by(show))
        .await
        .map_err(|error| not_stored(organization, &plugin, error))?;
    let is_new = matches!(uploaded, Uploaded::New(_));
    let (Uploaded::New(version) | Uploaded::Known(version)) = uploaded;
    let differences = differences(&services, organization, &version).await?;
    let body = VersionBody {
        differences,
        ..version.into()
    };
    Ok(if is_new {
        Stored::New(body)
    } else {
        Stored::Known(body)
    })
}

pub(in crate::http) async fn list(
    State(services): State<Services>,
    caller: Caller<Viewer>,
    Query(paging): Query<Paging>,
) -> Result<Json<PageBody<PluginBody>>, Problem> {
    let page = services
        .store
        .plugins(caller.organization, paging.request()?)
        .await?;
    Ok(Json(PageBody::of(page, PluginBody::from)))
}

pub(in crate::http) async fn read(
    State(services): State<Services>,
    caller: Caller<Viewer>,
    InPath(PluginName(name)): InPath<PluginName>,
) -> Result<Json<PluginBody>, Problem> {
    let (plugin, versions) = services.store.plugin(caller.organization, &name).await?;
    let versions = versions.into_iter().map(VersionBody::from).collect();
    Ok(Json(PluginBody {
        versions: Some(versions),
        ..plugin.into()
    }))
}

/// The versions alone, the newest first.
pub(in crate::http) async fn versions(
    State(services): State<Services>,
    caller: Caller<Viewer>,
    InPath(PluginName(name)): InPath<PluginName>,
) -> Result<Json<VersionsBody>, Problem> {
    let (_, versions) = services.store.plugin(caller.organization, &name).await?;
    let data = versions.into_iter().map(VersionBody::from).collect();
    Ok(Json(VersionsBody { data }))
}

/// Has all bindings of a plugin run a version, all at once.
pub(in crate::http) async fn activate(
    State(services): State<Services>,
    caller: Caller<Developer>,
    InPath(PluginName(name)): InPath<PluginName>,
    JsonBody(body): JsonBody<Activate>,
) -> Result<Json<BindingsBody>, Problem> {
    let organization = caller.organization;
    let (_, versions) = services.store.plugin(organization, &name).await?;
    let bindings = services.store.bindings_of(organization, &name).await?;
    let others: Vec<_> = bindings
        .iter()
        .filter(|binding| binding.plugin.version != body.version)
        .collect();
    let changes = body.change(&others, &name, &versions)?;
    let activated = services
        .store
        .activate(organization, changes, caller.by(bindings::show))
        .await?;
    Ok(Json(BindingsBody::of(activated, &services)))
}

/// Has all bindings of a plugin run the versions they ran before, all at once.
pub(in crate::http) async fn roll_back(
    State(services): State<Services>,
    caller: Caller<Developer>,
    InPath(PluginName(name)): InPath<PluginName>,
) -> Result<Json<BindingsBody>, Problem> {
    let organization = caller.organization;
    services.store.plugin(organization, &name).await?;
    let bindings = services.store.bindings_of(organization, &name).await?;
    let bindings = bindings.into_iter().map(|binding| binding.id).collect();
    let rolled_back = services
        .store
        .roll_back(organization, bindings, caller.by(bindings::show))
        .await?;
    Ok(Json(BindingsBody::of(rolled_back, &services)))
}

#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::http) struct VersionsBody {
    data: Vec<VersionBody>,
}

/// Bindings that run another version now.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::http) struct BindingsBody {
    bindings: Vec<BindingBody>,
}

impl BindingsBody {
    fn of(bindings: Vec<Binding>, services: &Services) -> Self {
        let bindings = bindings.into_iter();
        Self {
            bindings: bindings
                .map(|binding| BindingBody::now(binding, services))
                .collect(),
        }
    }
}
