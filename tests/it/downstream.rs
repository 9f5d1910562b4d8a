//! A stand-in for somebody else's server, which answers as its path says.
//!
//! | path | answer |
//! |---|---|
//! | `/echo` | what it received, as JSON: `{"method","path","headers","body"}` |
//! | `/to/<address>` | a redirect to there |
//! | `/large` | 3 MiB without saying so before |
//! | `/announced` | says that it has 3 MiB, and sends nothing of them |
//! | `/drip` | a byte every 50 ms, for ever |
//! | `/hang` | nothing |
//!
//! It also counts the connections and requests it got.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// It is gone when this is dropped, with the test's runtime.
pub(crate) struct Downstream {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

impl Downstream {
    pub(crate) async fn start() -> Self {
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        Self::start_at(free).await.expect("a port")
    }

    /// At that address, if it is free.
    pub(crate) async fn start_at(address: SocketAddr) -> std::io::Result<Self> {
        Self::listen(TcpListener::bind(address).await?, None)
    }

    /// With TLS, and a certificate for `localhost` that nobody has vouched for; its
    /// PEM form goes with it.
    pub(crate) async fn start_tls() -> (Self, String) {
        let (acceptor, pem) = tls_for_localhost();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let downstream = Self::listen(listener, Some(acceptor)).expect("an address");
        (downstream, pem)
    }

    fn listen(listener: TcpListener, tls: Option<TlsAcceptor>) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        let (connections, requests) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        let (accepted, counted) = (Arc::clone(&connections), Arc::clone(&requests));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                accepted.fetch_add(1, Ordering::Relaxed);
                let (tls, counted) = (tls.clone(), Arc::clone(&counted));
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, &counted).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => serve(stream, &counted).await,
                            Err(_refused) => Ok(()),
                        },
                    }
                });
            }
        });
        Ok(Self {
            address,
            connections,
            requests,
        })
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Whether or not anything came over them.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

/// TLS with a certificate for `localhost` that nobody has vouched for, and its PEM form.
pub(crate) fn tls_for_localhost() -> (TlsAcceptor, String) {
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
    let signed = signed.expect("a certificate");
    let key = PrivateKeyDer::try_from(signed.signing_key.serialize_der()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("protocol versions")
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], key)
        .expect("a TLS configuration");
    (TlsAcceptor::from(Arc::new(config)), signed.cert.pem())
}

/// One request and its answer. The client may leave at any time.
async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    requests: &AtomicUsize,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    if line.is_empty() {
        return Ok(());
    }
    requests.fetch_add(1, Ordering::Relaxed);
    let mut words = line.split_whitespace().map(str::to_owned);
    let method = words.next().unwrap_or_default();
    let path = words.next().unwrap_or_default();
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
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    if let Some(location) = path.strip_prefix("/to/") {
        let head = format!(
            "HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
        return stream.write_all(head.as_bytes()).await;
    }
    match path.as_str() {
        "/large" => {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
                .await?;
            stream.write_all(&vec![b'x'; 3 << 20]).await
        }
        "/announced" => {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3145728\r\n\r\n")
                .await?;
            std::future::pending().await
        }
        "/drip" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
            loop {
                stream.write_all(b"x").await?;
                stream.flush().await?;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        "/hang" => std::future::pending().await,
        _ => {
            let seen = json!({
                "method": method,
                "path": path,
                "headers": headers,
                "body": String::from_utf8_lossy(&body),
            });
            let seen = seen.to_string();
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{seen}",
                seen.len()
            );
            stream.write_all(answer.as_bytes()).await?;
            stream.flush().await
        }
    }
}
