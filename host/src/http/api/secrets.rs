//! `/api/v1/secrets`: values that bindings add to outbound requests. They go in and
//! are never shown again.

use axum::Json;
use axum::extract::State;
use axum::response::NoContent;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Time;
use crate::domain::grant::http::is_header_text;
use crate::domain::plugin::Name;
use crate::domain::secret::Secret;
use crate::http::Services;
use crate::http::auth::{Caller, Owner, Viewer};
use crate::http::body::JsonBody;
use crate::http::path::{InPath, NewInPath, SecretName};
use crate::http::problem::Problem;
use crate::store::SecretEntry;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct PutSecret {
    value: Secret,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::http) struct SecretBody {
    name: Name,
    updated_at: Time,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::http) struct SecretsBody {
    data: Vec<SecretBody>,
}

impl From<SecretEntry> for SecretBody {
    fn from(entry: SecretEntry) -> Self {
        Self {
            name: entry.name,
            updated_at: Time(entry.updated_at),
        }
    }
}

pub(in crate::http) async fn put(
    State(services): State<Services>,
    caller: Caller<Owner>,
    NewInPath(SecretName(name)): NewInPath<SecretName>,
    JsonBody(body): JsonBody<PutSecret>,
) -> Result<NoContent, Problem> {
    if !is_header_text(body.value.expose()) {
        let problem = "must be visible ASCII characters and spaces: it becomes part of a header";
        return Err(Problem::invalid_field("value", problem));
    }
    services
        .store
        .put_secret(caller.organization, name, body.value, caller.by(show))
        .await?;
    Ok(NoContent)
}

/// All of them: there are never many.
pub(in crate::http) async fn list(
    State(services): State<Services>,
    caller: Caller<Viewer>,
) -> Result<Json<SecretsBody>, Problem> {
    let entries = services.store.secrets(caller.organization).await?;
    let data = entries.into_iter().map(SecretBody::from).collect();
    Ok(Json(SecretsBody { data }))
}

pub(in crate::http) async fn delete(
    State(services): State<Services>,
    caller: Caller<Owner>,
    InPath(SecretName(name)): InPath<SecretName>,
) -> Result<NoContent, Problem> {
    services
        .store
        .delete_secret(caller.organization, name, caller.by(show))
        .await?;
    Ok(NoContent)
}

fn show(entry: &SecretEntry) -> Value {
    super::shown(SecretBody::from(entry.clone()))
}
