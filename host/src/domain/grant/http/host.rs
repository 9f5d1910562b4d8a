//! The hosts that grants name.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// A host in its one canonical form, as URLs are parsed: names in lower case and
/// ASCII, every way to write an IPv4 address read as that address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host<'a> {
    Name(&'a str),
    Address(IpAddr),
}

/// A name, all names below one (`*.example.com`), or an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum HostPattern {
    Name(String),
    /// The part after `*.`
    Below(String),
    Address(IpAddr),
}

crate::domain::schema::of!(HostPattern as String);

/// A text that names no host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHost {
    #[error(
        "a wildcard stands for the names below a domain, as in *.example.com; every host cannot be granted at once"
    )]
    Wildcard,
    #[error(
        "expected a host name in lower-case ASCII (xn--… for others), *.domain, or an IP address, without scheme, port or path"
    )]
    Name,
}

impl HostPattern {
    pub(super) fn matches(&self, host: Host<'_>) -> bool {
        match (self, host) {
            (Self::Name(granted), Host::Name(name)) => granted == name,
            (Self::Below(domain), Host::Name(name)) => name
                .strip_suffix(domain.as_str())
                .and_then(|rest| rest.strip_suffix('.'))
                .is_some_and(|below| !below.is_empty()),
            (Self::Address(granted), Host::Address(address)) => *granted == address,
            (Self::Name(_) | Self::Below(_), Host::Address(_))
            | (Self::Address(_), Host::Name(_)) => false,
        }
    }
}

/// Whether a text is a host name in its canonical form. One whose last label is a
/// number would be read as an address by URL parsers.
fn is_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    let number = last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x");
    text.len() <= 253 && text.split('.').all(label) && !number
}

impl TryFrom<String> for HostPattern {
    type Error = InvalidHost;
    fn try_from(text: String) -> Result<Self, InvalidHost> {
        let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
        if let Ok(address) = bare.unwrap_or(&text).parse::<IpAddr>() {
            return Ok(Self::Address(address));
        }
        if let Some(domain) = text.strip_prefix("*.") {
            // One label is a whole top-level domain.
            if is_name(domain) && domain.contains('.') {
                return Ok(Self::Below(domain.to_owned()));
            }
            return Err(InvalidHost::Wildcard);
        }
        if text.contains('*') {
            return Err(InvalidHost::Wildcard);
        }
        if is_name(&text) {
            return Ok(Self::Name(text));
        }
        Err(InvalidHost::Name)
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Below(domain) => write!(f, "*.{domain}"),
            Self::Address(address) => write!(f, "{address}"),
        }
    }
}

impl From<HostPattern> for String {
    fn from(pattern: HostPattern) -> Self {
        pattern.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_host_pattern_shows_what_it_was_read_from(text in "[a-z0-9.*-]{1,20}") {
            if let Ok(pattern) = HostPattern::try_from(text.clone()) {
                prop_assert_eq!(pattern.to_string(), text);
            }
        }
    }
}
