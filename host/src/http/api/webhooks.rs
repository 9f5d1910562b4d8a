//! `POST /api/v1/webhooks/test`: how a webhook takes a payload that Hookswitch makes up.
//!
//! Request and answer have the shape of the platform's own test (Dasha's), so that who
//! uses that can use this. The webhook may be one of our own sources: then the payload
//! comes in where the platform's do ([`crate::http::hook`]), with the proofs it wants.
//! What is asked for is read in `request`.

mod request;

use std::net::{IpAddr, SocketAddr};

use axum::extract::State;
use axum::response::IntoResponse as _;
use axum::{Extension, Json};
use bytes::Bytes;
use http::{HeaderMap, Uri};
use http_body_util::BodyExt as _;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use self::request::{Receiver, TestRequest};
use crate::call::{Arrival, HeadersError, Trial, TrialReply};
use crate::domain;
use crate::domain::event::CallEvent;
use crate::domain::plugin::Handler;
use crate::domain::source::Source;
use crate::http::auth::{Caller, Developer};
use crate::http::body::JsonBody;
use crate::http::problem::Problem;
use crate::http::{Services, hook};
use crate::ingest::{self, Dialect, Inbound, proof};

/// How it went. Everything but `event` is the platform's shape, `null` where there is
/// nothing.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct TestResult {
    success: bool,
    http_status: Option<u16>,
    http_status_text: Option<&'static str>,
    response_data: Option<domain::Json>,
    validation_result: Option<ValidationResult>,
    error: Option<String>,
    /// In milliseconds.
    time_taken: u64,
    /// What came of it at one of our own sources.
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<String>,
}

/// Whether the platform would understand the reply.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ValidationResult {
    is_valid: bool,
    errors: Vec<String>,
}

pub(in crate::http) async fn test(
    State(services): State<Services>,
    caller: Caller<Developer>,
    Extension(peer): Extension<SocketAddr>,
    uri: Uri,
    own_headers: HeaderMap,
    JsonBody(request): JsonBody<TestRequest>,
) -> Result<Json<TestResult>, Problem> {
    let here = request::host(&uri, &own_headers);
    let test = request.read(here.as_ref(), services.caps)?;
    let handler = test.topic.handler();
    let headers = services
        .switch
        .trial_headers(caller.organization, &test.headers);
    let mut headers = headers.await?;
    if !test.bodiless {
        request::say_json(&mut headers);
    }
    match test.receiver {
        Receiver::Source(id) => {
            let source = services.store.source(caller.organization, id).await?;
            // A source that speaks what this server does not know answers that itself.
            let dialect = ingest::dialect(&source.dialect).unwrap_or(ingest::DASHA);
            let payload = test.content.payload(dialect, test.topic)?;
            let asked = dialect.parse(payload.get()).ok();
            let body = test.content.body(&payload)?;
            let peer = services.trusted_proxies.client(peer.ip(), &own_headers);
            let (trial, event) = ask(&services, source, dialect, peer, headers, body).await;
            Ok(Json(TestResult::of(
                dialect,
                asked.as_ref(),
                handler,
                trial,
                event,
            )))
        }
        Receiver::Address(settings) => {
            let dialect = ingest::DASHA;
            let payload = test.content.payload(dialect, test.topic)?;
            let asked = dialect.parse(payload.get()).ok();
            let body = if test.bodiless {
                None
            } else {
                Some(test.content.body(&payload)?)
            };
            let trial = services.switch.try_out(&settings, headers, body).await;
            Ok(Json(TestResult::of(
                dialect,
                asked.as_ref(),
                handler,
                trial,
                None,
            )))
        }
    }
}

/// Asks one of our own sources, and gives the reply with the event's id.
async fn ask(
    services: &Services,
    source: Source,
    dialect: &dyn Dialect,
    peer: IpAddr,
    mut headers: HeaderMap,
    body: Bytes,
) -> (Trial, Option<String>) {
    let arrival = Arrival::now();
    proof::complete(dialect, &source.proof, &mut headers, &body, arrival.time);
    let inbound = Inbound {
        headers,
        body,
        peer,
    };
    let response = hook::take(services, source.id, inbound, arrival).await;
    let elapsed = arrival.at.elapsed();
    let response = response.into_response();
    let status = response.status();
    let event = response.headers().get(hook::EVENT_HEADER);
    let event = event.and_then(|id| id.to_str().ok()).map(str::to_owned);
    let heard = match response.into_body().collect().await {
        Ok(body) => Ok(TrialReply {
            status,
            body: body.to_bytes(),
            complete: true,
        }),
        Err(error) => Err(error.to_string()),
    };
    (Trial { elapsed, heard }, event)
}

impl TestResult {
    fn of(
        dialect: &dyn Dialect,
        asked: Option<&CallEvent>,
        handler: Handler,
        trial: Trial,
        event: Option<String>,
    ) -> Self {
        let nothing = Self {
            success: false,
            http_status: None,
            http_status_text: None,
            response_data: None,
            validation_result: None,
            error: None,
            time_taken: u64::try_from(trial.elapsed.as_millis()).unwrap_or(u64::MAX),
            event,
        };
        let reply = match trial.heard {
            Ok(reply) => reply,
            Err(error) => {
                return Self {
                    error: Some(error),
                    ..nothing
                };
            }
        };
        let error = fault(handler, &reply);
        let asked = asked.filter(|_| error.is_none() && handler != Handler::Event);
        Self {
            success: error.is_none(),
            http_status: Some(reply.status.as_u16()),
            http_status_text: reply.status.canonical_reason(),
            response_data: data(&reply),
            validation_result: asked.map(|asked| validate(dialect, asked, &reply.body)),
            error,
            ..nothing
        }
    }
}

/// Why a platform would not take a reply, whatever it says.
fn fault(handler: Handler, reply: &TrialReply) -> Option<String> {
    if !reply.status.is_success() {
        Some(format!("the webhook answered {}", reply.status))
    } else if handler != Handler::Event && !reply.complete {
        // Of a notice's reply the status is enough.
        Some("the reply did not end in time, or has more than 1 MiB".to_owned())
    } else {
        None
    }
}

/// JSON as it was written; a text where it is none.
fn data(reply: &TrialReply) -> Option<domain::Json> {
    let text = String::from_utf8_lossy(&reply.body);
    if text.is_empty() {
        return None;
    }
    let json = RawValue::from_string(text.clone().into_owned());
    json.or_else(|_| to_raw_value(&text)).ok()
}

fn validate(dialect: &dyn Dialect, asked: &CallEvent, reply: &[u8]) -> ValidationResult {
    let errors = match crate::json::text(reply) {
        Ok(text) => ingest::review(dialect, asked, text),
        Err(error) => vec![error.to_string()],
    };
    ValidationResult {
        is_valid: errors.is_empty(),
        errors,
    }
}

impl From<HeadersError> for Problem {
    fn from(error: HeadersError) -> Self {
        let detail = error.to_string();
        match error {
            HeadersError::NoSecret { header, .. } => {
                Self::invalid_field(format!("webHook.headers.{header}"), detail)
            }
            HeadersError::Store(error) => error.into(),
        }
    }
}
