//! Request bodies, read under their caps of size and time.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::{HeaderMap, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use super::problem::{Code, Problem};
use crate::json;

/// Largest body of an ordinary API request, in bytes.
const API_BODY: usize = 1 << 20;
/// A body must have arrived by then.
const ARRIVAL: Duration = Duration::from_mins(1);

/// Reads a whole body.
pub(super) async fn read(body: Body, cap: usize) -> Result<Bytes, Problem> {
    let too_large = || {
        Problem::new(
            Code::BodyTooLarge,
            format!("at most {cap} bytes are taken here"),
        )
    };
    if hyper::body::Body::size_hint(&body).lower() > cap as u64 {
        return Err(too_large());
    }
    let collected = tokio::time::timeout(ARRIVAL, Limited::new(body, cap).collect()).await;
    match collected {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        // The client has gone or broke off: nobody will read this.
        Ok(Err(_)) => Err(Problem::new(Code::InvalidJson, "the body broke off")),
        Err(_elapsed) => Err(Problem::new(
            Code::RequestTimeout,
            format!("the body must arrive within {} seconds", ARRIVAL.as_secs()),
        )),
    }
}

/// A JSON object in the body of an API request.
#[derive(Debug)]
pub(super) struct JsonBody<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        if !has_media_type(request.headers(), &["application/json"]) {
            return Err(Problem::new(
                Code::UnsupportedMediaType,
                "send JSON with the header content-type: application/json",
            ));
        }
        let body = read(request.into_body(), API_BODY).await?;
        Ok(Self(json::object(json::text(&body)?)?))
    }
}

/// Whether the body says it is of one of these types; parameters do not matter.
pub(super) fn has_media_type(headers: &HeaderMap, wanted: &[&str]) -> bool {
    let Some(given) = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
    else {
        return false;
    };
    let essence = given.split(';').next().unwrap_or_default().trim();
    wanted
        .iter()
        .any(|wanted| essence.eq_ignore_ascii_case(wanted))
}
