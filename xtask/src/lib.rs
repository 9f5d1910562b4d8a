//! What the README calls. The commands are here as a library, so that tests and
//! the demo use the same guests that `cargo xtask guests` builds.

mod api;
pub mod bench;
pub mod checks;
pub mod demo;
pub mod faults;
pub mod fuzz;
pub mod guests;
pub mod host;
pub mod hostile;
pub mod schemathesis;
mod server;
mod terminal;
pub mod verifiers;
