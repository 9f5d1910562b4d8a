//! What is named in a path. A text that cannot be the name of anything names nothing,
//! so it is not found; where the path names what is to be, it is wrong.

use std::str::FromStr;

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;

use super::problem::{Code, Problem};
use crate::domain::id::{
    BindingId, DeliveryId, EndpointId, EventId, JobId, OrganizationId, SourceId, TokenId,
};
use crate::domain::plugin::{InvalidName, Name};

/// Something that paths name.
pub(super) trait Noun: FromStr<Err: std::fmt::Display> + Send {
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
