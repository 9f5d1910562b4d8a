//! The API's description, OpenAPI 3.1, made from the handlers: what they take and give
//! is told by their types, each of which documents itself where it is defined. Here is
//! what they share, and the document as a whole.

use std::sync::Arc;

use aide::generate::GenContext;
use aide::openapi::{
    HeaderStyle, Info, MediaType, OpenApi, Operation, Parameter, ParameterData,
    ParameterSchemaOrContent, PathStyle, ReferenceOr, Response, SchemaObject, SecurityScheme, Tag,
};
use aide::operation::add_parameters;
use aide::swagger::Swagger;
use aide::transform::TransformOperation;
use axum::Extension;
use axum::response::IntoResponse;
use bytes::Bytes;
use http::{HeaderValue, header};
use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, json_schema};

use super::problem::ProblemForm;

/// Under which name operations refer to tokens.
const TOKEN: &str = "token";

/// The empty document.
pub(super) fn document() -> OpenApi {
    let mut document = OpenApi {
        info: Info {
            title: "Hookswitch".to_owned(),
            description: Some(include_str!("openapi.md").to_owned()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..Info::default()
        },
        ..OpenApi::default()
    };
    let scheme = SecurityScheme::Http {
        scheme: "bearer".to_owned(),
        bearer_format: None,
        description: Some("A token of the API: hsk_…".to_owned()),
        extensions: IndexMap::new(),
    };
    let components = document.components.get_or_insert_default();
    components
        .security_schemes
        .insert(TOKEN.to_owned(), ReferenceOr::Item(scheme));
    document
}

/// Names operations and sorts them by the resource that their path begins with.
pub(super) fn finish(document: &mut OpenApi) {
    let mut tags: Vec<String> = Vec::new();
    for (path, item) in document.paths.iter_mut().flat_map(|paths| &mut paths.paths) {
        let resource = path.trim_start_matches("/api/v1").trim_matches('/');
        let tag = resource.split('/').next().unwrap_or_default().to_owned();
        let ReferenceOr::Item(item) = item else {
            continue;
        };
        let operations = [
            &mut item.get,
            &mut item.put,
            &mut item.post,
            &mut item.patch,
            &mut item.delete,
        ];
        for operation in operations.into_iter().flatten() {
            operation.tags = vec![tag.clone()];
            operation.operation_id = operation.summary.as_deref().map(identifier);
        }
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    document.tags = tags
        .into_iter()
        .map(|name| Tag {
            name,
            ..Tag::default()
        })
        .collect();
}

/// `List the deliveries` as a program names it: `list_the_deliveries`.
fn identifier(summary: &str) -> String {
    summary
        .to_lowercase()
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join("_")
}

/// What an operation does, in a few words.
pub(super) fn says(
    summary: &'static str,
) -> impl FnOnce(TransformOperation<'_>) -> TransformOperation<'_> {
    move |operation| operation.summary(summary)
}

/// That an operation needs a token of that scope.
pub(super) fn needs(operation: &mut Operation, scope: &str) {
    operation.security = vec![IndexMap::from_iter([(
        TOKEN.to_owned(),
        vec![scope.to_owned()],
    )])];
    operation.description = Some(format!("Needs a token of the scope `{scope}` or above."));
}

/// A problem that is answered with that status.
pub(super) fn problem(
    ctx: &mut GenContext,
    status: u16,
    description: &str,
) -> (Option<u16>, Response) {
    (Some(status), problem_response(ctx, description))
}

pub(super) fn problem_response(ctx: &mut GenContext, description: &str) -> Response {
    let schema = ctx.schema.subschema_for::<ProblemForm>();
    response(description, "application/problem+json", schema)
}

/// A body of JSON in the form `T`.
pub(super) fn json<T: JsonSchema>(ctx: &mut GenContext, description: &str) -> Response {
    let schema = ctx.schema.subschema_for::<T>();
    response(description, "application/json", schema)
}

/// A stream of server-sent events.
pub(super) fn stream(description: &str) -> Response {
    let schema = json_schema!({"type": "string"});
    response(description, "text/event-stream", schema)
}

fn response(description: &str, media_type: &str, schema: Schema) -> Response {
    Response {
        description: description.to_owned(),
        content: IndexMap::from_iter([(media_type.to_owned(), media(schema))]),
        ..Response::default()
    }
}

pub(super) fn media(json_schema: Schema) -> MediaType {
    MediaType {
        schema: Some(SchemaObject {
            json_schema,
            external_docs: None,
            example: None,
        }),
        ..MediaType::default()
    }
}

/// A header of requests.
pub(super) fn header(
    ctx: &mut GenContext,
    operation: &mut Operation,
    name: &str,
    description: &str,
    required: bool,
) {
    let schema = json_schema!({"type": "string"});
    let parameter = Parameter::Header {
        parameter_data: parameter(name, description, schema, required),
        style: HeaderStyle::Simple,
    };
    add_parameters(ctx, operation, [parameter]);
}

/// A part of the path.
pub(super) fn path(
    ctx: &mut GenContext,
    operation: &mut Operation,
    name: &str,
    description: &str,
    schema: Schema,
) {
    let parameter = Parameter::Path {
        parameter_data: parameter(name, description, schema, true),
        style: PathStyle::Simple,
    };
    add_parameters(ctx, operation, [parameter]);
}

fn parameter(name: &str, description: &str, json_schema: Schema, required: bool) -> ParameterData {
    ParameterData {
        name: name.to_owned(),
        description: Some(description.to_owned()),
        required,
        format: ParameterSchemaOrContent::Schema(SchemaObject {
            json_schema,
            external_docs: None,
            example: None,
        }),
        deprecated: None,
        example: None,
        examples: IndexMap::new(),
        explode: None,
        extensions: IndexMap::new(),
    }
}

/// What the server shows of the document.
#[derive(Debug)]
pub(super) struct Pages {
    json: Bytes,
    html: Bytes,
}

/// The page brings all it needs along; nothing else may be loaded or sent anywhere.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; connect-src 'self'; \
    script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; font-src data:; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

impl Pages {
    pub(super) fn of(document: &OpenApi) -> Self {
        let page = Swagger::new("/openapi.json").with_title("Hookswitch API");
        // Swagger UI would send the document's address to its authors' validator.
        let page = page
            .html()
            .replace("presets: [", "validatorUrl: null, presets: [");
        Self {
            json: serde_json::to_vec(document).unwrap_or_default().into(),
            html: page.into(),
        }
    }

    /// `GET /openapi.json`
    #[allow(clippy::unused_async)] // A handler is.
    pub(super) async fn json(Extension(pages): Extension<Arc<Self>>) -> impl IntoResponse {
        let json = HeaderValue::from_static("application/json");
        ([(header::CONTENT_TYPE, json)], pages.json.clone())
    }

    /// `GET /docs`: the same for people.
    #[allow(clippy::unused_async)] // A handler is.
    pub(super) async fn html(Extension(pages): Extension<Arc<Self>>) -> impl IntoResponse {
        let html = HeaderValue::from_static("text/html; charset=utf-8");
        let policy = HeaderValue::from_static(CONTENT_SECURITY_POLICY);
        let headers = [
            (header::CONTENT_TYPE, html),
            (header::CONTENT_SECURITY_POLICY, policy),
        ];
        (headers, pages.html.clone())
    }
}
