//! The plugins of `plugins/` and `tests/guests/`, built once for all tests.

use std::path::PathBuf;
use std::sync::OnceLock;

use xtask::guests::{self, Guests};

/// The component's file.
#[track_caller]
pub(crate) fn path(name: &str) -> PathBuf {
    static GUESTS: OnceLock<Guests> = OnceLock::new();
    GUESTS
        .get_or_init(|| guests::ensure().expect("the guests build"))
        .path(name)
        .expect("a guest of that name")
}

/// The component's bytes.
#[track_caller]
pub(crate) fn component(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).expect("the component can be read")
}
