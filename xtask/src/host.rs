//! Builds the host program and names its file.
//!
//! Neighbours: `demo` starts it, `checks` hands it to the integration tests.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Names a host that is built already; it is used instead of a fresh one.
pub const BINARY_VARIABLE: &str = "HOOKSWITCH_BIN";

/// The folder of the workspace's `Cargo.toml`.
pub fn workspace() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("xtask lies in the workspace")
}

/// The cargo that runs this task, else the one on the path.
///
/// It does not see what cargo tells the programs it runs of their package: some build
/// scripts look at that, and so half of the workspace would be built anew whenever
/// somebody goes from `cargo xtask` to cargo itself and back.
pub fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let told = ["CARGO_PKG_", "CARGO_MANIFEST_"];
        if name
            .to_str()
            .is_some_and(|name| told.iter().any(|it| name.starts_with(it)))
        {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// The host, built with the development profile unless one was named.
pub fn ensure() -> Result<PathBuf> {
    build("dev")
}

/// The host, built with the release profile unless one was named.
pub fn ensure_release() -> Result<PathBuf> {
    build("release")
}

fn build(profile: &str) -> Result<PathBuf> {
    if let Some(binary) = std::env::var_os(BINARY_VARIABLE) {
        return Ok(PathBuf::from(binary));
    }
    // Cargo writes its progress to standard error, where the user sees it.
    let output = cargo()
        .args([
            "build",
            "--package",
            "hookswitch",
            "--profile",
            profile,
            "--message-format=json-render-diagnostics",
        ])
        .current_dir(workspace()?)
        .stderr(Stdio::inherit())
        .output()
        .context("cargo does not run")?;
    ensure!(
        output.status.success(),
        "the host does not build; cargo says why above"
    );
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
        .next_back()
        .context("cargo built the host but names no program")
}
