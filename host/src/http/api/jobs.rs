//! `/api/v1/jobs`, and what begins one.

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{PageBody, Paging, Time};
use crate::domain::event::Kind;
use crate::domain::id::{EndpointId, JobId};
use crate::domain::job::{Failed, Task};
use crate::http::Services;
use crate::http::auth::{Caller, Developer, Viewer};
use crate::http::creation::{Create, Made};
use crate::http::path::InPath;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::store::Idempotency;
use crate::store::job::{Job, JobState, NewJob};

#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::http) struct JobBody {
    id: JobId,
    task: TaskBody,
    state: &'static str,
    total: u64,
    looked_at: u64,
    changed: u64,
    created_at: Time,
    ended_at: Option<Time>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
enum TaskBody {
    Retry {
        endpoint: Option<EndpointId>,
        kind: Option<Kind>,
        state: Option<Failed>,
        call: Option<String>,
        since: Option<Time>,
        until: Option<Time>,
    },
    Recover {
        endpoint: EndpointId,
        since: Time,
    },
}

impl From<Task> for TaskBody {
    fn from(task: Task) -> Self {
        match task {
            Task::Retry(selection) => Self::Retry {
                endpoint: selection.endpoint,
                kind: selection.kind,
                state: selection.state,
                call: selection.call,
                since: selection.since.map(Time),
                until: selection.until.map(Time),
            },
            Task::Recover { endpoint, since } => Self::Recover {
                endpoint,
                since: Time(since),
            },
        }
    }
}

impl From<Job> for JobBody {
    fn from(job: Job) -> Self {
        let (state, ended_at) = match job.state {
            JobState::Running => ("running", None),
            JobState::Done { at } => ("done", Some(Time(at))),
        };
        Self {
            id: job.id,
            task: job.task.into(),
            state,
            total: job.total,
            looked_at: job.looked_at,
            changed: job.changed,
            created_at: Time(job.created_at),
            ended_at,
        }
    }
}

fn show(job: &Job) -> Value {
    super::shown(JobBody::from(job.clone()))
}

/// Stores a job, and sees to it that it is done.
pub(super) async fn begin(
    services: &Services,
    caller: Caller<Developer>,
    task: Task,
    idempotency: Option<Idempotency>,
) -> Result<Made<JobBody, ACCEPTED>, Problem> {
    let new = NewJob {
        organization: caller.organization,
        id: JobId::from(Uuid::now_v7()),
        task,
        created_at: Timestamp::now(),
    };
    let creation = caller.creates(idempotency, show);
    let job = services.store.create_job(new, creation).await?;
    services.switch.doorbell().ring_for_job();
    Ok(Made::of(job, show))
}

pub(super) const ACCEPTED: u16 = 202;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Recover {
    since: Timestamp,
}

/// Begins a job that makes everything since a time owed to an endpoint that it did not
/// get.
pub(in crate::http) async fn recover(
    State(services): State<Services>,
    caller: Caller<Developer>,
    InPath(id): InPath<EndpointId>,
    Create { body, idempotency }: Create<Recover>,
) -> Result<Made<JobBody, ACCEPTED>, Problem> {
    let endpoint = services.store.endpoint(caller.organization, id).await?.id;
    let since = body.since;
    let task = Task::Recover { endpoint, since };
    begin(&services, caller, task, idempotency).await
}

pub(in crate::http) async fn list(
    State(services): State<Services>,
    caller: Caller<Viewer>,
    Query(paging): Query<Paging>,
) -> Result<Json<PageBody<JobBody>>, Problem> {
    let page = services
        .store
        .jobs(caller.organization, paging.request()?)
        .await?;
    Ok(Json(PageBody::of(page, JobBody::from)))
}

pub(in crate::http) async fn read(
    State(services): State<Services>,
    caller: Caller<Viewer>,
    InPath(id): InPath<JobId>,
) -> Result<Json<JobBody>, Problem> {
    let job = services.store.job(caller.organization, id).await?;
    Ok(Json(job.into()))
}
