//! `/api/v1/endpoints`

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use http::{StatusCode, Uri};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::proof::{self, ProofBody, ShownProof};
use super::{PageBody, Paging, Time};
use crate::domain::endpoint::{Disabled, Endpoint, Settings, Signing, SigningSecret, Standing};
use crate::domain::grant::http::{HeaderTemplate, Scheme};
use crate::domain::id::EndpointId;
use crate::domain::plugin::Name;
use crate::http::Services;
use crate::http::auth::Caller;
use crate::http::body::JsonBody;
use crate::http::problem::Problem;
use crate::json;
use crate::store::NewEndpoint;

/// An endpoint's fields in a request. Those that are not named here are [`Settings`].
#[derive(Debug, Deserialize)]
pub(in crate::http) struct Fields {
    name: Option<Name>,
    enabled: Option<bool>,
    proof: Option<Vec<ProofBody>>,
    signing_secret: Option<SigningSecret>,
    #[serde(flatten)]
    settings: Map<String, Value>,
}

/// How many secrets a proof can be made with: the one that holds, and the next.
const MAX_SECRETS: usize = 2;

#[derive(Debug, Serialize)]
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
    created_at: Time,
    updated_at: Time,
    /// Shown once.
    #[serde(skip_serializing_if = "Option::is_none")]
    signing_secret: Option<String>,
}

#[derive(Debug, Serialize)]
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
            proof: endpoint.proof.iter().map(ShownProof::from).collect(),
            previous_secret_until: until.map(Time),
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

fn new_secret() -> SigningSecret {
    SigningSecret::new(rand::random())
}

/// Settings, from what was set before and what is set now. `null` gives a setting its
/// default back.
async fn settings(
    before: Option<&Settings>,
    changes: Map<String, Value>,
    services: &Services,
    caller: Caller,
) -> Result<Settings, Problem> {
    let mut all = match before.map(serde_json::to_value) {
        Some(Ok(Value::Object(fields))) => fields,
        _ => Map::new(),
    };
    all.extend(changes);
    all.retain(|_, value| !value.is_null());
    let settings: Settings = json::object(&Value::Object(all).to_string())?;
    settings
        .check()
        .map_err(|error| Problem::invalid_field(error.field, error.to_string()))?;
    if settings.scheme() == Scheme::Http && !services.caps.plain_endpoints {
        let problem =
            "must be https: on this server (the operator can allow others: egress.plain_endpoints)";
        return Err(Problem::invalid_field("url", problem));
    }
    check_secrets(&settings, services, caller).await?;
    Ok(settings)
}

/// A header whose secret is not there would fail every attempt.
async fn check_secrets(
    settings: &Settings,
    services: &Services,
    caller: Caller,
) -> Result<(), Problem> {
    let named = settings.headers.values().flat_map(HeaderTemplate::names);
    if named.count() == 0 {
        return Ok(());
    }
    let known = services.store.secrets(caller.organization).await?;
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
    caller: Caller,
    JsonBody(fields): JsonBody<Fields>,
) -> Result<(StatusCode, Json<EndpointBody>), Problem> {
    let name = fields
        .name
        .ok_or_else(|| json::ReadError::missing("name"))?;
    let current = fields.signing_secret.unwrap_or_else(new_secret);
    let new = NewEndpoint {
        id: EndpointId::from(Uuid::now_v7()),
        organization: caller.organization,
        name,
        settings: settings(None, fields.settings, &services, caller).await?,
        proof: proof::read(fields.proof.unwrap_or_default(), MAX_SECRETS)?,
        signing: Signing {
            current,
            previous: None,
        },
        enabled: fields.enabled.unwrap_or(true),
        created_at: Timestamp::now(),
    };
    let endpoint = services.store.create_endpoint(new).await?;
    Ok((
        StatusCode::CREATED,
        Json(EndpointBody::with_secret(endpoint)),
    ))
}

/// Changes what is given, and nothing else.
pub(in crate::http) async fn change(
    State(services): State<Services>,
    caller: Caller,
    Path(id): Path<String>,
    JsonBody(fields): JsonBody<Fields>,
) -> Result<Json<EndpointBody>, Problem> {
    if fields.signing_secret.is_some() {
        let problem = "is replaced by POST /api/v1/endpoints/{id}/rotate";
        return Err(Problem::invalid_field("signing_secret", problem));
    }
    let id = super::path_id(&id, "endpoint")?;
    let before = services.store.endpoint(caller.organization, id).await?;
    let read_at = before.updated_at;
    let standing = standing(&before, fields.enabled);
    let after = Endpoint {
        settings: settings(Some(&before.settings), fields.settings, &services, caller).await?,
        proof: match fields.proof {
            Some(proof) => proof::read(proof, MAX_SECRETS)?,
            None => before.proof,
        },
        name: fields.name.unwrap_or(before.name),
        standing,
        updated_at: later(read_at),
        ..before
    };
    let endpoint = services.store.update_endpoint(after, read_at).await?;
    // What waited for it can be sent.
    services
        .switch
        .doorbell()
        .ring([(endpoint.organization, endpoint.id)]);
    Ok(Json(endpoint.into()))
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

#[derive(Debug, Deserialize)]
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
    caller: Caller,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<Rotate>,
) -> Result<Json<EndpointBody>, Problem> {
    if body.overlap_seconds > MAX_OVERLAP {
        let problem = format!("must be at most {MAX_OVERLAP} seconds (30 days)");
        return Err(Problem::invalid_field("overlap_seconds", problem));
    }
    let id = super::path_id(&id, "endpoint")?;
    let before = services.store.endpoint(caller.organization, id).await?;
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
    let endpoint = services.store.update_endpoint(after, read_at).await?;
    Ok(Json(EndpointBody::with_secret(endpoint)))
}

pub(in crate::http) async fn list(
    State(services): State<Services>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<PageBody<EndpointBody>>, Problem> {
    let paging: Paging = super::query(&uri)?;
    let page = services
        .store
        .endpoints(caller.organization, paging.request()?)
        .await?;
    Ok(Json(PageBody::of(page, EndpointBody::from)))
}

pub(in crate::http) async fn read(
    State(services): State<Services>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<EndpointBody>, Problem> {
    let id = super::path_id(&id, "endpoint")?;
    let endpoint = services.store.endpoint(caller.organization, id).await?;
    Ok(Json(endpoint.into()))
}

pub(in crate::http) async fn delete(
    State(services): State<Services>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let id = super::path_id(&id, "endpoint")?;
    services
        .store
        .delete_endpoint(caller.organization, id, Timestamp::now())
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
