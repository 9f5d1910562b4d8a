//! What uploaded bytes are, and why they are refused.

use wasmtime::Engine;
use wasmtime::component::Component;

use super::compile::CompileLimit;
use super::v1;
use crate::domain::inspection::{Resources, Tool};

/// Why bytes cannot be a plugin. Every message says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error(
        "these bytes are not WebAssembly: upload the .wasm file that `cargo build --target wasm32-wasip2` made"
    )]
    NotWasm,
    #[error(
        "this is a core module, not a component: build for the target wasm32-wasip2, or wrap it with `wasm-tools component new`"
    )]
    CoreModule,
    #[error("the file ends after {0} bytes, before the component does: upload it again")]
    Truncated(usize),
    #[error("this is not a valid component: {0}")]
    Invalid(String),
    #[error(
        "the component exports no handler of {package}: it must export at least one of start-handler, transfer-handler, tool-handler, event-handler; it exports {exported}",
        package = v1::PACKAGE
    )]
    NoKnownExport { exported: String },
    #[error(
        "the component imports {import}, which a plugin cannot have: it may import the interfaces of {package} and WASI 0.2 ({problem})",
        package = v1::PACKAGE
    )]
    UnsupportedImport { import: String, problem: String },
    #[error(
        "{handler} has another form than in {package}: build against that contract ({problem})",
        package = v1::PACKAGE
    )]
    WrongHandler {
        handler: &'static str,
        problem: String,
    },
    #[error(
        "the component is built against {found}, which this server does not know: build it against {package}",
        package = v1::PACKAGE
    )]
    WrongVersion { found: String },
    #[error("the component fits no sandbox: {0}; build it from fewer or smaller modules")]
    NeedsTooMuch(String),
    #[error("the component cannot be started: {0}")]
    CannotStart(String),
    #[error("the list of the plugin's tools cannot be used: {0}")]
    BadTools(String),
    #[error(
        "the component cannot be compiled within the operator's limits: {0}; make it smaller, or ask the operator"
    )]
    CompileLimit(CompileLimit),
    #[error("too many components wait to be compiled or tried: upload it again later")]
    Busy,
    #[error("the compiler failed on this component")]
    CompilerFailed,
    #[error("the compiler cannot be run; the operator's log says why")]
    CompilerUnavailable,
}

/// What all WebAssembly begins with.
pub const MAGIC: &[u8] = b"\0asm";

/// Tells a component from everything else by its first eight bytes, and a whole one
/// from one that is cut off by the lengths of its sections.
pub fn check_form(bytes: &[u8]) -> Result<(), Rejection> {
    const MODULE: [u8; 4] = [1, 0, 0, 0];
    const COMPONENT: [u8; 4] = [0x0d, 0, 1, 0];
    if !bytes.starts_with(MAGIC) {
        return Err(Rejection::NotWasm);
    }
    match bytes.get(4..8) {
        None => Err(Rejection::Truncated(bytes.len())),
        Some(version) if version == MODULE => Err(Rejection::CoreModule),
        Some(version) if version == COMPONENT && is_cut_off(&bytes[8..]) => {
            Err(Rejection::Truncated(bytes.len()))
        }
        Some(version) if version == COMPONENT => Ok(()),
        Some(version) => Err(Rejection::Invalid(format!(
            "its header has the unknown version {}",
            hex::encode(version)
        ))),
    }
}

/// Whether the last section has fewer bytes than it says. What a reader makes of the
/// rest depends on where it ends; this does not.
fn is_cut_off(mut sections: &[u8]) -> bool {
    while let Some((_id, rest)) = sections.split_first() {
        let Some(rest) = length(rest).and_then(|(length, rest)| rest.get(length..)) else {
            return true;
        };
        sections = rest;
    }
    false
}

/// A section's length, in LEB128, and what follows it.
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut length = 0;
    // Five times seven bits hold any length of 32.
    for (at, byte) in bytes.iter().take(5).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((length, &bytes[at + 1..]));
        }
    }
    None
}

/// Tells a file that is cut off from one that is wrong: wasmparser says so only in
/// its text.
pub(super) fn not_compiled(error: &wasmtime::Error, size: usize) -> Rejection {
    let problem = format!("{error:#}");
    if problem.contains("unexpected end") || problem.contains("out of bounds (bound = ") {
        return Rejection::Truncated(size);
    }
    Rejection::Invalid(problem)
}

/// An interface of the contract in a version that this host does not know.
pub(super) fn check_contract(component: &Component, engine: &Engine) -> Result<(), Rejection> {
    let (name, version) = v1::PACKAGE.split_once('@').unwrap_or((v1::PACKAGE, ""));
    let exports = component.component_type();
    let exports = exports.exports(engine).map(|(name, _)| name.to_owned());
    let other = imports(component, engine)
        .into_iter()
        .chain(exports)
        .filter(|interface| interface.split('/').next() == Some(name))
        .find(|interface| interface.split('@').nth(1) != Some(version));
    match other {
        Some(found) => Err(Rejection::WrongVersion { found }),
        None => Ok(()),
    }
}

/// What the component takes before it runs. None if that depends on what it is
/// linked with.
pub(super) fn resources(component: &Component) -> Option<Resources> {
    const PAGE: u64 = 64 << 10;
    let required = component.resources_required()?;
    Some(Resources {
        memories: required.num_memories,
        initial_memory_bytes: required.max_initial_memory_size.unwrap_or(0) * PAGE,
        tables: required.num_tables,
        initial_table_elements: required.max_initial_table_size.unwrap_or(0),
    })
}

/// Checks what a plugin says about its tools.
pub(super) fn check_tools(tools: &[Tool]) -> Result<(), Rejection> {
    let bad = |problem| Err(Rejection::BadTools(problem));
    if tools.len() > Tool::MAX {
        return bad(format!(
            "it has {}, at most {} can be",
            tools.len(),
            Tool::MAX
        ));
    }
    for (at, tool) in tools.iter().enumerate() {
        if !Tool::is_name(&tool.name) || tool.name.len() > Tool::MAX_NAME {
            return bad(format!(
                "the name of tool {at} must match ^[a-zA-Z_][a-zA-Z0-9_]*$ and have at most {} bytes",
                Tool::MAX_NAME
            ));
        }
        if tools[..at].iter().any(|before| before.name == tool.name) {
            return bad(format!("{} is there twice", tool.name));
        }
        if tool.description.len() > Tool::MAX_DESCRIPTION {
            return bad(format!(
                "the description of {} has more than {} bytes",
                tool.name,
                Tool::MAX_DESCRIPTION
            ));
        }
        if !crate::domain::is_object(&tool.input_schema) {
            return bad(format!(
                "the input-schema of {} must be a JSON object",
                tool.name
            ));
        }
    }
    Ok(())
}

/// Finds the import that could not be linked, for the message.
pub(super) fn not_linked(
    component: &Component,
    engine: &Engine,
    error: &wasmtime::Error,
) -> Rejection {
    let problem = format!("{error:#}");
    let import = imports(component, engine)
        .into_iter()
        .find(|import| problem.contains(&format!("`{import}`")))
        .unwrap_or_else(|| "something".to_owned());
    Rejection::UnsupportedImport { import, problem }
}

pub(super) fn no_known_export(component: &Component, engine: &Engine) -> Rejection {
    let mut exported: Vec<String> = component
        .component_type()
        .exports(engine)
        .map(|(name, _)| name.to_owned())
        .collect();
    exported.sort();
    let exported = if exported.is_empty() {
        "nothing".to_owned()
    } else {
        exported.join(", ")
    };
    Rejection::NoKnownExport { exported }
}

pub(super) fn imports(component: &Component, engine: &Engine) -> Vec<String> {
    let mut imports: Vec<String> = component
        .component_type()
        .imports(engine)
        .map(|(name, _)| name.to_owned())
        .collect();
    imports.sort();
    imports
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(name: &str, description: &str, schema: &str) -> Tool {
        Tool {
            name: name.to_owned(),
            description: description.to_owned(),
            input_schema: serde_json::value::RawValue::from_string(schema.to_owned()).unwrap(),
        }
    }

    #[test]
    fn a_list_of_tools_that_cannot_be_used_is_explained() {
        let book = || tool("book", "Books.", "{}");
        assert_eq!(check_tools(&[]), Ok(()));
        assert_eq!(check_tools(&[book(), tool("_b2", "", "{}")]), Ok(()));
        let long = "x".repeat(Tool::MAX_NAME + 1);
        let words = "x".repeat(Tool::MAX_DESCRIPTION + 1);
        for (tools, said) in [
            (vec![tool("2b", "", "{}")], "name of tool 0"),
            (vec![book(), tool("a-b", "", "{}")], "name of tool 1"),
            (vec![tool(&long, "", "{}")], "at most 128 bytes"),
            (vec![book(), book()], "book is there twice"),
            (vec![tool("b", &words, "{}")], "description of b"),
            (vec![tool("b", "", "[]")], "input-schema of b"),
            (vec![book(); Tool::MAX + 1], "at most 256"),
        ] {
            let refused = check_tools(&tools).unwrap_err().to_string();
            assert!(refused.contains(said), "{said:?}: {refused}");
        }
    }

    #[test]
    fn only_a_components_header_passes() {
        let cases: [(&[u8], Result<(), Rejection>); 6] = [
            (b"", Err(Rejection::NotWasm)),
            (b"hello there", Err(Rejection::NotWasm)),
            (b"\x7fELF\x02\x01\x01\0", Err(Rejection::NotWasm)),
            (b"\0asm", Err(Rejection::Truncated(4))),
            (b"\0asm\x01\0\0\0", Err(Rejection::CoreModule)),
            (b"\0asm\x0d\0\x01\0", Ok(())),
        ];
        for (bytes, wanted) in cases {
            assert_eq!(check_form(bytes), wanted, "{bytes:?}");
        }
    }

    #[test]
    fn a_component_that_is_cut_off_within_a_section_is_told() {
        let whole = wat::parse_str(
            r#"(component
              (core module $m (func (export "f") (result i32) i32.const 7))
              (core instance $i (instantiate $m))
              (func (export "f") (result u32) (canon lift (core func $i "f"))))"#,
        )
        .unwrap();
        assert_eq!(check_form(&whole), Ok(()));
        // Within the module: its functions are there and their code is not.
        assert_eq!(check_form(&whole[..29]), Err(Rejection::Truncated(29)));
        let last = whole.len() - 1;
        assert_eq!(check_form(&whole[..last]), Err(Rejection::Truncated(last)));
    }
}
