//! `/api/v1/endpoints/{id}/health`

use axum::Json;
use axum::extract::State;
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use super::Time;
use super::bindings::CircuitBody;
use crate::domain::id::EndpointId;
use crate::http::Services;
use crate::http::auth::{Caller, Viewer};
use crate::http::path::InPath;
use crate::http::problem::Problem;

#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::http) struct HealthBody {
    endpoint: EndpointId,
    attempts: u32,
    success_rate: Option<f64>,
    mean_ms: Option<f64>,
    p95_ms: Option<f64>,
    last_status: Option<u16>,
    last_attempt_at: Option<Time>,
    owed: u64,
    circuit: CircuitBody,
}

/// Attempts before that say nothing about how an endpoint does.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(24);

pub(in crate::http) async fn read(
    State(services): State<Services>,
    caller: Caller<Viewer>,
    InPath(id): InPath<EndpointId>,
) -> Result<Json<HealthBody>, Problem> {
    let endpoint = services.store.endpoint(caller.organization, id).await?;
    let since = Timestamp::now() - LOOK_BACK;
    let health = services.store.health(endpoint.id, since).await?;
    let gate = services.switch.dispatcher().gate(&endpoint);
    Ok(Json(HealthBody {
        endpoint: endpoint.id,
        attempts: health.attempts,
        success_rate: (health.attempts > 0)
            .then(|| f64::from(health.successes) / f64::from(health.attempts)),
        mean_ms: health.mean_us.map(milliseconds),
        p95_ms: health.p95_us.map(milliseconds),
        last_status: health.last_status,
        last_attempt_at: health.last_attempt_at.map(Time),
        owed: health.owed,
        circuit: gate.stand().into(),
    }))
}

fn milliseconds(us: u64) -> f64 {
    us as f64 / 1000.0
}
