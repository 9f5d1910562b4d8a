//! `/api/v1/secrets`: values that bindings add to outbound requests. They go in and
//! are never shown again.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Time;
use crate::domain::grant::http::is_header_text;
use crate::domain::plugin::Name;
use crate::domain::secret::Secret;
use crate::http::Services;
use crate::http::auth::Caller;
use crate::http::body::JsonBody;
use crate::http::problem::{Code, Problem};
use crate::store::{SecretEntry, Store};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct PutSecret {
    value: Secret,
}

#[derive(Debug, Serialize)]
pub(in crate::http) struct SecretBody {
    name: Name,
    updated_at: Time,
}

#[derive(Debug, Serialize)]
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
    caller: Caller,
    Path(name): Path<String>,
    JsonBody(body): JsonBody<PutSecret>,
) -> Result<StatusCode, Problem> {
    let name: Name = name
        .parse()
        .map_err(|error| super::invalid("name", format!("is not the name of a secret: {error}")))?;
    if !is_header_text(body.value.expose()) {
        let problem = "must be visible ASCII characters and spaces: it becomes part of a header";
        return Err(Problem::invalid_field("value", problem));
    }
    let known = services.store.secrets(caller.organization).await?;
    if known.len() >= Store::MAX_SECRETS as usize && known.iter().all(|entry| entry.name != name) {
        let problem = format!(
            "there are {} secrets already, the most there can be",
            Store::MAX_SECRETS
        );
        return Err(Problem::new(Code::TooMany, problem));
    }
    services
        .store
        .put_secret(caller.organization, name, body.value, Timestamp::now())
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// All of them: there are never many.
pub(in crate::http) async fn list(
    State(services): State<Services>,
    caller: Caller,
) -> Result<Json<SecretsBody>, Problem> {
    let entries = services.store.secrets(caller.organization).await?;
    let data = entries.into_iter().map(SecretBody::from).collect();
    Ok(Json(SecretsBody { data }))
}

pub(in crate::http) async fn delete(
    State(services): State<Services>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    let name = super::path_id(&name, "secret")?;
    services
        .store
        .delete_secret(caller.organization, name)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
