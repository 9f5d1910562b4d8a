//! Outbound HTTP: which requests a binding grants, and which headers the host adds
//! to them.
//!
//! `runtime` asks [`HttpGrant::covers`] for every request and every redirect;
//! `call` fills in the secrets of the headers once per change of the set-up, so
//! that a guest never sees one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use ::http::{HeaderName, Method};
use serde::{Deserialize, Serialize};

use crate::domain::plugin::Name;

/// One host that may be called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpGrant {
    pub host: HostPattern,
    #[serde(default)]
    pub scheme: Scheme,
    /// The scheme's own if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// All if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub methods: Option<BTreeSet<MethodName>>,
    /// Set on every request that this grant covers, in place of the guest's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<AddedHeader, HeaderTemplate>,
}

/// Where a request goes, as far as grants look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Destination<'a> {
    pub scheme: Scheme,
    pub host: Host<'a>,
    pub port: u16,
}

/// A host in its one canonical form, as URLs are parsed: names in lower case and
/// ASCII, every way to write an IPv4 address read as that address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host<'a> {
    Name(&'a str),
    Address(IpAddr),
}

impl HttpGrant {
    /// Whether a request may be sent under this grant.
    pub fn covers(&self, to: &Destination<'_>, method: &Method) -> bool {
        self.scheme == to.scheme
            && self.port.unwrap_or(self.scheme.default_port()) == to.port
            && self.host.matches(to.host)
            && self
                .methods
                .as_ref()
                .is_none_or(|methods| methods.iter().any(|granted| granted.0 == method.as_str()))
    }

    /// The secrets that its headers use.
    pub fn secrets(&self) -> impl Iterator<Item = &Name> {
        self.headers.values().flat_map(HeaderTemplate::names)
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    #[default]
    Https,
    Http,
}

impl Scheme {
    pub fn default_port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::Http => 80,
        }
    }
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
    fn matches(&self, host: Host<'_>) -> bool {
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

/// A method in upper case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MethodName(String);

/// A text that is no method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a method is a word in upper case such as GET; CONNECT cannot be granted")]
pub struct InvalidMethod;

impl TryFrom<String> for MethodName {
    type Error = InvalidMethod;
    fn try_from(text: String) -> Result<Self, InvalidMethod> {
        let word = (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_uppercase());
        if word && text != "CONNECT" {
            Ok(Self(text))
        } else {
            Err(InvalidMethod)
        }
    }
}

impl From<MethodName> for String {
    fn from(method: MethodName) -> Self {
        method.0
    }
}

/// The name of a header that a grant adds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AddedHeader(String);

/// A header that a grant cannot add.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHeader {
    #[error("expected the name of a header, such as authorization")]
    Name,
    #[error("this header belongs to the connection and is set by the host")]
    Reserved,
}

/// Set by the HTTP client, or about the connection rather than the request.
const RESERVED: [&str; 10] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl AddedHeader {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for AddedHeader {
    type Error = InvalidHeader;
    fn try_from(text: String) -> Result<Self, InvalidHeader> {
        let name = HeaderName::try_from(text).map_err(|_| InvalidHeader::Name)?;
        if RESERVED.contains(&name.as_str()) {
            return Err(InvalidHeader::Reserved);
        }
        Ok(Self(name.as_str().to_owned()))
    }
}

impl From<AddedHeader> for String {
    fn from(header: AddedHeader) -> Self {
        header.0
    }
}

/// A header's value with places for secrets: `Bearer ${secret:crm}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HeaderTemplate {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Secret(Name),
}

/// A text that is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTemplate {
    #[error("a header's value has at most {} bytes", HeaderTemplate::MAX_LEN)]
    TooLong,
    #[error("a header's value is visible ASCII text and spaces")]
    NotText,
    #[error("${{ must be followed by secret:NAME and a closing }}, as in ${{secret:crm}}")]
    Placeholder,
}

const OPEN: &str = "${";
const SECRET: &str = "secret:";

impl HeaderTemplate {
    pub const MAX_LEN: usize = 4096;

    /// Reads a template. What is not within `${…}` stands for itself.
    pub fn parse(text: &str) -> Result<Self, InvalidTemplate> {
        if text.len() > Self::MAX_LEN {
            return Err(InvalidTemplate::TooLong);
        }
        if !is_header_text(text) {
            return Err(InvalidTemplate::NotText);
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once(OPEN) {
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let (inside, left) = after.split_once('}').ok_or(InvalidTemplate::Placeholder)?;
            let name = inside
                .strip_prefix(SECRET)
                .and_then(|name| name.parse().ok())
                .ok_or(InvalidTemplate::Placeholder)?;
            parts.push(Part::Secret(name));
            rest = left;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self { parts })
    }

    /// The secrets it uses.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.parts.iter().filter_map(|part| match part {
            Part::Secret(name) => Some(name),
            Part::Text(_) => None,
        })
    }

    /// The value with its secrets filled in; `None` if one of them is missing.
    pub fn render<'s>(&self, secret: impl Fn(&Name) -> Option<&'s str>) -> Option<String> {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => Some(text.as_str()),
                Part::Secret(name) => secret(name),
            })
            .collect()
    }
}

/// Whether a text can be (part of) a header's value.
pub fn is_header_text(text: &str) -> bool {
    text.bytes().all(|b| b == b' ' || b.is_ascii_graphic())
}

impl TryFrom<String> for HeaderTemplate {
    type Error = InvalidTemplate;
    fn try_from(text: String) -> Result<Self, InvalidTemplate> {
        Self::parse(&text)
    }
}

impl fmt::Display for HeaderTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(text),
            Part::Secret(name) => write!(f, "{OPEN}{SECRET}{name}}}"),
        })
    }
}

impl From<HeaderTemplate> for String {
    fn from(template: HeaderTemplate) -> Self {
        template.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn grant(text: &str) -> HttpGrant {
        serde_json::from_str(text).unwrap()
    }

    fn to(scheme: Scheme, host: Host<'_>, port: u16) -> Destination<'_> {
        Destination { scheme, host, port }
    }

    #[test]
    fn a_grant_covers_its_host_its_port_and_its_methods() {
        let crm = grant(r#"{"host":"crm.example.com","methods":["GET"]}"#);
        let name = Host::Name("crm.example.com");
        assert!(crm.covers(&to(Scheme::Https, name, 443), &Method::GET));
        for (destination, method) in [
            (to(Scheme::Http, name, 80), Method::GET),
            (to(Scheme::Https, name, 8443), Method::GET),
            (to(Scheme::Https, name, 443), Method::POST),
            (
                to(Scheme::Https, Host::Name("example.com"), 443),
                Method::GET,
            ),
            (
                to(Scheme::Https, Host::Name("xcrm.example.com"), 443),
                Method::GET,
            ),
        ] {
            assert!(!crm.covers(&destination, &method), "{destination:?}");
        }
    }

    #[test]
    fn a_wildcard_covers_what_is_below_its_domain_and_not_the_domain() {
        let below = grant(r#"{"host":"*.example.com"}"#);
        let covers =
            |name| below.covers(&to(Scheme::Https, Host::Name(name), 443), &Method::DELETE);
        assert!(covers("a.example.com"));
        assert!(covers("a.b.example.com"));
        assert!(!covers("example.com"));
        assert!(!covers(".example.com"));
        assert!(!covers("evilexample.com"));
        assert!(!covers("a.example.com.evil.net"));
    }

    #[test]
    fn an_address_is_granted_as_an_address_only() {
        let address = grant(r#"{"host":"127.0.0.1","scheme":"http","port":8080}"#);
        let local = Host::Address([127, 0, 0, 1].into());
        assert!(address.covers(&to(Scheme::Http, local, 8080), &Method::PUT));
        assert!(!address.covers(
            &to(Scheme::Http, Host::Name("127.0.0.1"), 8080),
            &Method::PUT
        ));
    }

    #[test]
    fn mistakes_in_a_grant_are_explained() {
        for (text, said) in [
            (r#"{"host":"*"}"#, "wildcard"),
            (r#"{"host":"*.com"}"#, "wildcard"),
            (r#"{"host":"a.*.com"}"#, "wildcard"),
            (r#"{"host":"https://example.com"}"#, "without scheme"),
            (r#"{"host":"example.com:80"}"#, "without scheme"),
            (r#"{"host":"Example.com"}"#, "lower-case"),
            (r#"{"host":"127.1"}"#, "lower-case"),
            (r#"{"host":"0x7f000001"}"#, "lower-case"),
            (r#"{"host":""}"#, "lower-case"),
            (r#"{"host":"a.b","methods":["get"]}"#, "upper case"),
            (r#"{"host":"a.b","methods":["CONNECT"]}"#, "CONNECT"),
            (
                r#"{"host":"a.b","headers":{"host":"x"}}"#,
                "set by the host",
            ),
            (
                r#"{"host":"a.b","headers":{"a b":"x"}}"#,
                "name of a header",
            ),
            (
                r#"{"host":"a.b","headers":{"a":"${secret:}"}}"#,
                "secret:NAME",
            ),
            (
                r#"{"host":"a.b","headers":{"a":"${secret:x"}}"#,
                "secret:NAME",
            ),
            (
                r#"{"host":"a.b","headers":{"a":"x\r\ny"}}"#,
                "visible ASCII",
            ),
            (r#"{"host":"a.b","hots":1}"#, "hots"),
        ] {
            let error = serde_json::from_str::<HttpGrant>(text).unwrap_err();
            assert!(error.to_string().contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn a_template_is_filled_in_with_its_secrets() {
        let template = HeaderTemplate::parse("Basic ${secret:user}:${secret:key} $5 {x}").unwrap();
        let names: Vec<_> = template.names().map(Name::as_str).collect();
        assert_eq!(names, ["user", "key"]);
        let secret = |name: &Name| (name.as_str() == "user").then_some("ada");
        assert_eq!(template.render(secret), None);
        assert_eq!(
            template.render(|_| Some("${secret:user}")).unwrap(),
            "Basic ${secret:user}:${secret:user} $5 {x}",
            "what a secret holds is not read again"
        );
    }

    proptest! {
        #[test]
        fn a_template_shows_what_it_was_read_from(text in "[ -~]{0,40}") {
            if let Ok(template) = HeaderTemplate::parse(&text) {
                prop_assert_eq!(template.to_string(), text);
            }
        }

        #[test]
        fn a_host_pattern_shows_what_it_was_read_from(text in "[a-z0-9.*-]{1,20}") {
            if let Ok(pattern) = HostPattern::try_from(text.clone()) {
                prop_assert_eq!(pattern.to_string(), text);
            }
        }
    }
}
