//! `/api/v1/sources`

use axum::Json;
use axum::extract::{Path, State};
use http::{StatusCode, Uri};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::proof::{self, ProofBody, ShownProof};
use super::{PageBody, Paging, Time, check_verdicts};
use crate::domain::decision::Verdicts;
use crate::domain::id::SourceId;
use crate::domain::plugin::Name;
use crate::domain::repeat::RepeatWindow;
use crate::domain::source::{Patience, Source};
use crate::http::Services;
use crate::http::auth::Caller;
use crate::http::body::JsonBody;
use crate::http::problem::Problem;
use crate::ingest;
use crate::store::NewSource;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct CreateSource {
    name: Name,
    #[serde(default = "default_dialect")]
    dialect: String,
    #[serde(default)]
    proof: Vec<ProofBody>,
    #[serde(default)]
    timeouts_ms: TimeoutsBody,
    #[serde(default = "default_margin")]
    margin_ms: u32,
    #[serde(default = "default_repeat_window")]
    repeat_window_ms: u32,
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

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct TimeoutsBody {
    start: u32,
    transfer: u32,
    tool: u32,
}

impl Default for TimeoutsBody {
    fn default() -> Self {
        let Patience {
            start_ms: start,
            transfer_ms: transfer,
            tool_ms: tool,
            ..
        } = Patience::default();
        Self {
            start,
            transfer,
            tool,
        }
    }
}

#[derive(Debug, Serialize)]
pub(in crate::http) struct SourceBody {
    id: SourceId,
    name: Name,
    dialect: String,
    hook_path: String,
    proof: Vec<ShownProof>,
    timeouts_ms: TimeoutsBody,
    margin_ms: u32,
    repeat_window_ms: u32,
    verdicts: Verdicts,
    created_at: Time,
}

impl From<Source> for SourceBody {
    fn from(source: Source) -> Self {
        let Patience {
            start_ms: start,
            transfer_ms: transfer,
            tool_ms: tool,
            margin_ms,
        } = source.patience;
        Self {
            id: source.id,
            name: source.name,
            dialect: source.dialect,
            hook_path: format!("/hooks/{}", source.id),
            proof: source.proof.iter().map(ShownProof::from).collect(),
            timeouts_ms: TimeoutsBody {
                start,
                transfer,
                tool,
            },
            margin_ms,
            repeat_window_ms: source.repeat_window.ms(),
            verdicts: source.verdicts,
            created_at: Time(source.created_at),
        }
    }
}

/// Secrets of one proof, any of which will do.
const MAX_SECRETS: usize = 8;

impl CreateSource {
    fn into_source(self, caller: Caller) -> Result<NewSource, Problem> {
        let dialect = ingest::dialect(&self.dialect).ok_or_else(|| {
            let known: Vec<_> = ingest::DIALECTS
                .iter()
                .map(|dialect| dialect.name())
                .collect();
            let problem = format!("must be one of: {}", known.join(", "));
            Problem::invalid_field("dialect", problem)
        })?;
        check_verdicts(dialect, "verdicts", |handler| {
            Some(self.verdicts.for_handler(handler))
        })?;
        Ok(NewSource {
            id: SourceId::from(Uuid::now_v7()),
            organization: caller.organization,
            name: self.name,
            dialect: self.dialect,
            proof: proof::read(self.proof, MAX_SECRETS)?,
            patience: patience(self.timeouts_ms, self.margin_ms)?,
            repeat_window: repeat_window(self.repeat_window_ms)?,
            verdicts: self.verdicts,
            created_at: Timestamp::now(),
        })
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
    caller: Caller,
    JsonBody(body): JsonBody<CreateSource>,
) -> Result<(StatusCode, Json<SourceBody>), Problem> {
    let source = services
        .store
        .create_source(body.into_source(caller)?)
        .await?;
    Ok((StatusCode::CREATED, Json(source.into())))
}

pub(in crate::http) async fn list(
    State(services): State<Services>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<PageBody<SourceBody>>, Problem> {
    let paging: Paging = super::query(&uri)?;
    let page = services
        .store
        .sources(caller.organization, paging.request()?)
        .await?;
    Ok(Json(PageBody::of(page, SourceBody::from)))
}

pub(in crate::http) async fn read(
    State(services): State<Services>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<SourceBody>, Problem> {
    let id = super::path_id(&id, "source")?;
    Ok(Json(
        services.store.source(caller.organization, id).await?.into(),
    ))
}

pub(in crate::http) async fn delete(
    State(services): State<Services>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let id = super::path_id(&id, "source")?;
    services
        .store
        .delete_source(caller.organization, id)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
