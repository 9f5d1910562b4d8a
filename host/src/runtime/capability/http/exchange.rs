//! One request of a guest: granted? → allowed to send one more? → sent → a
//! redirect goes back to the first question → the response, counted.

use std::sync::Arc;

use http::header::{AUTHORIZATION, CONTENT_LENGTH, COOKIE, HOST, LOCATION};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use super::allowance::Allowance;
use super::body::{self, Patience, TooLarge};
use super::{HttpAccess, HttpRule};
use crate::domain::log::Level;
use crate::egress::{BodyStream, Outgoing, RequestBody, ResponseBody, SendError, Target};
use crate::runtime::capability::log::LogBook;
use crate::runtime::capability::recorder::{Import, Recorder};

/// Redirects that are followed; the next is an error.
const MAX_REDIRECTS: usize = 3;

pub(super) struct Exchange {
    pub(super) access: Option<Arc<HttpAccess>>,
    pub(super) allowance: Allowance,
    /// When the request and its response must be through.
    pub(super) until: Instant,
    pub(super) options: RequestOptions,
    pub(super) log: LogBook,
    pub(super) recorder: Recorder,
}

/// Why a guest's request got no response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Refusal {
    InvalidUrl,
    NotGranted,
    SecretMissing,
    TooManyRequests,
    RequestTooLarge,
    ResponseTooLarge,
    TooManyRedirects,
    AddressProhibited,
    Unresolved,
    ResolveTimeout,
    ConnectionRefused,
    ConnectionTimeout,
    CertificateInvalid,
    TlsFailed,
    Unreachable,
    Broken,
    ResponseTimeout,
    ReplayDiverged,
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::InvalidUrl => Self::HttpRequestUriInvalid,
            Refusal::NotGranted => Self::HttpRequestDenied,
            Refusal::SecretMissing => Self::ConfigurationError,
            Refusal::TooManyRequests => Self::ConnectionLimitReached,
            Refusal::RequestTooLarge => Self::HttpRequestBodySize(None),
            Refusal::ResponseTooLarge => Self::HttpResponseBodySize(None),
            Refusal::TooManyRedirects => Self::LoopDetected,
            Refusal::AddressProhibited => Self::DestinationIpProhibited,
            Refusal::Unresolved => Self::DnsError {
                rcode: None,
                info_code: None,
            },
            Refusal::ResolveTimeout => Self::DnsTimeout,
            Refusal::ConnectionRefused => Self::ConnectionRefused,
            Refusal::ConnectionTimeout => Self::ConnectionTimeout,
            Refusal::CertificateInvalid => Self::TlsCertificateError,
            Refusal::TlsFailed => Self::TlsProtocolError,
            Refusal::Unreachable => Self::DestinationUnavailable,
            Refusal::Broken => Self::ConnectionTerminated,
            Refusal::ResponseTimeout => Self::HttpResponseTimeout,
            Refusal::ReplayDiverged => Self::InternalError(None),
        }
    }
}

impl From<SendError> for Refusal {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Prohibited(_) => Self::AddressProhibited,
            SendError::Unresolved(_) => Self::Unresolved,
            SendError::ResolveTimeout(_) => Self::ResolveTimeout,
            SendError::Refused(_) => Self::ConnectionRefused,
            SendError::ConnectTimeout(_) => Self::ConnectionTimeout,
            SendError::Certificate(_) => Self::CertificateInvalid,
            SendError::Tls(_) => Self::TlsFailed,
            SendError::Connect(_) => Self::Unreachable,
            SendError::Broken(_) | SendError::Ended(_) => Self::Broken,
        }
    }
}

/// A response held in memory, for the tape.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Recorded {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Exchange {
    pub(super) async fn run(self, request: Request<WasiBody>) -> Result<Response<WasiBody>, Error> {
        if self.recorder.is_off() {
            return Ok(self.live(request).await?);
        }
        let question = (
            request.method().to_string(),
            request.uri().to_string(),
            headers_of(request.headers()),
        );
        let recorder = self.recorder.clone();
        let live = async {
            let response = self.live(request).await?;
            Recorded::read(response).await
        };
        let answer = recorder.wait(Import::Http, &question, live).await;
        Ok(answer.unwrap_or(Err(Refusal::ReplayDiverged))?.response()?)
    }

    async fn live(self, request: Request<WasiBody>) -> Result<Response<WasiBody>, Refusal> {
        let (parts, guest_body) = request.into_parts();
        let mut target = Target::parse(&parts.uri).map_err(|_| Refusal::InvalidUrl)?;
        let mut headers = parts.headers;
        headers.remove(HOST);
        let too_large = TooLarge::default();
        let mut body = body::outgoing(guest_body, self.allowance.clone(), too_large.clone());
        for _ in 0..=MAX_REDIRECTS {
            let response = self
                .hop(&parts.method, &target, &headers, body.take(), &too_large)
                .await?;
            let Some(location) = redirect(&parts.method, &response) else {
                return self.pass_on(response);
            };
            let next = target.join(location).map_err(|_| Refusal::InvalidUrl)?;
            if !next.same_origin(&target) {
                // What the guest says to one host it does not say to another.
                headers.remove(AUTHORIZATION);
                headers.remove(COOKIE);
            }
            headers.remove(CONTENT_LENGTH);
            target = next;
        }
        Err(Refusal::TooManyRedirects)
    }

    async fn hop(
        &self,
        method: &Method,
        target: &Target,
        headers: &HeaderMap,
        body: Option<BodyStream>,
        too_large: &TooLarge,
    ) -> Result<Response<ResponseBody>, Refusal> {
        let (access, rule) = self.granted(method, target)?;
        let added = rule.headers.as_ref().ok_or(Refusal::SecretMissing)?;
        self.allowance
            .take_request()
            .map_err(|_| Refusal::TooManyRequests)?;
        if !access.rate.take() {
            return Err(Refusal::TooManyRequests);
        }
        let mut headers = headers.clone();
        for (name, value) in added {
            headers.insert(name, value.clone());
        }
        let outgoing = Outgoing {
            method: method.clone(),
            target: target.clone(),
            headers,
            body: body.map(RequestBody::Stream),
        };
        let first_byte = match self.options.first_byte_timeout {
            Some(wish) => self.until.min(Instant::now() + wish),
            None => self.until,
        };
        match timeout_at(first_byte, access.egress.send(outgoing)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(_)) if too_large.happened() => Err(Refusal::RequestTooLarge),
            Ok(Err(error)) => {
                if matches!(error, SendError::Prohibited(_)) {
                    let (binding, host) = (access.binding, &rule.grant.host);
                    tracing::warn!(%binding, %host, "a plugin's request to an address that is not public was refused");
                }
                Err(error.into())
            }
            Err(_elapsed) => Err(Refusal::ResponseTimeout),
        }
    }

    /// The rule under which a request goes out. Without one, the plugin's author
    /// finds in the log what to ask for.
    fn granted(
        &self,
        method: &Method,
        target: &Target,
    ) -> Result<(&HttpAccess, &HttpRule), Refusal> {
        let granted = self.access.as_deref().and_then(|access| {
            let rule = access.rule(&target.destination(), method)?;
            Some((access, rule))
        });
        granted.ok_or_else(|| {
            let message = format!(
                "{method} {} was refused: grants.http of the binding does not cover it",
                target.origin()
            );
            self.log.write(Level::Warn, message);
            Refusal::NotGranted
        })
    }

    fn pass_on(&self, response: Response<ResponseBody>) -> Result<Response<WasiBody>, Refusal> {
        let announced = hyper::body::Body::size_hint(response.body()).lower();
        if !self.allowance.has_room(announced) {
            return Err(Refusal::ResponseTooLarge);
        }
        let patience = Patience {
            until: self.until,
            between: self.options.between_bytes_timeout,
        };
        let allowance = self.allowance.clone();
        Ok(response.map(|body| body::incoming(body, allowance, patience)))
    }
}

/// Where a response sends the client on to. Only requests that change nothing are
/// sent again; a guest sees every other redirect itself.
fn redirect<'r>(method: &Method, response: &'r Response<ResponseBody>) -> Option<&'r str> {
    let again = matches!(
        response.status(),
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    );
    if !again || !matches!(*method, Method::GET | Method::HEAD) {
        return None;
    }
    response.headers().get(LOCATION)?.to_str().ok()
}

fn headers_of(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect()
}

impl Recorded {
    async fn read(response: Response<WasiBody>) -> Result<Self, Refusal> {
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|_| Refusal::Broken)?;
        Ok(Self {
            status: parts.status.as_u16(),
            headers: headers_of(&parts.headers),
            body: body.to_bytes().to_vec(),
        })
    }

    fn response(self) -> Result<Response<WasiBody>, Refusal> {
        let mut response = Response::builder().status(self.status);
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        let body = Full::from(self.body).map_err(|never| match never {});
        response
            .body(body.boxed_unsync())
            .map_err(|_| Refusal::ReplayDiverged)
    }
}
