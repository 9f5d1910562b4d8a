//! `/api/v1/tokens`: who else may use the API. A token is shown once, when it is made.

use axum::Json;
use axum::extract::State;
use axum::response::NoContent;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{PageBody, Paging, Time};
use crate::domain::access::{Label, Scope, Token};
use crate::domain::id::TokenId;
use crate::http::Services;
use crate::http::auth::{Caller, Owner, TokenText};
use crate::http::creation::{Create, Made};
use crate::http::path::InPath;
use crate::http::problem::{Code, Problem};
use crate::http::query::Query;
use crate::store::{Creation, NewToken, TokenHash};

#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::http) struct TokenBody {
    id: TokenId,
    label: Label,
    /// Its first characters; null for one that the operator chose.
    prefix: Option<String>,
    scope: Scope,
    created_at: Time,
    expires_at: Option<Time>,
    /// To the minute.
    last_used_at: Option<Time>,
    /// The token itself, shown once.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

impl From<Token> for TokenBody {
    fn from(token: Token) -> Self {
        Self {
            id: token.id,
            label: token.label,
            prefix: token.prefix,
            scope: token.scope,
            created_at: Time(token.created_at),
            expires_at: token.expires_at.map(Time),
            last_used_at: token.last_used_at.map(Time),
            token: None,
        }
    }
}

/// A token with its text.
struct Issued {
    token: Token,
    text: String,
}

fn show(token: &Token) -> Value {
    super::shown(TokenBody::from(token.clone()))
}

fn show_issued(issued: &Issued) -> Value {
    show(&issued.token)
}

fn show_once(issued: &Issued) -> Value {
    super::shown(TokenBody {
        token: Some(issued.text.clone()),
        ..issued.token.clone().into()
    })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct CreateToken {
    label: Label,
    scope: Scope,
    /// From then on it is refused; none: it holds until it is revoked.
    expires_at: Option<Timestamp>,
}

/// Makes a token that may do no more than the caller's.
pub(in crate::http) async fn create(
    State(services): State<Services>,
    caller: Caller<Owner>,
    Create { body, idempotency }: Create<CreateToken>,
) -> Result<Made<TokenBody>, Problem> {
    let now = Timestamp::now();
    if body.scope > caller.token.scope {
        let problem = format!("may be at most {}, which yours has", caller.token.scope);
        return Err(Problem::invalid_field("scope", problem));
    }
    if body.expires_at.is_some_and(|at| at <= now) {
        return Err(Problem::invalid_field("expires_at", "has passed already"));
    }
    let text = TokenText::random();
    let new = NewToken {
        hash: TokenHash::of(&text.0),
        token: Token {
            id: TokenId::from(Uuid::now_v7()),
            organization: caller.organization,
            label: body.label,
            prefix: Some(text.prefix()),
            scope: body.scope,
            created_at: now,
            expires_at: body.expires_at,
            last_used_at: None,
        },
    };
    let creation = Creation {
        answer: show_once,
        ..caller.creates(idempotency, show_issued)
    };
    let issue = |token| Issued {
        token,
        text: text.0,
    };
    let created = services.store.create_token(new, creation, issue).await?;
    Ok(Made::of(created, show_once))
}

pub(in crate::http) async fn list(
    State(services): State<Services>,
    caller: Caller<Owner>,
    Query(paging): Query<Paging>,
) -> Result<Json<PageBody<TokenBody>>, Problem> {
    let page = services
        .store
        .tokens(caller.organization, paging.request()?)
        .await?;
    Ok(Json(PageBody::of(page, TokenBody::from)))
}

pub(in crate::http) async fn read(
    State(services): State<Services>,
    caller: Caller<Owner>,
    InPath(id): InPath<TokenId>,
) -> Result<Json<TokenBody>, Problem> {
    let token = services.store.token(caller.organization, id).await?;
    Ok(Json(token.into()))
}

/// Revokes a token: it is refused from now on.
pub(in crate::http) async fn delete(
    State(services): State<Services>,
    caller: Caller<Owner>,
    InPath(id): InPath<TokenId>,
) -> Result<NoContent, Problem> {
    let token = services.store.token(caller.organization, id).await?;
    if token.scope > caller.token.scope {
        let detail = "this token may do more than yours: only an operator can revoke it";
        return Err(Problem::new(Code::Forbidden, detail));
    }
    services
        .store
        .revoke_token(caller.organization, id, caller.by(show))
        .await?;
    Ok(NoContent)
}
