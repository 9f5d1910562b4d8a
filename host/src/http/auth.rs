//! Who uses the API: a bearer token speaks for an organization, within its scope.
//!
//! A handler names the scope it needs in its signature, as the type of its caller.

mod last_use;
mod pace;

use std::marker::PhantomData;
use std::net::SocketAddr;

use aide::OperationInput;
use aide::generate::GenContext;
use aide::openapi::{Operation, Response};
use axum::extract::{FromRef as _, FromRequestParts};
use http::request::Parts;
use http::{HeaderName, header};
use jiff::Timestamp;

pub use self::last_use::LastUse;
pub use self::pace::Pace;
use super::Services;
use super::openapi;
use super::problem::{Code, Problem};
use crate::domain::access::{Scope, Token};
use crate::domain::id::OrganizationId;
use crate::domain::plugin::Name;
use crate::store::{Author, By, Creation, Idempotency, Show, TokenHash};

/// A new token: high-entropy, and recognizable as one of ours.
pub struct TokenText(pub String);

impl TokenText {
    pub fn random() -> Self {
        Self(format!("hsk_{}", hex::encode(rand::random::<[u8; 32]>())))
    }

    /// The characters it is known by: 8 of 64 that are random.
    pub fn prefix(&self) -> String {
        self.0.chars().take(12).collect()
    }
}

impl std::fmt::Debug for TokenText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenText")
    }
}

/// In which organization an operator acts, by id or name.
pub(super) const ORGANIZATION: HeaderName = HeaderName::from_static("hookswitch-organization");

/// The least scope that a handler needs.
pub(super) trait Role: Send + Sync + 'static {
    const SCOPE: Scope;
}

/// May read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Viewer {}
/// May upload, bind, test and send again.
#[derive(Debug, Clone, Copy)]
pub(super) enum Developer {}
/// May set up everything of an organization.
#[derive(Debug, Clone, Copy)]
pub(super) enum Owner {}
/// May set up organizations.
#[derive(Debug, Clone, Copy)]
pub(super) enum Operator {}

impl Role for Viewer {
    const SCOPE: Scope = Scope::Viewer;
}
impl Role for Developer {
    const SCOPE: Scope = Scope::Developer;
}
impl Role for Owner {
    const SCOPE: Scope = Scope::Owner;
}
impl Role for Operator {
    const SCOPE: Scope = Scope::Operator;
}

/// Proof, in a handler's signature, that the request carries a valid token of at least
/// that scope.
#[derive(Debug, Clone)]
pub(super) struct Caller<R> {
    pub(super) organization: OrganizationId,
    pub(super) token: Token,
    role: PhantomData<fn() -> R>,
}

impl<R> Caller<R> {
    pub(super) fn author(&self) -> Author {
        Author {
            organization: self.organization,
            token: Some(self.token.id),
            at: Timestamp::now(),
        }
    }

    /// Changes something that is shown so in the audit log.
    pub(super) fn by<T>(&self, show: Show<T>) -> By<T> {
        By {
            author: self.author(),
            show,
        }
    }

    /// Creates something that is shown so, in the answer as well.
    pub(super) fn creates<T>(
        &self,
        idempotency: Option<Idempotency>,
        show: Show<T>,
    ) -> Creation<T> {
        Creation {
            by: self.by(show),
            idempotency,
            answer: show,
        }
    }
}

impl<R: Role> FromRequestParts<Services> for Caller<R> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, services: &Services) -> Result<Self, Problem> {
        let services = Services::from_ref(services);
        let token = token(parts, &services).await?;
        if token.scope < R::SCOPE {
            let detail = format!(
                "this needs a token of the scope {}; yours has the scope {}",
                R::SCOPE,
                token.scope
            );
            return Err(Problem::new(Code::Forbidden, detail));
        }
        Ok(Self {
            organization: organization(parts, &services, &token).await?,
            token,
            role: PhantomData,
        })
    }
}

impl<R: Role> OperationInput for Caller<R> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        openapi::needs(operation, R::SCOPE.as_str());
        let organization = "In which organization an operator acts: its id or name.";
        openapi::header(ctx, operation, ORGANIZATION.as_str(), organization, false);
    }

    fn inferred_early_responses(
        ctx: &mut GenContext,
        _: &mut Operation,
    ) -> Vec<(Option<u16>, Response)> {
        vec![
            openapi::problem(ctx, 401, "There is no token, or it is not valid."),
            openapi::problem(ctx, 403, "The token does not allow this."),
            openapi::problem(ctx, 404, "There is no such thing in the organization."),
        ]
    }
}

async fn token(parts: &Parts, services: &Services) -> Result<Token, Problem> {
    let text = parts
        .headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .ok_or_else(|| {
            let missing = "send your token in the header authorization: Bearer <token>";
            unauthorized(parts, missing)
        })?;
    // The hash is looked up, so the time this takes tells nothing of the token.
    let token = services.store.token_with(TokenHash::of(text)).await?;
    let token = token.ok_or_else(|| unauthorized(parts, "this token is not valid"))?;
    let now = Timestamp::now();
    if token.is_expired(now) {
        return Err(unauthorized(
            parts,
            "this token has expired: ask for another one",
        ));
    }
    services.pace.take(token.id).map_err(|wait| {
        tracing::warn!(token = %token.id, "a token makes more requests than it may, they are refused");
        let rate = services.pace.rate();
        let detail = format!("a token may make {rate} requests in a second, and more have come: send this one again later");
        Problem::rate_limited(detail, wait)
    })?;
    services.last_use.note(token.id, now);
    Ok(token)
}

/// An operator may act in another organization than the token's own.
async fn organization(
    parts: &Parts,
    services: &Services,
    token: &Token,
) -> Result<OrganizationId, Problem> {
    let Some(wanted) = parts.headers.get(ORGANIZATION) else {
        return Ok(token.organization);
    };
    if token.scope < Scope::Operator {
        let detail = "only an operator's token may choose an organization: leave out the header hookswitch-organization";
        return Err(Problem::new(Code::Forbidden, detail));
    }
    let wanted = wanted.to_str().unwrap_or_default();
    let found = match (wanted.parse::<OrganizationId>(), wanted.parse::<Name>()) {
        (Ok(id), _) => Some(services.store.organization(id).await?),
        (_, Ok(name)) => services.store.organization_named(&name).await?,
        _ => None,
    };
    let found = found.ok_or_else(|| {
        Problem::new(
            Code::NotFound,
            format!("there is no organization {wanted:?} (header hookswitch-organization)"),
        )
    })?;
    Ok(found.id)
}

fn unauthorized(parts: &Parts, detail: &str) -> Problem {
    let peer = parts.extensions.get::<SocketAddr>().map(SocketAddr::ip);
    let peer = peer.map(tracing::field::display);
    tracing::warn!(peer, "a request to the API has no valid token");
    Problem::new(Code::Unauthorized, detail)
}
