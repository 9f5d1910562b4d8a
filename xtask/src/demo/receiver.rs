//! Stands in for the systems that a customer has notices delivered to: takes every
//! request and says yes.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use anyhow::Result;

/// What the demo's server needs to be allowed to reach it.
pub(super) const CONFIGURATION: &str = "[egress]
allow = [\"127.0.0.0/8\"] # the receiver of this demo
plain_endpoints = true
";

/// Listens on a free port until the process ends.
pub(super) fn start() -> Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // Whoever leaves in the middle of a request is not answered.
            std::thread::spawn(move || serve(stream).ok());
        }
    });
    Ok(address)
}

fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some(length) = head(&mut reader)? {
        std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink())?;
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
    }
    Ok(())
}

/// Reads a request's head, and gives the length of its body; none at the end.
fn head(reader: &mut BufReader<TcpStream>) -> std::io::Result<Option<u64>> {
    let (mut length, mut line) = (0, String::new());
    while reader.read_line(&mut line)? > 2 {
        let header = line.to_ascii_lowercase();
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        line.clear();
    }
    Ok((!line.is_empty()).then_some(length))
}
