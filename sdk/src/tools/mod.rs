//! Answering the tools an agent calls during a conversation.
//!
//! A tool is a type: its fields are the arguments, its doc comments are what
//! the language model reads, and [`Tool::call`] is what it does. The JSON
//! Schema follows from the type.
//!
//! ```
//! use hookswitch_sdk::{Call, Result, Tool, ToolDecision, json};
//! use schemars::JsonSchema;
//! use serde::Deserialize;
//!
//! /// Tells when an order will arrive.
//! #[derive(Deserialize, JsonSchema)]
//! struct TrackOrder {
//!     /// The order number, for example A-1042.
//!     order: String,
//! }
//!
//! impl Tool for TrackOrder {
//!     const NAME: &'static str = "track_order";
//!
//!     fn call(self, _call: &Call) -> Result<ToolDecision> {
//!         if !self.order.starts_with("A-") {
//!             return ToolDecision::invalid_argument("order", "Order numbers begin with A-.");
//!         }
//!         ToolDecision::answer(json!({"order": self.order, "arrives": "2025-10-25"}))
//!     }
//! }
//!
//! struct Orders;
//!
//! hookswitch_sdk::toolbox!(Orders: TrackOrder);
//! hookswitch_sdk::export!(Orders: tools);
//! ```
//!
//! Arguments come from a language model, which sometimes gets them wrong. That
//! is no failure of the plugin: [`toolbox!`](crate::toolbox!) answers the model
//! with what is wrong (`{"error": "…", "field": "…"}`), so that it can ask the
//! caller or try again. Types that check themselves (`#[serde(try_from)]`) get
//! the same treatment.

mod arguments;
mod describe;

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

use crate::{Call, Json, Result};

#[doc(hidden)]
pub use self::{arguments::run as __run, describe::describe as __describe};

/// Answers tools. [`toolbox!`](crate::toolbox!) implements it from a list of
/// [`Tool`]s; by hand it is for tools that are known only from settings.
pub trait ToolHandler {
    /// The tools this plugin answers. Always the same list: the host asks once,
    /// at upload, with no event at hand, so settings must not change it.
    fn tools() -> Vec<ToolDescription>;

    /// `arguments` is what the model filled in, a JSON object that nobody has
    /// checked. [`ToolDecision::Pass`] is the answer for names of others.
    ///
    /// An error is the plugin's own failure: the host answers with the failure
    /// verdict, and the error's text goes to the log, never to the platform.
    fn call_tool(call: &Call, name: &str, arguments: &Json) -> Result<ToolDecision>;
}

/// One tool: the type of its arguments.
pub trait Tool: DeserializeOwned + JsonSchema {
    /// The name the agent calls it by: `^[a-zA-Z_][a-zA-Z0-9_]*$`.
    const NAME: &'static str;

    /// What the tool does, for the language model that chooses it. When empty,
    /// the type's doc comment says it.
    const DESCRIPTION: &'static str = "";

    /// Does it.
    fn call(self, call: &Call) -> Result<ToolDecision>;
}

/// A tool as the host and the language model see it.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolDescription {
    /// The name the agent calls it by: `^[a-zA-Z_][a-zA-Z0-9_]*$`.
    pub name: String,
    /// What the tool does.
    pub description: String,
    /// The arguments' JSON Schema: a JSON object.
    pub input_schema: Json,
}

/// What a tool call comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum ToolDecision {
    /// The tool's result, any JSON: what the model goes on with.
    Answer(Json),
    /// The endpoint of that name answers instead.
    Forward(String),
    /// No opinion: the next binding is asked.
    Pass,
}

impl ToolDecision {
    /// Answers with any serializable value. Fails when it has no JSON form.
    pub fn answer(value: impl Serialize) -> Result<Self> {
        Ok(Self::Answer(Json::of(&value)?))
    }

    /// Answers that an argument will not do, so that the model can mend it:
    /// `{"error": problem, "field": field}`.
    pub fn invalid_argument(field: &str, problem: &str) -> Result<Self> {
        Self::answer(json!({ "error": problem, "field": field }))
    }

    /// Lets the endpoint of that name answer.
    pub fn forward(endpoint: impl Into<String>) -> Self {
        Self::Forward(endpoint.into())
    }
}

/// Makes a [`ToolHandler`](crate::ToolHandler) of a list of [`Tool`](crate::Tool)s:
/// `toolbox!(Appointments: CheckAvailability, BookAppointment);`
///
/// It describes them all, calls the one that is asked for, passes on names it
/// does not know, and answers arguments that do not fit with what is wrong.
#[macro_export]
macro_rules! toolbox {
    ($toolbox:ident: $($tool:ty),+ $(,)?) => {
        impl $crate::ToolHandler for $toolbox {
            fn tools() -> ::std::vec::Vec<$crate::ToolDescription> {
                ::std::vec![$($crate::tools::__describe::<$tool>()),+]
            }

            fn call_tool(
                call: &$crate::Call,
                name: &str,
                arguments: &$crate::Json,
            ) -> $crate::Result<$crate::ToolDecision> {
                match name {
                    $(<$tool as $crate::Tool>::NAME => {
                        $crate::tools::__run::<$tool>(call, arguments)
                    })+
                    _ => ::std::result::Result::Ok($crate::ToolDecision::Pass),
                }
            }
        }
    };
}
