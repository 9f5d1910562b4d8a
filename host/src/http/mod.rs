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
mod component;
mod creation;
mod forwarded;
mod hook;
mod openapi;
mod path;
mod problem;
mod query;
mod revision;
pub mod server;
mod unread;

use std::ops::Deref;
use std::sync::Arc;

use aide::axum::ApiRouter;
use aide::axum::routing::{get_with, post_with, put_with};
use axum::routing::{get, post};
use axum::{Extension, Router};
use tower_http::catch_panic::CatchPanicLayer;

pub use self::auth::{LastUse, Pace, TokenText};
pub use self::forwarded::TrustedProxies;
use self::openapi::{Pages, says};
use self::problem::{Code, Problem};
use crate::call::Switch;
use crate::runtime::Runtime;
use crate::store::Store;

/// What handlers work with. Cheap to clone, as every request does.
#[derive(Debug, Clone)]
pub struct Services(Arc<Parts>);

/// What there is to work with.
#[derive(Debug)]
pub struct Parts {
    pub switch: Arc<Switch>,
    pub runtime: Arc<Runtime>,
    pub store: Store,
    pub last_use: LastUse,
    pub pace: Pace,
    pub trusted_proxies: TrustedProxies,
    pub caps: Caps,
}

impl Services {
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for Services {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
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
    let mut document = openapi::document();
    let router = ApiRouter::new()
        .merge(sources())
        .merge(plugins())
        .merge(bindings())
        .merge(endpoints())
        .merge(deliveries())
        .merge(events())
        .merge(access())
        .api_route(
            "/healthz",
            get_with(api::health, says("Tell whether it serves")),
        )
        .route("/hooks/{source}", post(hook::receive))
        .route("/openapi.json", get(Pages::json))
        .route("/docs", get(Pages::html))
        .finish_api(&mut document);
    openapi::finish(&mut document);
    router
        .fallback(async || Problem::new(Code::NotFound, "there is no such path here"))
        .method_not_allowed_fallback(async || {
            Problem::new(
                Code::MethodNotAllowed,
                "this path does not take this method",
            )
        })
        .layer(Extension(Arc::new(Pages::of(&document))))
        .layer(CatchPanicLayer::custom(problem::from_panic))
        .with_state(services)
}

fn sources() -> ApiRouter<Services> {
    ApiRouter::new()
        .api_route(
            "/api/v1/sources",
            get_with(api::sources::list, says("List sources"))
                .post_with(api::sources::create, says("Create a source")),
        )
        .api_route(
            "/api/v1/sources/{id}",
            get_with(api::sources::read, says("Show a source"))
                .patch_with(api::sources::change, says("Change a source"))
                .delete_with(api::sources::delete, says("Delete a source")),
        )
}

fn plugins() -> ApiRouter<Services> {
    ApiRouter::new()
        .api_route(
            "/api/v1/plugins",
            get_with(api::plugins::list, says("List plugins")),
        )
        .api_route(
            "/api/v1/plugins/{name}",
            get_with(api::plugins::read, says("Show a plugin")),
        )
        .api_route(
            "/api/v1/plugins/{name}/versions",
            get_with(api::plugins::versions, says("List a plugin's versions"))
                .post_with(api::plugins::upload, says("Upload a version of a plugin")),
        )
        .api_route(
            "/api/v1/plugins/{name}/activate",
            post_with(
                api::plugins::activate,
                says("Activate a version in all bindings of a plugin"),
            ),
        )
        .api_route(
            "/api/v1/plugins/{name}/rollback",
            post_with(
                api::plugins::roll_back,
                says("Roll all bindings of a plugin back"),
            ),
        )
        .api_route(
            "/api/v1/plugins/{name}/logs",
            get_with(api::plugin_log::read, says("Show what a plugin has logged")),
        )
}

fn bindings() -> ApiRouter<Services> {
    ApiRouter::new()
        .api_route(
            "/api/v1/bindings",
            get_with(api::bindings::list, says("List bindings"))
                .post_with(api::bindings::create, says("Create a binding")),
        )
        .api_route(
            "/api/v1/bindings/{id}",
            get_with(api::bindings::read, says("Show a binding"))
                .patch_with(api::bindings::change, says("Change a binding"))
                .delete_with(api::bindings::delete, says("Delete a binding")),
        )
        .api_route(
            "/api/v1/bindings/{id}/activate",
            post_with(
                api::bindings::activate,
                says("Activate a version in a binding"),
            ),
        )
        .api_route(
            "/api/v1/bindings/{id}/rollback",
            post_with(api::bindings::roll_back, says("Roll a binding back")),
        )
        .api_route(
            "/api/v1/secrets",
            get_with(api::secrets::list, says("List secrets")),
        )
        .api_route(
            "/api/v1/secrets/{name}",
            put_with(api::secrets::put, says("Set a secret"))
                .delete_with(api::secrets::delete, says("Delete a secret")),
        )
}

fn endpoints() -> ApiRouter<Services> {
    ApiRouter::new()
        .api_route(
            "/api/v1/endpoints",
            get_with(api::endpoints::list, says("List endpoints"))
                .post_with(api::endpoints::create, says("Create an endpoint")),
        )
        .api_route(
            "/api/v1/endpoints/{id}",
            get_with(api::endpoints::read, says("Show an endpoint"))
                .patch_with(api::endpoints::change, says("Change an endpoint"))
                .delete_with(api::endpoints::delete, says("Delete an endpoint")),
        )
        .api_route(
            "/api/v1/endpoints/{id}/rotate",
            post_with(
                api::endpoints::rotate,
                says("Replace an endpoint's signing secret"),
            ),
        )
        .api_route(
            "/api/v1/endpoints/{id}/health",
            get_with(
                api::endpoint_health::read,
                says("Show how an endpoint does"),
            ),
        )
        .api_route(
            "/api/v1/endpoints/{id}/recover",
            post_with(
                api::jobs::recover,
                says("Send an endpoint what it did not get"),
            ),
        )
}

fn deliveries() -> ApiRouter<Services> {
    ApiRouter::new()
        .api_route(
            "/api/v1/deliveries",
            get_with(api::deliveries::list, says("List deliveries")),
        )
        .api_route(
            "/api/v1/deliveries/retry",
            post_with(
                api::deliveries::retry_many,
                says("Send failed deliveries again"),
            ),
        )
        .api_route(
            "/api/v1/deliveries/{id}",
            get_with(api::deliveries::read, says("Show a delivery")),
        )
        .api_route(
            "/api/v1/deliveries/{id}/retry",
            post_with(api::deliveries::retry, says("Send a delivery again")),
        )
        .api_route("/api/v1/jobs", get_with(api::jobs::list, says("List jobs")))
        .api_route(
            "/api/v1/jobs/{id}",
            get_with(api::jobs::read, says("Show a job")),
        )
}

fn events() -> ApiRouter<Services> {
    ApiRouter::new()
        .api_route(
            "/api/v1/events",
            get_with(api::events::list, says("List events")),
        )
        .api_route(
            "/api/v1/events/stream",
            get_with(api::stream::listen, says("Listen to what happens")),
        )
        .api_route(
            "/api/v1/events/{id}",
            get_with(api::events::read, says("Show an event")),
        )
        .api_route(
            "/api/v1/calls/{call}",
            get_with(api::calls::read, says("Show a call")),
        )
        .api_route(
            "/api/v1/decisions",
            get_with(api::decisions::list, says("List decisions")),
        )
        .api_route(
            "/api/v1/webhooks/test",
            post_with(api::webhooks::test, says("Test a webhook")),
        )
}

/// Who may do what, and did.
fn access() -> ApiRouter<Services> {
    ApiRouter::new()
        .api_route(
            "/api/v1/whoami",
            get_with(api::whoami::read, says("Tell whose token this is")),
        )
        .api_route(
            "/api/v1/tokens",
            get_with(api::tokens::list, says("List tokens"))
                .post_with(api::tokens::create, says("Create a token")),
        )
        .api_route(
            "/api/v1/tokens/{id}",
            get_with(api::tokens::read, says("Show a token"))
                .delete_with(api::tokens::delete, says("Revoke a token")),
        )
        .api_route(
            "/api/v1/organizations",
            get_with(api::organizations::list, says("List organizations"))
                .post_with(api::organizations::create, says("Create an organization")),
        )
        .api_route(
            "/api/v1/organizations/{id}",
            get_with(api::organizations::read, says("Show an organization"))
                .patch_with(api::organizations::change, says("Change an organization")),
        )
        .api_route(
            "/api/v1/usage",
            get_with(api::usage::read, says("Show what is used of the quotas")),
        )
        .api_route(
            "/api/v1/audit",
            get_with(api::audit::list, says("List what was changed")),
        )
}
