//! The one seam between the SDK and whoever runs the plugin: the imports of the
//! contract on Wasm, a stand-in for unit tests everywhere else. Both sides have
//! the same functions; the public modules ([`config`](crate::config),
//! [`kv`](crate::kv), …) put types on them.

#[cfg(not(target_arch = "wasm32"))]
pub(crate) mod stand_in;
#[cfg(target_arch = "wasm32")]
mod wasm;

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use stand_in::*;
#[cfg(target_arch = "wasm32")]
pub(crate) use wasm::*;
