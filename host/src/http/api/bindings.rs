//! `/api/v1/bindings`

use axum::Json;
use axum::extract::State;
use axum::response::NoContent;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::changes::Changes;
use super::{PageBody, Paging, Time, check_verdicts};
use crate::domain::binding::{Binding, PluginVersion, Selector, Settings};
use crate::domain::breaker::Stand;
use crate::domain::decision::OnFailure;
use crate::domain::grant::Granted;
use crate::domain::id::{BindingId, OrganizationId, PluginId, SourceId};
use crate::domain::limits::Limits;
use crate::domain::permission::Difference;
use crate::domain::plugin::{Handler, Handlers, Name, Version};
use crate::domain::revision::Revision;
use crate::domain::source::Source;
use crate::http::Services;
use crate::http::auth::{Caller, Developer, Viewer};
use crate::http::body::JsonBody;
use crate::http::creation::{Create, Made};
use crate::http::path::InPath;
use crate::http::problem::{Code, Problem};
use crate::http::query::Query;
use crate::http::revision::{IfMatch, Tagged};
use crate::ingest;
use crate::json::ReadError;
use crate::store::{NewBinding, StoreError, VersionChange};

/// What a binding is asked to be.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "BindingFields")]
pub(in crate::http) struct Asked {
    /// Of a new one.
    #[serde(skip_serializing)]
    plugin: Option<Name>,
    /// Of a new one; not there: the newest.
    #[serde(skip_serializing)]
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

#[derive(Debug, Serialize, JsonSchema)]
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
    revision: Revision,
    created_at: Time,
}

/// How a circuit breaker stands in this server: a binding's, or an endpoint's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
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
    fn new(binding: Binding, circuit: Stand) -> Self {
        Self {
            circuit: circuit.into(),
            id: binding.id,
            plugin: binding.plugin,
            selector: binding.selector,
            config: Settings::clone(&binding.config),
            on_failure: binding.on_failure,
            limits: binding.limits,
            grants: binding.granted,
            revision: binding.revision,
            created_at: Time(binding.created_at),
        }
    }

    /// A binding with its circuit as it stands in this server.
    pub(super) fn now(binding: Binding, services: &Services) -> Self {
        let circuit = services.switch.breakers().stand(binding.id);
        Self::new(binding, circuit)
    }
}

/// What is set up: its circuit is of this moment and not part of that.
pub(super) fn show(binding: &Binding) -> Value {
    super::shown(BindingBody::new(binding.clone(), Stand::Closed))
}

/// Largest settings, in bytes of JSON: they are read at every call.
const MAX_CONFIG_BYTES: usize = 256 << 10;
/// Longest agent id or tool name in a selector, in bytes.
const MAX_WORD_BYTES: usize = 256;

impl Asked {
    fn of(binding: &Binding) -> Self {
        Self {
            plugin: None,
            version: None,
            selector: binding.selector.clone(),
            config: Settings::clone(&binding.config),
            on_failure: binding.on_failure.clone(),
            limits: binding.limits,
            grants: binding.granted.clone(),
        }
    }

    async fn check(
        &self,
        exports: &Handlers,
        services: &Services,
        organization: OrganizationId,
    ) -> Result<(), Problem> {
        check_selector(&self.selector)?;
        self.limits
            .check(services.runtime.ceilings())
            .map_err(|out| {
                Problem::invalid_field(format!("limits.{}", out.field), out.to_string())
            })?;
        check_grants(&self.grants, services, organization).await?;
        let config_bytes = serde_json::to_string(&self.config).map_or(usize::MAX, |c| c.len());
        if config_bytes > MAX_CONFIG_BYTES {
            let problem = format!("has {config_bytes} bytes, at most {MAX_CONFIG_BYTES} are taken");
            return Err(Problem::invalid_field("config", problem));
        }
        check_handler(&self.selector, exports)?;
        self.check_verdicts(services, organization).await
    }
}

impl Asked {
    /// A source's dialect must be able to send the verdicts; where the binding is for all
    /// sources, that of some platform must.
    async fn check_verdicts(
        &self,
        services: &Services,
        organization: OrganizationId,
    ) -> Result<(), Problem> {
        let check = |dialect, agent_config| {
            check_verdicts(dialect, agent_config, "on_failure", |handler| {
                self.on_failure.for_handler(handler)
            })
        };
        if let Some(id) = self.selector.source {
            let source = source(id, services, organization).await?;
            let config = source.agent_config.as_deref();
            return match ingest::dialect(&source.dialect) {
                Some(dialect) => check(dialect, config),
                None => Ok(()),
            };
        }
        let mut checked = ingest::DIALECTS.iter().map(|dialect| check(*dialect, None));
        let first = checked.next().unwrap_or(Ok(()));
        if first.is_err() && checked.any(|checked| checked.is_ok()) {
            return Ok(());
        }
        first
    }
}

/// The plugin that a new binding names, and the version it shall run.
async fn plugin_version(
    asked: &Asked,
    services: &Services,
    organization: OrganizationId,
) -> Result<(PluginId, Version), Problem> {
    let name = asked.plugin.as_ref();
    let name = name.ok_or_else(|| ReadError::missing("plugin"))?;
    let found = services.store.plugin(organization, name).await;
    let (plugin, versions) = found.map_err(|error| match error {
        StoreError::NotFound { .. } => Problem::invalid_field(
            "plugin",
            format!("there is no plugin {name}: upload a version of it first"),
        ),
        other => other.into(),
    })?;
    let number = asked.version.unwrap_or(plugin.latest_version);
    let version = versions.into_iter().find(|it| it.number == number);
    let version = version.ok_or_else(|| {
        let newest = plugin.latest_version;
        let problem = format!("{name} has no version {number}; its newest is {newest}");
        Problem::invalid_field("version", problem)
    })?;
    Ok((plugin.id, version))
}

/// Which version a binding shall run from now on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Activate {
    pub(super) version: u32,
    /// The permissions that this version has and the bound one had not, each of
    /// them named.
    #[serde(default)]
    confirm: Vec<String>,
}

/// Activates a version. Calls in flight end with the version they began with.
pub(in crate::http) async fn activate(
    State(services): State<Services>,
    caller: Caller<Developer>,
    InPath(id): InPath<BindingId>,
    JsonBody(body): JsonBody<Activate>,
) -> Result<Tagged<BindingBody>, Problem> {
    let binding = services.store.binding(caller.organization, id).await?;
    let name = &binding.plugin.name;
    let (_, versions) = services.store.plugin(caller.organization, name).await?;
    let change = body.change(&[&binding], name, &versions)?;
    let activated = services
        .store
        .activate(caller.organization, change, caller.by(show))
        .await?;
    one(activated, id, &services)
}

/// Goes back to the version that ran before.
pub(in crate::http) async fn roll_back(
    State(services): State<Services>,
    caller: Caller<Developer>,
    InPath(id): InPath<BindingId>,
) -> Result<Tagged<BindingBody>, Problem> {
    let rolled_back = services
        .store
        .roll_back(caller.organization, vec![id], caller.by(show))
        .await?;
    one(rolled_back, id, &services)
}

fn one(
    changed: Vec<Binding>,
    id: BindingId,
    services: &Services,
) -> Result<Tagged<BindingBody>, Problem> {
    let binding = changed.into_iter().next();
    let binding =
        binding.ok_or_else(|| Problem::new(Code::NotFound, format!("there is no binding {id}")))?;
    Ok(Tagged(
        binding.revision,
        BindingBody::now(binding, services),
    ))
}

impl Activate {
    /// What it means for bindings of a plugin, if everything that the version wants more
    /// than it had there is confirmed.
    pub(super) fn change(
        &self,
        bindings: &[&Binding],
        plugin: &Name,
        versions: &[Version],
    ) -> Result<Vec<VersionChange>, Problem> {
        let version = versions.iter().find(|it| it.number == self.version);
        let version = version.ok_or_else(|| {
            let problem = format!("{plugin} has no version {}", self.version);
            Problem::invalid_field("version", problem)
        })?;
        let had = bindings.iter().map(|binding| &binding.permissions);
        let had = had.cloned().reduce(|all, some| &all & &some);
        for binding in bindings {
            check_handler(&binding.selector, &version.inspection.exports)?;
        }
        let wants = version.inspection.permissions();
        // Where no binding changes, nothing may do more.
        let had = had.unwrap_or_else(|| wants.clone());
        let difference = Difference::between(&had, &wants);
        check_confirmed(&difference, &self.confirm)?;
        Ok(bindings
            .iter()
            .map(|binding| VersionChange {
                binding: binding.id,
                from: binding.plugin.version,
                to: self.version,
            })
            .collect())
    }
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
        Value::from(added.clone())
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
    organization: OrganizationId,
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
    let known = services.store.secrets(organization).await?;
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
fn check_handler(selector: &Selector, exports: &Handlers) -> Result<(), Problem> {
    let wanted = match &selector.kind {
        Some(kind) => kind.handler(),
        None if selector.tool.is_some() => Handler::Tool,
        None => return Ok(()),
    };
    if exports.contains(&wanted) {
        return Ok(());
    }
    let exports: Vec<_> = exports.iter().map(|handler| handler.interface()).collect();
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

/// The source that a selector names.
async fn source(
    id: SourceId,
    services: &Services,
    organization: OrganizationId,
) -> Result<Source, Problem> {
    let found = services.store.source(organization, id).await;
    found.map_err(|error| match error {
        StoreError::NotFound { .. } => {
            Problem::invalid_field("selector.source", format!("there is no source {id}"))
        }
        other => other.into(),
    })
}

pub(in crate::http) async fn create(
    State(services): State<Services>,
    caller: Caller<Developer>,
    Create {
        body: asked,
        idempotency,
    }: Create<Asked>,
) -> Result<Made<BindingBody>, Problem> {
    let organization = caller.organization;
    let (plugin, version) = plugin_version(&asked, &services, organization).await?;
    asked
        .check(&version.inspection.exports, &services, organization)
        .await?;
    let new = NewBinding {
        id: BindingId::from(Uuid::now_v7()),
        organization,
        plugin,
        version: version.number,
        selector: asked.selector,
        config: asked.config,
        on_failure: asked.on_failure,
        limits: asked.limits,
        granted: asked.grants,
        created_at: Timestamp::now(),
    };
    let creation = caller.creates(idempotency, show);
    let created = services.store.create_binding(new, creation).await?;
    Ok(Made::of(created, show))
}

/// Changes what is given, and nothing else.
pub(in crate::http) async fn change(
    State(services): State<Services>,
    caller: Caller<Developer>,
    InPath(id): InPath<BindingId>,
    if_match: IfMatch,
    JsonBody(fields): JsonBody<Changes<Asked>>,
) -> Result<Tagged<BindingBody>, Problem> {
    for (field, way) in [
        ("plugin", "cannot be changed: make another binding"),
        (
            "version",
            "is changed by POST /api/v1/bindings/{id}/activate",
        ),
    ] {
        if fields.has(field) {
            return Err(Problem::invalid_field(field, way));
        }
    }
    let organization = caller.organization;
    let before = services.store.binding(organization, id).await?;
    if_match.check(before.revision)?;
    let asked = fields.over(&Asked::of(&before))?;
    asked
        .check(&before.exports, &services, organization)
        .await?;
    let after = Binding {
        selector: asked.selector,
        config: asked.config.into(),
        on_failure: asked.on_failure,
        limits: asked.limits,
        granted: asked.grants,
        ..before
    };
    let binding = services
        .store
        .update_binding(organization, after, caller.by(show))
        .await?;
    Ok(Tagged(
        binding.revision,
        BindingBody::now(binding, &services),
    ))
}

pub(in crate::http) async fn list(
    State(services): State<Services>,
    caller: Caller<Viewer>,
    Query(paging): Query<Paging>,
) -> Result<Json<PageBody<BindingBody>>, Problem> {
    let page = services
        .store
        .bindings(caller.organization, paging.request()?)
        .await?;
    Ok(Json(PageBody::of(page, |binding| {
        BindingBody::now(binding, &services)
    })))
}

pub(in crate::http) async fn read(
    State(services): State<Services>,
    caller: Caller<Viewer>,
    InPath(id): InPath<BindingId>,
) -> Result<Tagged<BindingBody>, Problem> {
    let binding = services.store.binding(caller.organization, id).await?;
    Ok(Tagged(
        binding.revision,
        BindingBody::now(binding, &services),
    ))
}

pub(in crate::http) async fn delete(
    State(services): State<Services>,
    caller: Caller<Developer>,
    InPath(id): InPath<BindingId>,
    if_match: Option<IfMatch>,
) -> Result<NoContent, Problem> {
    if let Some(if_match) = if_match {
        let binding = services.store.binding(caller.organization, id).await?;
        if_match.check(binding.revision)?;
    }
    services
        .store
        .delete_binding(caller.organization, id, caller.by(show))
        .await?;
    Ok(NoContent)
}
