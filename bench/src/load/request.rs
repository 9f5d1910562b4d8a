//! Requests: made once, then changed in two places for each that is sent.

use std::io::Write as _;
use std::net::SocketAddr;
use std::ops::Range;

use anyhow::{Context as _, Result};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Deserialize;
use sha2::Sha256;

use crate::clock;

/// Where the platform puts its signature (the seeds' older pages), and we look for it.
const SIGNATURE: &str = "x-blackbox-signature";
const SIGNATURE_DIGITS: usize = 64;

/// What is sent to where.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    #[serde(default = "post")]
    pub method: String,
    pub path: String,
    /// With [`clock::MARK`] where the time goes, if it is to tell calls apart.
    #[serde(default)]
    pub body: String,
}

fn post() -> String {
    "POST".to_owned()
}

/// What is the same in all requests.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sender<'a> {
    pub(super) address: SocketAddr,
    /// Of who uses the API.
    pub(super) token: Option<&'a str>,
    pub(super) signs: bool,
}

/// Signs bodies.
#[derive(Debug, Clone)]
pub(super) struct Key(Hmac<Sha256>);

impl Key {
    pub(super) fn new(text: &str) -> Result<Self> {
        let mac = Hmac::new_from_slice(text.as_bytes()).context("no key")?;
        Ok(Self(mac))
    }
}

/// The bytes of a request, and which of them change.
#[derive(Debug)]
pub(super) struct Prototype {
    bytes: Vec<u8>,
    body: usize,
    time: Option<Range<usize>>,
    signature: Option<Range<usize>>,
}

impl Prototype {
    pub(super) fn new(sample: &Sample, sender: Sender<'_>) -> Result<Self> {
        let Sample { method, path, body } = sample;
        let mut bytes = Vec::new();
        write!(
            bytes,
            "{method} {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n",
            sender.address,
            body.len()
        )?;
        if let Some(token) = sender.token {
            write!(bytes, "authorization: Bearer {token}\r\n")?;
        }
        let signature = if sender.signs {
            write!(bytes, "{SIGNATURE}: sha256=")?;
            let from = bytes.len();
            bytes.resize(from + SIGNATURE_DIGITS, b'0');
            bytes.extend_from_slice(b"\r\n");
            Some(from..from + SIGNATURE_DIGITS)
        } else {
            None
        };
        bytes.extend_from_slice(b"\r\n");
        let start = bytes.len();
        bytes.extend_from_slice(body.as_bytes());
        let mark = body.as_bytes().windows(clock::DIGITS);
        let mark = mark.into_iter().position(|it| it == clock::MARK);
        let time = mark.map(|at| start + at..start + at + clock::DIGITS);
        Ok(Self {
            bytes,
            body: start,
            time,
            signature,
        })
    }

    /// Puts the next request in place of what was there.
    pub(super) fn write(&self, key: Option<&Key>, request: &mut Vec<u8>) {
        request.clear();
        request.extend_from_slice(&self.bytes);
        if let Some(time) = &self.time {
            clock::write(clock::unique(), &mut request[time.clone()]);
        }
        if let (Some(digits), Some(Key(mac))) = (&self.signature, key) {
            let mac = mac.clone().chain_update(&request[self.body..]);
            let signature = mac.finalize().into_bytes();
            // As many digits as were made room for.
            let _ = hex::encode_to_slice(signature, &mut request[digits.clone()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_is_of_its_own_call_and_signed() {
        let sample = Sample {
            method: post(),
            path: "/hooks/a".to_owned(),
            body: format!(
                "{{\"callId\":\"{}\"}}",
                String::from_utf8_lossy(clock::MARK)
            ),
        };
        let sender = Sender {
            address: ([127, 0, 0, 1], 80).into(),
            token: None,
            signs: true,
        };
        let prototype = Prototype::new(&sample, sender).unwrap();
        let key = Key::new("secret").unwrap();
        let next = || {
            let mut request = Vec::new();
            prototype.write(Some(&key), &mut request);
            String::from_utf8(request).unwrap()
        };
        let (one, other) = (next(), next());
        assert_ne!(one, other);
        assert_eq!(one.len(), other.len());
        let (head, body) = one.split_once("\r\n\r\n").unwrap();
        let signature = Hmac::<Sha256>::new_from_slice(b"secret").unwrap();
        let signature = signature.chain_update(body).finalize().into_bytes();
        assert!(head.contains(&format!("{SIGNATURE}: sha256={}", hex::encode(signature))));
    }
}
