//! Why a request brought no response.

use std::fmt;

/// Why a request brought no response, or not the one that was wanted.
///
/// It names the method and the host, not the path, which may say who called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    code: Code,
    target: Option<String>,
    detail: Option<String>,
}

impl Error {
    /// An error in the words of its code alone.
    pub(crate) fn new(code: Code) -> Self {
        Self {
            code,
            target: None,
            detail: None,
        }
    }

    /// What the code does not say.
    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Which request it was.
    pub(crate) fn of(mut self, target: impl Into<String>) -> Self {
        self.target = Some(target.into());
        self
    }

    /// What kind of error it is.
    pub fn code(&self) -> &Code {
        &self.code
    }

    /// Whether the time was up: the request's own, or one of the host's.
    pub fn is_timeout(&self) -> bool {
        matches!(
            self.code,
            Code::ConnectionTimeout
                | Code::ConnectionReadTimeout
                | Code::ConnectionWriteTimeout
                | Code::DnsTimeout
                | Code::HttpResponseTimeout
        )
    }
}

impl From<Code> for Error {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(target) = &self.target {
            write!(formatter, "{target}: ")?;
        }
        write!(formatter, "{}: {}", self.code.as_str(), self.code.meaning())?;
        match &self.detail {
            Some(detail) => write!(formatter, ": {detail}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

/// The codes of `wasi:http`, of which the host's errors are, and a few of the
/// SDK's own: a variant, the spelling, the meaning.
macro_rules! codes {
    ($($variant:ident $spelling:literal $meaning:literal)+; $($own:ident $own_spelling:literal $own_meaning:literal)+) => {
        /// The kinds of [`Error`]: those of the standard `wasi:http`, then the
        /// SDK's own.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Code {
            $(#[doc = $meaning] $variant,)+
            $(#[doc = "The SDK's own: "] #[doc = $own_meaning] $own,)+
        }

        impl Code {
            /// The code in the spelling of `wasi:http`, for example
            /// `HTTP-request-denied`.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $spelling,)+
                    $(Self::$own => $own_spelling,)+
                }
            }

            /// The code in words.
            fn meaning(self) -> &'static str {
                match self {
                    $(Self::$variant => $meaning,)+
                    $(Self::$own => $own_meaning,)+
                }
            }
        }

        #[cfg(target_arch = "wasm32")]
        impl From<&wasip2::http::types::ErrorCode> for Code {
            fn from(code: &wasip2::http::types::ErrorCode) -> Self {
                match code {
                    $(wasip2::http::types::ErrorCode::$variant { .. } => Self::$variant,)+
                }
            }
        }
    };
}

codes! {
    DnsTimeout "DNS-timeout" "the name was not resolved in time"
    DnsError "DNS-error" "the name leads nowhere"
    DestinationNotFound "destination-not-found" "there is no such host"
    DestinationUnavailable "destination-unavailable" "the host is not available"
    DestinationIpProhibited "destination-IP-prohibited" "the name leads to an address that plugins may not reach"
    DestinationIpUnroutable "destination-IP-unroutable" "there is no way to the address"
    ConnectionRefused "connection-refused" "nobody listens there"
    ConnectionTerminated "connection-terminated" "the connection ended too early"
    ConnectionTimeout "connection-timeout" "there was no connection in time"
    ConnectionReadTimeout "connection-read-timeout" "nothing came over the connection in time"
    ConnectionWriteTimeout "connection-write-timeout" "nothing went over the connection in time"
    ConnectionLimitReached "connection-limit-reached" "the call has made all requests that `limits.http_requests` of the binding allows"
    TlsProtocolError "TLS-protocol-error" "the peer does not speak TLS as it should"
    TlsCertificateError "TLS-certificate-error" "the peer's certificate cannot be trusted"
    TlsAlertReceived "TLS-alert-received" "the peer refused the TLS connection"
    HttpRequestDenied "HTTP-request-denied" "no grant in `grants.http` of the binding covers the request"
    HttpRequestLengthRequired "HTTP-request-length-required" "the request needs a length"
    HttpRequestBodySize "HTTP-request-body-size" "the request's body is larger than `limits.http_bytes` of the binding allows"
    HttpRequestMethodInvalid "HTTP-request-method-invalid" "the method is none"
    HttpRequestUriInvalid "HTTP-request-URI-invalid" "the URL is none"
    HttpRequestUriTooLong "HTTP-request-URI-too-long" "the URL is too long"
    HttpRequestHeaderSectionSize "HTTP-request-header-section-size" "the request's headers are too large"
    HttpRequestHeaderSize "HTTP-request-header-size" "a header of the request is too large"
    HttpRequestTrailerSectionSize "HTTP-request-trailer-section-size" "the request's trailers are too large"
    HttpRequestTrailerSize "HTTP-request-trailer-size" "a trailer of the request is too large"
    HttpResponseIncomplete "HTTP-response-incomplete" "the response ended too early"
    HttpResponseHeaderSectionSize "HTTP-response-header-section-size" "the response's headers are too large"
    HttpResponseHeaderSize "HTTP-response-header-size" "a header of the response is too large"
    HttpResponseBodySize "HTTP-response-body-size" "the response's body is larger than the request's `max_body` or `limits.http_bytes` of the binding allows"
    HttpResponseTrailerSectionSize "HTTP-response-trailer-section-size" "the response's trailers are too large"
    HttpResponseTrailerSize "HTTP-response-trailer-size" "a trailer of the response is too large"
    HttpResponseTransferCoding "HTTP-response-transfer-coding" "the response's transfer coding is unknown"
    HttpResponseContentCoding "HTTP-response-content-coding" "the response's content coding is unknown"
    HttpResponseTimeout "HTTP-response-timeout" "there was no response in time"
    HttpUpgradeFailed "HTTP-upgrade-failed" "the connection could not be upgraded"
    HttpProtocolError "HTTP-protocol-error" "the peer does not speak HTTP as it should"
    LoopDetected "loop-detected" "there were too many redirects"
    ConfigurationError "configuration-error" "the host is not set up for it"
    InternalError "internal-error" "something else went wrong"
    ;
    InvalidHeader "invalid-header" "a header of the request is none, or is one that only the host sets"
    BadStatus "bad-status" "the response says that the request did not succeed"
    BadValue "bad-value" "a body is not what was expected"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_which_request_why_and_what_to_do() {
        let error = Error::new(Code::HttpRequestDenied).of("GET https://crm.example.com");
        assert_eq!(
            error.to_string(),
            "GET https://crm.example.com: HTTP-request-denied: \
             no grant in `grants.http` of the binding covers the request"
        );
        let error = Error::new(Code::InternalError).detail("out of luck");
        assert_eq!(
            error.to_string(),
            "internal-error: something else went wrong: out of luck"
        );
    }

    #[test]
    fn every_timeout_is_one() {
        assert!(Error::new(Code::ConnectionTimeout).is_timeout());
        assert!(Error::new(Code::HttpResponseTimeout).is_timeout());
        assert!(!Error::new(Code::ConnectionRefused).is_timeout());
    }
}
