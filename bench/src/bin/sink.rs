//! An endpoint on this machine: takes what is delivered and says yes, as cheaply as it
//! can, because it shares the machine with what is measured.
//!
//! Prints its address, and serves until it is killed. `GET /report` says what has come
//! since the last `GET /reset`, and `GET /count` only how much, which takes no time.

use std::io::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result};
use hookswitch_bench::clock;
use httparse::{EMPTY_HEADER, Request, Status};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const HEADERS: usize = 32;
const READ: usize = 16 << 10;
/// What stands before the time in a payload.
const CALL: &[u8] = b"\"callId\":\"call_";

/// What has come.
#[derive(Debug, Default)]
struct Arrivals {
    signed: u64,
    unsigned: u64,
    first: u64,
    last: u64,
    /// From sending to arrival, where the payload says when it was sent.
    nanoseconds: Vec<u64>,
}

#[derive(Debug, Default)]
struct Book(Mutex<Arrivals>);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stdout(), "http://{}", listener.local_addr()?)?;
    let book = Arc::new(Book::default());
    loop {
        let (stream, _) = listener.accept().await?;
        let book = Arc::clone(&book);
        tokio::spawn(async move {
            // Who leaves in the middle of a request is not answered.
            let _ = serve(stream, &book).await;
        });
    }
}

async fn serve(mut stream: TcpStream, book: &Book) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut received = Vec::with_capacity(READ);
    while stream.read_buf(&mut received).await? > 0 {
        while let Some((used, answer)) = take(&received, book)? {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ";
            let reply = format!("{head}{}\r\n\r\n{answer}", answer.len());
            stream.write_all(reply.as_bytes()).await?;
            received.drain(..used);
        }
    }
    Ok(())
}

/// Takes the request that begins there, if it is whole: its length, and the answer.
fn take(bytes: &[u8], book: &Book) -> Result<Option<(usize, String)>> {
    let mut headers = [EMPTY_HEADER; HEADERS];
    let mut request = Request::new(&mut headers);
    let Status::Complete(head) = request.parse(bytes)? else {
        return Ok(None);
    };
    let named = |name: &str| {
        let mut headers = request.headers.iter();
        headers.find(|it| it.name.eq_ignore_ascii_case(name))
    };
    let length = match named("content-length") {
        Some(length) => std::str::from_utf8(length.value)?.trim().parse()?,
        None => 0,
    };
    let Some(body) = bytes.get(head..head + length) else {
        return Ok(None);
    };
    let answer = match request.path.context("a request without a path")? {
        "/count" => book.count(),
        "/report" => book.report(),
        "/reset" => book.reset(),
        _ => {
            book.arrived(body, named("webhook-signature").is_some());
            "{}".to_owned()
        }
    };
    Ok(Some((head + length, answer)))
}

impl Book {
    fn open(&self) -> MutexGuard<'_, Arrivals> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn arrived(&self, body: &[u8], signed: bool) {
        let now = clock::now();
        let sent = sent_at(body);
        let mut book = self.open();
        if book.first == 0 {
            book.first = now;
        }
        book.last = now;
        if signed {
            book.signed += 1;
        } else {
            book.unsigned += 1;
        }
        if let Some(sent) = sent {
            book.nanoseconds.push(now.saturating_sub(sent));
        }
    }

    fn reset(&self) -> String {
        *self.open() = Arrivals::default();
        "{}".to_owned()
    }

    fn count(&self) -> String {
        let book = self.open();
        json!({"signed": book.signed, "unsigned": book.unsigned}).to_string()
    }

    fn report(&self) -> String {
        let mut book = self.open();
        book.nanoseconds.sort_unstable();
        let times = &book.nanoseconds;
        let at = |of_hundred: usize| {
            let rank = (times.len() * of_hundred).div_ceil(100);
            let time = rank.checked_sub(1).and_then(|at| times.get(at));
            time.map_or(0.0, |time| *time as f64 / 1e6)
        };
        json!({
            "signed": book.signed,
            "unsigned": book.unsigned,
            "seconds": book.last.saturating_sub(book.first) as f64 / 1e9,
            "p50_ms": at(50),
            "p99_ms": at(99),
        })
        .to_string()
    }
}

/// When the call of a payload was made up, which is when its notice was sent.
fn sent_at(body: &[u8]) -> Option<u64> {
    let mut places = body.windows(CALL.len());
    let digits = places.position(|it| it == CALL)? + CALL.len();
    clock::read(body.get(digits..digits + clock::DIGITS)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_says_when_it_was_sent() {
        let mut digits = *clock::MARK;
        clock::write(clock::unique(), &mut digits);
        let digits = String::from_utf8(digits.to_vec()).unwrap();
        let body = format!("{{\"type\":\"x\",\"callId\":\"call_{digits}\"}}");
        assert_eq!(sent_at(body.as_bytes()), clock::read(digits.as_bytes()));
        assert_eq!(sent_at(b"{}"), None);
    }
}
