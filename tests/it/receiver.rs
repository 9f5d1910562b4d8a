//! An endpoint's other side: it takes what is sent, or refuses it, as the test says.
//!
//! Neighbours: `downstream` answers plugins' requests, this one deliveries.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::client::Source;
use crate::payload::{self, With};
use crate::server::{Launch, Server};

/// It is gone when the test's runtime is.
pub(crate) struct Receiver {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    status: AtomicU16,
    requests: AtomicUsize,
}

impl Receiver {
    /// One that answers with that status until told otherwise.
    pub(crate) async fn answering(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(State {
            status: status.into(),
            requests: 0.into(),
        });
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { address, state }
    }

    pub(crate) fn answer(&self, status: u16) {
        self.state.status.store(status, Ordering::Relaxed);
    }

    pub(crate) fn requests(&self) -> usize {
        self.state.requests.load(Ordering::Relaxed)
    }

    /// An endpoint here that is tried once and not again.
    pub(crate) fn endpoint(&self, name: &str) -> Value {
        json!({
            "name": name,
            "url": format!("http://{}/{name}", self.address),
            "schedule": {"delays_seconds": [0], "jitter_percent": 0},
        })
    }
}

/// Requests with a length, one after the other, until the client leaves.
async fn serve(stream: TcpStream, state: Arc<State>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().expect("a length");
            }
        }
        stream.read_exact(&mut vec![0; length]).await?;
        state.requests.fetch_add(1, Ordering::Relaxed);
        let status = state.status.load(Ordering::Relaxed);
        let answer = format!("HTTP/1.1 {status} So\r\ncontent-length: 4\r\n\r\nsaid");
        stream.write_all(answer.as_bytes()).await?;
        stream.flush().await?;
    }
}

/// A server that may send to this machine, with a source.
pub(crate) async fn server() -> (Server, Source) {
    let launch = Launch::new();
    let file = launch.directory().join("hookswitch.toml");
    let text = "[egress]\nallow = [\"127.0.0.0/8\"]\nplain_endpoints = true\n";
    std::fs::write(&file, text).expect("a file");
    let server = launch.argument("--config").argument(file).start();
    let source = server.source("main-line").await;
    (server, source)
}

impl Server {
    /// Creates an endpoint, and gives its id.
    pub(crate) async fn endpoint_id(&self, endpoint: &Value) -> String {
        let created = self.endpoint(endpoint).await;
        created["id"].as_str().expect("an id").to_owned()
    }

    /// Sends a notice that no plugin handles, about that call. Gives the event's id.
    pub(crate) async fn notice(&self, source: &Source, call: &str) -> String {
        let payload = payload::failed().with(json!({"callId": call}));
        self.hook(source, &payload).await.event()
    }

    /// Waits until as many of a list of deliveries are there as expected.
    pub(crate) async fn deliveries(&self, query: &str, expected: usize) -> Vec<Value> {
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let found = self.all(&format!("/deliveries?{query}")).await;
            if found.len() == expected {
                return found;
            }
            assert!(
                Instant::now() < deadline,
                "{query}: {} instead of {expected}",
                found.len()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until a job is done.
    pub(crate) async fn done(&self, job: &Value) -> Value {
        let id = job["id"].as_str().expect("an id");
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let job = self.get(&format!("/jobs/{id}")).await.expect(200);
            if job["state"] == "done" {
                return job;
            }
            assert_eq!(job["state"], "running");
            assert!(Instant::now() < deadline, "not done: {job}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
