//! A real server process on a free port with a data directory of its own.
//!
//! Every test that talks to Hookswitch starts one; it is stopped by its process
//! id when the test ends, and what it logged is shown when the test failed.
//! Neighbours: `binary` finds the program, `client` talks to it.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::binary;

/// The admin token of every server that was not told another one.
pub(crate) const ADMIN_TOKEN: &str = "integration-test-admin-token";

/// How long a start may take; a machine under load compiles slowly.
const START_LIMIT: Duration = Duration::from_mins(1);

/// How a server is to be started.
#[derive(Clone)]
pub(crate) struct Launch {
    arguments: Vec<OsString>,
    listen: String,
    token: Option<String>,
    log_filter: Option<String>,
    /// Whether its disk may be full.
    full_disk: bool,
    environment: Vec<(&'static str, String)>,
    data: Arc<TempDir>,
    /// Given as `--data-dir`; none leaves it to the default, below `directory`.
    data_dir: Option<PathBuf>,
}

impl Launch {
    pub(crate) fn new() -> Self {
        let data = Arc::new(TempDir::with_prefix("hookswitch-it-").expect("a temporary folder"));
        Self {
            arguments: Vec::new(),
            listen: "127.0.0.1:0".to_owned(),
            token: Some(ADMIN_TOKEN.to_owned()),
            log_filter: None,
            full_disk: false,
            environment: Vec::new(),
            data_dir: Some(data.path().join("data")),
            data,
        }
    }

    pub(crate) fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Puts that into its configuration's file.
    pub(crate) fn configuration(self, text: &str) -> Self {
        let file = self.directory().join("hookswitch.toml");
        std::fs::write(&file, text).expect("a file");
        self.argument("--config").argument(file)
    }

    pub(crate) fn listen(mut self, address: &str) -> Self {
        address.clone_into(&mut self.listen);
        self
    }

    pub(crate) fn token(mut self, token: Option<&str>) -> Self {
        self.token = token.map(str::to_owned);
        self
    }

    /// What its log shows.
    pub(crate) fn log_filter(mut self, filter: &str) -> Self {
        self.log_filter = Some(filter.to_owned());
        self
    }

    /// Lives on when it may not write any more.
    pub(crate) fn on_a_full_disk(mut self) -> Self {
        self.full_disk = true;
        self
    }

    /// A variable of its environment.
    pub(crate) fn environment(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, value.to_owned()));
        self
    }

    /// Says nothing about where the data belongs.
    pub(crate) fn default_data_dir(mut self) -> Self {
        self.data_dir = None;
        self
    }

    /// Where the server runs; its data directory lies below.
    pub(crate) fn directory(&self) -> &Path {
        self.data.path()
    }

    fn spawn(&self) -> Child {
        let mut command = if self.full_disk {
            binary::command_on_a_full_disk()
        } else {
            binary::command()
        };
        command
            .arg("serve")
            .args(["--listen", &self.listen])
            .args(&self.arguments)
            .current_dir(self.data.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(data_dir) = &self.data_dir {
            command.arg("--data-dir").arg(data_dir);
        }
        if let Some(token) = &self.token {
            command.env("HOOKSWITCH_ADMIN_TOKEN", token);
        }
        if let Some(filter) = &self.log_filter {
            command.env("HOOKSWITCH_LOG", filter);
        }
        for (name, value) in &self.environment {
            command.env(name, value);
        }
        command.spawn().expect("the host starts")
    }

    /// Starts a server and waits until it listens.
    pub(crate) fn start(self) -> Server {
        let mut child = self.spawn();
        let errors = Arc::new(Mutex::new(String::new()));
        let stdout = child.stdout.take().expect("stdout is a pipe");
        let stderr = child.stderr.take().expect("stderr is a pipe");
        let (listening, heard) = mpsc::channel();
        let printed = Arc::new(Mutex::new(Vec::new()));
        let readers = vec![
            read_stdout(stdout, printed.clone(), listening),
            collect(stderr, errors.clone()),
        ];

        let mut server = Server {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            token: self.token.clone().unwrap_or_default(),
            http: http_client(),
            launch: self,
            printed,
            errors,
            readers,
        };
        let Ok(address) = heard.recv_timeout(START_LIMIT) else {
            panic!(
                "the server did not say that it listens; it wrote: {}",
                server.log()
            )
        };
        server.address = address;
        if server.token.is_empty() {
            server.token = server.printed_token().unwrap_or_default();
        }
        server
    }

    /// Starts a server that is expected to refuse, and gives its status and
    /// what it wrote to standard error.
    pub(crate) fn refused(self) -> (ExitStatus, String) {
        let mut child = self.spawn();
        let errors = Arc::new(Mutex::new(String::new()));
        let reader = collect(
            child.stderr.take().expect("stderr is a pipe"),
            errors.clone(),
        );
        let Some(status) = wait(&mut child, START_LIMIT) else {
            child.kill().expect("the server can be killed");
            child.wait().expect("the server ends");
            panic!("the server runs although it should have refused to");
        };
        reader.join().expect("stderr is read");
        let errors = errors.lock().expect("the log").clone();
        (status, errors)
    }
}

/// A running server.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) token: String,
    pub(crate) http: reqwest::Client,
    launch: Launch,
    printed: Arc<Mutex<Vec<String>>>,
    errors: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Server {
    /// A server on an empty store.
    pub(crate) fn start() -> Self {
        Launch::new().start()
    }

    pub(crate) fn directory(&self) -> &Path {
        self.launch.directory()
    }

    /// The lines it printed on standard output so far.
    pub(crate) fn printed(&self) -> Vec<String> {
        self.printed.lock().expect("the lines").clone()
    }

    /// The token it generated, if it printed one.
    pub(crate) fn printed_token(&self) -> Option<String> {
        self.printed()
            .iter()
            .find_map(|line| line.strip_prefix("admin token: ").map(str::to_owned))
    }

    /// What it wrote to standard error so far.
    pub(crate) fn log(&self) -> String {
        self.errors.lock().expect("the log").clone()
    }

    /// All that it wrote to standard error, once it has ended.
    pub(crate) fn whole_log(&mut self) -> String {
        for reader in self.readers.drain(..) {
            reader.join().expect("the output is read");
        }
        self.log()
    }

    /// Ends it without a chance to tidy up, as kill -9 does.
    pub(crate) fn kill(mut self) -> Launch {
        self.kill_at_once();
        self.child.wait().expect("the server ends");
        self.launch.clone()
    }

    /// The same while others still talk to it.
    pub(crate) fn kill_at_once(&self) {
        kill(self.pid(), Signal::SIGKILL).expect("the server takes a signal");
    }

    /// Asks it to end (SIGTERM).
    pub(crate) fn ask_to_end(&self) {
        kill(self.pid(), Signal::SIGTERM).expect("the server takes a signal");
    }

    /// Tells it to read its keys again (SIGHUP).
    pub(crate) fn ask_to_reload(&self) {
        kill(self.pid(), Signal::SIGHUP).expect("the server takes a signal");
    }

    /// The process's number, for looking at it in `/proc`.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().expect("a process id"))
    }

    /// Waits until it has ended by itself.
    pub(crate) fn ended(&mut self, limit: Duration) -> ExitStatus {
        wait(&mut self.child, limit)
            .unwrap_or_else(|| panic!("the server still runs after {limit:?}"))
    }

    /// Stops it the ordinary way, to start it again on the same data.
    pub(crate) fn stop(mut self) -> Launch {
        self.ask_to_end();
        let status = self.ended(Duration::from_secs(30));
        assert!(status.success(), "SIGTERM ended the server with {status}");
        self.launch.clone()
    }

    /// Starts another one on the data of this one, which has ended.
    pub(crate) fn restart(mut self) -> Self {
        self.child.wait().expect("the server has ended");
        self.launch.clone().start()
    }

    /// A launch of a second server on the data of this one, which goes on.
    pub(crate) fn again(&self) -> Launch {
        self.launch.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is all right.
        let _ = self.child.kill();
        let _ = self.child.wait();
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        if std::thread::panicking() {
            eprintln!("── what the server logged ──\n{}", self.log());
        }
    }
}

fn http_client() -> reqwest::Client {
    // Cargo builds the client as the host needs it: without a provider of its own.
    let provider = tokio_rustls::rustls::crypto::ring::default_provider();
    let _ = provider.install_default();
    reqwest::Client::builder()
        .timeout(Duration::from_mins(2))
        .build()
        .expect("an HTTP client")
}

fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().expect("the server can be waited for") {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    None
}

fn read_stdout(
    stdout: impl Read + Send + 'static,
    printed: Arc<Mutex<Vec<String>>>,
    listening: mpsc::Sender<SocketAddr>,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let address = line
                .split_once("listening on http://")
                .map(|(_, address)| address.trim().parse().expect("an address and a port"));
            printed.lock().expect("the lines").push(line);
            if let Some(address) = address {
                // The other end is gone once it has what it waited for.
                let _ = listening.send(address);
            }
        }
    })
}

fn collect(stream: impl Read + Send + 'static, text: Arc<Mutex<String>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let mut text = text.lock().expect("the log");
            text.push_str(&line);
            text.push('\n');
        }
    })
}

/// Every file in a folder and in the folders below it.
pub(crate) fn files_below(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).expect("the folder can be read");
    entries
        .flat_map(|entry| {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                files_below(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}
