//! Changes that meet: an answer carries its revision as an ETag, and who changes
//! something says in `if-match` which revision they read.

use aide::generate::GenContext;
use aide::openapi::{Operation, Response as Documented};
use aide::{OperationInput, OperationOutput};
use axum::Json;
use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderValue, header};
use schemars::JsonSchema;
use serde::Serialize;

use super::openapi;
use super::problem::{Code, Problem};
use crate::domain::revision::Revision;

/// A revision as an ETag.
pub(super) fn etag(revision: Revision) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("\"{revision}\"")).ok()
}

/// An answer with its revision.
#[derive(Debug)]
pub(super) struct Tagged<T>(pub(super) Revision, pub(super) T);

impl<T: Serialize> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        let Self(revision, body) = self;
        let mut response = Json(body).into_response();
        response
            .headers_mut()
            .extend(etag(revision).map(|tag| (header::ETAG, tag)));
        response
    }
}

/// Which revision a change is meant for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum IfMatch {
    /// Whatever it is (`*`).
    Any,
    OneOf(Vec<String>),
}

impl IfMatch {
    pub(super) fn check(&self, current: Revision) -> Result<(), Problem> {
        let current = format!("\"{current}\"");
        match self {
            Self::OneOf(tags) if !tags.contains(&current) => {
                let detail = format!(
                    "it was changed since you read it: its etag is {current} now; read it again and decide anew"
                );
                Err(Problem::new(Code::PreconditionFailed, detail).with("etag", current.into()))
            }
            _ => Ok(()),
        }
    }

    fn of(parts: &Parts) -> Result<Option<Self>, Problem> {
        let mut tags = Vec::new();
        for value in parts.headers.get_all(header::IF_MATCH) {
            let wrong = || {
                Problem::of_field(
                    Code::InvalidParameter,
                    "if-match",
                    "if-match must be * or etags as they were read, such as \"3\"",
                )
            };
            for tag in value.to_str().map_err(|_| wrong())?.split(',') {
                match tag.trim() {
                    "*" => return Ok(Some(Self::Any)),
                    tag if tag.len() > 2 && tag.starts_with('"') && tag.ends_with('"') => {
                        tags.push(tag.to_owned());
                    }
                    _ => return Err(wrong()),
                }
            }
        }
        Ok((!tags.is_empty()).then_some(Self::OneOf(tags)))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::of(parts)?.ok_or_else(|| {
            Problem::new(
                Code::PreconditionRequired,
                "say which state you change: send the header if-match with the etag you read, or * for whatever it is",
            )
        })
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Problem> {
        Self::of(parts)
    }
}

impl OperationInput for IfMatch {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        let tag = "The ETag that was read, or `*` for whatever it is.";
        openapi::header(ctx, operation, header::IF_MATCH.as_str(), tag, true);
    }

    fn inferred_early_responses(
        ctx: &mut GenContext,
        _: &mut Operation,
    ) -> Vec<(Option<u16>, Documented)> {
        vec![
            openapi::problem(ctx, 409, "It was changed at the same time."),
            openapi::problem(ctx, 412, "It was changed since it was read."),
            openapi::problem(ctx, 428, "Which revision is changed is not said."),
        ]
    }
}

impl<T: JsonSchema> OperationOutput for Tagged<T> {
    type Inner = T;

    fn operation_response(ctx: &mut GenContext, _: &mut Operation) -> Option<Documented> {
        Some(openapi::json::<T>(
            ctx,
            "As it stands; its ETag is the revision.",
        ))
    }

    fn inferred_responses(
        ctx: &mut GenContext,
        operation: &mut Operation,
    ) -> Vec<(Option<u16>, Documented)> {
        let shown = Self::operation_response(ctx, operation);
        shown.map(|shown| (Some(200), shown)).into_iter().collect()
    }
}
