//! Snapshots of what is public: the same answer must come in the same form for
//! ever. What differs from run to run is checked for its form and masked.
//!
//! `cargo insta review` (or `INSTA_UPDATE=always`) accepts a change; `cargo xtask
//! test` refuses one.

#![expect(clippy::needless_pass_by_value, reason = "insta's form of a redaction")]

use insta::internals::{Content, ContentPath};

/// The masks for all that no two runs share.
pub(crate) fn settings() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.set_sort_maps(true);
    settings.add_filter(r"\b(evt|src|bnd|dlv|ep|job)_[0-9A-Za-z-]{16,}", "${1}_[id]");
    // Where a guest panicked is a matter of its build.
    settings.add_filter(r#"thread '[^']*'( \(\d+\))? panicked at [^"]*"#, "[panic]");
    settings.add_filter(r"\bsha256:[0-9a-f]{64}\b", "sha256:[digest]");
    for time in [
        "at",
        "created_at",
        "received_at",
        "decided_at",
        "updated_at",
        "started_at",
    ] {
        settings.add_dynamic_redaction(&format!(".**.{time}"), time_of_day);
    }
    for time in ["due_at", "ended_at", "last_attempt_at"] {
        settings.add_dynamic_redaction(&format!(".**.{time}"), time_or_null);
    }
    // A verdict that nobody was asked about takes less than a microsecond.
    settings.add_dynamic_redaction(".**.elapsed_us", number);
    settings.add_dynamic_redaction(".timeTaken", number);
    for number in [
        "size",
        "compile_ms",
        "resources.initial_memory_bytes",
        "resources.initial_table_elements",
        "invocations[].memory_bytes",
    ] {
        settings.add_dynamic_redaction(&format!(".**.{number}"), positive);
    }
    settings.add_dynamic_redaction(".**.seed", seed);
    settings.add_dynamic_redaction(".**.next_cursor", cursor);
    settings
}

/// Compares a JSON value with the committed snapshot of that name.
macro_rules! assert_shape {
    ($name:expr, $value:expr) => {{
        let name = $name;
        let value = &$value;
        crate::shape::settings().bind(|| insta::assert_json_snapshot!(name, value));
    }};
}
pub(crate) use assert_shape;

pub(crate) fn time_of_day(value: Content, path: ContentPath<'_>) -> Content {
    let text = value
        .as_str()
        .unwrap_or_else(|| panic!("{path} is no text"));
    let form: String = text
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    assert_eq!(
        form, "0000-00-00T00:00:00.000Z",
        "{path} is a time in UTC, in milliseconds"
    );
    "[time]".into()
}

fn time_or_null(value: Content, path: ContentPath<'_>) -> Content {
    if value.is_nil() {
        value
    } else {
        time_of_day(value, path)
    }
}

fn positive(value: Content, path: ContentPath<'_>) -> Content {
    assert!(
        value.as_u64().is_some_and(|number| number > 0),
        "{path} is no number above 0"
    );
    "[number]".into()
}

fn number(value: Content, path: ContentPath<'_>) -> Content {
    assert!(value.as_u64().is_some(), "{path} is no number");
    "[number]".into()
}

fn seed(value: Content, path: ContentPath<'_>) -> Content {
    let hexadecimal = |text: &str| text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
    assert!(
        value.as_str().is_some_and(hexadecimal),
        "{path} is no seed of 128 bits"
    );
    "[seed]".into()
}

fn cursor(value: Content, _: ContentPath<'_>) -> Content {
    if value.as_str().is_some() {
        "[cursor]".into()
    } else {
        value
    }
}
