//! Who uses the API: a bearer token speaks for an organization.

use std::net::SocketAddr;

use axum::extract::{FromRef as _, FromRequestParts};
use http::header;
use http::request::Parts;

use super::Services;
use super::problem::{Code, Problem};
use crate::domain::id::OrganizationId;
use crate::store::TokenHash;

/// Proof, in a handler's signature, that the request carries a valid token.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller {
    pub(super) organization: OrganizationId,
}

impl FromRequestParts<Services> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, services: &Services) -> Result<Self, Problem> {
        let services = Services::from_ref(services);
        let token = parts
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
        let organization = services.store.organization_of(TokenHash::of(token)).await?;
        let organization =
            organization.ok_or_else(|| unauthorized(parts, "this token is not valid"))?;
        Ok(Self { organization })
    }
}

fn unauthorized(parts: &Parts, detail: &str) -> Problem {
    let peer = parts.extensions.get::<SocketAddr>().map(SocketAddr::ip);
    let peer = peer.map(tracing::field::display);
    tracing::warn!(peer, "a request to the API has no valid token");
    Problem::new(Code::Unauthorized, detail)
}
