//! Plugins and their versions. A version is immutable and known by its digest.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::id::PluginId;
use super::inspection::Inspection;

/// One of the interfaces a plugin can export.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum Handler {
    #[serde(rename = "start-handler")]
    Start,
    #[serde(rename = "transfer-handler")]
    Transfer,
    #[serde(rename = "tool-handler")]
    Tool,
    #[serde(rename = "event-handler")]
    Event,
}

impl Handler {
    pub const ALL: [Self; 4] = [Self::Start, Self::Transfer, Self::Tool, Self::Event];

    /// The interface's name in the contract.
    pub fn interface(self) -> &'static str {
        match self {
            Self::Start => "start-handler",
            Self::Transfer => "transfer-handler",
            Self::Tool => "tool-handler",
            Self::Event => "event-handler",
        }
    }
}

/// The handlers a version exports.
pub type Handlers = BTreeSet<Handler>;

/// The SHA-256 of a component's bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digits alone, for file names.
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Digest {
    fn schema_name() -> Cow<'static, str> {
        "Digest".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"})
    }
}

/// A text that is no digest.
#[derive(Debug, thiserror::Error)]
#[error("expected sha256: followed by 64 hexadecimal digits")]
pub struct InvalidDigest;

impl FromStr for Digest {
    type Err = InvalidDigest;
    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let mut bytes = [0; 32];
        let digits = text.strip_prefix("sha256:").ok_or(InvalidDigest)?;
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| InvalidDigest)?;
        Ok(Self(bytes))
    }
}

/// A name people give to a source or a plugin: it stands in URLs and tables.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
pub struct Name(#[schemars(regex(pattern = r"^[a-z0-9][a-z0-9-]{0,62}$"))] String);

/// A text that is no name.
#[derive(Debug, thiserror::Error)]
#[error(
    "a name has 1 to 63 lower-case letters, digits and hyphens, and begins with a letter or digit"
)]
pub struct InvalidName;

impl Name {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = InvalidName;
    fn try_from(text: String) -> Result<Self, InvalidName> {
        let valid = (1..=63).contains(&text.len())
            && !text.starts_with('-')
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if valid {
            Ok(Self(text))
        } else {
            Err(InvalidName)
        }
    }
}

impl FromStr for Name {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        text.to_owned().try_into()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Debug, Clone)]
pub struct Plugin {
    pub id: PluginId,
    pub name: Name,
    pub latest_version: u32,
    pub created_at: Timestamp,
}

#[derive(Debug, Clone)]
pub struct Version {
    pub plugin: Name,
    /// Counts from 1 in each plugin.
    pub number: u32,
    pub inspection: Inspection,
    pub created_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_reads_back_what_it_shows() {
        let digest = Digest::of(b"");
        assert_eq!(
            digest.to_string(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        assert!("sha256:e3".parse::<Digest>().is_err());
    }

    #[test]
    fn names_stand_in_urls() {
        for good in ["a", "start-gate", "0", &"a".repeat(63)] {
            assert!(good.parse::<Name>().is_ok(), "{good:?} was refused");
        }
        for bad in ["", "-a", "A", "a_b", "a/b", "ä", "..", &"a".repeat(64)] {
            assert!(bad.parse::<Name>().is_err(), "{bad:?} was taken for a name");
        }
    }
}
