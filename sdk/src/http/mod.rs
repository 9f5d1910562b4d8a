//! Outbound HTTP requests, to the hosts that the binding grants.
//!
//! ```
//! use std::time::Duration;
//! use hookswitch_sdk::{Result, http, json, testing};
//!
//! # let _host = testing::Host::new().http(|request| match request.url() {
//! #     "https://crm.example.com/callers?phone=%2B14155551234" => Ok(http::Response::new(200).with_json(&json!({"tier": "gold"}))),
//! #     "https://crm.example.com/calls" => Ok(http::Response::new(201)),
//! #     url => panic!("{url}"),
//! # });
//! #[derive(serde::Deserialize)]
//! struct Caller {
//!     tier: String,
//! }
//!
//! fn tier(phone: &str) -> Result<String> {
//!     let caller: Caller = http::Request::get("https://crm.example.com/callers")
//!         .query("phone", phone)
//!         .timeout(Duration::from_secs(2))
//!         .send()?
//!         .successful()?
//!         .json()?;
//!     Ok(caller.tier)
//! }
//!
//! let tier = tier("+14155551234")?;
//! http::Request::post("https://crm.example.com/calls").json(&json!({"tier": tier}))?.send()?;
//! # assert_eq!(tier, "gold");
//! # Ok::<(), hookswitch_sdk::Error>(())
//! ```
//!
//! A request leaves only if `grants.http` of the binding covers its scheme,
//! host, port and method; without that it fails with
//! [`Code::HttpRequestDenied`], an error like any other.
//!
//! **Secrets are not the plugin's.** The host adds the headers that the grant
//! names (`Authorization`, an API key) after the request has left the plugin,
//! which therefore never sees them and cannot leak them.
//!
//! **Only GET and HEAD are redirected**, by the host, which checks every hop
//! like a request of its own.
//!
//! **Time spent waiting is time of the call.** A [`timeout`](Request::timeout)
//! shorter than [`context::remaining`](crate::context::remaining) leaves the
//! plugin time to answer without what it asked for.
//!
//! This is the standard `wasi:http/outgoing-handler` underneath; a plugin that
//! makes no requests does not import it. For unit tests see
//! [`testing::Host::http`](crate::testing::Host::http).

mod error;
mod request;
mod response;

pub(crate) use self::request::Target;
pub use self::{
    error::{Code, Error},
    request::{DEFAULT_MAX_BODY, Request},
    response::Response,
};

/// Asks for a document. For headers, a timeout and the rest see [`Request`].
pub fn get(url: &str) -> Result<Response, Error> {
    Request::get(url).send()
}
