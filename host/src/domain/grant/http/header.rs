//! The headers that grants add, with places for secrets.

use std::fmt;

use ::http::HeaderName;
use serde::{Deserialize, Serialize};

use crate::domain::plugin::Name;

/// The name of a header that a grant adds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AddedHeader(String);

crate::domain::schema::of!(AddedHeader as String);

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

crate::domain::schema::of!(HeaderTemplate as String);

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
    }
}
