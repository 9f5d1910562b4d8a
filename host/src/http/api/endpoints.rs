//! `/api/v1/endpoints`

use std::borrow::Cow;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::NoContent;
use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::changes::Changes;
use super::proof;
use super::{PageBody, Paging, Time};
use crate::domain::endpoint::{Disabled, Endpoint, Settings, Signing, SigningSecret, Standing};
use crate::domain::grant::http::{HeaderTemplate, Scheme};
use crate::domain::id::{EndpointId, OrganizationId};
use crate::domain::plugin::Name;
use crate::domain::proof::{Credential, ShownProof};
use crate::domain::revision::Revision;
use crate::http::Services;
use crate::http::auth::{Caller, Owner, Viewer};
use crate::http::body::JsonBody;
use crate::http::creation::{Create, Made};
use crate::http::path::InPath;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::revision::{IfMatch, Tagged};
use crate::json;
use crate::store::{Action, Creation, NewEndpoint};

/// An endpoint's fields in a request. Those that are not named here are [`Settings`].
struct Fields {
    name: Option<Name>,
    enabled: Option<bool>,
    proof: Option<Vec<Credential>>,
    signing_secret: Option<SigningSecret>,
    settings: Changes<Form>,
}

/// An endpoint's fields, for the API's description.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "EndpointFields")]
#[allow(dead_code)] // Only its schema is used.
pub(in crate::http) struct Form {
    name: Name,
    #[schemars(default = "enabled")]
    enabled: bool,
    #[schemars(default)]
    proof: Vec<Credential>,
    /// One is made up unless given.
    #[schemars(default)]
    signing_secret: Option<SigningSecret>,
    #[serde(flatten)]
    settings: Settings,
}

fn enabled() -> bool {
    true
}

/// The fields of a new endpoint: some may be absent, and those are not null.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(in crate::http) struct New(Changes<Form>);

impl JsonSchema for New {
    fn schema_name() -> Cow<'static, str> {
        Form::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Form::json_schema(generator)
    }
}

impl Fields {
    fn read(mut fields: Changes<Form>) -> Result<Self, Problem> {
        Ok(Self {
            name: fields.take("name")?,
            enabled: fields.take("enabled")?,
            proof: fields.take("proof")?,
            signing_secret: fields.take("signing_secret")?,
            settings: fields,
        })
    }
}

#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::http) struct EndpointBody {
    id: EndpointId,
    name: Name,
    enabled: bool,
    standing: StandingBody,
    #[serde(flatten)]
    settings: Settings,
    proof: Vec<ShownProof>,
    /// Until when the signing secret before this one holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_secret_until: Option<Time>,
    revision: Revision,
    created_at: Time,
    updated_at: Time,
    /// Shown once.
    #[serde(skip_serializing_if = "Option::is_none")]
    signing_secret: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
enum StandingBody {
    Enabled,
    /// Every attempt since then has failed.
    Failing {
        since: Time,
    },
    Disabled {
        since: Time,
        reason: Disabled,
    },
}

impl From<Standing> for StandingBody {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::Enabled {
                failing_since: None,
            } => Self::Enabled,
            Standing::Enabled {
                failing_since: Some(since),
            } => Self::Failing { since: Time(since) },
            Standing::Disabled { why, since } => Self::Disabled {
                since: Time(since),
                reason: why,
            },
        }
    }
}

impl From<Endpoint> for EndpointBody {
    fn from(endpoint: Endpoint) -> Self {
        let now = Timestamp::now();
        let previous = endpoint.signing.previous.as_ref();
        let until = previous
            .map(|(_, until)| *until)
            .filter(|until| *until > now);
        Self {
            enabled: endpoint.is_enabled(),
            standing: endpoint.standing.into(),
            proof: proof::shown(&endpoint.proof),
            previous_secret_until: until.map(Time),
            revision: endpoint.revision,
            created_at: Time(endpoint.created_at),
            updated_at: Time(endpoint.updated_at),
            id: endpoint.id,
            name: endpoint.name,
            settings: endpoint.settings,
            signing_secret: None,
        }
    }
}

impl EndpointBody {
    fn with_secret(endpoint: Endpoint) -> Self {
        let secret = endpoint.signing.current.expose();
        Self {
            signing_secret: Some(secret),
            ..endpoint.into()
        }
    }
}

fn show(endpoint: &Endpoint) -> Value {
    super::shown(EndpointBody::from(endpoint.clone()))
}

fn show_with_secret(endpoint: &Endpoint) -> Value {
    super::shown(EndpointBody::with_secret(endpoint.clone()))
}

fn new_secret() -> SigningSecret {
    SigningSecret::new(rand::random())
}

/// Settings, from what was set before and what is set now. `null` gives a setting its
/// default back.
async fn settings(
    before: Option<&Settings>,
    changes: Changes<Form>,
    services: &Services,
    organization: OrganizationId,
) -> Result<Settings, Problem> {
    let settings: Settings = match before {
        Some(before) => changes.over(before)?,
        None => changes.read()?,
    };
    settings
        .check()
        .map_err(|error| Problem::invalid_field(error.field, error.to_string()))?;
    if settings.scheme() == Scheme::Http && !services.caps.plain_endpoints {
        let problem =
            "must be https: on this server (the operator can allow others: egress.plain_endpoints)";
        return Err(Problem::invalid_field("url", problem));
    }
    check_secrets(&settings, services, organization).await?;
    Ok(settings)
}

/// A header whose secret is not there would fail every attempt.
async fn check_secrets(
    settings: &Settings,
    services: &Services,
    organization: OrganizationId,
) -> Result<(), Problem> {
    let named = settings.headers.values().flat_map(HeaderTemplate::names);
    if named.count() == 0 {
        return Ok(());
    }
    let known = services.store.secrets(organization).await?;
    for (header, template) in &settings.headers {
        let missing = template
            .names()
            .find(|name| known.iter().all(|entry| entry.name != **name));
        if let Some(name) = missing {
            let problem =
                format!("there is no secret {name}: set it first (PUT /api/v1/secrets/{name})");
            let field = format!("headers.{}", header.as_str());
            return Err(Problem::invalid_field(field, problem));
        }
    }
    Ok(())
}

pub(in crate::http) async fn create(
    State(services): State<Services>,
    caller: Caller<Owner>,
    Create {
        body: New(fields),
        idempotency,
    }: Create<New>,
) -> Result<Made<EndpointBody>, Problem> {
    let fields = Fields::read(fields)?;
    let name = fields
        .name
        .ok_or_else(|| json::ReadError::missing("name"))?;
    let current = fields.signing_secret.unwrap_or_else(new_secret);
    let new = NewEndpoint {
        id: EndpointId::from(Uuid::now_v7()),
        organization: caller.organization,
        name,
        settings: settings(None, fields.settings, &services, caller.organization).await?,
        proof: proof::of_endpoint(fields.proof.unwrap_or_default())?,
        signing: Signing {
            current,
            previous: None,
        },
        enabled: fields.enabled.unwrap_or(true),
        created_at: Timestamp::now(),
    };
    let creation = Creation {
        answer: show_with_secret,
        ..caller.creates(idempotency, show)
    };
    let created = services.store.create_endpoint(new, creation).await?;
    Ok(Made::of(created, show_with_secret))
}

/// Changes what is given, and nothing else.
pub(in crate::http) async fn change(
    State(services): State<Services>,
    caller: Caller<Owner>,
    InPath(id): InPath<EndpointId>,
    if_match: IfMatch,
    JsonBody(fields): JsonBody<Changes<Form>>,
) -> Result<Tagged<EndpointBody>, Problem> {
    if fields.has("signing_secret") {
        let problem = "is replaced by POST /api/v1/endpoints/{id}/rotate";
        return Err(Problem::invalid_field("signing_secret", problem));
    }
    let fields = Fields::read(fields)?;
    let before = services.store.endpoint(caller.organization, id).await?;
    if_match.check(before.revision)?;
    let read_at = before.updated_at;
    let standing = standing(&before, fields.enabled);
    let after = Endpoint {
        settings: settings(
            Some(&before.settings),
            fields.settings,
            &services,
            caller.organization,
        )
        .await?,
        proof: match fields.proof {
            Some(proof) => proof::of_endpoint(proof)?,
            None => before.proof,
        },
        name: fields.name.unwrap_or(before.name),
        standing,
        updated_at: later(read_at),
        ..before
    };
    let endpoint = services
        .store
        .update_endpoint(after, read_at, Action::Update, caller.by(show))
        .await?;
    // What waited for it can be sent.
    services
        .switch
        .doorbell()
        .ring([(endpoint.organization, endpoint.id)]);
    Ok(Tagged(endpoint.revision, endpoint.into()))
}

fn standing(before: &Endpoint, enabled: Option<bool>) -> Standing {
    match (enabled, before.standing) {
        (Some(true), Standing::Disabled { .. }) => Standing::Enabled {
            failing_since: None,
        },
        (Some(false), Standing::Enabled { .. }) => Standing::Disabled {
            why: Disabled::ByHand,
            since: Timestamp::now(),
        },
        (_, standing) => standing,
    }
}

/// Now, or just after the last change if that is in the future.
fn later(last: Timestamp) -> Timestamp {
    let next = last.checked_add(Duration::from_millis(1)).unwrap_or(last);
    Timestamp::now().max(next)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Rotate {
    /// One is made up unless given.
    signing_secret: Option<SigningSecret>,
    #[serde(default = "a_day")]
    overlap_seconds: u32,
}

fn a_day() -> u32 {
    24 * 3600
}

/// Longest time for which two signing secrets hold, in seconds.
const MAX_OVERLAP: u32 = 30 * 24 * 3600;

/// Replaces the signing secret. For a while requests are signed with both.
pub(in crate::http) async fn rotate(
    State(services): State<Services>,
    caller: Caller<Owner>,
    InPath(id): InPath<EndpointId>,
    if_match: Option<IfMatch>,
    JsonBody(body): JsonBody<Rotate>,
) -> Result<Tagged<EndpointBody>, Problem> {
    if body.overlap_seconds > MAX_OVERLAP {
        let problem = format!("must be at most {MAX_OVERLAP} seconds (30 days)");
        return Err(Problem::invalid_field("overlap_seconds", problem));
    }
    let before = services.store.endpoint(caller.organization, id).await?;
    if let Some(if_match) = if_match {
        if_match.check(before.revision)?;
    }
    let read_at = before.updated_at;
    let overlap = Duration::from_secs(body.overlap_seconds.into());
    let until = Timestamp::now().checked_add(overlap);
    let until = until.map_err(|_| Problem::invalid_field("overlap_seconds", "is too long"))?;
    let new = body.signing_secret.unwrap_or_else(new_secret);
    if new == before.signing.current {
        let problem = "is the one that holds already";
        return Err(Problem::invalid_field("signing_secret", problem));
    }
    let after = Endpoint {
        signing: before.signing.clone().rotated(new, until),
        updated_at: later(read_at),
        ..before
    };
    let endpoint = services
        .store
        .update_endpoint(after, read_at, Action::Rotate, caller.by(show))
        .await?;
    Ok(Tagged(
        endpoint.revision,
        EndpointBody::with_secret(endpoint),
    ))
}

pub(in crate::http) async fn list(
    State(services): State<Services>,
    caller: Caller<Viewer>,
    Query(paging): Query<Paging>,
) -> Result<Json<PageBody<EndpointBody>>, Problem> {
    let page = services
        .store
        .endpoints(caller.organization, paging.request()?)
        .await?;
    Ok(Json(PageBody::of(page, EndpointBody::from)))
}

pub(in crate::http) async fn read(
    State(services): State<Services>,
    caller: Caller<Viewer>,
    InPath(id): InPath<EndpointId>,
) -> Result<Tagged<EndpointBody>, Problem> {
    let endpoint = services.store.endpoint(caller.organization, id).await?;
    Ok(Tagged(endpoint.revision, endpoint.into()))
}

pub(in crate::http) async fn delete(
    State(services): State<Services>,
    caller: Caller<Owner>,
    InPath(id): InPath<EndpointId>,
    if_match: Option<IfMatch>,
) -> Result<NoContent, Problem> {
    if let Some(if_match) = if_match {
        let endpoint = services.store.endpoint(caller.organization, id).await?;
        if_match.check(endpoint.revision)?;
    }
    services
        .store
        .delete_endpoint(caller.organization, id, caller.by(show))
        .await?;
    Ok(NoContent)
}
