//! `/api/v1/usage`: what an organization uses of what it may have.

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::rate::PerSecond;
use crate::http::Services;
use crate::http::auth::{Caller, Viewer};
use crate::http::problem::Problem;

#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::http) struct UsageBody {
    plugins: Used,
    plugin_bytes: Used,
    events: Used,
    calls_per_second: Rate,
}

/// Without a quota there is no limit.
#[derive(Debug, Serialize, JsonSchema)]
struct Used {
    used: u64,
    quota: Option<u64>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UsageRate")]
struct Rate {
    quota: Option<PerSecond>,
}

pub(in crate::http) async fn read(
    State(services): State<Services>,
    caller: Caller<Viewer>,
) -> Result<Json<UsageBody>, Problem> {
    let quotas = services.store.quotas(caller.organization).await?;
    let usage = services.store.usage(caller.organization).await?;
    let used = |used, quota| Used { used, quota };
    Ok(Json(UsageBody {
        plugins: used(usage.plugins, quotas.plugins.map(u64::from)),
        plugin_bytes: used(usage.plugin_bytes, quotas.plugin_bytes),
        events: used(usage.events, quotas.events_kept),
        calls_per_second: Rate {
            quota: quotas.calls_per_second,
        },
    }))
}
