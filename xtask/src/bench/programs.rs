//! The programs of a run: built in release, started, asked, ended.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::host::{self, BINARY_VARIABLE};

/// A program that was started says where it listens before that.
const START_LIMIT: Duration = Duration::from_secs(30);

/// Where the programs are.
#[derive(Debug)]
pub(super) struct Programs {
    folder: PathBuf,
    /// The server's.
    pub(super) host: PathBuf,
}

impl Programs {
    /// Builds all of them with the same settings; takes minutes the first time.
    pub(super) fn build() -> Result<Self> {
        let named = std::env::var_os(BINARY_VARIABLE);
        let mut cargo = host::cargo();
        cargo.args(["build", "--release", "--package", "hookswitch-bench"]);
        if named.is_none() {
            cargo.args(["--package", "hookswitch"]);
        }
        let built = cargo.current_dir(host::workspace()?).status();
        let built = built.context("cargo does not run")?;
        ensure!(built.success(), "it does not build; cargo says why above");
        let root = host::workspace()?;
        let folder = crate::guests::target_folder(root).join("release");
        let host = named.map_or_else(|| folder.join("hookswitch"), PathBuf::from);
        Ok(Self { folder, host })
    }

    /// Gives a program an order as JSON, and takes what it says at its end.
    pub(super) fn ask(&self, name: &str, order: &Value) -> Result<Value> {
        let mut child = Command::new(self.folder.join(name))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{name} does not start"))?;
        let mut input = child.stdin.take().context("it has no input")?;
        input.write_all(order.to_string().as_bytes())?;
        drop(input);
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "{name}: {}", output.status);
        serde_json::from_slice(&output.stdout).with_context(|| format!("{name} says no JSON"))
    }

    /// Starts a program that serves.
    pub(super) fn serve(&self, name: &str) -> Result<Serving> {
        Serving::start(Command::new(self.folder.join(name)))
    }
}

/// A process that serves HTTP, ended with this value.
#[derive(Debug)]
pub(super) struct Serving {
    child: Child,
    /// Without a slash at the end.
    pub(super) url: String,
}

impl Serving {
    /// Starts it, and waits for the line that says where it listens.
    pub(super) fn start(command: Command) -> Result<Self> {
        let program = Path::new(command.get_program()).to_owned();
        Self::spawn(command).with_context(|| format!("{} does not serve", program.display()))
    }

    fn spawn(mut command: Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().context("it has no output")?;
        let stderr = child.stderr.take().context("it has no output")?;
        let mut serving = Self {
            child,
            url: String::new(),
        };
        let (sender, lines) = std::sync::mpsc::channel();
        for output in [
            Box::new(stdout) as Box<dyn std::io::Read + Send>,
            Box::new(stderr),
        ] {
            let sender = sender.clone();
            // Read to the end, so that it never blocks on a full pipe.
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    let _ = sender.send(line);
                }
            });
        }
        drop(sender);
        let mut said = Vec::new();
        while serving.url.is_empty() {
            let line = lines.recv_timeout(START_LIMIT);
            let line = line.with_context(|| format!("it says: {}", said.join("\n")))?;
            if let Some(at) = line.find("http://") {
                line[at..]
                    .trim()
                    .trim_end_matches('/')
                    .clone_into(&mut serving.url);
            }
            said.push(line);
        }
        Ok(serving)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is all right.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
