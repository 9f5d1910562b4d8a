//! `/api/v1/plugins/{name}/logs`: what a plugin has logged, whatever it was asked.

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::{Paging, Time};
use crate::domain::id::{BindingId, EventId};
use crate::domain::log::LogLine;
use crate::http::Services;
use crate::http::auth::{Caller, Viewer};
use crate::http::path::{InPath, PluginName};
use crate::http::problem::Problem;
use crate::http::query::{Query, invalid};
use crate::store::log::{LineAt, PluginLine};

#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::http) struct PluginLogBody {
    data: Vec<PluginLineBody>,
    next_cursor: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct PluginLineBody {
    event: EventId,
    binding: BindingId,
    kind: String,
    call_id: String,
    #[serde(flatten)]
    line: LogLine,
    received_at: Time,
}

impl From<PluginLine> for PluginLineBody {
    fn from(line: PluginLine) -> Self {
        Self {
            event: line.at.event,
            binding: line.binding,
            kind: line.kind,
            call_id: line.call_id,
            line: line.line,
            received_at: Time(line.received_at),
        }
    }
}

/// A place in a log, as a cursor: one event may have more lines than a page.
fn cursor(at: LineAt) -> String {
    format!("{}-{}", at.event.uuid().simple(), at.number)
}

fn parse(cursor: &str) -> Option<LineAt> {
    let (event, number) = cursor.split_once('-')?;
    Some(LineAt {
        event: Uuid::try_parse(event).ok()?.into(),
        number: number.parse().ok()?,
    })
}

pub(in crate::http) async fn read(
    State(services): State<Services>,
    caller: Caller<Viewer>,
    InPath(PluginName(name)): InPath<PluginName>,
    Query(Paging { limit, cursor: at }): Query<Paging>,
) -> Result<Json<PluginLogBody>, Problem> {
    let before = at.as_deref().map(|text| {
        let wrong = || invalid("cursor", "must be the next_cursor of the page before");
        parse(text).ok_or_else(wrong)
    });
    let before = before.transpose()?;
    let page = Paging {
        limit,
        cursor: None,
    };
    let limit = page.request()?.limit;
    services.store.plugin(caller.organization, &name).await?;
    let (lines, more) = services
        .store
        .plugin_log(caller.organization, &name, before, limit)
        .await?;
    let next_cursor = lines.last().filter(|_| more).map(|line| cursor(line.at));
    Ok(Json(PluginLogBody {
        data: lines.into_iter().map(PluginLineBody::from).collect(),
        next_cursor,
    }))
}
