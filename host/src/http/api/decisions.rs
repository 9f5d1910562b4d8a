//! `/api/v1/decisions`

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{PageBody, Paging, Time};
use crate::domain::Json as JsonText;
use crate::domain::id::EventId;
use crate::http::Services;
use crate::http::auth::{Caller, Viewer};
use crate::http::problem::Problem;
use crate::http::query::{Query, invalid};
use crate::store::event::StoredDecision;

#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::http) struct DecisionBody {
    event: EventId,
    kind: String,
    outcome: String,
    reason: Option<String>,
    answer: JsonText,
    reply: Option<ReplyBody>,
    elapsed_us: u64,
    invocations: JsonText,
    decided_at: Time,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ReplyBody {
    status: u16,
    body: Option<JsonText>,
}

impl From<StoredDecision> for DecisionBody {
    fn from(decision: StoredDecision) -> Self {
        Self {
            event: decision.event,
            kind: decision.kind,
            outcome: decision.outcome,
            reason: decision.reason,
            answer: decision.answer,
            reply: decision
                .reply
                .map(|(status, body)| ReplyBody { status, body }),
            elapsed_us: decision.elapsed_us,
            invocations: decision.invocations,
            decided_at: Time(decision.decided_at),
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ListDecisions {
    outcome: Option<String>,
    #[schemars(with = "Option<u16>", range(min = 1, max = 200))]
    limit: Option<String>,
    #[schemars(regex(pattern = "^[0-9a-f]{32}$"))]
    cursor: Option<String>,
}

pub(in crate::http) async fn list(
    State(services): State<Services>,
    caller: Caller<Viewer>,
    Query(ListDecisions {
        outcome,
        limit,
        cursor,
    }): Query<ListDecisions>,
) -> Result<Json<PageBody<DecisionBody>>, Problem> {
    if let Some(outcome) = &outcome
        && !matches!(outcome.as_str(), "answered" | "verdict")
    {
        return Err(invalid("outcome", "must be answered or verdict"));
    }
    let page = Paging { limit, cursor }.request()?;
    let page = services
        .store
        .decisions(caller.organization, outcome.as_deref(), page)
        .await?;
    Ok(Json(PageBody::of(page, DecisionBody::from)))
}
