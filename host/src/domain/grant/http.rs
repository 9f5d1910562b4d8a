//! Outbound HTTP: which requests a binding grants, and which headers the host adds
//! to them.
//!
//! `runtime` asks [`HttpGrant::covers`] for every request and every redirect;
//! `call` fills in the secrets of the headers once per change of the set-up, so
//! that a guest never sees one.

mod header;
mod host;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use ::http::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::header::{
    AddedHeader, HeaderTemplate, InvalidHeader, InvalidTemplate, is_header_text,
};
pub use self::host::{Host, HostPattern, InvalidHost};
use crate::domain::plugin::Name;

/// One host that may be called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
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

/// A method in upper case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MethodName(Cow<'static, str>);

crate::domain::schema::of!(MethodName as String);

impl MethodName {
    pub const POST: Self = Self(Cow::Borrowed("POST"));

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is no method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a method is a word in upper case such as GET; CONNECT cannot be granted")]
pub struct InvalidMethod;

impl TryFrom<String> for MethodName {
    type Error = InvalidMethod;
    fn try_from(text: String) -> Result<Self, InvalidMethod> {
        let word = (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_uppercase());
        if word && text != "CONNECT" {
            Ok(Self(Cow::Owned(text)))
        } else {
            Err(InvalidMethod)
        }
    }
}

impl From<MethodName> for String {
    fn from(method: MethodName) -> Self {
        method.0.into_owned()
    }
}

#[cfg(test)]
mod tests {
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
}
