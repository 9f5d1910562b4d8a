//! Query parameters, read so that a mistake names the parameter.

use aide::OperationInput;
use aide::generate::GenContext;
use aide::openapi::{Operation, Response};
use aide::operation::{ParamLocation, add_parameters, parameters_from_schema};
use axum::extract::FromRequestParts;
use http::request::Parts;
use schemars::{JsonSchema, Schema};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::openapi;
use super::problem::{Code, Problem};

#[derive(Debug)]
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = axum::extract::Query::<T>::try_from_uri(&parts.uri).map_err(|error| {
            let message = error.body_text();
            match message
                .split('`')
                .nth(1)
                .filter(|_| message.contains("unknown field"))
            {
                Some(name) => invalid(name, "is not a parameter of this list"),
                None => Problem::new(Code::InvalidParameter, message),
            }
        })?;
        Ok(Self(query.0))
    }
}

/// A query parameter that has a wrong value.
pub(super) fn invalid(parameter: &str, problem: impl AsRef<str>) -> Problem {
    let detail = format!("{parameter} {}", problem.as_ref());
    Problem::of_field(Code::InvalidParameter, parameter, detail)
}

/// Reads a query parameter, if it is there.
pub(super) fn parameter<T, E: std::fmt::Display>(
    name: &str,
    text: Option<&str>,
    read: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, Problem> {
    let value = text.map(read).transpose();
    value.map_err(|error| invalid(name, format!("is wrong: {error}")))
}

impl<T: JsonSchema> OperationInput for Query<T> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        let mut schema = ctx.schema.root_schema_for::<T>();
        // A parameter is there or not; there is no way to send null.
        if let Some(Value::Object(parameters)) = schema.ensure_object().get_mut("properties") {
            parameters.values_mut().for_each(without_null);
        }
        let parameters = parameters_from_schema(ctx, schema, ParamLocation::Query);
        add_parameters(ctx, operation, parameters);
    }

    fn inferred_early_responses(
        ctx: &mut GenContext,
        _: &mut Operation,
    ) -> Vec<(Option<u16>, Response)> {
        vec![openapi::problem(ctx, 400, "A parameter has a wrong value.")]
    }
}

fn without_null(schema: &mut Value) {
    if let Some(Value::Array(forms)) = schema.get_mut("anyOf") {
        forms.retain(|it| it["type"] != "null");
        if let [only] = forms.as_slice() {
            *schema = only.clone();
        }
    }
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|it| it != "null");
        if let [only] = types.as_slice() {
            schema["type"] = only.clone();
        }
    }
    if let Ok(schema) = <&mut Schema>::try_from(schema) {
        schema.remove("default");
    }
}
