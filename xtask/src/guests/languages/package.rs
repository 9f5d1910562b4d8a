//! A package of another language's registry, in a folder of its own below the target
//! folder: installed once for each version that is pinned.
//!
//! Neighbours: the tools beside this file, and `crate::verifiers`.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use super::empty;
pub(crate) use super::is_on_path;
use crate::guests::{sources::digest_of, toolchain::run_within};

/// The largest has some 340 MB unpacked.
const INSTALL_LIMIT: Duration = Duration::from_mins(10);

/// What is installed, and how.
pub(crate) struct Package {
    /// As it is called, and as its folder is.
    pub(crate) name: &'static str,
    /// Which program must be on the path to install it.
    pub(crate) needs: &'static str,
    /// The files that say which version.
    pub(crate) pins: &'static [&'static str],
    pub(crate) install: fn(pins: &Path, folder: &Path) -> Result<()>,
}

impl Package {
    /// Its folder below `tools`; installs it unless the version that is pinned in
    /// the folder `pins` of the repository is there.
    pub(crate) fn installed(&self, root: &Path, pins: &str, tools: &Path) -> Result<PathBuf> {
        let folder = tools.join(self.name);
        let stamp = folder.join("installed");
        let files: Vec<_> = self
            .pins
            .iter()
            .map(|pin| format!("{pins}/{pin}"))
            .collect();
        let fingerprint = digest_of(root, &files)?;
        if fs::read(&stamp).is_ok_and(|found| found == fingerprint) {
            return Ok(folder);
        }
        ensure!(
            is_on_path(self.needs),
            "there is no {} on the PATH",
            self.needs
        );
        let _ = writeln!(io::stderr(), "Installing {}", self.name);
        empty(&folder)?;
        (self.install)(&root.join(pins), &folder)?;
        fs::write(&stamp, fingerprint)?;
        Ok(folder)
    }
}

/// A virtual environment with what `requirements.txt` says.
pub(crate) fn install_with_pip(pins: &Path, folder: &Path) -> Result<()> {
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv"]).arg(folder);
    run_within(INSTALL_LIMIT, &mut venv).context("python3 -m venv")?;
    let mut pip = Command::new(folder.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check"])
        .arg("--requirement")
        .arg(pins.join("requirements.txt"));
    run_within(INSTALL_LIMIT, &mut pip).context("pip install")
}

pub(crate) const NPM_PINS: &[&str] = &["package.json", "package-lock.json"];

/// A folder `node_modules` with what [`NPM_PINS`] say.
pub(crate) fn install_with_npm(pins: &Path, folder: &Path) -> Result<()> {
    for pin in NPM_PINS {
        fs::copy(pins.join(pin), folder.join(pin)).with_context(|| format!("cannot copy {pin}"))?;
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--no-audit", "--no-fund", "--loglevel=error"])
        .current_dir(folder);
    run_within(INSTALL_LIMIT, &mut npm).context("npm ci")
}
