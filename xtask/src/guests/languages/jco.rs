//! JavaScript by `jco`, an npm package that brings both engines.

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::{Context, Result};

use super::{Build, Tool};
use crate::guests::toolchain::run_within;

/// Some 340 MB unpacked.
const INSTALL_LIMIT: Duration = Duration::from_mins(10);

pub(super) const JCO: Tool = Tool {
    name: "jco",
    needs: "npm",
    pins: &["package.json", "package-lock.json"],
    install,
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

fn install(pins: &Path, folder: &Path) -> Result<()> {
    for pin in JCO.pins {
        fs::copy(pins.join(pin), folder.join(pin)).with_context(|| format!("cannot copy {pin}"))?;
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--no-audit", "--no-fund", "--loglevel=error"])
        .current_dir(folder);
    run_within(INSTALL_LIMIT, &mut npm).context("npm ci")
}

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
