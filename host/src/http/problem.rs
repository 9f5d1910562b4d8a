//! Errors as `application/problem+json`: the one place where an error of any layer
//! becomes a status, a stable code and a text for people.
//!
//! Faults of ours are logged here, once. What the caller did wrong is logged where it is
//! known who that was, if an operator can do something about it: in `hook`, `auth` and
//! for uploads.

use std::collections::BTreeMap;
use std::time::Duration;

use aide::OperationOutput;
use aide::generate::GenContext;
use aide::openapi::{Operation, Response as Documented};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde::Serialize;

use super::openapi;
use crate::call::{CallError, RouteError};
use crate::json::ReadError;
use crate::live::Refused;
use crate::runtime::Rejection;
use crate::store::StoreError;

/// The public codes. They are stable: programs decide by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Code {
    InvalidJson,
    MissingField,
    InvalidField,
    InvalidParameter,
    BodyTooLarge,
    UnsupportedMediaType,
    Unauthorized,
    Forbidden,
    NotFound,
    UnknownSource,
    MethodNotAllowed,
    RequestTimeout,
    NameTaken,
    InUse,
    Changed,
    PreconditionFailed,
    PreconditionRequired,
    IdempotencyKeyReused,
    LastOperator,
    NothingBefore,
    ConfirmationRequired,
    TooMany,
    QuotaExceeded,
    RateLimited,
    NotRetryable,
    NotWasm,
    CoreModule,
    TruncatedComponent,
    InvalidComponent,
    NoKnownExport,
    UnsupportedImport,
    WrongContractVersion,
    NeedsTooMuch,
    InvalidTools,
    CompileLimit,
    NoAnswer,
    Overloaded,
    StoreUnavailable,
    Internal,
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.serialize(f)
    }
}

impl Code {
    fn status(self) -> StatusCode {
        match self {
            Self::InvalidJson | Self::InvalidParameter => StatusCode::BAD_REQUEST,
            Self::MissingField
            | Self::InvalidField
            | Self::NotWasm
            | Self::CoreModule
            | Self::TruncatedComponent
            | Self::InvalidComponent
            | Self::NoKnownExport
            | Self::UnsupportedImport
            | Self::WrongContractVersion
            | Self::NeedsTooMuch
            | Self::InvalidTools
            | Self::CompileLimit
            | Self::IdempotencyKeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::PreconditionRequired => StatusCode::PRECONDITION_REQUIRED,
            Self::NotFound | Self::UnknownSource => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::NameTaken
            | Self::InUse
            | Self::Changed
            | Self::LastOperator
            | Self::NothingBefore
            | Self::ConfirmationRequired
            | Self::TooMany
            | Self::QuotaExceeded
            | Self::NotRetryable => StatusCode::CONFLICT,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::NoAnswer | Self::Overloaded | Self::StoreUnavailable => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::InvalidJson => "The body is not JSON",
            Self::MissingField => "A required field is missing",
            Self::InvalidField => "A field has a wrong value",
            Self::InvalidParameter => "A parameter has a wrong value",
            Self::BodyTooLarge => "The body is too large",
            Self::UnsupportedMediaType => "The body has the wrong media type",
            Self::Unauthorized => "Not authorized",
            Self::Forbidden => "The token does not allow this",
            Self::NotFound => "Not found",
            Self::UnknownSource => "There is no such hook",
            Self::MethodNotAllowed => "The method is not allowed",
            Self::RequestTimeout => "The body did not arrive in time",
            Self::NameTaken => "The name is taken",
            Self::InUse => "Still in use",
            Self::Changed => "Changed meanwhile",
            Self::PreconditionFailed => "Changed since it was read",
            Self::PreconditionRequired => "Which state is changed is not said",
            Self::IdempotencyKeyReused => "The idempotency key belongs to another request",
            Self::LastOperator => "The last token of an operator",
            Self::NothingBefore => "Nothing to go back to",
            Self::ConfirmationRequired => "A version that wants more needs to be confirmed",
            Self::TooMany => "There are as many as there can be",
            Self::QuotaExceeded => "A quota is used up",
            Self::RateLimited => "More than may come in a second",
            Self::NotRetryable => "Not to be sent again",
            Self::NotWasm => "Not WebAssembly",
            Self::CoreModule => "A core module, not a component",
            Self::TruncatedComponent => "The file is cut off",
            Self::InvalidComponent => "Not a valid component",
            Self::NoKnownExport => "No handler is exported",
            Self::UnsupportedImport => "An import cannot be offered",
            Self::WrongContractVersion => "Built against another version of the contract",
            Self::NeedsTooMuch => "The component needs too much",
            Self::InvalidTools => "The list of tools cannot be used",
            Self::CompileLimit => "Compilation met a limit",
            Self::NoAnswer => "No answer to this question",
            Self::Overloaded => "Too much to do at this moment",
            Self::StoreUnavailable => "The store is unavailable",
            Self::Internal => "An error on our side",
        }
    }
}

/// An error on its way to the client.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    code: Code,
    detail: String,
    field: Option<String>,
    /// A member of its own, for programs.
    extra: Option<(&'static str, serde_json::Value)>,
    /// When to come again, in seconds.
    retry_after: Option<u64>,
    /// In place of the code's own status.
    status: Option<StatusCode>,
}

impl Problem {
    pub(super) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            field: None,
            extra: None,
            retry_after: None,
            status: None,
        }
    }

    pub(super) fn of_field(
        code: Code,
        field: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            code,
            detail: detail.into(),
            field: Some(field.into()).filter(|f| !f.is_empty()),
            extra: None,
            retry_after: None,
            status: None,
        }
    }

    /// Who waits so long is let through.
    pub(super) fn rate_limited(detail: impl Into<String>, wait: Duration) -> Self {
        // The header knows whole seconds only.
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Self {
            retry_after: Some(seconds.max(1)),
            ..Self::new(Code::RateLimited, detail)
        }
    }

    /// A payload that cannot be read. Platforms know one status for that, whatever is
    /// wrong with it.
    pub(super) fn of_payload(error: ReadError) -> Self {
        Self {
            status: Some(StatusCode::BAD_REQUEST),
            ..error.into()
        }
    }

    pub(super) fn code(&self) -> Code {
        self.code
    }

    /// Adds what a program needs to go on.
    pub(super) fn with(mut self, member: &'static str, value: serde_json::Value) -> Self {
        self.extra = Some((member, value));
        self
    }

    pub(super) fn invalid_field(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::of_field(Code::InvalidField, field, detail)
    }
}

#[derive(Serialize)]
struct ProblemBody<'a> {
    #[serde(rename = "type")]
    problem_type: String,
    title: &'a str,
    status: u16,
    code: Code,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(flatten)]
    extra: BTreeMap<&'a str, &'a serde_json::Value>,
}

/// A problem as clients read it.
#[derive(JsonSchema)]
#[schemars(rename = "Problem")]
#[allow(dead_code)] // Only its schema is used.
pub(super) struct ProblemForm {
    /// `urn:hookswitch:problem:` and the code.
    #[schemars(rename = "type")]
    problem_type: String,
    title: String,
    status: u16,
    /// Stable: programs decide by it.
    code: Code,
    /// For people.
    detail: String,
    /// The field or parameter at fault.
    #[schemars(default)]
    field: Option<String>,
}

/// Any error is a problem.
impl OperationOutput for Problem {
    type Inner = ProblemForm;

    fn operation_response(ctx: &mut GenContext, _: &mut Operation) -> Option<Documented> {
        Some(openapi::problem_response(ctx, "Another problem."))
    }

    fn inferred_responses(
        ctx: &mut GenContext,
        operation: &mut Operation,
    ) -> Vec<(Option<u16>, Documented)> {
        let problem = Self::operation_response(ctx, operation);
        problem.map(|it| (None, it)).into_iter().collect()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status.unwrap_or_else(|| self.code.status());
        let body = ProblemBody {
            problem_type: format!("urn:hookswitch:problem:{}", self.code),
            title: self.code.title(),
            status: status.as_u16(),
            code: self.code,
            detail: &self.detail,
            field: self.field.as_deref(),
            extra: self.extra.iter().map(|(name, it)| (*name, it)).collect(),
        };
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.code == Code::Unauthorized {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        let detail = error.to_string();
        match error {
            ReadError::NotUtf8 { .. } | ReadError::NotJson(_) => {
                Self::new(Code::InvalidJson, detail)
            }
            ReadError::MissingField { field } => Self::of_field(Code::MissingField, field, detail),
            ReadError::InvalidField { field, problem } => Self::invalid_field(field, problem),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let detail = error.to_string();
        match error {
            StoreError::NotFound { .. } => Self::new(Code::NotFound, detail),
            StoreError::Changed { .. } => Self::new(Code::Changed, detail),
            StoreError::TooMany { .. } => Self::new(Code::TooMany, detail),
            StoreError::QuotaExceeded {
                quota, used, most, ..
            } => {
                let numbers = serde_json::json!({"name": quota, "used": used, "most": most});
                Self::new(Code::QuotaExceeded, detail).with("quota", numbers)
            }
            StoreError::KeyReused => {
                Self::of_field(Code::IdempotencyKeyReused, "idempotency-key", detail)
            }
            StoreError::LastOperator => Self::new(Code::LastOperator, detail),
            StoreError::NothingBefore { .. } => Self::new(Code::NothingBefore, detail),
            StoreError::InUse { .. } => Self::new(Code::InUse, detail),
            StoreError::NotRetryable { .. } => Self::new(Code::NotRetryable, detail),
            StoreError::NameTaken { .. } => Self::of_field(Code::NameTaken, "name", detail),
            StoreError::Database(_)
            | StoreError::Disk(_)
            | StoreError::Write(_)
            | StoreError::Closing => {
                tracing::error!(error = &error as &dyn std::error::Error, "the store failed");
                Self::new(
                    Code::StoreUnavailable,
                    "the store cannot do this now; try again",
                )
            }
            StoreError::Corrupt { .. } => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the store is damaged"
                );
                Self::internal()
            }
        }
    }
}

impl From<CallError> for Problem {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Route(RouteError::UnknownSource(id)) => {
                Self::new(Code::UnknownSource, format!("there is no source {id}"))
            }
            CallError::Route(RouteError::Store(error)) | CallError::Store(error) => error.into(),
            CallError::Route(RouteError::UnknownDialect(_)) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a source cannot be read"
                );
                Self::internal()
            }
            CallError::Unproven(_) => {
                Self::new(Code::Unauthorized, "the request does not prove its origin")
            }
            CallError::TooFast(refused) => Self::rate_limited(refused.to_string(), refused.wait),
            CallError::Payload(error) => Self::of_payload(error),
            CallError::RecordedLate => {
                tracing::error!("a request was not answered in time");
                Self::new(Code::StoreUnavailable, error.to_string())
            }
        }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let code = match refused {
            Refused::Organization => Code::TooMany,
            Refused::Server | Refused::Stopping => Code::Overloaded,
        };
        Self::new(code, refused.to_string())
    }
}

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        let code = match rejection {
            Rejection::NotWasm => Code::NotWasm,
            Rejection::CoreModule => Code::CoreModule,
            Rejection::Truncated(_) => Code::TruncatedComponent,
            Rejection::Invalid(_) | Rejection::CannotStart(_) | Rejection::CompilerFailed => {
                Code::InvalidComponent
            }
            Rejection::NoKnownExport { .. } | Rejection::WrongHandler { .. } => Code::NoKnownExport,
            Rejection::UnsupportedImport { .. } => Code::UnsupportedImport,
            Rejection::WrongVersion { .. } => Code::WrongContractVersion,
            Rejection::NeedsTooMuch(_) => Code::NeedsTooMuch,
            Rejection::BadTools(_) => Code::InvalidTools,
            Rejection::CompileLimit(_) => Code::CompileLimit,
            Rejection::Busy => Code::Overloaded,
            // Logged where it happened.
            Rejection::CompilerUnavailable => Code::Internal,
        };
        Self::new(code, rejection.to_string())
    }
}

impl Problem {
    fn internal() -> Self {
        Self::new(
            Code::Internal,
            "something went wrong on our side; the operator's log says what",
        )
    }
}

/// A panic in a handler is a fault of ours like any other, and ends that request
/// alone. The panic's text may hold anything, so it stays in the panic hook's log.
pub(super) fn from_panic(_: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!("a request handler panicked");
    Problem::internal().into_response()
}
