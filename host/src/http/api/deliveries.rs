//! `/api/v1/deliveries`

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::jobs::{self, ACCEPTED, JobBody};
use super::{PageBody, Paging, Time};
use crate::domain::Json as JsonText;
use crate::domain::delivery;
use crate::domain::event::Kind;
use crate::domain::id::{DeliveryId, EndpointId, EventId, OrganizationId};
use crate::domain::job::{Selection, Task};
use crate::http::Services;
use crate::http::auth::{Caller, Developer, Viewer};
use crate::http::body::JsonBody;
use crate::http::creation::{Create, Made};
use crate::http::path::InPath;
use crate::http::problem::Problem;
use crate::http::query::{Query, parameter};
use crate::store::StoreError;
use crate::store::delivery::{DeliveryFilter, DeliverySummary, StoredAttempt};

#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::http) struct DeliveryBody {
    id: DeliveryId,
    event: EventId,
    endpoint: EndpointId,
    kind: String,
    call_id: String,
    state: delivery::State,
    /// Whether it was a question that the endpoint was asked.
    forwarded: bool,
    attempts_made: u32,
    /// When the next attempt may begin.
    due_at: Option<Time>,
    status: Option<u16>,
    error: Option<String>,
    bytes: u64,
    created_at: Time,
    ended_at: Option<Time>,
}

impl From<DeliverySummary> for DeliveryBody {
    fn from(delivery: DeliverySummary) -> Self {
        Self {
            id: delivery.id,
            event: delivery.event,
            endpoint: delivery.endpoint,
            kind: delivery.kind,
            call_id: delivery.call_id,
            state: delivery.state,
            forwarded: delivery.forwarded,
            attempts_made: delivery.attempts,
            due_at: delivery.due_at.map(Time),
            status: delivery.status,
            error: delivery.error,
            bytes: delivery.bytes,
            created_at: Time(delivery.created_at),
            ended_at: delivery.ended_at.map(Time),
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::http) struct DeliveryDetailBody {
    #[serde(flatten)]
    delivery: DeliveryBody,
    /// What is sent, before the endpoint's template; null is the event's payload.
    body: Option<JsonText>,
    attempts: Vec<AttemptBody>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct AttemptBody {
    number: u32,
    started_at: Time,
    elapsed_us: u64,
    status: Option<u16>,
    error: Option<String>,
    detail: Option<String>,
    response: Option<String>,
}

impl From<StoredAttempt> for AttemptBody {
    fn from(attempt: StoredAttempt) -> Self {
        Self {
            number: attempt.number,
            started_at: Time(attempt.started_at),
            elapsed_us: attempt.elapsed_us,
            status: attempt.status,
            error: attempt.error,
            detail: attempt.detail,
            response: attempt.response,
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ListDeliveries {
    #[schemars(with = "Option<EndpointId>")]
    endpoint: Option<String>,
    #[schemars(with = "Option<EventId>")]
    event: Option<String>,
    #[schemars(with = "Option<Kind>")]
    kind: Option<String>,
    #[schemars(with = "Option<delivery::State>")]
    state: Option<String>,
    call: Option<String>,
    #[schemars(with = "Option<Time>")]
    since: Option<String>,
    #[schemars(with = "Option<Time>")]
    until: Option<String>,
    #[schemars(with = "Option<u16>", range(min = 1, max = 200))]
    limit: Option<String>,
    #[schemars(regex(pattern = "^[0-9a-f]{32}$"))]
    cursor: Option<String>,
}

impl ListDeliveries {
    fn filter(&self) -> Result<DeliveryFilter, Problem> {
        Ok(DeliveryFilter {
            endpoint: parameter("endpoint", self.endpoint.as_deref(), str::parse)?,
            event: parameter("event", self.event.as_deref(), str::parse)?,
            kind: parameter("kind", self.kind.as_deref(), Kind::parse)?,
            state: parameter("state", self.state.as_deref(), state)?,
            call: self.call.clone(),
            since: parameter("since", self.since.as_deref(), time)?,
            until: parameter("until", self.until.as_deref(), time)?,
        })
    }
}

fn state(text: &str) -> Result<delivery::State, String> {
    delivery::State::named(text).ok_or_else(|| {
        let names = delivery::State::ALL.map(delivery::State::as_str);
        format!("expected one of {}", names.join(", "))
    })
}

fn time(text: &str) -> Result<Timestamp, &'static str> {
    text.parse()
        .map_err(|_| "expected a time of RFC 3339, such as 2026-01-02T03:04:05Z")
}

pub(in crate::http) async fn list(
    State(services): State<Services>,
    caller: Caller<Viewer>,
    Query(list): Query<ListDeliveries>,
) -> Result<Json<PageBody<DeliveryBody>>, Problem> {
    let filter = list.filter()?;
    let page = Paging {
        limit: list.limit,
        cursor: list.cursor,
    }
    .request()?;
    let page = services
        .store
        .deliveries(caller.organization, &filter, page)
        .await?;
    Ok(Json(PageBody::of(page, DeliveryBody::from)))
}

pub(in crate::http) async fn read(
    State(services): State<Services>,
    caller: Caller<Viewer>,
    InPath(id): InPath<DeliveryId>,
) -> Result<Json<DeliveryDetailBody>, Problem> {
    detail(&services, caller.organization, id).await
}

async fn detail(
    services: &Services,
    organization: OrganizationId,
    id: DeliveryId,
) -> Result<Json<DeliveryDetailBody>, Problem> {
    let (delivery, body, attempts) = services.store.delivery(organization, id).await?;
    // What a plugin wrote was checked when it was stored.
    let body =
        body.map(|text| RawValue::from_string(text).unwrap_or_else(|_| RawValue::NULL.to_owned()));
    Ok(Json(DeliveryDetailBody {
        delivery: delivery.into(),
        body,
        attempts: attempts.into_iter().map(AttemptBody::from).collect(),
    }))
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::http) struct Retry {
    /// Sends what was delivered once more.
    again: bool,
}

/// Makes one delivery owed again, due now.
pub(in crate::http) async fn retry(
    State(services): State<Services>,
    caller: Caller<Developer>,
    InPath(id): InPath<DeliveryId>,
    body: Option<JsonBody<Retry>>,
) -> Result<Json<DeliveryDetailBody>, Problem> {
    let Retry { again } = body.map(|JsonBody(retry)| retry).unwrap_or_default();
    let due = services.switch.clock().now();
    services
        .store
        .retry_delivery(caller.organization, id, again, due, caller.author())
        .await?;
    let shown = detail(&services, caller.organization, id).await?;
    let addressee = (caller.organization, shown.delivery.endpoint);
    services.switch.doorbell().ring([addressee]);
    Ok(shown)
}

/// Begins a job that makes all failed deliveries of a selection owed again.
pub(in crate::http) async fn retry_many(
    State(services): State<Services>,
    caller: Caller<Developer>,
    Create {
        body: selection,
        idempotency,
    }: Create<Selection>,
) -> Result<Made<JobBody, ACCEPTED>, Problem> {
    if let Some(endpoint) = selection.endpoint {
        let found = services.store.endpoint(caller.organization, endpoint).await;
        found.map_err(|error| match error {
            StoreError::NotFound { .. } => {
                Problem::invalid_field("endpoint", format!("there is no endpoint {endpoint}"))
            }
            other => other.into(),
        })?;
    }
    jobs::begin(&services, caller, Task::Retry(selection), idempotency).await
}
