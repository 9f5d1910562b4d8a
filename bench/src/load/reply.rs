//! Replies: as much of HTTP/1.1 as the servers here speak.

use anyhow::{Context as _, Result, bail};
use httparse::{EMPTY_HEADER, Status};

/// More headers than any of the servers sends.
const HEADERS: usize = 32;

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// Reads the reply that begins with these bytes; none if there is more to come.
pub(super) fn read(bytes: &[u8]) -> Result<Option<Reply>> {
    let mut headers = [EMPTY_HEADER; HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let Status::Complete(head) = response.parse(bytes)? else {
        return Ok(None);
    };
    let status = response.code.context("a reply without a status")?;
    let rest = &bytes[head..];
    let named = |name: &str| {
        let mut headers = response.headers.iter();
        headers.find(|it| it.name.eq_ignore_ascii_case(name))
    };
    let body = if let Some(length) = named("content-length") {
        let length = std::str::from_utf8(length.value)?.trim().parse()?;
        rest.get(..length).map(<[u8]>::to_vec)
    } else if named("transfer-encoding").is_some() {
        chunks(rest)?
    } else {
        bail!("a reply that does not say how long it is");
    };
    Ok(body.map(|body| Reply { status, body }))
}

/// A body in chunks; none if there is more to come.
fn chunks(mut bytes: &[u8]) -> Result<Option<Vec<u8>>> {
    let mut body = Vec::new();
    loop {
        let size = httparse::parse_chunk_size(bytes);
        let Ok(size) = size else {
            bail!("a chunk without a size")
        };
        let Status::Complete((begin, size)) = size else {
            return Ok(None);
        };
        let size = usize::try_from(size)?;
        let Some(chunk) = bytes.get(begin..begin + size) else {
            return Ok(None);
        };
        // Trailers are not looked for: nobody here sends any.
        if bytes.len() < begin + size + 2 {
            return Ok(None);
        }
        if size == 0 {
            return Ok(Some(body));
        }
        body.extend_from_slice(chunk);
        bytes = &bytes[begin + size + 2..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body_of(reply: &str) -> Vec<u8> {
        for cut in 0..reply.len() {
            let part = read(&reply.as_bytes()[..cut]).unwrap();
            assert_eq!(part, None, "{cut} bytes are no whole reply");
        }
        read(reply.as_bytes()).unwrap().unwrap().body
    }

    #[test]
    fn a_reply_has_a_length_or_chunks() {
        let length = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
        assert_eq!(body_of(length), b"hi");
        let chunks =
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n1\r\n!\r\n0\r\n\r\n";
        assert_eq!(body_of(chunks), b"hi!");
        assert!(read(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
