//! `/api/v1/events`

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::decisions::DecisionBody;
use super::{PageBody, Paging, Time};
use crate::call::Directory;
use crate::domain::Json as JsonText;
use crate::domain::delivery;
use crate::domain::event::Kind;
use crate::domain::id::{BindingId, DeliveryId, EndpointId, EventId, SourceId};
use crate::domain::log::LogLine;
use crate::domain::plugin::Name;
use crate::http::Services;
use crate::http::auth::{Caller, Viewer};
use crate::http::path::InPath;
use crate::http::problem::Problem;
use crate::http::query::{Query, parameter};
use crate::store::delivery::DeliverySummary;
use crate::store::event::{EventFilter, EventState, EventSummary};

#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::http) struct EventBody {
    id: EventId,
    source: Option<SourceId>,
    kind: String,
    #[serde(rename = "type")]
    platform_type: String,
    call_id: String,
    agent_id: String,
    tool: Option<String>,
    state: &'static str,
    received_at: Time,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::http) struct EventDetailBody {
    #[serde(flatten)]
    event: EventBody,
    payload: JsonText,
    decision: Option<DecisionBody>,
    log: Vec<LogBody>,
    deliveries: Vec<DeliveryBody>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct LogBody {
    binding: BindingId,
    #[serde(flatten)]
    line: LogLine,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "EventDelivery")]
struct DeliveryBody {
    id: DeliveryId,
    endpoint: EndpointId,
    /// If there still is such an endpoint.
    endpoint_name: Option<Name>,
    state: delivery::State,
    attempts: u32,
    status: Option<u16>,
    error: Option<String>,
}

impl From<EventSummary> for EventBody {
    fn from(event: EventSummary) -> Self {
        Self {
            id: event.id,
            source: event.source,
            kind: event.kind,
            platform_type: event.platform_type,
            call_id: event.call_id,
            agent_id: event.agent_id,
            tool: event.tool,
            state: match event.state {
                EventState::Asked => "asked",
                EventState::Answered => "answered",
                EventState::Accepted => "accepted",
                EventState::Handled => "handled",
            },
            received_at: Time(event.received_at),
        }
    }
}

impl DeliveryBody {
    fn new(delivery: DeliverySummary, endpoints: &Directory) -> Self {
        let endpoint = endpoints.get(delivery.endpoint);
        Self {
            id: delivery.id,
            endpoint: delivery.endpoint,
            endpoint_name: endpoint.map(|it| it.endpoint.name.clone()),
            state: delivery.state,
            attempts: delivery.attempts,
            status: delivery.status,
            error: delivery.error,
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ListEvents {
    #[schemars(with = "Option<SourceId>")]
    source: Option<String>,
    #[schemars(with = "Option<Kind>")]
    kind: Option<String>,
    call: Option<String>,
    #[schemars(with = "Option<u16>", range(min = 1, max = 200))]
    limit: Option<String>,
    #[schemars(regex(pattern = "^[0-9a-f]{32}$"))]
    cursor: Option<String>,
}

impl ListEvents {
    fn filter(&self) -> Result<EventFilter, Problem> {
        Ok(EventFilter {
            source: parameter("source", self.source.as_deref(), str::parse)?,
            kind: parameter("kind", self.kind.as_deref(), Kind::parse)?,
            call: self.call.clone(),
        })
    }
}

pub(in crate::http) async fn list(
    State(services): State<Services>,
    caller: Caller<Viewer>,
    Query(list): Query<ListEvents>,
) -> Result<Json<PageBody<EventBody>>, Problem> {
    let filter = list.filter()?;
    let page = Paging {
        limit: list.limit,
        cursor: list.cursor,
    }
    .request()?;
    let page = services
        .store
        .events(caller.organization, &filter, page)
        .await?;
    Ok(Json(PageBody::of(page, EventBody::from)))
}

pub(in crate::http) async fn read(
    State(services): State<Services>,
    caller: Caller<Viewer>,
    InPath(id): InPath<EventId>,
) -> Result<Json<EventDetailBody>, Problem> {
    let event = services.store.event(caller.organization, id).await?;
    let directories = services.switch.directories();
    let endpoints = directories.of(caller.organization).await?;
    Ok(Json(EventDetailBody {
        event: event.summary.into(),
        payload: event.payload,
        decision: event.decision.map(DecisionBody::from),
        log: event
            .log
            .into_iter()
            .map(|(binding, line)| LogBody { binding, line })
            .collect(),
        deliveries: event
            .deliveries
            .into_iter()
            .map(|delivery| DeliveryBody::new(delivery, &endpoints))
            .collect(),
    }))
}
