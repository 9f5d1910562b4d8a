//! Python by `componentize-py`, a PyPI package in a virtual environment of its
//! own.

use std::{path::Path, process::Command};

use super::{
    Build, Tool,
    package::{Package, install_with_pip},
};

pub(super) const COMPONENTIZE_PY: Tool = Tool {
    package: Package {
        name: "componentize-py",
        needs: "python3",
        pins: &["requirements.txt"],
        install: install_with_pip,
    },
    build,
};

fn build(folder: &Path, of: &Build) -> Command {
    let mut command = Command::new(folder.join("bin/componentize-py"));
    command
        .arg("-d")
        .arg(&of.contract)
        .args(["-w", "start-plugin", "componentize", "app", "-o"])
        .arg(&of.component);
    command
}
