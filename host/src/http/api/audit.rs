//! `/api/v1/audit`: who changed what, and what it was before.

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{PageBody, Paging, Time};
use crate::domain::Json as JsonText;
use crate::domain::id::{AuditId, TokenId};
use crate::http::Services;
use crate::http::auth::{Caller, Owner};
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::store::{AuditFilter, AuditLine};

#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::http) struct AuditBody {
    id: AuditId,
    /// Null: the server itself.
    token: Option<TokenId>,
    /// The token's label at that time.
    actor: String,
    action: String,
    what: String,
    subject: String,
    before: Option<JsonText>,
    after: Option<JsonText>,
    at: Time,
}

impl From<AuditLine> for AuditBody {
    fn from(line: AuditLine) -> Self {
        Self {
            id: line.id,
            token: line.token,
            actor: line.actor,
            action: line.action,
            what: line.what,
            subject: line.subject,
            before: line.before,
            after: line.after,
            at: Time(line.at),
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ListAudit {
    what: Option<String>,
    subject: Option<String>,
    #[schemars(with = "Option<u16>", range(min = 1, max = 200))]
    limit: Option<String>,
    #[schemars(regex(pattern = "^[0-9a-f]{32}$"))]
    cursor: Option<String>,
}

pub(in crate::http) async fn list(
    State(services): State<Services>,
    caller: Caller<Owner>,
    Query(ListAudit {
        what,
        subject,
        limit,
        cursor,
    }): Query<ListAudit>,
) -> Result<Json<PageBody<AuditBody>>, Problem> {
    let page = Paging { limit, cursor }.request()?;
    let filter = AuditFilter { what, subject };
    let page = services
        .store
        .audit(caller.organization, &filter, page)
        .await?;
    Ok(Json(PageBody::of(page, AuditBody::from)))
}
