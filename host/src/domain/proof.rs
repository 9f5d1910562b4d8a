//! Proofs of origin: how a request shows who sent it.
//!
//! A source checks [`Proof`]s (`ingest::proof`); an endpoint's requests carry
//! [`Credential`]s (`dispatch::sign`), so that a receiver that was written for a platform
//! takes them. Both are read from the same form: the field `type` beside the others.
//!
//! They are generic over what stands for a secret: the secret itself, its text where it
//! is stored, or where it is to be found.

mod hmac;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use self::hmac::{Algorithm, Encoding, HmacForm, InvalidForm, Piece, SignedText};
use super::secret::Secret;
use crate::json;

/// How a request shows that the platform sent it. Several secrets may hold at once, so
/// that one can be replaced without losing a call.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case")]
pub enum Proof<S = Secret> {
    Header(SharedHeader<S>),
    Hmac(HmacHeader<S>),
    Address(AddressRanges),
    Platform(PlatformProof<S>),
}

/// What an endpoint's requests carry.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case")]
pub enum Credential<S = Secret> {
    Header(SharedHeader<S>),
    Hmac(HmacHeader<S>),
}

/// A header that has exactly one of these values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SharedHeader<S = Secret> {
    pub name: ProofHeader,
    pub values: Vec<S>,
}

/// A header with an HMAC; of the raw body, with SHA-256 and in hex unless told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HmacHeader<S = Secret> {
    pub header: ProofHeader,
    pub secrets: Vec<S>,
    #[serde(default, skip_serializing_if = "HmacForm::is_usual")]
    pub form: HmacForm,
}

/// The networks that requests come from. Behind proxies the client's address is what
/// those say that the operator trusts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddressRanges {
    /// Such as `52.6.0.0/16`.
    #[schemars(with = "Vec<String>")]
    pub ranges: Vec<IpNet>,
}

impl AddressRanges {
    pub const MOST: usize = 64;
}

/// The way that the source's platform itself has to sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlatformProof<S = Secret> {
    pub secrets: Vec<S>,
    /// How far the signature's time may be from ours, where it has one.
    #[serde(default)]
    pub tolerance_seconds: Tolerance,
}

/// How old, or how far ahead, a signature may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "u32", into = "u32")]
pub struct Tolerance(#[schemars(range(min = 1, max = 86_400))] u32);

/// A time that is no tolerance.
#[derive(Debug, thiserror::Error)]
#[error("must be 1 to {} seconds", Tolerance::MAX_SECONDS)]
pub struct InvalidTolerance;

impl Tolerance {
    const MAX_SECONDS: u32 = 86_400;

    pub fn seconds(self) -> u32 {
        self.0
    }
}

impl Default for Tolerance {
    /// What Standard Webhooks and Retell have.
    fn default() -> Self {
        Self(300)
    }
}

impl TryFrom<u32> for Tolerance {
    type Error = InvalidTolerance;
    fn try_from(seconds: u32) -> Result<Self, InvalidTolerance> {
        if (1..=Self::MAX_SECONDS).contains(&seconds) {
            Ok(Self(seconds))
        } else {
            Err(InvalidTolerance)
        }
    }
}

impl From<Tolerance> for u32 {
    fn from(tolerance: Tolerance) -> Self {
        tolerance.0
    }
}

/// The name of a header, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProofHeader(String);

super::schema::of!(ProofHeader as String);

/// A text that names no header.
#[derive(Debug, thiserror::Error)]
#[error("must be the name of an HTTP header")]
pub struct InvalidHeaderName;

impl ProofHeader {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ProofHeader {
    type Error = InvalidHeaderName;
    fn try_from(text: String) -> Result<Self, InvalidHeaderName> {
        let name = ::http::HeaderName::try_from(text).map_err(|_| InvalidHeaderName)?;
        Ok(Self(name.as_str().to_owned()))
    }
}

impl From<ProofHeader> for String {
    fn from(header: ProofHeader) -> Self {
        header.0
    }
}

impl<S> SharedHeader<S> {
    fn map<T, E>(&self, each: impl FnMut(&S) -> Result<T, E>) -> Result<SharedHeader<T>, E> {
        Ok(SharedHeader {
            name: self.name.clone(),
            values: self.values.iter().map(each).collect::<Result<_, E>>()?,
        })
    }
}

impl<S> HmacHeader<S> {
    fn map<T, E>(&self, each: impl FnMut(&S) -> Result<T, E>) -> Result<HmacHeader<T>, E> {
        Ok(HmacHeader {
            header: self.header.clone(),
            secrets: self.secrets.iter().map(each).collect::<Result<_, E>>()?,
            form: self.form.clone(),
        })
    }
}

/// A proof in whichever form its secrets are.
pub trait HoldsSecrets: Sized {
    type Secret;
    type With<T>;

    /// The same with something else in place of each secret.
    fn map<T, E>(
        &self,
        each: impl FnMut(&Self::Secret) -> Result<T, E>,
    ) -> Result<Self::With<T>, E>;

    /// What may be shown of it.
    fn shown(&self) -> ShownProof;
}

impl<S> HoldsSecrets for Proof<S> {
    type Secret = S;
    type With<T> = Proof<T>;

    fn map<T, E>(&self, each: impl FnMut(&S) -> Result<T, E>) -> Result<Proof<T>, E> {
        Ok(match self {
            Self::Header(header) => Proof::Header(header.map(each)?),
            Self::Hmac(hmac) => Proof::Hmac(hmac.map(each)?),
            Self::Address(ranges) => Proof::Address(ranges.clone()),
            Self::Platform(platform) => Proof::Platform(PlatformProof {
                secrets: platform
                    .secrets
                    .iter()
                    .map(each)
                    .collect::<Result<_, E>>()?,
                tolerance_seconds: platform.tolerance_seconds,
            }),
        })
    }

    fn shown(&self) -> ShownProof {
        match self {
            Self::Header(header) => header.into(),
            Self::Hmac(hmac) => hmac.into(),
            Self::Address(AddressRanges { ranges }) => ShownProof::Address {
                ranges: ranges.clone(),
            },
            Self::Platform(platform) => ShownProof::Platform {
                tolerance_seconds: platform.tolerance_seconds,
            },
        }
    }
}

impl<S> HoldsSecrets for Credential<S> {
    type Secret = S;
    type With<T> = Credential<T>;

    fn map<T, E>(&self, each: impl FnMut(&S) -> Result<T, E>) -> Result<Credential<T>, E> {
        Ok(match self {
            Self::Header(header) => Credential::Header(header.map(each)?),
            Self::Hmac(hmac) => Credential::Hmac(hmac.map(each)?),
        })
    }

    fn shown(&self) -> ShownProof {
        match self {
            Self::Header(header) => header.into(),
            Self::Hmac(hmac) => hmac.into(),
        }
    }
}

/// A proof or a credential without its secrets.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ShownProof {
    Header {
        name: ProofHeader,
    },
    Hmac {
        header: ProofHeader,
        #[serde(skip_serializing_if = "HmacForm::is_usual")]
        form: HmacForm,
    },
    Address {
        #[schemars(with = "Vec<String>")]
        ranges: Vec<IpNet>,
    },
    Platform {
        tolerance_seconds: Tolerance,
    },
}

impl<S> From<&SharedHeader<S>> for ShownProof {
    fn from(header: &SharedHeader<S>) -> Self {
        Self::Header {
            name: header.name.clone(),
        }
    }
}

impl<S> From<&HmacHeader<S>> for ShownProof {
    fn from(hmac: &HmacHeader<S>) -> Self {
        Self::Hmac {
            header: hmac.header.clone(),
            form: hmac.form.clone(),
        }
    }
}

/// The forms in which both are read and written: reading by [`json::tagged`] names the
/// field at fault, which serde's own tagged enums cannot.
mod form {
    use super::{AddressRanges, Deserialize, HmacHeader, PlatformProof, Serialize, SharedHeader};

    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub(super) enum ReadProof<S> {
        Header(SharedHeader<S>),
        Hmac(HmacHeader<S>),
        Address(AddressRanges),
        Platform(PlatformProof<S>),
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub(super) enum ReadCredential<S> {
        Header(SharedHeader<S>),
        Hmac(HmacHeader<S>),
    }

    #[derive(Serialize)]
    #[serde(tag = "type", rename_all = "snake_case")]
    pub(super) enum Written<'a, S> {
        Header(&'a SharedHeader<S>),
        Hmac(&'a HmacHeader<S>),
        Address(&'a AddressRanges),
        Platform(&'a PlatformProof<S>),
    }
}

impl<'de, S: DeserializeOwned> Deserialize<'de> for Proof<S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match json::tagged(deserializer, "type")? {
            form::ReadProof::Header(header) => Self::Header(header),
            form::ReadProof::Hmac(hmac) => Self::Hmac(hmac),
            form::ReadProof::Address(ranges) => Self::Address(ranges),
            form::ReadProof::Platform(platform) => Self::Platform(platform),
        })
    }
}

impl<'de, S: DeserializeOwned> Deserialize<'de> for Credential<S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match json::tagged(deserializer, "type")? {
            form::ReadCredential::Header(header) => Self::Header(header),
            form::ReadCredential::Hmac(hmac) => Self::Hmac(hmac),
        })
    }
}

/// Only what stands for secrets can be written by itself: [`Secret`] cannot.
impl<S: Serialize> Serialize for Proof<S> {
    fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        match self {
            Self::Header(header) => form::Written::Header(header),
            Self::Hmac(hmac) => form::Written::Hmac(hmac),
            Self::Address(ranges) => form::Written::Address(ranges),
            Self::Platform(platform) => form::Written::Platform(platform),
        }
        .serialize(serializer)
    }
}

impl<S: Serialize> Serialize for Credential<S> {
    fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        match self {
            Self::Header(header) => form::Written::Header(header),
            Self::Hmac(hmac) => form::Written::Hmac(hmac),
        }
        .serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::ReadError;

    fn read(text: &str) -> Result<Proof<String>, ReadError> {
        let raw = serde_json::value::RawValue::from_string(text.to_owned()).unwrap();
        json::part(&raw, "proof[0]")
    }

    #[test]
    fn what_is_written_is_read_again() {
        for text in [
            r#"{"type":"header","name":"x-key","values":["a","b"]}"#,
            r#"{"type":"hmac","header":"x-sig","secrets":["a"]}"#,
            r#"{"type":"hmac","header":"x-sig","secrets":["a"],"form":{"algorithm":"sha512","encoding":"base64","signed":"{timestamp}.{body}","timestamp_header":"x-time","tolerance_seconds":60}}"#,
            r#"{"type":"address","ranges":["52.6.0.0/16","2001:db8::/32"]}"#,
            r#"{"type":"platform","secrets":["a"],"tolerance_seconds":300}"#,
        ] {
            let proof = read(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(serde_json::to_string(&proof).unwrap(), text);
        }
    }

    #[test]
    fn the_field_at_fault_is_named() {
        for (text, field) in [
            (r"{}", "proof[0].type"),
            (r#"{"type":"signature"}"#, "proof[0].type"),
            (r#"{"type":"header","values":[]}"#, "proof[0].name"),
            (
                r#"{"type":"header","name":"a b","values":[]}"#,
                "proof[0].name",
            ),
            (
                r#"{"type":"address","ranges":["1.2.3.4/40"]}"#,
                "proof[0].ranges[0]",
            ),
            (
                r#"{"type":"platform","secrets":[],"tolerance_seconds":0}"#,
                "proof[0].tolerance_seconds",
            ),
            (
                r#"{"type":"hmac","header":"x","secrets":[],"form":{"algorithm":"md5"}}"#,
                "proof[0].form.algorithm",
            ),
            (
                r#"{"type":"hmac","header":"x","secrets":[],"form":{"signed":"{timestamp}"}}"#,
                "proof[0].form.signed",
            ),
            (
                r#"{"type":"hmac","header":"x","secrets":[],"prefix":"v1="}"#,
                "proof[0].prefix",
            ),
        ] {
            let named = match read(text) {
                Err(ReadError::MissingField { field } | ReadError::InvalidField { field, .. }) => {
                    field
                }
                other => panic!("{text}: {other:?}"),
            };
            assert_eq!(named, field, "{text}");
        }
    }

    #[test]
    fn an_endpoint_has_no_addresses_to_show() {
        let text = r#"{"type":"address","ranges":[]}"#;
        let read: Result<Credential<String>, _> = json::object(text);
        let Err(ReadError::InvalidField { field, problem }) = read else {
            panic!("{read:?}");
        };
        assert_eq!(field, "type");
        assert!(problem.contains("`header` or `hmac`"), "{problem}");
    }
}
