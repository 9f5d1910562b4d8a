//! What is asked: [`Request`], and where it goes.

use std::time::Duration;

use ::http::{Uri, uri::Authority};
use form_urlencoded::byte_serialize;
use serde::Serialize;

use super::{Code, Error, Response};
use crate::host;

/// How large a response's body may be unless the request says otherwise: 1 MiB.
pub const DEFAULT_MAX_BODY: usize = 1024 * 1024;

/// A request to make, built up and then [sent](Self::send).
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    timeout: Option<Duration>,
    max_body: usize,
}

impl Request {
    /// Any method, in capitals, and an absolute URL.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        let mut url = url.into();
        // A fragment is for whoever asks and never sent.
        url.truncate(url.find('#').unwrap_or(url.len()));
        Self {
            method: method.into(),
            url,
            headers: Vec::new(),
            body: Vec::new(),
            timeout: None,
            max_body: DEFAULT_MAX_BODY,
        }
    }

    /// `GET`: asks for a document.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// `HEAD`: asks whether there is a document.
    pub fn head(url: impl Into<String>) -> Self {
        Self::new("HEAD", url)
    }

    /// `POST`: hands something over.
    pub fn post(url: impl Into<String>) -> Self {
        Self::new("POST", url)
    }

    /// `PUT`: puts a document in its place.
    pub fn put(url: impl Into<String>) -> Self {
        Self::new("PUT", url)
    }

    /// `PATCH`: changes parts of a document.
    pub fn patch(url: impl Into<String>) -> Self {
        Self::new("PATCH", url)
    }

    /// `DELETE`: removes a document.
    pub fn delete(url: impl Into<String>) -> Self {
        Self::new("DELETE", url)
    }

    /// Adds a parameter to the URL, escaped: the `+` of a phone number would be
    /// read as a space.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.url
            .push(if self.url.contains('?') { '&' } else { '?' });
        self.url.extend(byte_serialize(name.as_bytes()));
        self.url.push('=');
        self.url.extend(byte_serialize(value.as_bytes()));
        self
    }

    /// Adds a header. Secrets are not among them: the grant names them, and the
    /// host adds them.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// What is handed over, as it is.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// What is handed over, as JSON, and the `content-type` that says so.
    ///
    /// Fails with [`Code::BadValue`] for values JSON cannot hold, for example a
    /// map with keys that are not text.
    pub fn json(self, value: &(impl Serialize + ?Sized)) -> Result<Self, Error> {
        let body = serde_json::to_vec(value)
            .map_err(|error| Error::new(Code::BadValue).detail(error.to_string()))?;
        let typed = if self.has_header("content-type") {
            self
        } else {
            self.header("content-type", "application/json")
        };
        Ok(typed.body(body))
    }

    /// How long the whole exchange may take, the last byte of the body
    /// included; after that it fails with [`Code::HttpResponseTimeout`].
    /// Without one the host's limits count alone.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How large the response's body may be, in bytes; a larger one is not read
    /// to its end and fails with [`Code::HttpResponseBodySize`].
    /// [`DEFAULT_MAX_BODY`] unless told.
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// Sends the request and waits for the whole response.
    ///
    /// Every response is one, whatever its status; see
    /// [`successful`](Response::successful).
    pub fn send(&self) -> Result<Response, Error> {
        let target = Target::of(&self.url).map_err(|error| error.of(&self.method))?;
        let origin = format!("{} {}", self.method, target.origin());
        let response = host::http_send(self, &target).map_err(|error| error.of(&origin))?;
        if response.body.len() > self.max_body {
            return Err(Error::new(Code::HttpResponseBodySize).of(origin));
        }
        Ok(response.to(origin))
    }

    /// The method.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The URL, with its parameters.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The headers, in the order they were added.
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// What is handed over.
    pub fn body_bytes(&self) -> &[u8] {
        &self.body
    }

    #[cfg_attr(
        not(target_arch = "wasm32"),
        allow(dead_code, reason = "the stand-in answers at once")
    )]
    pub(crate) fn time_limit(&self) -> Option<Duration> {
        self.timeout
    }

    #[cfg_attr(
        not(target_arch = "wasm32"),
        allow(dead_code, reason = "the stand-in has the whole body anyway")
    )]
    pub(crate) fn body_limit(&self) -> usize {
        self.max_body
    }

    pub(crate) fn has_header(&self, name: &str) -> bool {
        let mut names = self.headers.iter().map(|(name, _)| name);
        names.any(|one| one.eq_ignore_ascii_case(name))
    }
}

/// The parts of a URL, as `wasi:http` takes them.
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    allow(dead_code, reason = "the stand-in looks at the URL")
)]
pub(crate) struct Target {
    /// `https`, else `http`.
    pub(crate) secure: bool,
    /// The host, and the port if the URL has one.
    pub(crate) authority: Authority,
    pub(crate) path_and_query: String,
}

impl Target {
    fn of(url: &str) -> Result<Self, Error> {
        let invalid = |why: &str| Error::new(Code::HttpRequestUriInvalid).detail(why);
        let parts = url
            .parse::<Uri>()
            .map_err(|error| invalid(&error.to_string()))?
            .into_parts();
        let secure = match parts.scheme.as_ref().map(::http::uri::Scheme::as_str) {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(invalid("it must begin with https:// or http://")),
        };
        let authority = parts.authority.ok_or_else(|| invalid("it has no host"))?;
        if authority.as_str().contains('@') {
            return Err(invalid(
                "it has a user in it; let the grant add an `authorization` header",
            ));
        }
        Ok(Self {
            secure,
            authority,
            path_and_query: parts
                .path_and_query
                .map_or_else(|| "/".to_owned(), |path| path.to_string()),
        })
    }

    fn origin(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}", self.authority)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::Host;

    #[test]
    fn parameters_are_escaped_and_fragments_left_out() {
        let request = Request::get("https://crm.example.com/callers?v=2#top")
            .query("phone", "+14155551234")
            .query("näme", "a&b c");
        assert_eq!(
            request.url(),
            "https://crm.example.com/callers?v=2&phone=%2B14155551234&n%C3%A4me=a%26b+c"
        );
    }

    #[test]
    fn a_url_falls_into_the_parts_the_host_takes() {
        let target = Target::of("https://crm.example.com:8443/a%20b?c=d").unwrap();
        assert!(target.secure);
        assert_eq!(target.authority, "crm.example.com:8443");
        assert_eq!(target.path_and_query, "/a%20b?c=d");
        assert_eq!(Target::of("http://[::1]").unwrap().path_and_query, "/");
    }

    #[test]
    fn what_is_no_url_is_refused_before_anything_is_sent() {
        let host = Host::new();
        for (url, why) in [
            ("", "empty"),
            ("crm.example.com/callers", "invalid"),
            ("/callers", "https://"),
            ("ftp://crm.example.com/", "https://"),
            ("https:///callers", "invalid"),
            ("https://crm.example.com/a b", "invalid uri character"),
            ("https://me:secret@crm.example.com/", "authorization"),
        ] {
            let error = Request::get(url).send().unwrap_err();
            assert_eq!(error.code(), &Code::HttpRequestUriInvalid, "{url}");
            let text = error.to_string();
            assert!(text.contains(why), "{url}: {text}");
            assert!(!text.contains("secret"), "{text}");
        }
        assert!(host.requests().is_empty());
    }

    #[test]
    fn json_says_what_it_is_unless_told() {
        let request = Request::post("https://crm.example.com/")
            .json(&json!({"a": 1}))
            .unwrap();
        assert_eq!(request.body_bytes(), br#"{"a":1}"#);
        assert_eq!(
            request.headers(),
            [("content-type".to_owned(), "application/json".to_owned())]
        );
        let other = Request::post("https://crm.example.com/")
            .header("Content-Type", "application/ld+json")
            .json(&json!([]))
            .unwrap();
        assert_eq!(other.headers().len(), 1);
    }

    #[test]
    fn a_body_over_the_requests_own_limit_is_an_error() {
        let _host = Host::new().http(|_| Ok(Response::new(200).with_body("x".repeat(100))));
        let request = Request::get("https://crm.example.com/callers");
        assert_eq!(request.send().unwrap().body.len(), 100);
        let error = request.max_body(99).send().unwrap_err();
        assert_eq!(error.code(), &Code::HttpResponseBodySize);
        let text = error.to_string();
        assert!(text.starts_with("GET https://crm.example.com: "), "{text}");
    }
}
