//! The way of machines that reach Debian's mirror but not rustup's server:
//! Debian 12 packages a current Rust beside its old one, with the library's
//! source, from which the library is built for the target.
//!
//! The packages bring no linker for components. That one comes from the Rust
//! that is in use anyway: every rustup toolchain has it.

use std::{
    env, fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use super::{FLAGS, Toolchain, run_within};

pub(super) const INSTALL: &str =
    "apt-get install -y --no-install-recommends rustc-web cargo-web rust-web-src wasi-libc";

const CARGO: &str = "/usr/bin/cargo";
const RUSTC: &str = "/usr/bin/rustc";
const APT_GET: &str = "/usr/bin/apt-get";
const LIBRARY_SOURCE: &str = "/usr/lib/rustlib/src/rust/library/std/Cargo.toml";
const WASI_LIBC: &str = "/usr/lib/wasm32-wasi";
const PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "wasi-libc"];

const INSTALL_LIMIT: Duration = Duration::from_mins(10);

pub(super) fn installed(sysroot: &Path) -> Option<Toolchain> {
    let packages = [CARGO, RUSTC, LIBRARY_SOURCE, WASI_LIBC];
    if !packages.iter().all(|path| Path::new(path).exists()) {
        return None;
    }
    let linker = linker_folder(sysroot)?;
    let mut path = vec![PathBuf::from("/usr/bin")];
    path.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    path.extend([linker.clone(), linker.join("gcc-ld")]);
    Some(Toolchain {
        name: "Debian's rustc-web",
        cargo: CARGO.into(),
        rustc: RUSTC.into(),
        arguments: vec!["-Zbuild-std=std,panic_abort"],
        environment: vec![
            ("PATH", env::join_paths(path).ok()?.into_string().ok()?),
            // Building the library from source is not yet a stable option.
            ("RUSTC_BOOTSTRAP", "1".to_owned()),
            (
                "RUSTFLAGS",
                format!("-Clink-self-contained=no -Lnative={WASI_LIBC} {FLAGS}"),
            ),
        ],
        // `cargo run` puts the libraries of its own compiler in front.
        unset: vec!["LD_LIBRARY_PATH"],
    })
}

pub(super) fn install(_sysroot: &Path) -> Result<()> {
    ensure!(Path::new(APT_GET).exists(), "there is no apt-get here");
    let is_root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    ensure!(is_root, "only root can install packages");
    let apt_get = |arguments: &[&str]| {
        let mut command = Command::new(APT_GET);
        command
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive");
        run_within(INSTALL_LIMIT, &mut command)
    };
    apt_get(&["update"]).context("apt-get update")?;
    apt_get(
        &[
            &["install", "-y", "--no-install-recommends"],
            PACKAGES.as_slice(),
        ]
        .concat(),
    )
}

/// The folder with `wasm-component-ld`, below the Rust that is in use.
fn linker_folder(sysroot: &Path) -> Option<PathBuf> {
    let hosts = fs::read_dir(sysroot.join("lib/rustlib")).ok()?;
    let folders = hosts.filter_map(|host| Some(host.ok()?.path().join("bin")));
    folders
        .into_iter()
        .find(|folder| folder.join("wasm-component-ld").is_file())
}
