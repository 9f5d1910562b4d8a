//! A receiver of webhooks that does as its script says and remembers every request.
//!
//! `downstream` answers the requests of plugins by their path; this one takes what is
//! forwarded, and its script decides request by request. [`server`] starts a server
//! that may send here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::downstream::tls_for_localhost;
use crate::server::{Launch, Server};

/// Lets a server send to this machine, and in the clear.
pub(crate) const CONFIGURATION: &str =
    "[egress]\nallow = [\"127.0.0.0/8\"]\nplain_endpoints = true\n";

/// Bounds a test that would otherwise wait for ever.
const LIMIT: Duration = Duration::from_mins(1);

pub(crate) fn launch() -> Launch {
    Launch::new().configuration(CONFIGURATION)
}

/// A server that may send to this machine.
pub(crate) fn server() -> Server {
    launch().start()
}

/// One request, as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Requests that came before.
    pub(crate) number: usize,
    pub(crate) method: String,
    /// With its query.
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
    pub(crate) at: Instant,
}

impl Request {
    /// The value of a header, empty when it is missing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(crate) fn id(&self) -> &str {
        self.header("webhook-id")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    pub(crate) fn call(&self) -> String {
        self.json()["callId"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

/// What comes of a request.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    Reply {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: String,
    },
    /// The same, after a while.
    Later(Duration, Box<Act>),
    /// Nothing, and the connection stays.
    Hang,
    /// The head of a reply at once, and its body a byte every 50 ms for ever.
    Drip,
    /// 100 MB without saying so before.
    Flood,
    /// The connection is reset.
    Reset,
}

pub(crate) fn status(status: u16) -> Act {
    Act::Reply {
        status,
        headers: Vec::new(),
        body: String::new(),
    }
}

pub(crate) fn reply(body: &Value) -> Act {
    Act::Reply {
        status: 200,
        headers: Vec::new(),
        body: body.to_string(),
    }
}

impl Act {
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        if let Self::Reply { headers, .. } = &mut self {
            headers.push((name, value.into()));
        }
        self
    }

    pub(crate) fn after(self, wait: Duration) -> Self {
        Self::Later(wait, Box::new(self))
    }
}

type Script = Box<dyn Fn(&Request) -> Act + Send + Sync>;

struct Shared {
    script: Script,
    requests: Mutex<Vec<Request>>,
    now: AtomicUsize,
    most: AtomicUsize,
}

/// It is gone when the test's runtime is.
pub(crate) struct Sink {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
}

impl Sink {
    /// Takes everything.
    pub(crate) async fn start() -> Self {
        Self::that(|_| status(200)).await
    }

    /// Does one after the other, and then the last one always.
    pub(crate) async fn script(acts: impl Into<Vec<Act>>) -> Self {
        let acts = acts.into();
        Self::that(move |request| acts[request.number.min(acts.len() - 1)].clone()).await
    }

    /// Decides about each request.
    pub(crate) async fn that(script: impl Fn(&Request) -> Act + Send + Sync + 'static) -> Self {
        Self::listen(Box::new(script), None).await
    }

    /// With TLS and a certificate that nobody has vouched for; its PEM form goes with it.
    pub(crate) async fn tls() -> (Self, String) {
        let (acceptor, pem) = tls_for_localhost();
        let sink = Self::listen(Box::new(|_| status(200)), Some(acceptor)).await;
        (sink, pem)
    }

    async fn listen(script: Script, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            script,
            requests: Mutex::default(),
            now: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        });
        let scheme = if tls.is_some() { "https" } else { "http" };
        let accepting = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&accepting).connected(stream, tls.clone()));
            }
        });
        Self {
            address,
            scheme,
            shared,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        let host = match self.scheme {
            "https" => "localhost",
            _ => "127.0.0.1",
        };
        format!("{}://{host}:{}{path}", self.scheme, self.address.port())
    }

    /// An endpoint that leads here, with few attempts that come soon.
    pub(crate) fn endpoint(&self, name: &str) -> Value {
        json!({
            "name": name,
            "url": self.url("/"),
            "schedule": {"delays_seconds": [0, 1], "jitter_percent": 0},
        })
    }

    /// All requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().expect("the list").clone()
    }

    /// The most requests that were here at once.
    pub(crate) fn most_at_once(&self) -> usize {
        self.shared.most.load(Ordering::SeqCst)
    }

    /// Waits until there have been that many requests, and gives them.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Request> {
        self.wait_until(|requests| requests.len() >= count).await
    }

    /// Waits until that many different deliveries were here.
    pub(crate) async fn wait_for_deliveries(&self, count: usize) -> Vec<Request> {
        let ids = |requests: &[Request]| {
            let ids: BTreeSet<&str> = requests.iter().map(Request::id).collect();
            ids.len()
        };
        self.wait_until(|requests| ids(requests) >= count).await
    }

    async fn wait_until(&self, enough: impl Fn(&[Request]) -> bool) -> Vec<Request> {
        let deadline = Instant::now() + LIMIT;
        loop {
            {
                let requests = self.shared.requests.lock().expect("the list");
                if enough(&requests) {
                    return requests.clone();
                }
                assert!(
                    Instant::now() < deadline,
                    "{} requests came, not enough: the last is {:?}",
                    requests.len(),
                    requests.last().map(|last| &last.headers)
                );
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// How a connection ends.
enum End {
    Over,
    Reset,
}

impl Shared {
    async fn connected(self: Arc<Self>, mut stream: TcpStream, tls: Option<TlsAcceptor>) {
        let ended = match tls {
            None => self.converse(&mut stream).await,
            Some(tls) => match tls.accept(&mut stream).await {
                Ok(mut encrypted) => self.converse(&mut encrypted).await,
                Err(_refused) => return,
            },
        };
        if let Ok(End::Reset) = ended {
            let _ = stream.set_zero_linger();
        }
    }

    /// Requests, one after the other, until somebody leaves.
    async fn converse(
        &self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    ) -> std::io::Result<End> {
        let mut stream = BufReader::new(stream);
        while let Some(request) = read(&mut stream).await? {
            let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(now, Ordering::SeqCst);
            let act = (self.script)(&self.remember(request));
            let done = perform(&act, &mut stream).await;
            self.now.fetch_sub(1, Ordering::SeqCst);
            if matches!(done?, Some(End::Reset)) {
                return Ok(End::Reset);
            }
        }
        Ok(End::Over)
    }

    fn remember(&self, mut request: Request) -> Request {
        let mut requests = self.requests.lock().expect("the list");
        request.number = requests.len();
        requests.push(request.clone());
        request
    }
}

async fn read(
    stream: &mut BufReader<impl AsyncRead + AsyncWrite + Unpin>,
) -> std::io::Result<Option<Request>> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Ok(None);
    };
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers
        .get("content-length")
        .map_or(0, |length| length.parse().expect("a length"));
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(Some(Request {
        number: 0,
        method,
        path,
        headers,
        body,
        at: Instant::now(),
    }))
}

async fn perform(
    act: &Act,
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> std::io::Result<Option<End>> {
    match act {
        Act::Later(wait, act) => {
            tokio::time::sleep(*wait).await;
            return Box::pin(perform(act, stream)).await;
        }
        Act::Reset => return Ok(Some(End::Reset)),
        Act::Hang => {
            // Until the other side leaves.
            let mut byte = [0];
            stream.read_exact(&mut byte).await?;
        }
        Act::Drip => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
            loop {
                stream.write_all(b"x").await?;
                stream.flush().await?;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Act::Flood => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
            for _ in 0..100 {
                stream.write_all(&vec![b'x'; 1_000_000]).await?;
            }
            stream.shutdown().await?;
        }
        Act::Reply {
            status,
            headers,
            body,
        } => {
            let mut head = format!("HTTP/1.1 {status} Whatever\r\n");
            for (name, value) in headers {
                let _ = write!(head, "{name}: {value}\r\n");
            }
            let _ = write!(head, "content-length: {}\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(body.as_bytes()).await?;
            stream.flush().await?;
        }
    }
    Ok(None)
}

impl Server {
    /// Waits until nothing is owed any more for an event, and gives the event.
    pub(crate) async fn settled(&self, event: &str) -> Value {
        let deadline = Instant::now() + LIMIT;
        loop {
            let found = self.event(event).await;
            let deliveries = found["deliveries"].as_array().expect("deliveries");
            let owed = deliveries.iter().any(|one| one["state"] == "owed");
            if found["state"] != "accepted" && !owed {
                return found;
            }
            assert!(Instant::now() < deadline, "still owed: {found}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// An endpoint as it is now.
    pub(crate) async fn endpoint_now(&self, endpoint: &Value) -> Value {
        let id = endpoint["id"].as_str().expect("an id");
        self.get(&format!("/endpoints/{id}")).await.expect(200)
    }

    /// Changes an endpoint, and gives it.
    pub(crate) async fn patch_endpoint(&self, endpoint: &Value, changes: &Value) -> Value {
        let id = endpoint["id"].as_str().expect("an id");
        let request = self.admin(reqwest::Method::PATCH, &format!("/endpoints/{id}"));
        let request = request.header("if-match", "*");
        crate::client::send(request.json(changes)).await.expect(200)
    }
}
