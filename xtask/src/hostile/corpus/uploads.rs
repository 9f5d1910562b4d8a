//! What is refused at upload: no component, a component that cannot be run, and
//! compilers' bombs.

use anyhow::{Context, Result};

use super::{Attack, Bytes, Expected};
use crate::hostile::bombs;
use crate::hostile::target::Materials;

/// A component's first eight bytes.
const HEADER: &[u8] = b"\0asm\x0d\0\x01\0";

pub(super) fn attacks() -> Vec<Attack> {
    let refused = |name, codes| Attack::new(name, Expected::Refused(codes));
    vec![
        refused("text", &["not_wasm"]).of(Bytes::File("text.txt")),
        refused("nothing", &["not_wasm"]).of(Bytes::Made(|| Ok(Vec::new()))),
        refused("core-module", &["core_module"]),
        refused("truncated", &["truncated_component"]).of(Bytes::MadeOf(half_a_plugin)),
        refused("elf", &["not_wasm"]).of(Bytes::Made(elf)),
        refused("compiled-code", &["not_wasm"]).of(Bytes::MadeOf(compiled)),
        refused(
            "compiled-code-disguised",
            &["invalid_component", "truncated_component"],
        )
        .of(Bytes::MadeOf(compiled_as_a_component)),
        refused("outside-import", &["unsupported_import"]),
        refused("other-handler", &["no_known_export"]),
        refused("loop-at-start", &["invalid_component"]),
        refused("too-many-memories", &["needs_too_much"]),
        refused("large-memories", &["invalid_component"]),
        refused("huge-memory", &["needs_too_much"]),
        refused("too-many-tables", &["needs_too_much"]),
        refused("huge-table", &["needs_too_much"]),
        refused("too-many-instances", &["needs_too_much"]).of(Bytes::Made(bombs::instances)),
        refused("bomb-of-branches", &["compile_limit"])
            .of(Bytes::Made(bombs::branches))
            .one_at_a_time(),
        refused("bomb-of-variables", &["compile_limit"])
            .of(Bytes::Made(bombs::variables))
            .one_at_a_time(),
        refused("bomb-of-functions", &["compile_limit"])
            .of(Bytes::Made(bombs::functions))
            .one_at_a_time(),
    ]
}

fn half_a_plugin(materials: &Materials) -> Result<Vec<u8>> {
    let mut plugin = materials.guest("start-gate")?;
    plugin.truncate(plugin.len() / 2);
    Ok(plugin)
}

/// This very program.
fn elf() -> Result<Vec<u8>> {
    let program = std::env::current_exe().context("this program has no file")?;
    let mut bytes = std::fs::read(program).context("this program cannot be read")?;
    bytes.truncate(4 << 20);
    Ok(bytes)
}

/// What the server itself keeps as compiled code.
fn compiled(materials: &Materials) -> Result<Vec<u8>> {
    materials.compiled_code()
}

fn compiled_as_a_component(materials: &Materials) -> Result<Vec<u8>> {
    Ok([HEADER, &materials.compiled_code()?].concat())
}
