//! Creations: a request that is sent twice, because its answer was lost, creates once if
//! it carries an `idempotency-key`.

use std::marker::PhantomData;

use aide::generate::GenContext;
use aide::openapi::{Operation, Response as Documented};
use aide::{OperationInput, OperationOutput};
use axum::Json;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::body::{self, JsonBody};
use super::openapi;
use super::problem::{Code, Problem};
use crate::store::{Created, Idempotency, Show};

pub(super) const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that the answer is that of an earlier request.
pub(super) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Longest key, in bytes.
pub(super) const MAX_KEY_BYTES: usize = 255;

/// A JSON object that says what to create.
#[derive(Debug)]
pub(super) struct Create<T> {
    pub(super) body: T,
    pub(super) idempotency: Option<Idempotency>,
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Create<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let key = key(&parts.headers)?;
        let body = body::json_bytes(&parts.headers, body).await?;
        let idempotency = key.map(|key| {
            let mut request = Sha256::new();
            for part in [parts.method.as_str(), parts.uri.path()] {
                request.update(part.as_bytes());
                request.update([0]);
            }
            request.update(&body);
            Idempotency {
                key,
                request: request.finalize().into(),
            }
        });
        Ok(Self {
            body: body::object(&body)?,
            idempotency,
        })
    }
}

impl<T: JsonSchema> OperationInput for Create<T> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        JsonBody::<T>::operation_input(ctx, operation);
        let key = "Sent again with the same key within a day, the request creates nothing more, and is answered as before.";
        openapi::header(ctx, operation, KEY.as_str(), key, false);
    }

    fn inferred_early_responses(
        ctx: &mut GenContext,
        operation: &mut Operation,
    ) -> Vec<(Option<u16>, Documented)> {
        let mut problems = JsonBody::<T>::inferred_early_responses(ctx, operation);
        problems.push(openapi::problem(
            ctx,
            409,
            "It cannot be beside what there is.",
        ));
        problems
    }
}

impl<B: JsonSchema, const STATUS: u16> OperationOutput for Made<B, STATUS> {
    type Inner = B;

    fn operation_response(ctx: &mut GenContext, _: &mut Operation) -> Option<Documented> {
        Some(openapi::json::<B>(ctx, "What was created."))
    }

    fn inferred_responses(
        ctx: &mut GenContext,
        operation: &mut Operation,
    ) -> Vec<(Option<u16>, Documented)> {
        let made = Self::operation_response(ctx, operation);
        made.map(|made| (Some(STATUS), made)).into_iter().collect()
    }
}

fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(key) = headers.get(KEY) else {
        return Ok(None);
    };
    let text = key.to_str().ok();
    let text = text.filter(|text| (1..=MAX_KEY_BYTES).contains(&text.len()));
    let text = text.ok_or_else(|| {
        let detail = format!(
            "idempotency-key must be 1 to {MAX_KEY_BYTES} visible characters, such as a UUID"
        );
        Problem::of_field(Code::InvalidParameter, KEY.as_str(), detail)
    })?;
    Ok(Some(text.to_owned()))
}

/// What was created, in the form `B`, with that status.
#[derive(Debug)]
pub(super) struct Made<B, const STATUS: u16 = 201> {
    body: Value,
    replayed: bool,
    form: PhantomData<fn() -> B>,
}

impl<B, const STATUS: u16> Made<B, STATUS> {
    pub(super) fn of<T>(created: Created<T>, answer: Show<T>) -> Self {
        let (body, replayed) = match created {
            Created::New(created) => (answer(&created), false),
            Created::Before(body) => (body, true),
        };
        Self {
            body,
            replayed,
            form: PhantomData,
        }
    }
}

impl<B, const STATUS: u16> IntoResponse for Made<B, STATUS> {
    fn into_response(self) -> Response {
        let etag = self.body.get("revision").and_then(Value::as_u64);
        let etag = etag.and_then(|it| HeaderValue::try_from(format!("\"{it}\"")).ok());
        let status = StatusCode::from_u16(STATUS).unwrap_or(StatusCode::CREATED);
        let mut response = (status, Json(self.body)).into_response();
        let headers = response.headers_mut();
        headers.extend(etag.map(|etag| (header::ETAG, etag)));
        if self.replayed {
            headers.insert(REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}
