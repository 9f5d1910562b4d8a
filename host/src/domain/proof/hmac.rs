//! How an HMAC in a header is made: of which text, with which hash, written how.
//!
//! Platforms differ in every part (Vapi leaves each to its customer), so each can be
//! said. Computing one needs nothing but these values; `ingest` compares with what came,
//! `dispatch` puts it onto what is sent.

use ::hmac::digest::KeyInit;
use ::hmac::{Hmac, Mac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ProofHeader, Tolerance};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    #[default]
    Sha256,
    Sha512,
    /// For platforms that know nothing better.
    Sha1,
}

impl Algorithm {
    /// The word that may stand before a signature: `sha256=…`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
            Self::Sha1 => "sha1",
        }
    }

    /// The HMAC of all these pieces, one after the other.
    pub fn hmac(self, key: &[u8], pieces: &[&[u8]]) -> Vec<u8> {
        match self {
            Self::Sha256 => mac::<Hmac<sha2::Sha256>>(key, pieces),
            Self::Sha512 => mac::<Hmac<sha2::Sha512>>(key, pieces),
            Self::Sha1 => mac::<Hmac<sha1::Sha1>>(key, pieces),
        }
    }
}

fn mac<M: Mac + KeyInit>(key: &[u8], pieces: &[&[u8]]) -> Vec<u8> {
    // HMAC takes keys of every length. Were there one it does not take, nothing would
    // be signed and nothing proved: no signature is empty.
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else {
        return Vec::new();
    };
    for piece in pieces {
        mac.update(piece);
    }
    mac.finalize().into_bytes().to_vec()
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    #[default]
    Hex,
    Base64,
}

impl Encoding {
    pub fn write(self, bytes: &[u8]) -> String {
        match self {
            Self::Hex => hex::encode(bytes),
            Self::Base64 => STANDARD.encode(bytes),
        }
    }

    pub fn read(self, text: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Hex => hex::decode(text).ok(),
            Self::Base64 => STANDARD.decode(text).ok(),
        }
    }
}

/// How a signature is made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Fields", into = "Fields")]
#[schemars(with = "Fields")]
pub struct HmacForm {
    pub algorithm: Algorithm,
    pub encoding: Encoding,
    pub signed: SignedText,
    /// Where the time is that is signed with the body, and how far off it may be.
    pub timestamp: Option<(ProofHeader, Tolerance)>,
}

impl HmacForm {
    /// Whether it is what most platforms have: SHA-256 of the body in hex.
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    /// The signature as it stands in its header, with the algorithm's name before it.
    pub fn sign(&self, key: &[u8], timestamp: &str, body: &[u8]) -> String {
        let pieces = self.signed.pieces(timestamp.as_bytes(), body);
        let mac = self.algorithm.hmac(key, &pieces);
        format!("{}={}", self.algorithm.name(), self.encoding.write(&mac))
    }
}

/// As it is written down.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "HmacForm")]
struct Fields {
    algorithm: Algorithm,
    encoding: Encoding,
    /// With `{body}` in it, and `{timestamp}` if the time is signed too.
    signed: SignedText,
    /// The header with the time: seconds or milliseconds since 1970, or ISO 8601.
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp_header: Option<ProofHeader>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tolerance_seconds: Option<Tolerance>,
}

impl Default for Fields {
    fn default() -> Self {
        HmacForm::default().into()
    }
}

impl From<HmacForm> for Fields {
    fn from(form: HmacForm) -> Self {
        let (timestamp_header, tolerance_seconds) = form.timestamp.unzip();
        Self {
            algorithm: form.algorithm,
            encoding: form.encoding,
            signed: form.signed,
            timestamp_header,
            tolerance_seconds,
        }
    }
}

/// Parts of a form that do not fit each other.
#[derive(Debug, thiserror::Error)]
pub enum InvalidForm {
    #[error("must have {{body}} in it once, and {{timestamp}} at most once")]
    SignedText,
    #[error(
        "signed has {{timestamp}} in it, so timestamp_header must name the header with the time"
    )]
    NoTimestampHeader,
    #[error(
        "timestamp_header is given, but the time is not signed: signed must have {{timestamp}} in it"
    )]
    UnsignedTimestamp,
    #[error("tolerance_seconds is given, but there is no timestamp_header")]
    NothingToTolerate,
}

impl TryFrom<Fields> for HmacForm {
    type Error = InvalidForm;
    fn try_from(fields: Fields) -> Result<Self, InvalidForm> {
        let signs_time = fields.signed.0.contains(&Piece::Timestamp);
        let timestamp = match (fields.timestamp_header, fields.tolerance_seconds) {
            (Some(_), _) if !signs_time => return Err(InvalidForm::UnsignedTimestamp),
            (None, _) if signs_time => return Err(InvalidForm::NoTimestampHeader),
            (None, Some(_)) => return Err(InvalidForm::NothingToTolerate),
            (header, tolerance) => header.map(|it| (it, tolerance.unwrap_or_default())),
        };
        Ok(Self {
            algorithm: fields.algorithm,
            encoding: fields.encoding,
            signed: fields.signed,
            timestamp,
        })
    }
}

/// What is signed: `{body}`, `{timestamp}.{body}`, …
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SignedText(Vec<Piece>);

crate::domain::schema::of!(SignedText as String);

/// A piece of what is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Text(String),
    Timestamp,
    Body,
}

impl SignedText {
    /// The pieces with this time and this body in their places.
    pub fn pieces<'a>(&'a self, timestamp: &'a [u8], body: &'a [u8]) -> Vec<&'a [u8]> {
        let piece = |piece: &'a Piece| match piece {
            Piece::Text(text) => text.as_bytes(),
            Piece::Timestamp => timestamp,
            Piece::Body => body,
        };
        self.0.iter().map(piece).collect()
    }
}

impl Default for SignedText {
    fn default() -> Self {
        Self(vec![Piece::Body])
    }
}

const BODY: &str = "{body}";
const TIMESTAMP: &str = "{timestamp}";

impl TryFrom<String> for SignedText {
    type Error = InvalidForm;
    fn try_from(text: String) -> Result<Self, InvalidForm> {
        const MAX_LEN: usize = 256;
        if text.len() > MAX_LEN
            || text.matches(BODY).count() != 1
            || text.matches(TIMESTAMP).count() > 1
        {
            return Err(InvalidForm::SignedText);
        }
        let mut pieces = Vec::new();
        let mut rest = text.as_str();
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix(BODY) {
                pieces.push(Piece::Body);
                rest = after;
            } else if let Some(after) = rest.strip_prefix(TIMESTAMP) {
                pieces.push(Piece::Timestamp);
                rest = after;
            } else {
                let next = [BODY, TIMESTAMP]
                    .iter()
                    .filter_map(|it| rest.find(it))
                    .min();
                let (literal, after) = rest.split_at(next.unwrap_or(rest.len()));
                pieces.push(Piece::Text(literal.to_owned()));
                rest = after;
            }
        }
        Ok(Self(pieces))
    }
}

impl From<SignedText> for String {
    fn from(text: SignedText) -> Self {
        let word = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Timestamp => TIMESTAMP.to_owned(),
            Piece::Body => BODY.to_owned(),
        };
        text.0.iter().map(word).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 4231, test case 2, and RFC 2202, test case 2.
    #[test]
    fn published_vectors_are_reproduced() {
        for (algorithm, wanted) in [
            (
                Algorithm::Sha256,
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                Algorithm::Sha512,
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
            ),
            (Algorithm::Sha1, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
        ] {
            let mac = algorithm.hmac(b"Jefe", &[b"what do ya want ", b"for nothing?"]);
            assert_eq!(hex::encode(mac), wanted);
        }
    }

    #[test]
    fn a_form_must_fit_together() {
        let read = |text: &str| serde_json::from_str::<HmacForm>(text);
        for text in [
            "{}",
            r#"{"signed":"v0:{timestamp}:{body}","timestamp_header":"x-time"}"#,
            r#"{"signed":"{body}{timestamp}","timestamp_header":"x-time","tolerance_seconds":5}"#,
        ] {
            assert!(read(text).is_ok(), "{text}");
        }
        for (text, said) in [
            (r#"{"signed":"x"}"#, "must have {body}"),
            (r#"{"signed":"{body}{body}"}"#, "must have {body}"),
            (
                r#"{"signed":"{timestamp}.{body}"}"#,
                "timestamp_header must name",
            ),
            (r#"{"timestamp_header":"x-time"}"#, "the time is not signed"),
            (r#"{"tolerance_seconds":5}"#, "there is no timestamp_header"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn a_signed_text_is_written_as_it_was_read(
            before in "[a-z.{}]{0,8}", between in "[a-z.{}]{0,8}", after in "[a-z.{}]{0,8}",
        ) {
            let text = format!("{before}{{body}}{between}{{timestamp}}{after}");
            if let Ok(signed) = SignedText::try_from(text.clone()) {
                prop_assert_eq!(&String::from(signed.clone()), &text);
                let pieces = signed.pieces(b"T", b"B").concat();
                let filled = text.replace("{body}", "B").replace("{timestamp}", "T");
                prop_assert_eq!(String::from_utf8(pieces).unwrap(), filled);
            }
        }
    }
}
