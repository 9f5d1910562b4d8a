//! `POST /hooks/{source}`: where platforms send their webhooks.
//!
//! Reads the request under its cap and hands it to [`crate::call`], where the story
//! goes on; turns what comes back into HTTP. A request that is refused is logged here:
//! the platform's operator sees a status at best.

use std::net::{IpAddr, SocketAddr};

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::problem::{Code, Problem};
use super::{Services, body};
use crate::call::{Arrival, CallError, Limited, Received, RouteError};
use crate::domain::id::SourceId;
use crate::ingest::{Inbound, Reply};

/// Carries the event's id on every reply about a stored event; of several all of them.
pub(super) const EVENT_HEADER: HeaderName = HeaderName::from_static("x-hookswitch-event");
/// Says that the reply is that of an earlier request, which this one repeats.
const REPEAT_HEADER: HeaderName = HeaderName::from_static("x-hookswitch-repeat");

pub(super) async fn receive(
    State(services): State<Services>,
    Path(source): Path<String>,
    Extension(peer): Extension<SocketAddr>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let arrival = Arrival::now();
    let peer = services.trusted_proxies.client(peer.ip(), &headers);
    let source: SourceId = source.parse().map_err(|_| {
        tracing::warn!(%peer, "a webhook for a source that does not exist was refused");
        Problem::new(
            Code::UnknownSource,
            "there is no such source: its id has the form src_…",
        )
    })?;
    let admitted = services.switch.admit(source).await;
    admitted.map_err(|error| refused(source, peer, error))?;
    let body = body::read(body, services.caps.hook_body).await;
    let body = body.map_err(|problem| unreadable(source, peer, problem))?;
    let inbound = Inbound {
        headers,
        body,
        peer,
    };
    take(&services, source, inbound, arrival).await
}

/// Hands a request in and gives its reply. A source that is tried out
/// ([`super::api::webhooks`]) is asked here as well.
pub(super) async fn take(
    services: &Services,
    source: SourceId,
    inbound: Inbound,
    arrival: Arrival,
) -> Result<Response, Problem> {
    let peer = inbound.peer;
    match services.switch.receive(source, inbound, arrival).await {
        Ok(received) => Ok(reply(received)),
        Err(error) => Err(refused(source, peer, error)),
    }
}

fn refused(source: SourceId, peer: IpAddr, error: CallError) -> Problem {
    match error {
        CallError::Payload(error) => {
            return unreadable(source, peer, Problem::of_payload(error));
        }
        CallError::Unproven(ref reason) => {
            tracing::warn!(%source, %peer, %reason, "a request did not prove its origin");
        }
        CallError::Route(RouteError::UnknownSource(_)) => {
            tracing::warn!(%source, %peer, "a webhook for a source that does not exist was refused");
        }
        CallError::TooFast(ref refused) => match refused.whose {
            Limited::Source(source) => {
                tracing::warn!(%source, rate = %refused.rate, "a source brings more webhooks than it may, they are refused");
            }
            Limited::Organization(organization) => {
                tracing::warn!(%organization, rate = %refused.rate, "an organization brings more webhooks than it may, they are refused");
            }
        },
        // Ours, and logged where they become a problem.
        CallError::Route(_) | CallError::Store(_) | CallError::RecordedLate => {}
    }
    error.into()
}

/// What is wrong with it may quote it, so only the code goes to the log; the platform
/// got the rest.
fn unreadable(source: SourceId, peer: IpAddr, problem: Problem) -> Problem {
    tracing::warn!(%source, %peer, code = %problem.code(), "a webhook cannot be read and was refused");
    problem
}

fn reply(received: Received) -> Response {
    let mut response = match received.reply {
        Reply::Body(body) => {
            let json = [(header::CONTENT_TYPE, "application/json")];
            (json, String::from(Box::<str>::from(body))).into_response()
        }
        Reply::Unavailable => {
            let detail = "no plugin answered, and the verdict leaves it to the platform";
            Problem::new(Code::NoAnswer, detail).into_response()
        }
    };
    let events = std::iter::once(&received.event).chain(&received.more);
    let events: Vec<_> = events.map(ToString::to_string).collect();
    if let Ok(event) = HeaderValue::from_str(&events.join(", ")) {
        response.headers_mut().insert(EVENT_HEADER, event);
    }
    if received.repeat {
        let headers = response.headers_mut();
        headers.insert(REPEAT_HEADER, HeaderValue::from_static("true"));
    }
    response
}
