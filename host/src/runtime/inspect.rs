//! What uploaded bytes are, and why they are refused.

use wasmtime::Engine;
use wasmtime::component::Component;

use super::v1;

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
    #[error("the component cannot be started: {0}")]
    CannotStart(String),
    #[error("no sandbox became free to try the component in: upload it again later")]
    Busy,
    #[error("the compiler failed on this component")]
    CompilerFailed,
}

/// Tells a component from everything else by its first eight bytes.
pub(super) fn check_form(bytes: &[u8]) -> Result<(), Rejection> {
    const MAGIC: &[u8] = b"\0asm";
    const MODULE: [u8; 4] = [1, 0, 0, 0];
    const COMPONENT: [u8; 4] = [0x0d, 0, 1, 0];
    if !bytes.starts_with(MAGIC) {
        return Err(Rejection::NotWasm);
    }
    match bytes.get(4..8) {
        None => Err(Rejection::Truncated(bytes.len())),
        Some(version) if version == MODULE => Err(Rejection::CoreModule),
        Some(version) if version == COMPONENT => Ok(()),
        Some(version) => Err(Rejection::Invalid(format!(
            "its header has the unknown version {}",
            hex::encode(version)
        ))),
    }
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
}
