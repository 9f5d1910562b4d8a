//! Turning a type into a component: [`export!`](crate::export!).

/// Exports a type's handlers: `export!(MyPlugin: start, tools);`
///
/// Names the handlers the component offers, any of `start`
/// ([`StartHandler`](crate::StartHandler)), `transfer`
/// ([`TransferHandler`](crate::TransferHandler)), `tools`
/// ([`ToolHandler`](crate::ToolHandler)) and `event`
/// ([`EventHandler`](crate::EventHandler)). The host finds out at upload which
/// they are, and asks for no others.
///
/// Off Wasm the macro only checks that the handlers are implemented, so that
/// unit tests build.
#[macro_export]
macro_rules! export {
    ($plugin:ident: $($handler:ident),+ $(,)?) => {
        $($crate::__export_handler!($plugin, $handler);)+
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_handler {
    ($plugin:ident, start) => {
        $crate::__export_handler!($plugin, start, StartHandler, StartExport);
    };
    ($plugin:ident, transfer) => {
        $crate::__export_handler!($plugin, transfer, TransferHandler, TransferExport);
    };
    ($plugin:ident, tools) => {
        $crate::__export_handler!($plugin, tools, ToolHandler, ToolExport);
    };
    ($plugin:ident, event) => {
        $crate::__export_handler!($plugin, event, EventHandler, EventExport);
    };
    ($plugin:ident, $unknown:ident) => {
        ::core::compile_error!(::core::concat!(
            "`",
            ::core::stringify!($unknown),
            "` is no handler; there are `start`, `transfer`, `tools` and `event`"
        ));
    };
    ($plugin:ident, $module:ident, $handler:ident, $export:ident) => {
        const _: () = {
            const fn implements_its_handler<P: $crate::$handler>() {}
            implements_its_handler::<$plugin>();
        };
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type Export = $crate::exports::$export<$plugin>;
    $crate::bindings::$module::export!(Export with_types_in $crate::bindings::$module);
        };
    };
}
