//! An HTTP exchange written by hand, for what no well-behaved client sends.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// What came back, read until the server had nothing more to say.
pub(crate) struct RawReply {
    pub(crate) status: u16,
    pub(crate) text: String,
}

impl RawReply {
    /// The code of the problem in the body; empty when there is none.
    pub(crate) fn code(&self) -> String {
        let body = self
            .text
            .split_once("\r\n\r\n")
            .map_or("", |(_, body)| body);
        let problem: Value = serde_json::from_str(body.trim()).unwrap_or_default();
        problem["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// Sends bytes and reads the answer, whether or not the request was complete.
pub(crate) fn exchange(server: SocketAddr, request: &[u8]) -> RawReply {
    let mut stream = TcpStream::connect(server).expect("the server accepts");
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .expect("a timeout");
    // A server that has seen enough may close while the rest is on its way.
    let _ = stream.write_all(request);
    let reply = read_reply(&mut stream);
    let _ = stream.shutdown(Shutdown::Both);
    reply
}

/// Reads one answer from a connection that may stay open after it.
pub(crate) fn read_reply(stream: &mut TcpStream) -> RawReply {
    let mut text = Vec::new();
    let mut part = [0; 4096];
    while !is_complete(&text) {
        match stream.read(&mut part) {
            Ok(0) | Err(_) => break,
            Ok(read) => text.extend_from_slice(&part[..read]),
        }
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    let status = text
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or(0);
    RawReply { status, text }
}

fn is_complete(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, length)| length.trim().parse::<usize>().ok());
    length.is_some_and(|length| body.len() >= length)
}

/// Sends bytes and closes the connection without waiting for anything.
pub(crate) fn send_and_leave(server: SocketAddr, request: &[u8]) {
    let mut stream = TcpStream::connect(server).expect("the server accepts");
    stream.write_all(request).expect("the server reads");
    stream
        .shutdown(Shutdown::Both)
        .expect("the connection closes");
}

/// Sends two requests over one connection, as clients that keep theirs do, and
/// gives all that came back until the server was done or had answered both.
pub(crate) fn converse(server: SocketAddr, first: &[u8], second: &[u8]) -> String {
    let mut stream = TcpStream::connect(server).expect("the server accepts");
    let patience = Some(Duration::from_secs(10));
    stream.set_read_timeout(patience).expect("a timeout");
    stream.set_write_timeout(patience).expect("a timeout");
    let mut text = Vec::new();
    // Both fail when the server has closed the connection.
    if stream.write_all(first).is_ok() {
        let _ = stream.write_all(second);
    }
    let mut part = [0; 4096];
    while count(&text, b"HTTP/1.1 ") < 2 {
        match stream.read(&mut part) {
            Ok(0) | Err(_) => break,
            Ok(read) => text.extend_from_slice(&part[..read]),
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn count(text: &[u8], wanted: &[u8]) -> usize {
    text.windows(wanted.len())
        .filter(|part| *part == wanted)
        .count()
}
