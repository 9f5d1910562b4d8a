//! `/api/v1/bindings`

use axum::Json;
use axum::extract::{Path, State};
use http::{StatusCode, Uri};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{PageBody, Paging, Time, check_verdicts};
use crate::call::Breakers;
use crate::domain::binding::{Binding, PluginVersion, Selector, Settings};
use crate::domain::breaker::Stand;
use crate::domain::decision::OnFailure;
use crate::domain::grant::Granted;
use crate::domain::id::BindingId;
use crate::domain::limits::Limits;
use crate::domain::permission::Difference;
use crate::domain::plugin::{Handler, Name, Version};
use crate::http::Services;
use crate::http::auth::Caller;
use crate::http::body::JsonBody;
use crate::http::problem::{Code, Problem};
use crate::ingest::{self, Dialect};
use crate::store::{NewBinding, StoreError};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct CreateBinding {
    plugin: Name,
    version: Option<u32>,
    #[serde(default)]
    selector: Selector,
    #[serde(default)]
    config: Settings,
    #[serde(default)]
    on_failure: OnFailure,
    #[serde(default)]
    limits: Limits,
    #[serde(default)]
    grants: Granted,
}

#[derive(Debug, Serialize)]
pub(in crate::http) struct BindingBody {
    id: BindingId,
    #[serde(flatten)]
    plugin: PluginVersion,
    selector: Selector,
    config: Settings,
    on_failure: OnFailure,
    limits: Limits,
    grants: Granted,
    circuit: CircuitBody,
    created_at: Time,
}

/// How a circuit breaker stands in this server: a binding's, or an endpoint's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CircuitBody {
    Closed,
    Open,
    Probing,
}

impl From<Stand> for CircuitBody {
    fn from(stand: Stand) -> Self {
        match stand {
            Stand::Closed => Self::Closed,
            Stand::Open { .. } => Self::Open,
            Stand::Probing => Self::Probing,
        }
    }
}

impl BindingBody {
    fn new(binding: Binding, breakers: &Breakers) -> Self {
        Self {
            circuit: breakers.stand(binding.id).into(),
            id: binding.id,
            plugin: binding.plugin,
            selector: binding.selector,
            config: Settings::clone(&binding.config),
            on_failure: binding.on_failure,
            limits: binding.limits,
            grants: binding.granted,
            created_at: Time(binding.created_at),
        }
    }
}

/// Largest settings, in bytes of JSON: they are read at every call.
const MAX_CONFIG_BYTES: usize = 256 << 10;
/// Longest agent id or tool name in a selector, in bytes.
const MAX_WORD_BYTES: usize = 256;

impl CreateBinding {
    async fn into_binding(
        self,
        services: &Services,
        caller: Caller,
    ) -> Result<NewBinding, Problem> {
        check_selector(&self.selector)?;
        self.limits
            .check(services.runtime.ceilings())
            .map_err(|out| {
                Problem::invalid_field(format!("limits.{}", out.field), out.to_string())
            })?;
        check_grants(&self.grants, services, caller).await?;
        let config_bytes = serde_json::to_string(&self.config).map_or(usize::MAX, |c| c.len());
        if config_bytes > MAX_CONFIG_BYTES {
            let problem = format!("has {config_bytes} bytes, at most {MAX_CONFIG_BYTES} are taken");
            return Err(Problem::invalid_field("config", problem));
        }
        let found = services
            .store
            .plugin(caller.organization, &self.plugin)
            .await;
        let (plugin, versions) = found.map_err(|error| match error {
            StoreError::NotFound { .. } => Problem::invalid_field(
                "plugin",
                format!(
                    "there is no plugin {}: upload a version of it first",
                    self.plugin
                ),
            ),
            other => other.into(),
        })?;
        let number = self.version.unwrap_or(plugin.latest_version);
        let version = versions
            .iter()
            .find(|version| version.number == number)
            .ok_or_else(|| {
                let problem = format!(
                    "{} has no version {number}; its newest is {}",
                    self.plugin, plugin.latest_version
                );
                Problem::invalid_field("version", problem)
            })?;
        check_handler(&self.selector, version)?;
        for dialect in dialects(&self.selector, services, caller).await? {
            check_verdicts(dialect, "on_failure", |handler| {
                self.on_failure.for_handler(handler)
            })?;
        }
        Ok(NewBinding {
            id: BindingId::from(Uuid::now_v7()),
            organization: caller.organization,
            plugin: plugin.id,
            version: number,
            selector: self.selector,
            config: self.config,
            on_failure: self.on_failure,
            limits: self.limits,
            granted: self.grants,
            created_at: Timestamp::now(),
        })
    }
}

/// Which version a binding shall run from now on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Activate {
    version: u32,
    /// The permissions that this version has and the bound one had not, each of
    /// them named.
    #[serde(default)]
    confirm: Vec<String>,
}

/// Activates a version. Calls in flight end with the version they began with.
pub(in crate::http) async fn activate(
    State(services): State<Services>,
    caller: Caller,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<Activate>,
) -> Result<Json<BindingBody>, Problem> {
    let id = super::path_id(&id, "binding")?;
    let binding = services.store.binding(caller.organization, id).await?;
    let (_, versions) = services
        .store
        .plugin(caller.organization, &binding.plugin.name)
        .await?;
    let version = versions.iter().find(|it| it.number == body.version);
    let version = version.ok_or_else(|| {
        let problem = format!("{} has no version {}", binding.plugin.name, body.version);
        Problem::invalid_field("version", problem)
    })?;
    check_handler(&binding.selector, version)?;
    let wants = version.inspection.permissions();
    let difference = Difference::between(&binding.permissions, &wants);
    check_confirmed(&difference, &body.confirm)?;
    let activated = services
        .store
        .activate(
            caller.organization,
            id,
            binding.plugin.version,
            body.version,
        )
        .await?;
    Ok(Json(BindingBody::new(
        activated,
        services.switch.breakers(),
    )))
}

/// Who lets a plugin do more must say so, permission by permission.
fn check_confirmed(difference: &Difference, confirm: &[String]) -> Result<(), Problem> {
    let added: Vec<_> = difference.added.iter().map(|it| it.name()).collect();
    if let Some(unknown) = confirm.iter().find(|name| !added.contains(&name.as_str())) {
        let problem = format!(
            "{unknown:?} is nothing that this version wants more; it wants {}",
            if added.is_empty() {
                "nothing more".to_owned()
            } else {
                added.join(", ")
            }
        );
        return Err(Problem::invalid_field("confirm", problem));
    }
    if added.iter().all(|name| confirm.iter().any(|it| it == name)) {
        return Ok(());
    }
    let explained: Vec<_> = difference
        .added
        .iter()
        .map(|it| format!("{} ({})", it.name(), it.description()))
        .collect();
    let detail = format!(
        "this version wants more than the bound one: {}; to let it, send \"confirm\": {}",
        explained.join("; "),
        serde_json::Value::from(added.clone())
    );
    let difference = serde_json::json!(difference);
    Err(
        Problem::of_field(Code::ConfirmationRequired, "confirm", detail)
            .with("difference", difference),
    )
}

fn check_selector(selector: &Selector) -> Result<(), Problem> {
    for (field, word) in [("agent", &selector.agent), ("tool", &selector.tool)] {
        if let Some(word) = word
            && !(1..=MAX_WORD_BYTES).contains(&word.len())
        {
            let problem =
                format!("must have 1 to {MAX_WORD_BYTES} bytes; leave it out to match all");
            return Err(Problem::invalid_field(format!("selector.{field}"), problem));
        }
    }
    let other_kind = selector
        .kind
        .as_ref()
        .is_some_and(|kind| kind.handler() != Handler::Tool);
    if selector.tool.is_some() && other_kind {
        let problem = "only events of the kind tool.call have a tool, so this would never match";
        return Err(Problem::invalid_field("selector.tool", problem));
    }
    Ok(())
}

/// A header whose secret is not there would fail in the middle of a call.
async fn check_grants(
    grants: &Granted,
    services: &Services,
    caller: Caller,
) -> Result<(), Problem> {
    if grants.http.len() > Granted::MAX_HTTP {
        let problem = format!("at most {} hosts can be granted", Granted::MAX_HTTP);
        return Err(Problem::invalid_field("grants.http", problem));
    }
    if grants
        .http
        .iter()
        .all(|grant| grant.secrets().next().is_none())
    {
        return Ok(());
    }
    let known = services.store.secrets(caller.organization).await?;
    for (at, grant) in grants.http.iter().enumerate() {
        for (header, template) in &grant.headers {
            let missing = template
                .names()
                .find(|name| known.iter().all(|entry| entry.name != **name));
            if let Some(name) = missing {
                let field = format!("grants.http[{at}].headers.{}", header.as_str());
                let problem =
                    format!("there is no secret {name}: set it first (PUT /api/v1/secrets/{name})");
                return Err(Problem::invalid_field(field, problem));
            }
        }
    }
    Ok(())
}

/// A binding that could never be asked is a mistake.
fn check_handler(selector: &Selector, version: &Version) -> Result<(), Problem> {
    let wanted = match &selector.kind {
        Some(kind) => kind.handler(),
        None if selector.tool.is_some() => Handler::Tool,
        None => return Ok(()),
    };
    if version.inspection.exports.contains(&wanted) {
        return Ok(());
    }
    let exports: Vec<_> = version
        .inspection
        .exports
        .iter()
        .map(|handler| handler.interface())
        .collect();
    let field = if selector.kind.is_some() {
        "selector.kind"
    } else {
        "selector.tool"
    };
    let problem = format!(
        "such events go to a {}, but the plugin exports only {}",
        wanted.interface(),
        exports.join(", ")
    );
    Err(Problem::invalid_field(field, problem))
}

/// The dialects whose events the binding may match: its source's, or all.
async fn dialects(
    selector: &Selector,
    services: &Services,
    caller: Caller,
) -> Result<Vec<&'static dyn Dialect>, Problem> {
    let Some(id) = selector.source else {
        return Ok(ingest::DIALECTS.to_vec());
    };
    let found = services.store.source(caller.organization, id).await;
    let source = found.map_err(|error| match error {
        StoreError::NotFound { .. } => {
            Problem::invalid_field("selector.source", format!("there is no source {id}"))
        }
        other => other.into(),
    })?;
    Ok(ingest::dialect(&source.dialect).into_iter().collect())
}

pub(in crate::http) async fn create(
    State(services): State<Services>,
    caller: Caller,
    JsonBody(body): JsonBody<CreateBinding>,
) -> Result<(StatusCode, Json<BindingBody>), Problem> {
    let new = body.into_binding(&services, caller).await?;
    let binding = services.store.create_binding(new).await?;
    Ok((
        StatusCode::CREATED,
        Json(BindingBody::new(binding, services.switch.breakers())),
    ))
}

pub(in crate::http) async fn list(
    State(services): State<Services>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<PageBody<BindingBody>>, Problem> {
    let paging: Paging = super::query(&uri)?;
    let page = services
        .store
        .bindings(caller.organization, paging.request()?)
        .await?;
    Ok(Json(PageBody::of(page, |binding| {
        BindingBody::new(binding, services.switch.breakers())
    })))
}

pub(in crate::http) async fn read(
    State(services): State<Services>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<BindingBody>, Problem> {
    let id = super::path_id(&id, "binding")?;
    let binding = services.store.binding(caller.organization, id).await?;
    Ok(Json(BindingBody::new(binding, services.switch.breakers())))
}

pub(in crate::http) async fn delete(
    State(services): State<Services>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let id = super::path_id(&id, "binding")?;
    services
        .store
        .delete_binding(caller.organization, id)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
