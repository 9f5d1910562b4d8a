//! Other people's readers of signatures: the packages of Standard Webhooks for Python
//! and Node, by which the tests check what Hookswitch signs.
//!
//! Where a language or the network is missing there is no verifier, and the error says
//! why. Neighbour: `guests::languages` installs its tools in the same way.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::guests::languages::package::{self, Package};
use crate::guests::{lock, repository, target_folder};

/// Pins, and the scripts that call the packages.
const FOLDER: &str = "tests/verifiers";

const PYTHON: Package = Package {
    name: "python",
    needs: "python3",
    pins: &["requirements.txt"],
    install: package::install_with_pip,
};

const NODE: Package = Package {
    name: "node",
    needs: "npm",
    pins: package::NPM_PINS,
    install: package::install_with_npm,
};

/// A program that reads a request as JSON and fails unless its signature is right.
#[derive(Debug)]
pub struct Verifier {
    pub language: &'static str,
    program: PathBuf,
    script: PathBuf,
    /// Where Node looks for packages.
    modules: PathBuf,
}

/// One for each language, or why there is none.
pub fn all() -> Result<Vec<Result<Verifier>>> {
    let root = repository();
    let tools = target_folder(&root).join("verifiers");
    std::fs::create_dir_all(&tools)
        .with_context(|| format!("cannot create {}", tools.display()))?;
    let _lock = lock(&tools)?;
    let python = PYTHON.installed(&root, FOLDER, &tools);
    let node = NODE.installed(&root, FOLDER, &tools);
    let verifier = |language, program: PathBuf, script, folder: &Path| Verifier {
        language,
        program,
        script: root.join(FOLDER).join(script),
        modules: folder.join("node_modules"),
    };
    let python = python
        .map(|folder| verifier("Python", folder.join("bin/python"), "verify.py", &folder))
        .context("no verifier in Python");
    let node = node
        .map(|folder| verifier("Node", PathBuf::from("node"), "verify.cjs", &folder))
        .context("no verifier in Node");
    Ok(vec![python, node])
}

impl Verifier {
    /// Verifies a request: `{"secret", "headers", "body"}`.
    pub fn verify(&self, request: &serde_json::Value) -> Result<()> {
        let mut child = Command::new(&self.program)
            .arg(&self.script)
            .env("NODE_PATH", &self.modules)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} does not start", self.program.display()))?;
        let mut input = child.stdin.take().context("it has no input")?;
        input.write_all(request.to_string().as_bytes())?;
        drop(input);
        let output = child.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{} says: {said}", self.language);
        Ok(())
    }
}
