//! Request bodies, read under their caps of size and time.

use std::time::Duration;

use aide::OperationInput;
use aide::generate::GenContext;
use aide::openapi::{Operation, RequestBody, Response};
use aide::operation::set_body;
use axum::body::Body;
use axum::extract::{FromRequest, OptionalFromRequest, Request};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Body as _;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::openapi;
use super::problem::{Code, Problem};
use crate::json;

/// Largest body of an ordinary API request, in bytes.
const API_BODY: usize = 1 << 20;
/// A body must have arrived by then.
const ARRIVAL: Duration = Duration::from_mins(1);

/// Reads a whole body.
pub(super) async fn read(body: Body, cap: usize) -> Result<Bytes, Problem> {
    read_beginning_with(b"", body, cap).await
}

/// Reads a whole body, and keeps of one that begins otherwise only these first bytes: it
/// will be refused, and megabytes of it need not be put together for that. It is read
/// all the same, because a client that is answered while it still sends may see a broken
/// connection instead of the answer.
pub(super) async fn read_beginning_with(
    beginning: &[u8],
    body: Body,
    cap: usize,
) -> Result<Bytes, Problem> {
    let too_large = || {
        Problem::new(
            Code::BodyTooLarge,
            format!("at most {cap} bytes are taken here"),
        )
    };
    if body.size_hint().lower() > cap as u64 {
        return Err(too_large());
    }
    let announced = body.size_hint().lower() as usize;
    let collected = collect(beginning, Limited::new(body, cap), announced);
    match tokio::time::timeout(ARRIVAL, collected).await {
        Ok(Ok(collected)) => Ok(collected),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        // The client has gone or broke off: nobody will read this.
        Ok(Err(_)) => Err(Problem::new(Code::InvalidJson, "the body broke off")),
        Err(_elapsed) => Err(Problem::new(
            Code::RequestTimeout,
            format!("the body must arrive within {} seconds", ARRIVAL.as_secs()),
        )),
    }
}

/// Puts a body together as it arrives. Done at the end, many megabytes would be copied
/// at once, and nobody else served by this thread meanwhile.
async fn collect<B>(beginning: &[u8], mut body: B, announced: usize) -> Result<Bytes, B::Error>
where
    B: hyper::body::Body<Data = Bytes> + Unpin,
{
    let mut first = None;
    let mut collected = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        match first.take() {
            None if collected.is_empty() && data.len() >= announced => first = Some(data),
            None => {
                collected.reserve(announced.saturating_sub(collected.len()).max(data.len()));
                collected.extend_from_slice(&data);
            }
            Some(before) => {
                collected.extend_from_slice(&before);
                collected.extend_from_slice(&data);
            }
        }
        let kept = first.as_deref().unwrap_or(&collected);
        if begins_otherwise(kept, beginning) {
            let start = Bytes::copy_from_slice(&kept[..kept.len().min(beginning.len())]);
            drop((first, collected));
            while let Some(frame) = body.frame().await {
                frame?;
            }
            return Ok(start);
        }
    }
    // Most bodies arrive in one piece, and need no copy.
    Ok(first.unwrap_or_else(|| collected.freeze()))
}

/// Of bytes that are still to come, nobody can tell.
fn begins_otherwise(bytes: &[u8], beginning: &[u8]) -> bool {
    bytes
        .iter()
        .zip(beginning)
        .any(|(byte, wanted)| byte != wanted)
}

/// A JSON object in the body of an API request.
#[derive(Debug)]
pub(super) struct JsonBody<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        Ok(Self(object(&json_bytes(&parts.headers, body).await?)?))
    }
}

/// Reads the body of an API request that says it is JSON.
pub(super) async fn json_bytes(headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    if !has_media_type(headers, &["application/json"]) {
        return Err(Problem::new(
            Code::UnsupportedMediaType,
            "send JSON with the header content-type: application/json",
        ));
    }
    read(body, API_BODY).await
}

pub(super) fn object<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    Ok(json::object(json::text(body)?)?)
}

/// A body that may be left out, together with its media type.
impl<T: DeserializeOwned, S: Send + Sync> OptionalFromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Option<Self>, Problem> {
        if !request.headers().contains_key(header::CONTENT_TYPE) && request.body().is_end_stream() {
            return Ok(None);
        }
        let body = <Self as FromRequest<S>>::from_request(request, state).await?;
        Ok(Some(body))
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

impl<T: JsonSchema> OperationInput for JsonBody<T> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        let schema = ctx.schema.subschema_for::<T>();
        let content = [("application/json".to_owned(), openapi::media(schema))];
        let body = RequestBody {
            content: content.into_iter().collect(),
            required: true,
            ..RequestBody::default()
        };
        set_body(ctx, operation, body);
    }

    fn inferred_early_responses(
        ctx: &mut GenContext,
        _: &mut Operation,
    ) -> Vec<(Option<u16>, Response)> {
        vec![
            openapi::problem(ctx, 400, "The body is not JSON."),
            openapi::problem(ctx, 408, "The body did not arrive in time."),
            openapi::problem(ctx, 413, "The body is too large."),
            openapi::problem(ctx, 415, "The body is not said to be JSON."),
            openapi::problem(ctx, 422, "A field is missing or has a wrong value."),
        ]
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;
    use http_body_util::StreamBody;
    use hyper::body::Frame;

    use super::*;

    /// What is kept of a body that arrives in these pieces.
    async fn kept(pieces: &[&'static str]) -> Bytes {
        let announced = pieces.iter().map(|piece| piece.len()).sum();
        let frames = pieces.iter().map(|piece| {
            let data = Bytes::from_static(piece.as_bytes());
            Ok::<_, Infallible>(Frame::data(data))
        });
        let body = StreamBody::new(stream::iter(frames.collect::<Vec<_>>()));
        let Ok(kept) = collect(b"wasm", body, announced).await;
        kept
    }

    #[tokio::test]
    async fn of_a_body_that_begins_otherwise_only_its_beginning_is_kept() {
        for (pieces, wanted) in [
            (&["wasm and more"][..], "wasm and more"),
            (&["wa", "sm", " and", " more"], "wasm and more"),
            (&["wa"], "wa"),
            (&[], ""),
            (&["elf and more"], "elf "),
            (&["wa", "rm and", " more"], "warm"),
            (&["e", "lf and more"], "e"),
        ] {
            assert_eq!(kept(pieces).await, wanted, "{pieces:?}");
        }
    }
}
