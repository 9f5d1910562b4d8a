//! The HTTP interface: every route on this page, one file per resource.
//!
//! `hook` is where platforms come in, `api` is where people do. [`auth`] says who they
//! are and what they may do, [`path`] what a path names, [`revision`] which state of it
//! they change, [`creation`] that a creation happens once. [`problem`] is the one place
//! where an error becomes a status and a code; [`body`] reads request bodies under their
//! caps; [`server`] owns sockets and draining. Only this module
//! knows axum. Documented for its users in `docs/api.md`.

mod api;
mod auth;
mod body;
mod creation;
mod hook;
mod path;
mod problem;
mod revision;
pub mod server;
mod unread;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post, put};
use tower_http::catch_panic::CatchPanicLayer;

pub use self::auth::{LastUse, TokenText};
use self::problem::{Code, Problem};
use crate::call::Switch;
use crate::runtime::Runtime;
use crate::store::Store;

/// What handlers work with.
#[derive(Debug, Clone)]
pub struct Services {
    pub switch: Arc<Switch>,
    pub runtime: Arc<Runtime>,
    pub store: Store,
    pub last_use: LastUse,
    pub caps: Caps,
}

/// What requests may bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// Largest body, in bytes.
    pub hook_body: usize,
    /// Largest body, in bytes.
    pub plugin_body: usize,
    /// Whether endpoints may have a URL without TLS.
    pub plain_endpoints: bool,
}

pub fn router(services: Services) -> Router {
    Router::new()
        .route("/hooks/{source}", post(hook::receive))
        .route(
            "/api/v1/sources",
            get(api::sources::list).post(api::sources::create),
        )
        .route(
            "/api/v1/sources/{id}",
            get(api::sources::read)
                .patch(api::sources::change)
                .delete(api::sources::delete),
        )
        .route("/api/v1/plugins", get(api::plugins::list))
        .route("/api/v1/plugins/{name}", get(api::plugins::read))
        .route(
            "/api/v1/plugins/{name}/versions",
            get(api::plugins::versions).post(api::plugins::upload),
        )
        .route(
            "/api/v1/plugins/{name}/activate",
            post(api::plugins::activate),
        )
        .route(
            "/api/v1/plugins/{name}/rollback",
            post(api::plugins::roll_back),
        )
        .route(
            "/api/v1/bindings",
            get(api::bindings::list).post(api::bindings::create),
        )
        .route(
            "/api/v1/bindings/{id}",
            get(api::bindings::read)
                .patch(api::bindings::change)
                .delete(api::bindings::delete),
        )
        .route(
            "/api/v1/bindings/{id}/activate",
            post(api::bindings::activate),
        )
        .route(
            "/api/v1/bindings/{id}/rollback",
            post(api::bindings::roll_back),
        )
        .route(
            "/api/v1/endpoints",
            get(api::endpoints::list).post(api::endpoints::create),
        )
        .route(
            "/api/v1/endpoints/{id}",
            get(api::endpoints::read)
                .patch(api::endpoints::change)
                .delete(api::endpoints::delete),
        )
        .route(
            "/api/v1/endpoints/{id}/rotate",
            post(api::endpoints::rotate),
        )
        .route(
            "/api/v1/endpoints/{id}/health",
            get(api::endpoint_health::read),
        )
        .route("/api/v1/endpoints/{id}/recover", post(api::jobs::recover))
        .route("/api/v1/deliveries", get(api::deliveries::list))
        .route(
            "/api/v1/deliveries/retry",
            post(api::deliveries::retry_many),
        )
        .route("/api/v1/deliveries/{id}", get(api::deliveries::read))
        .route(
            "/api/v1/deliveries/{id}/retry",
            post(api::deliveries::retry),
        )
        .route("/api/v1/jobs", get(api::jobs::list))
        .route("/api/v1/jobs/{id}", get(api::jobs::read))
        .route("/api/v1/secrets", get(api::secrets::list))
        .route(
            "/api/v1/secrets/{name}",
            put(api::secrets::put).delete(api::secrets::delete),
        )
        .route("/api/v1/events", get(api::events::list))
        .route("/api/v1/events/{id}", get(api::events::read))
        .route("/api/v1/decisions", get(api::decisions::list))
        .route("/api/v1/whoami", get(api::whoami::read))
        .route(
            "/api/v1/tokens",
            get(api::tokens::list).post(api::tokens::create),
        )
        .route(
            "/api/v1/tokens/{id}",
            get(api::tokens::read).delete(api::tokens::delete),
        )
        .route(
            "/api/v1/organizations",
            get(api::organizations::list).post(api::organizations::create),
        )
        .route(
            "/api/v1/organizations/{id}",
            get(api::organizations::read).patch(api::organizations::change),
        )
        .route("/api/v1/audit", get(api::audit::list))
        .route("/healthz", get(api::health))
        .fallback(async || Problem::new(Code::NotFound, "there is no such path here"))
        .method_not_allowed_fallback(async || {
            Problem::new(
                Code::MethodNotAllowed,
                "this path does not take this method",
            )
        })
        .layer(CatchPanicLayer::custom(problem::from_panic))
        .with_state(services)
}
