//! The limit: an axum handler that reads the fields of a start payload that Hookswitch
//! reads, looks the caller up in a block list as the plugin does, and answers the same.
//! No proof of origin, no routing, no sandbox, nothing kept.
//!
//! Prints its address, and serves until it is killed.

use std::collections::HashSet;
use std::io::Write as _;
use std::sync::Arc;

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::serve::ListenerExt as _;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::net::TcpListener;

/// As `ingest/dasha.rs` reads it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload<'a> {
    #[serde(rename = "type")]
    named_type: Option<String>,
    status: Option<String>,
    call_id: Option<String>,
    agent_id: Option<String>,
    org_id: Option<String>,
    endpoint: Option<String>,
    #[serde(borrow)]
    call_additional_data: Option<&'a RawValue>,
    #[serde(borrow)]
    agent_additional_data: Option<&'a RawValue>,
    sip: Option<Sip>,
    #[serde(borrow)]
    original_agent_config: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sip {
    from_user: Option<String>,
    from_domain: Option<String>,
    to_user: Option<String>,
    to_domain: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reply {
    accept: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason_message: Option<&'static str>,
}

/// As the server's.
const MOST: usize = 16 << 20;

type Blocked = Arc<HashSet<String>>;

/// The same runtime as the server's.
fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve())
}

async fn serve() -> Result<()> {
    let blocked: Blocked = Arc::new(HashSet::from(["+14155550666".to_owned()]));
    let router = Router::new()
        .route("/hooks/{source}", post(answer))
        .layer(DefaultBodyLimit::max(MOST))
        .with_state(blocked);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    writeln!(std::io::stdout(), "http://{address}")?;
    let listener = listener.tap_io(|stream| {
        // As the server does; where it fails it is the same as without.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router).await?;
    Ok(())
}

async fn answer(State(blocked): State<Blocked>, body: Bytes) -> Response {
    let Ok(payload) = serde_json::from_slice::<Payload<'_>>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let Some(caller) = caller(payload) else {
        return StatusCode::UNPROCESSABLE_ENTITY.into_response();
    };
    let rejected = blocked.contains(&caller);
    let reply = Reply {
        accept: !rejected,
        reason_message: rejected.then_some("This number is blocked."),
    };
    let Ok(text) = serde_json::to_string(&reply) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// Takes the payload apart, as whoever decides by it would: nothing of it is left unread.
fn caller(payload: Payload<'_>) -> Option<String> {
    let is_start = payload.named_type.as_deref() == Some("StartWebHookPayload");
    let whole = payload.status.is_some()
        && payload.call_id.is_some()
        && payload.agent_id.is_some()
        && payload.org_id.is_some()
        && payload.call_additional_data.is_some()
        && payload.agent_additional_data.is_some()
        && payload.original_agent_config.is_some();
    let sip = payload.sip?;
    let routed = sip.from_domain.is_some() && sip.to_user.is_some() && sip.to_domain.is_some();
    (is_start && whole && routed)
        .then_some(sip.from_user)?
        .or(payload.endpoint)
}
