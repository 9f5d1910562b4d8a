//! `/api/v1/whoami`: whose token that is, and what it may do.

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;

use super::organizations::OrganizationBody;
use super::tokens::TokenBody;
use crate::http::Services;
use crate::http::auth::{Caller, Viewer};
use crate::http::problem::Problem;

#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::http) struct WhoamiBody {
    token: TokenBody,
    /// In which it acts: an operator may choose another than the token's own.
    organization: OrganizationBody,
}

pub(in crate::http) async fn read(
    State(services): State<Services>,
    caller: Caller<Viewer>,
) -> Result<Json<WhoamiBody>, Problem> {
    let organization = services.store.organization(caller.organization).await?;
    Ok(Json(WhoamiBody {
        token: caller.token.into(),
        organization: organization.into(),
    }))
}
