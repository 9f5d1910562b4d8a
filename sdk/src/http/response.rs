//! What came back: [`Response`].

use std::str;

#[cfg(not(target_arch = "wasm32"))]
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Code, Error};

/// A whole response, whatever its status.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers; their names are in lower case. Bytes that are not text are
    /// replaced.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// For errors: what was asked.
    origin: String,
}

impl Response {
    /// A response without headers and body.
    pub fn new(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    /// Whether the status is one of success: 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// This response if its status is one of success, else an error of
    /// [`Code::BadStatus`].
    pub fn successful(self) -> Result<Self, Error> {
        if self.is_success() {
            return Ok(self);
        }
        let status = format!("{}", self.status);
        Err(self.error(Code::BadStatus, status))
    }

    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(one, _)| one.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The body as text. Bytes that are not UTF-8 are an error of
    /// [`Code::BadValue`].
    pub fn text(&self) -> Result<&str, Error> {
        str::from_utf8(&self.body).map_err(|error| self.error(Code::BadValue, error.to_string()))
    }

    /// The body, read as JSON. One that does not fit is an error of
    /// [`Code::BadValue`] that says where.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        crate::json::parse(self.text()?)
            .map_err(|error| self.error(Code::BadValue, format!("{error:#}")))
    }

    /// To which request it is the response.
    pub(super) fn to(mut self, origin: String) -> Self {
        self.origin = origin;
        self
    }

    fn error(&self, code: Code, detail: String) -> Error {
        Error::new(code).detail(detail).of(&self.origin)
    }
}

/// For unit tests, in which the test makes the responses.
#[cfg(not(target_arch = "wasm32"))]
impl Response {
    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers
            .push((name.to_ascii_lowercase(), value.to_owned()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets the body to a value as JSON, and the `content-type` that says so.
    ///
    /// # Panics
    /// When the value has no JSON form.
    #[must_use]
    pub fn with_json(self, value: &(impl Serialize + ?Sized)) -> Self {
        let body = crate::testing::document(value).into_string();
        self.with_header("content-type", "application/json")
            .with_body(body)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{http, testing::Host};

    fn asked(response: Response) -> Response {
        let _host = Host::new().http(move |_| Ok(response.clone()));
        http::get("https://crm.example.com/callers/+14155551234").unwrap()
    }

    #[test]
    fn a_response_is_read_as_what_it_is() {
        let response = asked(Response::new(200).with_json(&json!({"tier": "gold"})));
        assert_eq!(response.header("Content-Type"), Some("application/json"));
        assert_eq!(response.header("etag"), None);
        assert_eq!(response.json::<Value>().unwrap()["tier"], "gold");
        assert_eq!(response.text().unwrap(), r#"{"tier":"gold"}"#);
    }

    #[test]
    fn a_body_of_another_form_says_where_and_whose_but_not_who_called() {
        let response = asked(Response::new(200).with_json(&json!({"tier": 7})));
        let error = response
            .json::<std::collections::BTreeMap<String, String>>()
            .unwrap_err();
        assert_eq!(error.code(), &Code::BadValue);
        let text = error.to_string();
        let start =
            "GET https://crm.example.com: bad-value: a body is not what was expected: tier: ";
        assert!(text.starts_with(start), "{text}");
        assert!(!text.contains("4155551234"), "{text}");
        let bytes = asked(Response::new(200).with_body([0, 159]));
        assert_eq!(bytes.text().unwrap_err().code(), &Code::BadValue);
    }

    #[test]
    fn a_status_is_an_error_only_when_it_is_asked_about() {
        let response = asked(Response::new(404));
        assert_eq!(response.status, 404);
        let error = response.successful().unwrap_err();
        assert_eq!(error.code(), &Code::BadStatus);
        assert!(error.to_string().ends_with(": 404"), "{error}");
        assert!(asked(Response::new(204)).successful().is_ok());
    }
}
