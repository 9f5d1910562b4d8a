//! `POST /hooks/{source}`: where platforms send their webhooks.
//!
//! Reads the request under its cap and hands it to [`crate::call`], where the story
//! goes on; turns what comes back into HTTP.

use std::net::SocketAddr;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::problem::{Code, Problem};
use super::{Services, body};
use crate::call::{Arrival, CallError, Received};
use crate::domain::id::SourceId;
use crate::ingest::{Inbound, Reply};

/// Carries the event's id on every reply about a stored event.
const EVENT_HEADER: HeaderName = HeaderName::from_static("x-hookswitch-event");
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
    let source: SourceId = source.parse().map_err(|_| {
        Problem::new(
            Code::UnknownSource,
            "there is no such source: its id has the form src_…",
        )
    })?;
    let body = body::read(body, services.caps.hook_body).await?;
    let inbound = Inbound {
        headers,
        body,
        peer: peer.ip(),
    };
    let received = services.switch.receive(source, inbound, arrival).await;
    if let Err(CallError::Unproven(reason)) = &received {
        tracing::warn!(%source, peer = %peer.ip(), %reason, "a request did not prove its origin");
    }
    Ok(reply(received?))
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
    if let Ok(event) = HeaderValue::from_str(&received.event.to_string()) {
        response.headers_mut().insert(EVENT_HEADER, event);
    }
    if received.repeat {
        let headers = response.headers_mut();
        headers.insert(REPEAT_HEADER, HeaderValue::from_static("true"));
    }
    response
}
