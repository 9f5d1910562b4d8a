//! Bytes that are no plugin, each in another way.

use crate::guests;

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("the text is WebAssembly")
}

/// A core module: what a toolchain for `wasm32-unknown-unknown` writes.
pub(crate) fn core_module() -> Vec<u8> {
    wat("(module (func (export \"on-start\")))")
}

/// A sound component that exports nothing.
pub(crate) fn exports_nothing() -> Vec<u8> {
    wat("(component)")
}

/// A sound component that exports something, but nothing of the contract.
pub(crate) fn exports_something_else() -> Vec<u8> {
    wat(r#"(component
        (core module $module (func (export "run")))
        (core instance $instance (instantiate $module))
        (func $run (canon lift (core func $instance "run")))
        (instance $handler (export "run" (func $run)))
        (export "acme:other/handler@1.0.0" (instance $handler)))"#)
}

/// A handler's name on an interface that is not that handler's.
pub(crate) fn exports_a_handler_of_another_form() -> Vec<u8> {
    wat(r#"(component
        (core module $module (func (export "run")))
        (core instance $instance (instantiate $module))
        (func $run (canon lift (core func $instance "run")))
        (instance $handler (export "on-start" (func $run)))
        (export "hookswitch:plugin/start-handler@1.0.0" (instance $handler)))"#)
}

/// A component that never comes to the end of its own start.
pub(crate) fn starts_for_ever() -> Vec<u8> {
    wat(r#"(component
        (core module $module
            (func $spin (loop (br 0)))
            (start $spin)
            (func (export "run")))
        (core instance $instance (instantiate $module))
        (func $run (canon lift (core func $instance "run")))
        (instance $handler (export "on-start" (func $run)))
        (export "hookswitch:plugin/start-handler@1.0.0" (instance $handler)))"#)
}

/// A real plugin that imports an interface which the contract does not have.
pub(crate) fn imports_something_unknown() -> Vec<u8> {
    let (known, unknown) = (b"hookswitch:plugin/kv@1.0.0", b"hookswitch:plugin/kw@1.0.0");
    let mut component = guests::component("appointment-tools");
    let mut found = false;
    for start in 0..component.len() - known.len() {
        if component[start..].starts_with(known) {
            component[start..start + known.len()].copy_from_slice(unknown);
            found = true;
        }
    }
    assert!(found, "appointment-tools does not import kv");
    component
}

/// A real plugin of which the second half never arrived.
pub(crate) fn truncated() -> Vec<u8> {
    let mut component = guests::component("start-gate");
    component.truncate(component.len() / 2);
    component
}

/// A component's first bytes, and then a section that none has.
pub(crate) fn garbled() -> Vec<u8> {
    let mut component = exports_nothing();
    component.extend([0x7f, 0x03, 0xff, 0xff, 0xff]);
    component
}

/// What wasmtime's own compiled code looks like: an ELF file.
pub(crate) fn compiled_code() -> Vec<u8> {
    let mut code = b"\x7fELF\x02\x01\x01\x00".to_vec();
    code.resize(4096, 0);
    code
}

/// A handler of a contract that is yet to come.
pub(crate) fn built_against_another_version() -> Vec<u8> {
    wat(r#"(component
        (core module $module (func (export "run")))
        (core instance $instance (instantiate $module))
        (func $run (canon lift (core func $instance "run")))
        (instance $handler (export "on-start" (func $run)))
        (export "hookswitch:plugin/start-handler@2.0.0" (instance $handler)))"#)
}

/// A component of more memories than a sandbox has.
pub(crate) fn needs_many_memories() -> Vec<u8> {
    let memories = "(memory 1)".repeat(20);
    wat(&format!(
        r#"(component
        (core module $module {memories} (func (export "run")))
        (core instance $instance (instantiate $module))
        (func $run (canon lift (core func $instance "run")))
        (instance $handler (export "on-start" (func $run)))
        (export "hookswitch:plugin/start-handler@1.0.0" (instance $handler)))"#
    ))
}

/// A component that takes the compiler some seconds and some hundred megabytes.
pub(crate) fn slow_to_compile() -> Vec<u8> {
    const FUNCTIONS: usize = 40_000;
    // What could be folded together would cost nothing.
    let step = "local.get 0 i32.mul local.get 0 i32.rotl ".repeat(15);
    let function = format!("(func (param i32) (result i32) local.get 0 {step})");
    let functions = function.repeat(FUNCTIONS);
    wat(&format!(
        r#"(component
        (core module $module {functions} (func (export "run")))
        (core instance $instance (instantiate $module))
        (func $run (canon lift (core func $instance "run")))
        (instance $handler (export "on-start" (func $run)))
        (export "hookswitch:plugin/start-handler@1.0.0" (instance $handler)))"#
    ))
}
