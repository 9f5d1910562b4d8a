//! Hookswitch as its users meet it: a process, a store, plugins and sockets.
//!
//! A module per behaviour. The first block is what the tests stand on, the
//! second one is the tests.

#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "shown when a test fails"
)]
#![allow(clippy::panic, clippy::missing_panics_doc)]

mod binary;
mod client;
mod command_line;
mod components;
mod contents;
mod downstream;
mod guests;
mod listener;
mod misbehave;
mod name_server;
mod payload;
mod raw;
mod receiver;
mod server;
mod shape;
mod sink;

mod activation;
mod alerts;
mod apply;
mod bad_input;
mod cli_access;
mod cli_deliveries;
mod cli_live;
mod cli_login;
mod cli_pages;
mod cli_resources;
mod cli_transport;
mod cli_webhook_test;
mod concurrency;
mod configuration;
mod deletion;
mod deliveries;
mod durability;
mod endpoints;
mod faults;
mod first_start;
mod forwarding;
mod hostile;
mod inspection;
mod invoke;
mod isolation;
mod isolation_of_endpoints;
mod jobs;
mod languages;
mod limits;
mod live;
mod memory;
mod notices;
mod operator_log;
mod organizations;
mod origin;
mod outbound;
mod pages;
mod platforms;
mod proof;
mod proxied;
mod questions_forwarded;
mod quotas;
mod rates;
mod rebinding;
mod repeats;
mod resolution;
mod retries;
mod revisions;
mod sandbox_view;
mod sealing;
mod secrets;
mod shapes;
mod shutdown;
mod signatures;
mod simulate;
mod start_calls;
mod timeline;
mod tokens;
mod tolerance;
mod tools;
mod transfers;
mod verdicts;
mod versions;
mod webhook_test;
mod webhook_test_sources;
