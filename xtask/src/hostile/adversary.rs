//! The web server that outbound attacks talk to: it never answers, drips, floods and
//! redirects.
//!
//! It listens on every address of this machine. Plugins may reach it on one of them
//! ([`ALLOWED`], by the operator's word); what arrives on any other got past the host
//! and is counted as a trespass.

use std::io::{Read as _, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};

use super::background;

/// The one address that `CONFIGURATION` allows.
pub(super) const ALLOWED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);

/// Between two bytes of what drips.
const DRIP: Duration = Duration::from_secs(1);

/// A flood's size: more than any binding here allows.
const FLOOD_BYTES: usize = 100_000_000;

/// What a server receives of a flood at a time: as much as a segment of a network
/// holds. Written in smaller pieces, it is mostly this program that is busy.
const SEGMENT: usize = 1_400;

/// Connections served at once; more have to wait. All threads are there before the
/// first attack: a new one was seen to keep a processor until the clock's next tick, up to
/// 4 ms, before others that it is far behind.
const THREADS: usize = 64;

/// A running adversary; it stops with this value.
#[derive(Debug)]
pub(super) struct Adversary {
    pub(super) port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    stopped: AtomicBool,
    trespasses: AtomicUsize,
}

impl Adversary {
    pub(super) fn start() -> Result<Self> {
        let listener = listen().context("the adversary cannot listen")?;
        let port = listener.local_addr()?.port();
        let shared = Arc::<Shared>::default();
        for _ in 0..THREADS {
            let listener = listener.try_clone()?;
            let shared = Arc::clone(&shared);
            let named = std::thread::Builder::new().name("adversary".to_owned());
            named.spawn(move || {
                background::step_back();
                for stream in listener.incoming().map_while(Result::ok) {
                    if shared.stopped.load(Ordering::Relaxed) {
                        return;
                    }
                    // Who is cut off by the host has reached what it was there for.
                    let _ = shared.serve(stream);
                }
            })?;
        }
        Ok(Self { port, shared })
    }

    /// Connections to addresses that no plugin may reach.
    pub(super) fn trespasses(&self) -> usize {
        self.shared.trespasses.load(Ordering::Relaxed)
    }
}

impl Drop for Adversary {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        // Wakes the threads that accept, so that they end.
        for _ in 0..THREADS {
            let _ = TcpStream::connect(SocketAddr::from((ALLOWED, self.port)));
        }
    }
}

/// On IPv6 and IPv4 alike, where the machine has both.
fn listen() -> std::io::Result<TcpListener> {
    TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0))
        .or_else(|_| TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)))
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let here = stream.local_addr()?.ip().to_canonical();
        if here != IpAddr::V4(ALLOWED) {
            self.trespasses.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        stream.set_read_timeout(Some(DRIP * 5))?;
        stream.set_write_timeout(Some(DRIP * 5))?;
        let target = request_target(&mut stream)?;
        match target.split_once('?').unwrap_or((&target, "")) {
            ("/silent", _) => self.wait_for_the_end(&mut stream),
            ("/drip-head", _) => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nx-slow: ")?;
                self.drip(&mut stream)
            }
            ("/drip-body", _) => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3600\r\n\r\n")?;
                self.drip(&mut stream)
            }
            ("/huge-body", _) => {
                write!(
                    stream,
                    "HTTP/1.1 200 OK\r\ncontent-length: {FLOOD_BYTES}\r\n\r\n"
                )?;
                flood(&mut stream, &[b'x'; 16 << 10])
            }
            ("/endless-body", _) => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
                // Large chunks: reading many small ones would use up the guest's time.
                let chunk = [&b"4000\r\n"[..], &[b'x'; 0x4000], b"\r\n"].concat();
                flood(&mut stream, &chunk)
            }
            ("/huge-head", _) => {
                stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
                let header = b"x-more: 0123456789012345678901234567890123456789\r\n";
                flood(&mut stream, &header.repeat(SEGMENT / header.len()))
            }
            ("/redirect", to) => write!(
                stream,
                "HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            ),
            _ => stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"),
        }
    }

    fn drip(&self, stream: &mut TcpStream) -> std::io::Result<()> {
        while !self.stopped.load(Ordering::Relaxed) {
            stream.write_all(b"x")?;
            std::thread::sleep(DRIP);
        }
        Ok(())
    }

    /// Until the other side gives up.
    fn wait_for_the_end(&self, stream: &mut TcpStream) -> std::io::Result<()> {
        let mut byte = [0];
        while !self.stopped.load(Ordering::Relaxed) {
            match stream.read(&mut byte) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn flood(stream: &mut TcpStream, piece: &[u8]) -> std::io::Result<()> {
    for _ in 0..FLOOD_BYTES / piece.len() {
        stream.write_all(piece)?;
    }
    Ok(())
}

/// The path of a request, once its head has been read to the end.
fn request_target(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && head.len() < 64 << 10 {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head);
    Ok(head
        .split_whitespace()
        .nth(1)
        .unwrap_or_default()
        .to_owned())
}
