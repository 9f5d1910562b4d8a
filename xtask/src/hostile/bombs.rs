//! Small modules that take a compiler very long, or very much memory.
//!
//! Each is plain, valid WebAssembly in which something that is cheap to write down is
//! multiplied by something else. What they took, unlimited, on the two cores of a
//! machine of CI's kind is said at each.

use std::fmt::Write as _;

use anyhow::Result;

use super::component;

/// A thousand blocks in each other, and after each a jump table to all around it:
/// edges grow with the square. 0.9 MB, not compiled within 100 s.
pub(super) fn branches() -> Result<Vec<u8>> {
    const DEPTH: usize = 1_000;
    let mut code = "block ".repeat(DEPTH);
    for depth in (0..DEPTH).rev() {
        code.push_str("local.get 0 br_table");
        for target in 0..=depth {
            let _ = write!(code, " {target}");
        }
        code.push_str(" end local.get 0 i32.const 1 i32.add local.set 0\n");
    }
    component::around(&alone("(param i32)", &code))
}

/// Loops in each other with very many variables that change in the innermost: each
/// loop needs each variable merged. 0.2 MB, 1.4 GB of memory after 25 s, and growing.
pub(super) fn variables() -> Result<Vec<u8>> {
    const DEPTH: usize = 500;
    const VARIABLES: usize = 20_000;
    let mut code = "loop ".repeat(DEPTH);
    for variable in 1..=VARIABLES {
        let other = variable * 7 % VARIABLES + 1;
        let _ = writeln!(
            code,
            "local.get {variable} local.get {other} i32.add local.set {variable}"
        );
    }
    for depth in 1..=DEPTH {
        let _ = write!(code, "local.get {depth} br_if 0 end ");
    }
    let locals = format!("(param i32) (local {})", "i32 ".repeat(VARIABLES));
    component::around(&alone(&locals, &code))
}

/// Nothing clever, only very much: 150,000 functions in 15 MB, four minutes and more.
pub(super) fn functions() -> Result<Vec<u8>> {
    const FUNCTIONS: usize = 150_000;
    let mut functions = String::new();
    for function in 0..FUNCTIONS {
        functions.push_str("(func (param i32) (result i32) local.get 0");
        for step in 1..=20 {
            let _ = write!(functions, " i32.const {} i32.mul", function + step);
        }
        functions.push_str(")\n");
    }
    component::around(&module(&functions))
}

/// Very many instances of one small module.
pub(super) fn instances() -> Result<Vec<u8>> {
    const INSTANCES: usize = 900;
    let copies = "(core instance (instantiate $Copy))\n".repeat(INSTANCES);
    component::around(&format!(
        "(core module $Copy (func (export \"f\")))\n{copies}{}",
        module("")
    ))
}

/// One function that is never called.
fn alone(locals: &str, code: &str) -> String {
    module(&format!("(func (export \"bomb\") {locals} {code})"))
}

/// An attack's module that answers `accept`, with more in it.
fn module(more: &str) -> String {
    format!(
        "(core module $Attack
           (func (export \"on-start\") (param i32) (result i32) (i32.const 0))
           {more})"
    )
}
