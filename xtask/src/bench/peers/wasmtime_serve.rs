//! What runs components already: `wasmtime serve`, of the version of the engine in the
//! server, with `bench/peers/wasi-http`.
//!
//! The program comes from crates.io and takes some ten minutes to build, once.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::Peer;
use crate::bench::programs::Serving;
use crate::bench::report;
use crate::guests::{self, lock, run_within};
use crate::host;

/// Of the line that the server's engine is of.
const VERSION: &str = "^48";
const INSTALL_LIMIT: Duration = Duration::from_hours(1);

pub(in crate::bench) fn start() -> Result<Peer> {
    let program = program()?;
    let folder = host::workspace()?.join("bench/peers/wasi-http");
    let component = guests::apart(&folder, "start-over-http")?;
    let mut wasmtime = Command::new(program);
    wasmtime
        .args(["serve", "-Scli", "--addr", "127.0.0.1:0"])
        .arg(component);
    let serving = Serving::start(wasmtime)?;
    Ok(Peer { serving })
}

fn program() -> Result<PathBuf> {
    let tools = report::folder().join("tools");
    std::fs::create_dir_all(&tools)?;
    let _lock = lock(&tools)?;
    let program = tools.join("bin/wasmtime");
    if !program.is_file() {
        let mut cargo = host::cargo();
        cargo
            .args(["install", "wasmtime-cli", "--locked", "--version", VERSION])
            .arg("--root")
            .arg(&tools)
            .env("CARGO_TARGET_DIR", tools.join("build"));
        run_within(INSTALL_LIMIT, &mut cargo).context("cargo install wasmtime-cli")?;
    }
    let works = Command::new(&program)
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    ensure!(works.is_ok_and(|it| it.success()), "it does not run");
    Ok(program)
}
