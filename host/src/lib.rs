//! Hookswitch: a WebAssembly plugin host for user-defined webhook logic.
//!
//! The map, in reading order. A module may use those below it and none above;
//! `ingest`, `runtime` and `store` do not know each other. See
//! `docs/architecture.md`.

pub mod cli;

pub mod app;
pub mod config;
pub mod telemetry;

pub mod delivery;
pub mod http;
pub mod notices;
pub mod pruning;

pub mod call;

pub mod live;

pub mod ingest;
pub mod runtime;
pub mod store;

pub mod dispatch;

pub mod egress;

pub mod json;

mod priority;

pub mod domain;

#[cfg(test)]
mod architecture;
