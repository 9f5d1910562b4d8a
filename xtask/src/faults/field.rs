//! Where a fault happens: a server on a fresh store, its source, and the endpoint
//! that everything is forwarded to.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::Row;
use super::kinds::Fault;
use super::ledger::Ledger;
use super::receiver::Receiver;
use crate::api::Api;
use crate::host;
use crate::server::{self, Server};

const CONFIGURATION: &str = "[egress]\nallow = [\"127.0.0.0/8\"]\nplain_endpoints = true\n\
    [limits]\napi_requests_per_second = 1000000\n";
const TOKEN: &str = "admin-token-of-the-faults";

/// What is acknowledged has arrived by then, or is lost.
const PATIENCE: Duration = Duration::from_secs(90);

/// More attempts than any fault here can fail, soon one after the other.
fn schedule() -> Value {
    let mut delays = vec![1; 32];
    delays[0] = 0;
    json!({"delays_seconds": delays, "jitter_percent": 50})
}

pub(super) struct Field {
    host: PathBuf,
    directory: TempDir,
    server: Mutex<Server>,
    /// The same before and after a restart, as a platform expects.
    url: String,
    pub(super) hook: String,
    pub(super) payload: Value,
    pub(super) ledger: Arc<Ledger>,
    pub(super) receiver: Receiver,
}

impl Field {
    /// With an endpoint whose replies are waited for so long.
    pub(super) fn prepare(host: &Path, timeout: Duration) -> Result<Self> {
        let directory = TempDir::with_prefix("hookswitch-faults-")?;
        std::fs::write(directory.path().join(server::CONFIGURATION), CONFIGURATION)?;
        let server = start(host, directory.path(), server::ANY_FREE_PORT)?;
        let url = server.url.clone();
        let api = Api::new(&url, TOKEN);
        // Calls here say the same again and again, and mean it.
        let wanted = json!({"name": "main-line", "repeat_window_ms": 0});
        let hook_path = api.create("/sources", &wanted, "hook_path")?;
        let ledger = Arc::<Ledger>::default();
        let receiver = Receiver::start(Arc::clone(&ledger))?;
        let payload = host::workspace()?.join("tests/fixtures/dasha/completed.json");
        let field = Self {
            host: host.to_owned(),
            directory,
            server: Mutex::new(server),
            hook: format!("{url}{hook_path}"),
            url,
            payload: serde_json::from_slice(&std::fs::read(payload)?)?,
            ledger,
            receiver,
        };
        field.endpoint(&json!({
            "name": "healthy", "url": field.receiver.url(), "schedule": schedule(),
            "concurrency": 32, "timeout_ms": timeout.as_millis() as u64,
        }))?;
        Ok(field)
    }

    pub(super) fn api(&self) -> Api {
        Api::new(&self.url, TOKEN)
    }

    /// Creates an endpoint.
    pub(super) fn endpoint(&self, endpoint: &Value) -> Result<()> {
        self.api().create("/endpoints", endpoint, "id").map(drop)
    }

    pub(super) fn server(&self) -> MutexGuard<'_, Server> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The folder of the server's data.
    pub(super) fn data(&self) -> PathBuf {
        self.directory.path().join(server::DATA)
    }

    /// Kills the server, as kill -9 does, and starts it again.
    pub(super) fn kill_and_start(&self) -> Result<()> {
        let mut server = self.server();
        server.kill()?;
        self.start_again(&mut server)
    }

    /// Stops the server the ordinary way, and starts it again.
    pub(super) fn stop_and_start(&self) -> Result<()> {
        let mut server = self.server();
        server.stop()?;
        self.start_again(&mut server)
    }

    fn start_again(&self, server: &mut Server) -> Result<()> {
        let address = self.url.trim_start_matches("http://");
        *server = start(&self.host, self.directory.path(), address)?;
        Ok(())
    }

    /// Waits until all that was acknowledged has arrived, and says how it was.
    pub(super) fn close(self, fault: Fault, rounds: u32) -> Result<Row> {
        let begun = Instant::now();
        let balance = loop {
            let balance = self.ledger.balance();
            if balance.delivered == balance.acknowledged || begun.elapsed() > PATIENCE {
                break balance;
            }
            ensure!(
                self.server().runs(),
                "the server died; it says:\n{}",
                self.server().log()
            );
            std::thread::sleep(Duration::from_millis(50));
        };
        let waited = begun.elapsed().as_secs_f64();
        self.server().stop().context("it does not stop well")?;
        let refused = match balance.refused {
            0 => String::new(),
            refused => format!("; {refused} refused with 503"),
        };
        Ok(Row {
            fault: fault.name(),
            rounds,
            acknowledged: balance.acknowledged,
            delivered: balance.delivered,
            duplicates: balance.duplicates,
            remark: format!("all there {waited:.1} s after the last{refused}"),
        })
    }
}

/// Starts the host so that it lives on when it may not write any more (`disk`): who
/// writes too large a file is killed, unless it, or who started it, chose otherwise.
fn start(host: &Path, directory: &Path, address: &str) -> Result<Server> {
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(host);
    Server::start_with_token(command, directory, address, TOKEN)
}
