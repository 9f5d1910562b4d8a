//! The host as a child process: started on an empty store, stopped by its id.
//!
//! Neighbours: `demo` shows it, `hostile` attacks it, `faults` kills it and starts it
//! again, `bench` measures it.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Where a user expects the server when nothing else is there.
const USUAL_ADDRESS: &str = "127.0.0.1:8080";
pub(crate) const ANY_FREE_PORT: &str = "127.0.0.1:0";

/// The configuration's file in the directory of a server.
pub(crate) const CONFIGURATION: &str = "hookswitch.toml";

/// The data's folder in the directory of a server.
pub(crate) const DATA: &str = "data";

const TOKEN_VARIABLE: &str = "HOOKSWITCH_ADMIN_TOKEN";

/// The first start writes its store and sets the engine up.
const START_LIMIT: Duration = Duration::from_mins(1);

/// A running server.
pub(crate) struct Server {
    child: Child,
    log: PathBuf,
    pub(crate) url: String,
    pub(crate) token: String,
}

/// The usual address if it is free, else one that is.
pub(crate) fn address() -> &'static str {
    match TcpListener::bind(USUAL_ADDRESS) {
        Ok(_) => USUAL_ADDRESS,
        Err(_) => ANY_FREE_PORT,
    }
}

impl Server {
    /// Starts the host in `directory`, with its data and its log there and its
    /// configuration, if there is one, from [`CONFIGURATION`]; waits until it listens.
    pub(crate) fn start(host: &Path, directory: &Path, address: &str) -> Result<Self> {
        // Who starts it wants the server to generate its token, as on a first start.
        Self::spawn(Command::new(host), directory, address, None)
    }

    /// The same by a command that becomes the host, with a token that is known before
    /// and after.
    pub(crate) fn start_with_token(
        command: Command,
        directory: &Path,
        address: &str,
        token: &str,
    ) -> Result<Self> {
        Self::spawn(command, directory, address, Some(token))
    }

    fn spawn(
        mut command: Command,
        directory: &Path,
        address: &str,
        token: Option<&str>,
    ) -> Result<Self> {
        let log = directory.join("hookswitch.log");
        let configuration = directory.join(CONFIGURATION);
        if configuration.is_file() {
            command.env("HOOKSWITCH_CONFIG", configuration);
        }
        match token {
            Some(token) => command.env(TOKEN_VARIABLE, token),
            None => command.env_remove(TOKEN_VARIABLE),
        };
        let lines = OpenOptions::new().append(true).create(true).open(&log);
        let mut child = command
            .args(["serve", "--listen", address, "--data-dir"])
            .arg(directory.join(DATA))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(lines.context("the log cannot be written")?)
            .spawn()
            .context("the host does not start")?;
        let stdout = child.stdout.take().context("the server has no output")?;
        let lines = lines_of(stdout);
        let mut server = Self {
            child,
            log,
            url: String::new(),
            token: token.unwrap_or_default().to_owned(),
        };
        server.wait_until_it_listens(&lines)?;
        Ok(server)
    }

    fn wait_until_it_listens(&mut self, lines: &Receiver<String>) -> Result<()> {
        while self.url.is_empty() {
            let Ok(line) = lines.recv_timeout(START_LIMIT) else {
                bail!("the server did not start; it says:\n{}", self.log());
            };
            if let Some(token) = line.strip_prefix("admin token: ") {
                token.trim().clone_into(&mut self.token);
            } else if let Some(url) = line
                .find("http://")
                .filter(|_| line.contains("listening on"))
            {
                line[url..].trim().clone_into(&mut self.url);
            }
        }
        ensure!(!self.token.is_empty(), "the server showed no admin token");
        Ok(())
    }

    /// What the server logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) fn log_file(&self) -> &Path {
        &self.log
    }

    /// Stays until the server ends: by Ctrl-C, which a terminal sends to both,
    /// or by a signal to this process, which is passed on.
    pub(crate) fn stay(&mut self) -> Result<()> {
        let pid = self.pid()?;
        let asked = Arc::new(std::sync::atomic::AtomicBool::new(false));
        ctrlc::set_handler(move || {
            // A second signal would cut short what the first one drains.
            if !asked.swap(true, std::sync::atomic::Ordering::SeqCst) {
                let _ = kill(pid, Signal::SIGTERM);
            }
        })
        .context("Ctrl-C cannot be caught")?;
        let status = self
            .child
            .wait()
            .context("the server cannot be waited for")?;
        self.ended(status)
    }

    /// Asks the server to drain and end.
    pub(crate) fn stop(&mut self) -> Result<()> {
        kill(self.pid()?, Signal::SIGTERM).context("the server takes no signal")?;
        let status = self
            .child
            .wait()
            .context("the server cannot be waited for")?;
        self.ended(status)
    }

    /// Ends the server without a chance to tidy up, as kill -9 does.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.kill().context("the server takes no signal")?;
        self.child
            .wait()
            .context("the server cannot be waited for")?;
        Ok(())
    }

    /// Whether the process has not ended.
    pub(crate) fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The process's number, for looking at it in `/proc`.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    fn pid(&self) -> Result<Pid> {
        Ok(Pid::from_raw(
            self.child
                .id()
                .try_into()
                .context("a process id out of range")?,
        ))
    }

    fn ended(&self, status: ExitStatus) -> Result<()> {
        ensure!(
            status.success(),
            "the server ended with {status}; it says:\n{}",
            self.log()
        );
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is all right.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of the server's standard output, read to the end so that it never
/// blocks on a full pipe.
fn lines_of(stdout: ChildStdout) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    lines
}
