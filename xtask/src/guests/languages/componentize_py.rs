//! Python by `componentize-py`, a PyPI package in a virtual environment of its
//! own.

use std::{path::Path, process::Command, time::Duration};

use anyhow::{Context, Result};

use super::{Build, Tool};
use crate::guests::toolchain::run_within;

const INSTALL_LIMIT: Duration = Duration::from_mins(10);

pub(super) const COMPONENTIZE_PY: Tool = Tool {
    name: "componentize-py",
    needs: "python3",
    pins: &["requirements.txt"],
    install,
    build,
};

fn install(pins: &Path, folder: &Path) -> Result<()> {
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv"]).arg(folder);
    run_within(INSTALL_LIMIT, &mut venv).context("python3 -m venv")?;
    let mut pip = Command::new(folder.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check"])
        .arg("--requirement")
        .arg(pins.join("requirements.txt"));
    run_within(INSTALL_LIMIT, &mut pip).context("pip install")
}

fn build(folder: &Path, of: &Build) -> Command {
    let mut command = Command::new(folder.join("bin/componentize-py"));
    command
        .arg("-d")
        .arg(&of.contract)
        .args(["-w", "start-plugin", "componentize", "app", "-o"])
        .arg(&of.component);
    command
}
