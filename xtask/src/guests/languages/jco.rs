//! JavaScript by `jco`, an npm package that brings both engines.

use std::{path::Path, process::Command};

use super::{
    Build, Tool,
    package::{NPM_PINS, Package, install_with_npm},
};

pub(super) const JCO: Tool = Tool {
    package: Package {
        name: "jco",
        needs: "npm",
        pins: NPM_PINS,
        install: install_with_npm,
    },
    build,
};

/// Small and quick to start; without WASI, which this engine's build stubs.
pub(super) const QUICKJS: &[&str] = &[
    "--backend",
    "quickjs",
    "--backend-qjs-disable-async",
    "--backend-qjs-stub-wasi",
];
/// The Web's APIs, without `fetch` and what it imports.
pub(super) const STARLINGMONKEY: &[&str] = &["--disable", "http", "fetch-event"];
/// With `fetch`, but not as an HTTP server.
pub(super) const STARLINGMONKEY_WITH_FETCH: &[&str] = &["--disable", "fetch-event"];

fn build(folder: &Path, of: &Build) -> Command {
    let mut command = Command::new(folder.join("node_modules/.bin/jco"));
    command
        .args(["componentize", "start.js", "-n", "start-plugin"])
        .arg("--wit")
        .arg(&of.contract)
        .arg("-o")
        .arg(&of.component);
    command
}
