//! The ordinary way: the target of the Rust that is in use anyway, as rustup
//! (or a distribution that packages the target) installs it.

use std::{path::Path, process::Command, time::Duration};

use anyhow::{Context, Result};

use super::{FLAGS, TARGET, Toolchain, run_within};
use crate::guests::environment::without_outer_cargo;

pub(super) const INSTALL: &str = "rustup target add wasm32-wasip2";

/// A download of some 25 MB, or a server that cannot be reached.
const INSTALL_LIMIT: Duration = Duration::from_mins(2);

pub(super) fn installed(sysroot: &Path) -> Option<Toolchain> {
    let library = sysroot.join("lib/rustlib").join(TARGET).join("lib");
    library.is_dir().then(|| Toolchain {
        name: "the target wasm32-wasip2 of this Rust",
        cargo: sysroot.join("bin/cargo"),
        rustc: sysroot.join("bin/rustc"),
        arguments: Vec::new(),
        environment: vec![("RUSTFLAGS", FLAGS.to_owned())],
        unset: Vec::new(),
    })
}

pub(super) fn install(sysroot: &Path) -> Result<()> {
    // rustup names a toolchain's folder after the toolchain.
    let toolchain = sysroot
        .file_name()
        .context("this Rust is not one of rustup's")?;
    let mut command = Command::new("rustup");
    without_outer_cargo(&mut command)
        .args(["target", "add", "--toolchain"])
        .arg(toolchain)
        .arg(TARGET)
        .env("RUSTUP_MAX_RETRIES", "1");
    run_within(INSTALL_LIMIT, &mut command)
}
