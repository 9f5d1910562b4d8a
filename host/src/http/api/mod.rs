//! `/api/v1`: what operators, customers and authors set up and look at.
//!
//! A file for each resource, with its JSON forms in it: they are the public shapes
//! of `docs/api.md` and change only with it.

pub(super) mod audit;
pub(super) mod bindings;
pub(super) mod calls;
mod changes;
pub(super) mod decisions;
pub(super) mod deliveries;
pub(super) mod endpoint_health;
pub(super) mod endpoints;
mod entries;
pub(super) mod events;
pub(super) mod jobs;
pub(super) mod organizations;
pub(super) mod plugin_log;
pub(super) mod plugins;
mod proof;
pub(super) mod secrets;
pub(super) mod sources;
pub(super) mod stream;
pub(super) mod tokens;
pub(super) mod usage;
pub(super) mod webhooks;
pub(super) mod whoami;

use std::borrow::Cow;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::Services;
use super::problem::Problem;
use super::query::invalid;
use crate::domain::decision::Answer;
use crate::domain::plugin::Handler;
use crate::ingest::{self, Dialect};
use crate::store::{Page, PageRequest};

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Health {
    status: &'static str,
    version: &'static str,
}

/// `GET /healthz`: the process serves and its store answers.
pub(super) async fn health(State(services): State<Services>) -> Result<Json<Health>, Problem> {
    services.store.ping().await?;
    Ok(Json(Health {
        status: "ok",
        version: env!("CARGO_PKG_VERSION"),
    }))
}

/// A time as the API shows it: RFC 3339, UTC, always with milliseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Time(Timestamp);

impl Serialize for Time {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:.3}", self.0))
    }
}

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "date-time"})
    }
}

const DEFAULT_LIMIT: u16 = 50;
const MAX_LIMIT: u16 = 200;

/// Query parameters of every list.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Paging {
    #[schemars(with = "Option<u16>", range(min = 1, max = 200))]
    limit: Option<String>,
    #[schemars(regex(pattern = "^[0-9a-f]{32}$"))]
    cursor: Option<String>,
}

impl Paging {
    fn request(&self) -> Result<PageRequest, Problem> {
        let limit = match &self.limit {
            None => DEFAULT_LIMIT,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=MAX_LIMIT).contains(limit))
                .ok_or_else(|| {
                    invalid("limit", format!("must be a number from 1 to {MAX_LIMIT}"))
                })?,
        };
        let after = self.cursor.as_deref().map(parse_cursor).transpose()?;
        Ok(PageRequest { limit, after })
    }
}

fn parse_cursor(text: &str) -> Result<Uuid, Problem> {
    Uuid::try_parse(text)
        .map_err(|_| invalid("cursor", "must be the next_cursor of the page before"))
}

/// A body as JSON. Those of the API can all be written.
fn shown(body: impl Serialize) -> Value {
    serde_json::to_value(body).unwrap_or_default()
}

/// A page of a list.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct PageBody<T> {
    data: Vec<T>,
    next_cursor: Option<String>,
}

impl<T> PageBody<T> {
    fn of<S>(page: Page<S>, show: impl Fn(S) -> T) -> Self {
        Self {
            data: page.items.into_iter().map(show).collect(),
            next_cursor: page.next.map(|next| next.simple().to_string()),
        }
    }
}

/// A verdict that the dialect cannot send would be found out in the middle of a call.
fn check_verdicts(
    dialect: &dyn Dialect,
    agent_config: Option<&RawValue>,
    field: &str,
    verdict: impl Fn(Handler) -> Option<Answer>,
) -> Result<(), Problem> {
    for (handler, name) in [
        (Handler::Start, "start"),
        (Handler::Transfer, "transfer"),
        (Handler::Tool, "tool"),
        (Handler::Event, "event"),
    ] {
        if let Some(answer) = verdict(handler) {
            ingest::check(dialect, agent_config, &answer).map_err(|invalid| {
                Problem::invalid_field(format!("{field}.{name}"), invalid.to_string())
            })?;
        }
    }
    Ok(())
}
