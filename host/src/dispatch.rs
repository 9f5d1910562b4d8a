//! One attempt at one endpoint: made ready, signed, sent, and its reply read.
//!
//! [`Ready`] is an endpoint with everything filled in that does not change from one
//! request to the next. `call` sends questions this way and `delivery` what is owed;
//! what the reply means is for them to say (`domain::delivery`), and both go through
//! the endpoint's [`gate`], which keeps its limits. The request itself leaves through
//! `egress`, like every other.
//!
//! A request that belongs to no endpoint is a [`Single`] one.

pub mod gate;
mod reply;
mod sign;
mod single;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};

use self::gate::{Gate, Gates};
pub use self::reply::Reply;
use self::sign::Signer;
pub use self::single::{NoReply, Single};
use crate::domain::delivery::{Heard, SendFailure};
use crate::domain::endpoint::{BodyTemplate, Endpoint};
use crate::domain::event::Kind;
use crate::domain::id::{DeliveryId, EventId};
use crate::domain::plugin::Name;
use crate::domain::secret::Secret;
use crate::egress::{Egress, Outgoing, RequestBody, SendError, Target};

/// An endpoint to which requests can be sent.
#[derive(Debug)]
pub struct Ready {
    pub endpoint: Endpoint,
    request: Result<Request, SendFailure>,
    signer: Signer,
}

/// What does not change from one request to the next.
#[derive(Debug)]
struct Request {
    method: Method,
    target: Target,
    headers: HeaderMap,
}

impl Ready {
    /// Fills in what the endpoint's settings name. What is missing shows with the
    /// first attempt, and in its log.
    pub fn new(endpoint: Endpoint, secrets: &HashMap<Name, Secret>) -> Self {
        let request = Request::new(&endpoint, secrets);
        let signer = Signer::new(&endpoint);
        Self {
            endpoint,
            request,
            signer,
        }
    }

    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.endpoint.settings.timeout_ms.into())
    }
}

impl Request {
    fn new(endpoint: &Endpoint, secrets: &HashMap<Name, Secret>) -> Result<Self, SendFailure> {
        let settings = &endpoint.settings;
        let url = settings.url.with_query(&settings.query);
        let target = url.as_str().parse().ok();
        let target = target.and_then(|uri| Target::parse(&uri).ok());
        let method = Method::from_bytes(settings.method.as_str().as_bytes());
        let mut headers = HeaderMap::new();
        let json = HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json);
        for (name, template) in &settings.headers {
            let text = template
                .render(|name| secrets.get(name).map(Secret::expose))
                .ok_or(SendFailure::SecretMissing)?;
            let mut value = HeaderValue::from_str(&text).map_err(|_| SendFailure::SecretMissing)?;
            value.set_sensitive(true);
            let name = HeaderName::from_bytes(name.as_str().as_bytes())
                .map_err(|_| SendFailure::InvalidUrl)?;
            headers.insert(name, value);
        }
        Ok(Self {
            method: method.map_err(|_| SendFailure::InvalidUrl)?,
            target: target.ok_or(SendFailure::InvalidUrl)?,
            headers,
        })
    }
}

/// What is sent.
#[derive(Debug, Clone)]
pub struct Message {
    /// The same for every attempt at a delivery: receivers know repetitions by it.
    pub delivery: DeliveryId,
    pub event: EventId,
    pub kind: Kind,
    /// Attempts made before.
    pub made: u32,
    pub body: Bytes,
}

/// How an attempt went.
#[derive(Debug)]
pub struct Attempt {
    pub started_at: Timestamp,
    pub elapsed: Duration,
    pub heard: Heard,
    /// In words, where nothing was heard.
    pub detail: Option<String>,
    pub reply: Option<Reply>,
}

const EVENT: HeaderName = HeaderName::from_static("x-hookswitch-event");
const KIND: HeaderName = HeaderName::from_static("x-hookswitch-kind");
const ATTEMPT: HeaderName = HeaderName::from_static("x-hookswitch-attempt");

/// Makes attempts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Dispatcher {
    egress: Egress,
    gates: Arc<Gates>,
}

impl Dispatcher {
    pub fn new(egress: Egress) -> Self {
        Self {
            egress,
            gates: Arc::default(),
        }
    }

    /// The one gate of an endpoint.
    pub fn gate(&self, endpoint: &Endpoint) -> Arc<Gate> {
        self.gates.of(endpoint)
    }

    /// Makes one attempt, which has ended by the deadline or the endpoint's timeout,
    /// whichever is first. Up to `keep` bytes of the reply's body are kept.
    pub async fn attempt(
        &self,
        ready: &Ready,
        message: Message,
        deadline: Option<Instant>,
        keep: usize,
    ) -> Attempt {
        let (started, started_at) = (Instant::now(), Timestamp::now());
        let own = started + ready.timeout();
        let deadline = deadline.map_or(own, |deadline| deadline.min(own));
        let sent = self.send(ready, message, started_at, deadline, keep).await;
        let (heard, detail, reply) = match sent {
            Ok(reply) => (reply.heard(started_at), None, Some(reply)),
            Err(Unsent { failure, detail }) => (Heard::Nothing(failure), detail, None),
        };
        Attempt {
            started_at,
            elapsed: started.elapsed(),
            heard,
            detail,
            reply,
        }
    }

    async fn send(
        &self,
        ready: &Ready,
        message: Message,
        now: Timestamp,
        deadline: Instant,
        keep: usize,
    ) -> Result<Reply, Unsent> {
        let request = ready.request.as_ref().map_err(|failure| *failure)?;
        let body = match &ready.endpoint.settings.body {
            None => message.body.clone(),
            Some(template) => fill_in(template, &message.body)?,
        };
        let mut headers = request.headers.clone();
        describe(&mut headers, &message);
        ready.signer.sign(&mut headers, &message, &body, now);
        let outgoing = Outgoing {
            method: request.method.clone(),
            target: request.target.clone(),
            headers,
            body: Some(RequestBody::Whole(body)),
        };
        let sent = timeout_at(deadline, self.egress.send(outgoing)).await;
        let response = sent.map_err(|_elapsed| SendFailure::Timeout)??;
        Ok(Reply::read(response, deadline, keep).await)
    }
}

/// Why no reply came.
struct Unsent {
    failure: SendFailure,
    detail: Option<String>,
}

impl From<SendFailure> for Unsent {
    fn from(failure: SendFailure) -> Self {
        Self {
            failure,
            detail: None,
        }
    }
}

impl From<SendError> for Unsent {
    fn from(error: SendError) -> Self {
        let failure = match &error {
            SendError::Prohibited(_) => SendFailure::Prohibited,
            SendError::Unresolved(_) => SendFailure::Unresolved,
            SendError::Refused(_) => SendFailure::ConnectionRefused,
            SendError::ResolveTimeout(_) | SendError::ConnectTimeout(_) => {
                SendFailure::ConnectTimeout
            }
            SendError::Certificate(_) => SendFailure::Certificate,
            SendError::Tls(_) => SendFailure::Tls,
            SendError::Connect(_) => SendFailure::Unconnected,
            SendError::Broken(_) => SendFailure::Broken,
            SendError::Ended(_) => SendFailure::Interrupted,
        };
        Self {
            failure,
            detail: Some(innermost(&error)),
        }
    }
}

/// The last cause says most: the layers above it say that something failed.
fn innermost(error: &dyn std::error::Error) -> String {
    const MAX_LEN: usize = 512;
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string().chars().take(MAX_LEN).collect()
}

fn fill_in(template: &BodyTemplate, payload: &[u8]) -> Result<Bytes, Unsent> {
    // Payloads are JSON, checked when they came in.
    let payload = serde_json::from_slice(payload).unwrap_or_default();
    let body = template.render(&payload).map_err(|error| Unsent {
        failure: SendFailure::Template,
        detail: Some(error.to_string()),
    })?;
    Ok(body.into())
}

/// What it is about, for receivers that route by headers.
fn describe(headers: &mut HeaderMap, message: &Message) {
    let text = |text: String| HeaderValue::try_from(text).ok();
    for (name, value) in [
        (EVENT, text(message.event.to_string())),
        (KIND, text(message.kind.to_string())),
        (ATTEMPT, Some(HeaderValue::from(message.made + 1))),
    ] {
        if let Some(value) = value {
            headers.insert(name, value);
        }
    }
}
