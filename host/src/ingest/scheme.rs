//! A platform's own way to show that a request is its own.
//!
//! A [`Scheme`] stands in the file of its dialect, and says only where in a request the
//! claim is and how it is made; comparing it with the secrets of a source is the same
//! for all of them ([`super::proof`]).

use std::borrow::Cow;

use ::http::HeaderMap;
use jiff::Timestamp;

use super::proof::Unproven;
use crate::domain::proof::Algorithm;
use crate::domain::secret::Secret;

pub trait Scheme: Send + Sync {
    /// What a request says of itself. Nothing of it is believed yet.
    fn claim<'r>(&self, headers: &'r HeaderMap, body: &'r [u8]) -> Result<Claim<'r>, Unproven>;

    /// Where the claim is, for the log.
    fn header(&self) -> &'static str;

    /// Adds what the platform would send to prove itself.
    fn prove(&self, secret: &Secret, headers: &mut HeaderMap, body: &[u8], now: Timestamp);

    /// The key that a secret's text stands for.
    fn key<'s>(&self, secret: &'s Secret) -> Result<Cow<'s, [u8]>, NoKey> {
        Ok(Cow::Borrowed(secret.expose().as_bytes()))
    }
}

/// A secret that this platform could not have given; with what it looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be {0}")]
pub struct NoKey(pub(super) &'static str);

/// What a request offers as proof.
#[derive(Debug)]
pub enum Claim<'r> {
    /// The secret itself, each time it is there: all of them must be right.
    Secret(Vec<&'r [u8]>),
    /// Signatures, of which one must be right.
    Signed(Signed<'r>),
}

#[derive(Debug)]
pub struct Signed<'r> {
    pub algorithm: Algorithm,
    /// What was signed, piece after piece.
    pub message: Vec<Cow<'r, [u8]>>,
    pub signatures: Vec<Vec<u8>>,
    /// When; none if nothing of the sort is signed.
    pub at: Option<Timestamp>,
}

/// A time as platforms write it: seconds or milliseconds since 1970, or ISO 8601.
pub(super) fn time(text: &str) -> Option<Timestamp> {
    /// As seconds it would be in the year 5138, as milliseconds in 1973.
    const FIRST_MILLISECOND: i64 = 100_000_000_000;
    match text.parse::<i64>() {
        Ok(count) if count >= FIRST_MILLISECOND => Timestamp::from_millisecond(count).ok(),
        Ok(count) => Timestamp::from_second(count).ok(),
        Err(_) => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_each_of_their_forms() {
        let wanted: Timestamp = "2021-02-25T15:02:10Z".parse().unwrap();
        for text in ["1614265330", "1614265330000", "2021-02-25T16:02:10+01:00"] {
            assert_eq!(time(text), Some(wanted), "{text}");
        }
        for text in ["", "now", "1e9", "16142653300000000000", " 1614265330"] {
            assert_eq!(time(text), None, "{text:?}");
        }
    }
}
