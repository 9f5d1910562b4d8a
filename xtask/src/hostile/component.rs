//! Attacks as text, made into the bytes that are uploaded.
//!
//! A file of `tests/hostile/` is a whole component, a core module, or an attack's core
//! module alone; that one is put into the component of `prelude.wat`, which has the
//! contract's types and the host's imports.

use anyhow::{Context, Result};

const PRELUDE: &str = include_str!("prelude.wat");

/// Where the attack goes in the prelude.
const MARK: &str = ";;; ATTACK";

/// The binary form of an attack's text.
pub(super) fn from_text(text: &str) -> Result<Vec<u8>> {
    let whole = text
        .lines()
        .any(|line| line.starts_with("(component") || line.starts_with("(module"));
    if whole {
        wat::parse_str(text).context("the text is no WebAssembly")
    } else {
        around(text)
    }
}

/// The component around a core module `$Attack`.
pub(super) fn around(attack: &str) -> Result<Vec<u8>> {
    wat::parse_str(PRELUDE.replace(MARK, attack)).context("the attack is no WebAssembly")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attack_is_put_into_a_component() {
        let text = "(core module $Attack
            (func (export \"on-start\") (param i32) (result i32) (i32.const 0)))";
        let bytes = from_text(text).unwrap();
        assert_eq!(bytes[..8], *b"\0asm\x0d\0\x01\0");
    }

    #[test]
    fn a_whole_module_stays_as_it_is() {
        assert_eq!(from_text("(module)").unwrap(), *b"\0asm\x01\0\0\0");
    }
}
