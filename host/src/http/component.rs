//! Uploads: a component in the body of a request, and whether it was new.

use aide::generate::GenContext;
use aide::openapi::{Operation, RequestBody, Response as Documented};
use aide::operation::set_body;
use aide::{OperationInput, OperationOutput};
use axum::Json;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;
use schemars::{JsonSchema, json_schema};
use serde::Serialize;

use super::problem::{Code, Problem};
use super::{Services, body, openapi};
use crate::runtime::inspect::MAGIC;

/// The bytes of a component, not looked at yet.
#[derive(Debug)]
pub(super) struct Component(pub(super) Bytes);

const WASM: &str = "application/wasm";

impl FromRequest<Services> for Component {
    type Rejection = Problem;

    async fn from_request(request: Request, services: &Services) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = body::read_beginning_with(MAGIC, body, services.caps.plugin_body).await?;
        if !body::has_media_type(&parts.headers, &[WASM, "application/octet-stream"]) {
            return Err(Problem::new(
                Code::UnsupportedMediaType,
                "send the component with the header content-type: application/wasm",
            ));
        }
        Ok(Self(bytes))
    }
}

impl OperationInput for Component {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        let schema = json_schema!({"type": "string", "format": "binary"});
        let content = [(WASM.to_owned(), openapi::media(schema))];
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
    ) -> Vec<(Option<u16>, Documented)> {
        vec![
            openapi::problem(ctx, 408, "The body did not arrive in time."),
            openapi::problem(ctx, 413, "The component is too large."),
            openapi::problem(ctx, 415, "The body is not said to be WebAssembly."),
            openapi::problem(ctx, 422, "It cannot be a plugin; the code says why."),
        ]
    }
}

/// What was uploaded: new, or known already.
#[derive(Debug)]
pub(super) enum Stored<B> {
    New(B),
    Known(B),
}

impl<B: Serialize> IntoResponse for Stored<B> {
    fn into_response(self) -> Response {
        match self {
            Self::New(body) => (StatusCode::CREATED, Json(body)).into_response(),
            Self::Known(body) => Json(body).into_response(),
        }
    }
}

impl<B: JsonSchema> OperationOutput for Stored<B> {
    type Inner = B;

    fn inferred_responses(
        ctx: &mut GenContext,
        _: &mut Operation,
    ) -> Vec<(Option<u16>, Documented)> {
        vec![
            (Some(201), openapi::json::<B>(ctx, "A new version.")),
            (
                Some(200),
                openapi::json::<B>(ctx, "These bytes were a version already."),
            ),
        ]
    }
}
