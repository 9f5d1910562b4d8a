//! An endpoint's address.

use serde::{Deserialize, Serialize};
use url::Url;

use crate::domain::grant::http::Scheme;

/// An absolute `http` or `https` URL with a host and without a user name. Where it
/// leads is decided when it is connected to (`egress`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EndpointUrl(Url);

crate::domain::schema::of!(EndpointUrl as String);

/// A text that is no endpoint's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected an absolute http: or https: URL of at most {} bytes, with a host and without user name, password and fragment",
    EndpointUrl::MAX_LEN
)]
pub struct InvalidUrl;

impl EndpointUrl {
    pub const MAX_LEN: usize = 2048;

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub fn scheme(&self) -> Scheme {
        match self.0.scheme() {
            "https" => Scheme::Https,
            _ => Scheme::Http,
        }
    }

    /// The address with more query parameters.
    pub fn with_query<'q>(&self, query: impl IntoIterator<Item = (&'q String, &'q String)>) -> Url {
        let mut url = self.0.clone();
        let mut query = query.into_iter().peekable();
        if query.peek().is_some() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }
}

impl TryFrom<String> for EndpointUrl {
    type Error = InvalidUrl;
    fn try_from(text: String) -> Result<Self, InvalidUrl> {
        if text.len() > Self::MAX_LEN {
            return Err(InvalidUrl);
        }
        let url = Url::parse(&text).map_err(|_| InvalidUrl)?;
        let anonymous = url.username().is_empty() && url.password().is_none();
        let web = matches!(url.scheme(), "http" | "https") && url.has_host();
        if web && anonymous && url.fragment().is_none() {
            Ok(Self(url))
        } else {
            Err(InvalidUrl)
        }
    }
}

impl From<EndpointUrl> for String {
    fn from(url: EndpointUrl) -> Self {
        url.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_web_address_is_refused() {
        for text in [
            "",
            "example.com/hook",
            "/hook",
            "ftp://example.com/",
            "https://",
            "https://user@example.com/",
            "https://user:key@example.com/",
            "https://example.com/#here",
        ] {
            assert!(EndpointUrl::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn query_parameters_are_added_to_those_it_has() {
        let url = EndpointUrl::try_from("https://example.com/a?b=c".to_owned()).unwrap();
        let more = [("d e".to_owned(), "f&g".to_owned())];
        let query = url.with_query(more.iter().map(|(name, value)| (name, value)));
        assert_eq!(query.as_str(), "https://example.com/a?b=c&d+e=f%26g");
        assert_eq!(url.with_query([]).as_str(), url.as_str());
    }
}
