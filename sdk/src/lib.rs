//! Write Hookswitch plugins in Rust.
//!
//! A plugin is a WebAssembly component that answers a voice platform's
//! webhooks: does this call start, where is it transferred, what does this tool
//! say, who gets to know. This is a whole one, which rejects the callers its
//! settings name and tells the agent what it knows about the others:
//!
//! ```
//! use hookswitch_sdk::{Call, Json, Result, StartDecision, StartHandler, config, json, kv, log};
//!
//! struct Gate;
//!
//! impl StartHandler for Gate {
//!     fn on_start(call: &Call, _agent_config: &Json) -> Result<StartDecision> {
//!         let caller = call.other_party().unwrap_or("unknown");
//!         let blocked: Vec<String> = config::json("blocked")?.unwrap_or_default();
//!         if blocked.iter().any(|number| number == caller) {
//!             log::info!("{caller} is blocked");
//!             return Ok(StartDecision::reject("This number is blocked."));
//!         }
//!         let calls = kv::increment(&format!("calls/{caller}"), 1, None)?;
//!         StartDecision::accept().with_additional_data(json!({ "callsBefore": calls - 1 }))
//!     }
//! }
//! hookswitch_sdk::export!(Gate: start);
//! ```
//!
//! # A plugin's crate
//!
//! ```toml
//! [lib]
//! crate-type = ["cdylib"]
//!
//! [dependencies]
//! hookswitch-sdk = "0.1"
//! serde = { version = "1", features = ["derive"] }   # for types of your own
//! schemars = "1"                                     # for tools
//! ```
//!
//! `cargo build --release --target wasm32-wasip2` makes the component, and
//! plain `cargo test` runs unit tests without Wasm: see [`testing`].
//!
//! # The map
//!
//! | to | look at |
//! |---|---|
//! | decide whether a call starts | [`StartHandler`], [`StartDecision`] |
//! | decide where it is transferred | [`TransferHandler`], [`TransferDecision`] |
//! | answer tools | [`Tool`], [`toolbox!`], [`tools`] |
//! | change, drop or fan out events | [`EventHandler`], [`EventDecision`] |
//! | know the call | [`Call`], and [`context`] for the raw payload and the time |
//! | read settings | [`config`] |
//! | remember something | [`kv`] |
//! | ask another system | [`http`] |
//! | write a log | [`log`] |
//! | test | [`testing`] |
//!
//! # What to know
//!
//! **Each call gets a fresh instance.** Statics start anew every time; what has
//! to outlive a call goes into [`kv`].
//!
//! **Errors and panics are failures of the plugin.** A handler that returns an
//! error, panics or takes too long makes the host answer with the failure
//! verdict that its operator has chosen. [`Error`] takes every error by `?`,
//! `.context("…")` adds to it, [`bail!`] makes one from a message.
//!
//! **What is not imported is not asked for.** A component imports only the host
//! interfaces its code uses, so its imports are what it wants to be granted.
//!
//! # Features
//!
//! `allocator` (on by default): an allocator that fits one call per instance
//! and never frees. Turn it off to bring your own.
//!
//! `output` (on by default): what `std` prints, the message of a panic too, goes
//! straight to the plugin's log. Without it, it takes WASI's streams, whose imports cost
//! every call microseconds. Turn it off if a C library of yours defines `write`,
//! `writev` or `getenv` as well, or if you want to see WASI's environment.

mod allocator;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod bindings;
mod call;
pub mod config;
pub mod context;
mod event;
mod export;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod exports;
mod host;
pub mod http;
mod json;
pub mod kv;
pub mod log;
#[cfg(any(test, target_arch = "wasm32"))]
mod output;
mod start;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
pub mod tools;
mod transfer;

pub use anyhow::{Context, Error, Result, anyhow, bail, ensure};
pub use schemars;
pub use serde_json::{self, json};

pub use self::{
    call::{Call, Sip, Utterance},
    event::{Delivery, Event, EventDecision, EventHandler},
    json::Json,
    start::{Acceptance, StartDecision, StartHandler},
    tools::{Tool, ToolDecision, ToolDescription, ToolHandler},
    transfer::{Target, TransferDecision, TransferHandler},
};
