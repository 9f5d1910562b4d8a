//! The sandbox: components in, opinions out.
//!
//! [`engine`] configures Wasmtime once for the process, [`inspect`] decides at
//! upload whether bytes are a plugin, [`compile`] compiles them in a child process,
//! [`compiled`] keeps compiled forms on disk,
//! [`loaded`] keeps plugins ready in memory, [`warmth`] takes back what those hold that
//! nobody calls, [`admission`] is the fair queue in front of the pool, and [`invoke`]
//! makes one fresh instance for one call and takes it away again; who takes long has its
//! time counted by [`cpu`] and goes on in the [`slow_lane`], behind all others
//! ([`crate::priority`]). What a guest may reach is in [`capability`], one import each,
//! and its connections live in [`connections`]; [`v1`] is the contract's first version at
//! the engine's edge.
//!
//! Only this module knows Wasmtime. It knows neither dialects nor the store: `call`
//! hands it a [`capability::kv::KeyValue`] and the bytes of components.

mod admission;
pub mod capability;
pub mod compile;
pub mod compiled;
mod connections;
mod cpu;
pub mod engine;
pub mod inspect;
pub mod invoke;
pub mod limits;
pub mod loaded;
mod slow_lane;
mod v1;
mod warmth;

pub use self::compile::CompileOptions;
pub use self::engine::{EngineOptions, Runtime, StartError};
pub use self::inspect::Rejection;
pub use self::invoke::{Context, Grants, Input, Ran};
pub use self::loaded::{LoadError, Loaded};
