//! `/api/v1/organizations`: tenants, which operators set up.

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::changes::Changes;
use super::{PageBody, Paging, Time};
use crate::domain::id::OrganizationId;
use crate::domain::organization::{Organization, Quotas};
use crate::domain::plugin::Name;
use crate::domain::revision::Revision;
use crate::http::Services;
use crate::http::auth::{Caller, Operator};
use crate::http::body::JsonBody;
use crate::http::creation::{Create, Made};
use crate::http::path::InPath;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::revision::{IfMatch, Tagged};
use crate::store::NewOrganization;

#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::http) struct OrganizationBody {
    id: OrganizationId,
    name: Name,
    quotas: Quotas,
    revision: Revision,
    created_at: Time,
}

impl From<Organization> for OrganizationBody {
    fn from(organization: Organization) -> Self {
        Self {
            id: organization.id,
            name: organization.name,
            quotas: organization.quotas,
            revision: organization.revision,
            created_at: Time(organization.created_at),
        }
    }
}

fn show(organization: &Organization) -> Value {
    super::shown(OrganizationBody::from(organization.clone()))
}

/// What an organization is asked to be.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "OrganizationFields")]
pub(in crate::http) struct Asked {
    name: Name,
    #[serde(default)]
    quotas: Quotas,
}

pub(in crate::http) async fn create(
    State(services): State<Services>,
    caller: Caller<Operator>,
    Create { body, idempotency }: Create<Asked>,
) -> Result<Made<OrganizationBody>, Problem> {
    let new = NewOrganization {
        id: OrganizationId::from(Uuid::now_v7()),
        name: body.name,
        quotas: body.quotas,
        created_at: Timestamp::now(),
    };
    let creation = caller.creates(idempotency, show);
    let created = services.store.create_organization(new, creation).await?;
    Ok(Made::of(created, show))
}

pub(in crate::http) async fn list(
    State(services): State<Services>,
    _: Caller<Operator>,
    Query(paging): Query<Paging>,
) -> Result<Json<PageBody<OrganizationBody>>, Problem> {
    let page = services.store.organizations(paging.request()?).await?;
    Ok(Json(PageBody::of(page, OrganizationBody::from)))
}

pub(in crate::http) async fn read(
    State(services): State<Services>,
    _: Caller<Operator>,
    InPath(id): InPath<OrganizationId>,
) -> Result<Tagged<OrganizationBody>, Problem> {
    let organization = services.store.organization(id).await?;
    Ok(Tagged(organization.revision, organization.into()))
}

/// Changes what is given, and nothing else.
pub(in crate::http) async fn change(
    State(services): State<Services>,
    caller: Caller<Operator>,
    InPath(id): InPath<OrganizationId>,
    if_match: IfMatch,
    JsonBody(fields): JsonBody<Changes<Asked>>,
) -> Result<Tagged<OrganizationBody>, Problem> {
    let before = services.store.organization(id).await?;
    if_match.check(before.revision)?;
    let asked = fields.over(&Asked {
        name: before.name.clone(),
        quotas: before.quotas,
    })?;
    let after = Organization {
        name: asked.name,
        quotas: asked.quotas,
        ..before
    };
    let organization = services
        .store
        .update_organization(after, caller.by(show))
        .await?;
    Ok(Tagged(organization.revision, organization.into()))
}
