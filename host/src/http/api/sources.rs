//! `/api/v1/sources`

use axum::Json;
use axum::extract::State;
use axum::response::NoContent;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::changes::Changes;
use super::proof;
use super::{PageBody, Paging, Time, check_verdicts};
use crate::domain;
use crate::domain::decision::Verdicts;
use crate::domain::id::SourceId;
use crate::domain::plugin::Name;
use crate::domain::proof::{Proof, ShownProof};
use crate::domain::rate::PerSecond;
use crate::domain::repeat::RepeatWindow;
use crate::domain::revision::Revision;
use crate::domain::source::{Patience, Source};
use crate::http::Services;
use crate::http::auth::{Caller, Owner, Viewer};
use crate::http::body::JsonBody;
use crate::http::creation::{Create, Made};
use crate::http::path::InPath;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::revision::{IfMatch, Tagged};
use crate::ingest::{self, Dialect};
use crate::store::NewSource;

/// What a source is asked to be.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SourceFields")]
pub(in crate::http) struct Asked {
    name: Name,
    #[serde(default = "default_dialect")]
    dialect: String,
    /// Not there: as before.
    #[serde(skip_serializing)]
    proof: Option<Vec<Proof>>,
    /// Each that is left out is the platform's own.
    #[serde(default)]
    timeouts_ms: TimeoutsAsked,
    #[serde(default = "default_margin")]
    margin_ms: u32,
    #[serde(default = "default_repeat_window")]
    repeat_window_ms: u32,
    #[serde(default)]
    rate_per_second: Option<PerSecond>,
    /// What calls start with where the platform does not say it: an object in the
    /// platform's own form, such as `{"assistantId": "…"}`.
    #[serde(default)]
    #[schemars(with = "Option<serde_json::Map<String, Value>>")]
    agent_config: Option<domain::Json>,
    #[serde(default)]
    verdicts: Verdicts,
}

fn default_dialect() -> String {
    "dasha".to_owned()
}

fn default_margin() -> u32 {
    Patience::default().margin_ms
}

fn default_repeat_window() -> u32 {
    RepeatWindow::default().ms()
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct TimeoutsAsked {
    start: Option<u32>,
    transfer: Option<u32>,
    tool: Option<u32>,
}

#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
struct TimeoutsBody {
    start: u32,
    transfer: u32,
    tool: u32,
}

impl TimeoutsAsked {
    fn of(patience: Patience) -> Self {
        Self {
            start: Some(patience.start_ms),
            transfer: Some(patience.transfer_ms),
            tool: Some(patience.tool_ms),
        }
    }

    /// What is asked for, over what the platform has.
    fn over(self, platform: Patience) -> TimeoutsBody {
        TimeoutsBody {
            start: self.start.unwrap_or(platform.start_ms),
            transfer: self.transfer.unwrap_or(platform.transfer_ms),
            tool: self.tool.unwrap_or(platform.tool_ms),
        }
    }
}

impl From<Patience> for TimeoutsBody {
    fn from(patience: Patience) -> Self {
        Self {
            start: patience.start_ms,
            transfer: patience.transfer_ms,
            tool: patience.tool_ms,
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::http) struct SourceBody {
    id: SourceId,
    name: Name,
    dialect: String,
    hook_path: String,
    proof: Vec<ShownProof>,
    timeouts_ms: TimeoutsBody,
    margin_ms: u32,
    repeat_window_ms: u32,
    rate_per_second: Option<PerSecond>,
    #[schemars(with = "Option<serde_json::Map<String, Value>>")]
    agent_config: Option<domain::Json>,
    verdicts: Verdicts,
    revision: Revision,
    created_at: Time,
}

fn show(source: &Source) -> Value {
    super::shown(SourceBody::from(source.clone()))
}

impl From<Source> for SourceBody {
    fn from(source: Source) -> Self {
        Self {
            timeouts_ms: source.patience.into(),
            margin_ms: source.patience.margin_ms,
            id: source.id,
            name: source.name,
            dialect: source.dialect,
            hook_path: format!("/hooks/{}", source.id),
            proof: proof::shown(&source.proof),
            repeat_window_ms: source.repeat_window.ms(),
            rate_per_second: source.rate,
            agent_config: source.agent_config,
            verdicts: source.verdicts,
            revision: source.revision,
            created_at: Time(source.created_at),
        }
    }
}

impl Asked {
    fn of(source: &Source) -> Self {
        let patience = source.patience;
        Self {
            name: source.name.clone(),
            dialect: source.dialect.clone(),
            proof: None,
            timeouts_ms: TimeoutsAsked::of(patience),
            margin_ms: patience.margin_ms,
            repeat_window_ms: source.repeat_window.ms(),
            rate_per_second: source.rate,
            agent_config: source.agent_config.clone(),
            verdicts: source.verdicts.clone(),
        }
    }

    /// Checks what does not depend on anything else, and finds its dialect.
    fn check(&self) -> Result<&'static dyn Dialect, Problem> {
        let dialect = ingest::dialect(&self.dialect).ok_or_else(|| {
            let problem = format!("must be one of: {}", ingest::names());
            Problem::invalid_field("dialect", problem)
        })?;
        let config = self.agent_config.as_deref();
        check_agent_config(config)?;
        check_verdicts(dialect, config, "verdicts", |handler| {
            Some(self.verdicts.for_handler(handler))
        })?;
        Ok(dialect)
    }

    fn patience(&self, dialect: &dyn Dialect) -> Result<Patience, Problem> {
        patience(self.timeouts_ms.over(dialect.patience()), self.margin_ms)
    }

    fn repeat_window(&self) -> Result<RepeatWindow, Problem> {
        repeat_window(self.repeat_window_ms)
    }
}

fn patience(timeouts: TimeoutsBody, margin_ms: u32) -> Result<Patience, Problem> {
    let TimeoutsBody {
        start,
        transfer,
        tool,
    } = timeouts;
    for (name, timeout) in [("start", start), ("transfer", transfer), ("tool", tool)] {
        if timeout <= margin_ms || timeout > Patience::MAX_MS {
            return Err(Problem::invalid_field(
                format!("timeouts_ms.{name}"),
                format!(
                    "must be more than margin_ms ({margin_ms}) and at most {} milliseconds",
                    Patience::MAX_MS
                ),
            ));
        }
    }
    Ok(Patience {
        start_ms: start,
        transfer_ms: transfer,
        tool_ms: tool,
        margin_ms,
    })
}

const MAX_AGENT_CONFIG_BYTES: usize = 256 << 10;

fn check_agent_config(config: Option<&RawValue>) -> Result<(), Problem> {
    let Some(config) = config else { return Ok(()) };
    let problem = if !domain::is_object(config) {
        "must be a JSON object".to_owned()
    } else if config.get().len() > MAX_AGENT_CONFIG_BYTES {
        format!("may have {MAX_AGENT_CONFIG_BYTES} bytes")
    } else {
        return Ok(());
    };
    Err(Problem::invalid_field("agent_config", problem))
}

fn repeat_window(ms: u32) -> Result<RepeatWindow, Problem> {
    RepeatWindow::from_ms(ms).ok_or_else(|| {
        let most = RepeatWindow::MAX_MS;
        Problem::invalid_field(
            "repeat_window_ms",
            format!("must be at most {most} milliseconds"),
        )
    })
}

pub(in crate::http) async fn create(
    State(services): State<Services>,
    caller: Caller<Owner>,
    Create {
        body: asked,
        idempotency,
    }: Create<Asked>,
) -> Result<Made<SourceBody>, Problem> {
    let dialect = asked.check()?;
    let new = NewSource {
        id: SourceId::from(Uuid::now_v7()),
        organization: caller.organization,
        patience: asked.patience(dialect)?,
        repeat_window: asked.repeat_window()?,
        agent_config: asked.agent_config,
        rate: asked.rate_per_second,
        name: asked.name,
        dialect: asked.dialect,
        proof: proof::of_source(asked.proof.unwrap_or_default(), dialect)?,
        verdicts: asked.verdicts,
        created_at: Timestamp::now(),
    };
    let creation = caller.creates(idempotency, show);
    let created = services.store.create_source(new, creation).await?;
    Ok(Made::of(created, show))
}

pub(in crate::http) async fn list(
    State(services): State<Services>,
    caller: Caller<Viewer>,
    Query(paging): Query<Paging>,
) -> Result<Json<PageBody<SourceBody>>, Problem> {
    let page = services
        .store
        .sources(caller.organization, paging.request()?)
        .await?;
    Ok(Json(PageBody::of(page, SourceBody::from)))
}

pub(in crate::http) async fn read(
    State(services): State<Services>,
    caller: Caller<Viewer>,
    InPath(id): InPath<SourceId>,
) -> Result<Tagged<SourceBody>, Problem> {
    let source = services.store.source(caller.organization, id).await?;
    Ok(Tagged(source.revision, source.into()))
}

/// Changes what is given, and nothing else.
pub(in crate::http) async fn change(
    State(services): State<Services>,
    caller: Caller<Owner>,
    InPath(id): InPath<SourceId>,
    if_match: IfMatch,
    JsonBody(fields): JsonBody<Changes<Asked>>,
) -> Result<Tagged<SourceBody>, Problem> {
    let before = services.store.source(caller.organization, id).await?;
    if_match.check(before.revision)?;
    let asked: Asked = fields.over(&Asked::of(&before))?;
    let dialect = asked.check()?;
    let after = Source {
        patience: asked.patience(dialect)?,
        repeat_window: asked.repeat_window()?,
        agent_config: asked.agent_config,
        rate: asked.rate_per_second,
        name: asked.name,
        dialect: asked.dialect,
        // A secret that was one for another dialect may be none for this one.
        proof: proof::of_source(asked.proof.unwrap_or(before.proof), dialect)?,
        verdicts: asked.verdicts,
        ..before
    };
    let source = services.store.update_source(after, caller.by(show)).await?;
    Ok(Tagged(source.revision, source.into()))
}

pub(in crate::http) async fn delete(
    State(services): State<Services>,
    caller: Caller<Owner>,
    InPath(id): InPath<SourceId>,
    if_match: Option<IfMatch>,
) -> Result<NoContent, Problem> {
    if let Some(if_match) = if_match {
        let source = services.store.source(caller.organization, id).await?;
        if_match.check(source.revision)?;
    }
    services
        .store
        .delete_source(caller.organization, id, caller.by(show))
        .await?;
    Ok(NoContent)
}
