//! `/api/v1/calls`

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;

use super::entries::EntryBody;
use super::{Paging, Time};
use crate::http::Services;
use crate::http::auth::{Caller, Viewer};
use crate::http::path::{CallId, InPath};
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::store::timeline::CallSummary;

#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::http) struct CallBody {
    call_id: String,
    agent_id: String,
    started_at: Time,
    ended_at: Option<Time>,
    summary: SummaryBody,
    entries: Vec<EntryBody>,
    next_cursor: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct SummaryBody {
    events: u64,
    decisions: u64,
    verdicts: u64,
    failures: u64,
    deliveries: u64,
    owed: u64,
    delivered: u64,
    failed: u64,
}

impl From<CallSummary> for SummaryBody {
    fn from(summary: CallSummary) -> Self {
        Self {
            events: summary.events,
            decisions: summary.decisions,
            verdicts: summary.verdicts,
            failures: summary.failures,
            deliveries: summary.deliveries,
            owed: summary.owed,
            delivered: summary.delivered,
            failed: summary.failed,
        }
    }
}

/// A call's timeline.
pub(in crate::http) async fn read(
    State(services): State<Services>,
    caller: Caller<Viewer>,
    InPath(CallId(call)): InPath<CallId>,
    Query(paging): Query<Paging>,
) -> Result<Json<CallBody>, Problem> {
    let page = paging.request()?;
    let organization = caller.organization;
    let timeline = services.store.call(organization, &call, page).await?;
    let endpoints = services.switch.directories().of(organization).await?;
    let entries = timeline.entries.iter();
    Ok(Json(CallBody {
        call_id: call,
        agent_id: timeline.agent_id,
        started_at: Time(timeline.started_at),
        ended_at: timeline.ended_at.map(Time),
        summary: timeline.summary.into(),
        entries: entries.map(|it| EntryBody::new(it, &endpoints)).collect(),
        next_cursor: timeline.next.map(|next| next.simple().to_string()),
    }))
}
