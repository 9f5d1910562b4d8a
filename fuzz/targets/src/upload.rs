//! Uploaded bytes: what tells a component from everything else, judged by another
//! reader, and refusals that say what to do.

use hookswitch::runtime::Rejection;
use hookswitch::runtime::inspect;
use wasmparser::Parser;

/// Checks the verdict on the bytes' form.
pub fn check(data: &[u8]) {
    let verdict = inspect::check_form(data);
    assert_eq!(verdict.is_ok(), Parser::is_component(data));
    assert_eq!(
        matches!(verdict, Err(Rejection::CoreModule)),
        Parser::is_core_wasm(data)
    );
    assert_eq!(
        matches!(verdict, Err(Rejection::NotWasm)),
        !data.starts_with(b"\0asm")
    );
    if let Err(Rejection::Truncated(length)) = verdict {
        assert_eq!(length, data.len());
    }
}
