//! What is named in a path. A text that cannot be the name of anything names nothing,
//! so it is not found; where the path names what is to be, it is wrong.

use std::borrow::Cow;
use std::convert::Infallible;
use std::str::FromStr;

use aide::OperationInput;
use aide::generate::GenContext;
use aide::openapi::{Operation, Response};
use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::openapi;
use super::problem::{Code, Problem};
use crate::domain::id::{
    BindingId, DeliveryId, EndpointId, EventId, JobId, OrganizationId, SourceId, TokenId,
};
use crate::domain::plugin::{InvalidName, Name};

/// Something that paths name.
pub(super) trait Noun: FromStr<Err: std::fmt::Display> + JsonSchema + Send {
    const NOUN: &'static str;
    /// What the path's part is called.
    const PARAMETER: &'static str = "id";
}

macro_rules! nouns {
    ($($id:ident $noun:literal),*) => {
        $(impl Noun for $id {
            const NOUN: &'static str = $noun;
        })*
    };
}

nouns!(
    BindingId "binding",
    DeliveryId "delivery",
    EndpointId "endpoint",
    EventId "event",
    JobId "job",
    OrganizationId "organization",
    SourceId "source",
    TokenId "token"
);

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident $noun:literal),*) => {
        $($(#[$doc])*
        #[derive(Debug, Clone)]
        pub(super) struct $name(pub(super) Name);

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                Name::json_schema(generator)
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                text.parse().map(Self)
            }
        }

        impl Noun for $name {
            const NOUN: &'static str = $noun;
            const PARAMETER: &'static str = "name";
        })*
    };
}

names!(
    /// A plugin's.
    PluginName "plugin",
    /// A secret's.
    SecretName "secret"
);

/// A call's, in the platform's words: any text.
#[derive(Debug, Clone, JsonSchema)]
pub(super) struct CallId(pub(super) String);

impl FromStr for CallId {
    type Err = Infallible;
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl Noun for CallId {
    const NOUN: &'static str = "call";
    const PARAMETER: &'static str = "call";
}

/// Something that is there already.
#[derive(Debug)]
pub(super) struct InPath<T>(pub(super) T);

/// Something that comes into being if it is not there yet.
#[derive(Debug)]
pub(super) struct NewInPath<T>(pub(super) T);

async fn text<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<String, Problem> {
    let path = Path::<String>::from_request_parts(parts, state).await;
    let Path(text) =
        path.map_err(|_| Problem::new(Code::NotFound, "there is no such path here"))?;
    Ok(text)
}

impl<T: Noun, S: Send + Sync> FromRequestParts<S> for InPath<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = text(parts, state).await?;
        let named = text.parse().map_err(|_| {
            let detail = format!("there is no {} {text}", T::NOUN);
            Problem::new(Code::NotFound, detail)
        })?;
        Ok(Self(named))
    }
}

impl<T: Noun, S: Send + Sync> FromRequestParts<S> for NewInPath<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = text(parts, state).await?;
        let named = text.parse().map_err(|error| {
            let (parameter, noun) = (T::PARAMETER, T::NOUN);
            let detail = format!("{parameter} is not the name of a {noun}: {error}");
            Problem::of_field(Code::InvalidParameter, parameter, detail)
        })?;
        Ok(Self(named))
    }
}

fn document<T: Noun>(ctx: &mut GenContext, operation: &mut Operation) {
    let schema = T::json_schema(&mut ctx.schema);
    let what = format!("The {}'s.", T::NOUN);
    openapi::path(ctx, operation, T::PARAMETER, &what, schema);
}

impl<T: Noun> OperationInput for InPath<T> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        document::<T>(ctx, operation);
    }
}

impl<T: Noun> OperationInput for NewInPath<T> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        document::<T>(ctx, operation);
    }

    fn inferred_early_responses(
        ctx: &mut GenContext,
        _: &mut Operation,
    ) -> Vec<(Option<u16>, Response)> {
        vec![openapi::problem(
            ctx,
            400,
            "The path names nothing that can be.",
        )]
    }
}
