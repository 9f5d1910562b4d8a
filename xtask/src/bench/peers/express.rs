//! What people write instead: `bench/peers/express`, with Express from npm and the Node
//! that is there, or that Debian has.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::Peer;
use crate::bench::programs::Serving;
use crate::bench::report;
use crate::bench::subject::KEY;
use crate::guests::languages::package::{self, Package};
use crate::guests::{lock, repository, run_within};

const FOLDER: &str = "bench/peers/express";

const EXPRESS: Package = Package {
    name: "express",
    needs: "npm",
    pins: package::NPM_PINS,
    install: package::install_with_npm,
};

const INSTALL_LIMIT: Duration = Duration::from_mins(5);

/// How much of the documentation's handler it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::bench) enum Handler {
    /// All of it: as the server is asked, requests are proven, and something is kept.
    Whole,
    /// Neither its check of the signature nor its log line.
    Light,
}

pub(in crate::bench) fn start(handler: Handler) -> Result<Peer> {
    let root = repository();
    let tools = report::folder().join("tools");
    std::fs::create_dir_all(&tools)?;
    let _lock = lock(&tools)?;
    if !package::is_on_path("npm") {
        install_node().context("there is no Node, and apt-get does not bring it")?;
    }
    let folder = EXPRESS.installed(&root, FOLDER, &tools)?;
    let mut node = Command::new("node");
    node.arg(root.join(FOLDER).join("server.js"))
        .env("NODE_ENV", "production")
        .env("WEBHOOK_SECRET", KEY)
        .env("LIGHT", if handler == Handler::Light { "1" } else { "0" })
        .env("NODE_PATH", folder.join("node_modules"));
    let serving = Serving::start(node)?;
    Ok(Peer { serving })
}

/// As root on Debian, as on CI's machines. Everybody else installs it themselves.
fn install_node() -> Result<()> {
    let apt_get = Path::new("/usr/bin/apt-get");
    for arguments in [
        ["update", "--quiet"].as_slice(),
        &[
            "install",
            "--yes",
            "--no-install-recommends",
            "nodejs",
            "npm",
        ],
    ] {
        let mut command = Command::new(apt_get);
        command
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive");
        run_within(INSTALL_LIMIT, &mut command)?;
    }
    Ok(())
}
