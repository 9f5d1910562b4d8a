//! Uploaded bytes: what tells a component from everything else, and a file that is
//! cut off from one that is whole. Judged by another reader, Wasmtime's own.

use std::collections::BTreeSet;

use hookswitch::runtime::Rejection;
use hookswitch::runtime::inspect;
use wasmparser::{Parser, Payload, Validator};

/// Places where a component is cut.
const CUTS: usize = 16;
/// The magic and the version.
const HEADER: usize = 8;

/// Checks what is said about the bytes' form.
pub fn check(data: &[u8]) {
    form(data);
    // The other reader lets the last module within a component end early, so it may
    // take for whole what is not.
    if inspect::check_form(data).is_err() || Validator::new().validate_all(data).is_err() {
        return;
    }
    let ends = section_ends(data);
    let cuts = (1..=CUTS).map(|cut| data.len() * cut / (CUTS + 1));
    for cut in cuts.chain(ends.iter().copied()).chain([data.len() - 1]) {
        let beginning = &data[..cut];
        form(beginning);
        if cut >= HEADER {
            assert_eq!(
                inspect::check_form(beginning).is_ok(),
                cut == HEADER || ends.contains(&cut),
                "{cut} of {} bytes",
                data.len()
            );
        }
    }
}

fn form(data: &[u8]) {
    let verdict = inspect::check_form(data);
    let component = Parser::is_component(data);
    assert!(component || verdict.is_err());
    if component {
        assert!(matches!(verdict, Ok(()) | Err(Rejection::Truncated(_))));
    }
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

/// Where the component's own sections end, not those of what is within it.
fn section_ends(component: &[u8]) -> BTreeSet<usize> {
    let mut depth = 0;
    let mut ends = BTreeSet::new();
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload.expect("it was found valid");
        if let (0, Some((_, range))) = (depth, payload.as_section()) {
            ends.insert(range.end);
        }
        match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) if depth > 0 => depth -= 1,
            _ => {}
        }
    }
    ends
}
