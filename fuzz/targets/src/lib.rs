//! Fuzz targets: for each way in, a function that takes any bytes and panics when
//! what must hold of them does not.
//!
//! Two runners use them. The tests of this crate run every target over its corpus
//! and over some thousand mutants of it, the same ones each time, on any toolchain
//! (`short`). `cargo xtask fuzz` runs the programs in `fuzz/fuzz_targets`, which
//! libFuzzer guides by coverage, for as long as one likes. How to replay an input
//! and how to add a target: `fuzz/README.md`.
//!
//! A target asserts more than that nothing panics. Reading: [`dialect`],
//! [`payload_json`], [`answers`] (with [`read_error`], what each of their errors
//! owes the reader). Deciding: [`proof`], [`selector`]. Taking in: [`upload`]. Going
//! out: [`egress`], [`header_template`].

// A target's whole business is to panic when something does not hold.
#![allow(clippy::expect_used, clippy::missing_panics_doc)]

pub mod answers;
pub mod dialect;
pub mod egress;
pub mod header_template;
pub mod payload_json;
pub mod proof;
mod read_error;
pub mod selector;
pub mod upload;

#[cfg(test)]
mod short;

/// What must hold of any input.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Names its corpus, its dictionary and its program.
    pub name: &'static str,
    /// Panics when something does not hold.
    pub check: fn(&[u8]),
}

/// The table of targets, and a test of each: none can be without.
macro_rules! targets {
    ($($name:ident: $check:expr;)*) => {
        /// Every target there is.
        pub static TARGETS: &[Target] = &[
            $(Target { name: stringify!($name), check: $check }),*
        ];

        #[cfg(test)]
        mod holds_for_the_corpus_and_its_mutants {
            $(
                #[test]
                fn $name() {
                    crate::short::run(crate::target(stringify!($name)).unwrap());
                }
            )*
        }
    };
}

targets! {
    dasha_parse: dialect::check_dasha;
    dialects: dialect::check_all;
    proof: proof::check;
    selector: selector::check;
    upload: upload::check;
    header_template: header_template::check;
    egress: egress::check;
    answers: answers::check;
    payload_json: payload_json::check;
}

/// The target of that name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().copied().find(|target| target.name == name)
}
