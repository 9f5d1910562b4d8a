//! Running the build, and putting the components where everybody looks.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

use super::toolchain::{TARGET, Toolchain};

/// Builds every guest and copies the components to their places.
///
/// All guests share one target folder, so that the standard library and the SDK
/// are compiled once.
pub(super) fn build(
    toolchain: &Toolchain,
    root: &Path,
    folder: &Path,
    components: &BTreeMap<String, PathBuf>,
) -> Result<()> {
    let _ = writeln!(
        io::stderr(),
        "Building {} guests with {}",
        components.len(),
        toolchain.name
    );
    let built = run(toolchain, &root.join("plugins"), folder)?;
    for (guest, component) in components {
        replace(component, &file_of(&built, guest))?;
    }
    Ok(())
}

/// Builds one component from a workspace of its own, with the same library.
pub(super) fn build_apart(
    toolchain: &Toolchain,
    workspace: &Path,
    folder: &Path,
    package: &str,
) -> Result<PathBuf> {
    let built = run(toolchain, workspace, folder)?;
    Ok(file_of(&built, package))
}

/// Where what was built is.
fn run(toolchain: &Toolchain, workspace: &Path, folder: &Path) -> Result<PathBuf> {
    let target = folder.join("build");
    let mut cargo = toolchain.cargo_build();
    let status = cargo
        .current_dir(workspace)
        .env("CARGO_TARGET_DIR", &target)
        .status()
        .with_context(|| format!("cannot run {}", cargo.get_program().display()))?;
    ensure!(status.success(), "the guests do not build: {status}");
    Ok(target.join(TARGET).join("release"))
}

fn file_of(built: &Path, package: &str) -> PathBuf {
    built.join(format!("{}.wasm", package.replace('-', "_")))
}

/// Puts a copy in place of the old component at once: a test that is reading
/// the old one keeps it whole.
fn replace(component: &Path, built: &Path) -> Result<()> {
    let beside = component.with_extension("wasm.new");
    fs::copy(built, &beside).with_context(|| {
        format!(
            "cannot copy {}; is its folder named as its package?",
            built.display()
        )
    })?;
    fs::rename(&beside, component)
        .with_context(|| format!("cannot replace {}", component.display()))
}
