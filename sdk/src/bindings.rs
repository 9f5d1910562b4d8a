//! What `wit-bindgen` makes of the contract in `wit/v1`: one world of imports
//! and a world per handler, so that a component exports only the handlers its
//! author named in [`export!`](crate::export!).
//!
//! Nothing outside [`host`](crate::host) and [`exports`](crate::exports) looks
//! in here; both turn these types into the SDK's own.
#![allow(unsafe_code, reason = "the generated code speaks the canonical ABI")]
#![allow(
    missing_debug_implementations,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::pedantic,
    reason = "generated code"
)]

pub mod imports {
    wit_bindgen::generate!({
        path: "../wit/v1",
        world: "imports",
        generate_unused_types: true,
    });
}

/// A world with one handler, whose imports are those of [`imports`].
macro_rules! handler_world {
    ($module:ident, $world:literal, $bindings:literal) => {
        pub mod $module {
            wit_bindgen::generate!({
                path: "../wit/v1",
                world: $world,
                with: {
                    "hookswitch:plugin/types@1.0.0": crate::bindings::imports::hookswitch::plugin::types,
                    "hookswitch:plugin/context@1.0.0": crate::bindings::imports::hookswitch::plugin::context,
                    "hookswitch:plugin/log@1.0.0": crate::bindings::imports::hookswitch::plugin::log,
                    "hookswitch:plugin/config@1.0.0": crate::bindings::imports::hookswitch::plugin::config,
                    "hookswitch:plugin/kv@1.0.0": crate::bindings::imports::hookswitch::plugin::kv,
                },
                pub_export_macro: true,
                default_bindings_module: $bindings,
            });
        }
    };
}

handler_world!(start, "start-plugin", "hookswitch_sdk::bindings::start");
handler_world!(
    transfer,
    "transfer-plugin",
    "hookswitch_sdk::bindings::transfer"
);
handler_world!(tools, "tool-plugin", "hookswitch_sdk::bindings::tools");
handler_world!(event, "event-plugin", "hookswitch_sdk::bindings::event");
