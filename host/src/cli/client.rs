//! Talks to a running server by its API, for commands that ask one.
//!
//! [`Server`] is what every such command takes: where the server is and who asks, from
//! options, the environment or a profile ([`super::profile`]). [`Client`] sends requests,
//! once more where that can hurt nobody, and turns what the server refuses into a
//! [`Refusal`] that says what to do next.

mod stream;

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use bytes::Bytes;
use clap::Args;
use futures_util::stream::iter;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use ipnet::IpNet;
use serde_json::Value;
use tokio::runtime::Handle;
use uuid::Uuid;

pub(super) use self::stream::NoStream;
use super::profile::{self, Profile};
use super::progress::Upload;
use crate::egress::{Egress, EgressOptions, Outgoing, RequestBody, SendError, Target};

/// Where the server is unless anybody says so.
pub(super) const DEFAULT_SERVER: &str = "http://127.0.0.1:8080";

/// Where the server is, and who asks.
#[derive(Debug, Args)]
#[command(next_help_heading = "Server")]
#[allow(clippy::struct_field_names)] // The option's name is --server.
pub(super) struct Server {
    /// The server's URL; unless told the profile's, or http://127.0.0.1:8080.
    #[arg(long, global = true, value_name = "URL", env = "HOOKSWITCH_SERVER")]
    pub(super) server: Option<String>,
    /// A token of the API; better stored by hookswitch login, or set in the environment,
    /// where no list of processes shows it.
    #[arg(
        long,
        global = true,
        value_name = "TOKEN",
        env = "HOOKSWITCH_TOKEN",
        hide_env_values = true
    )]
    token: Option<String>,
    /// Whose server and token to use, of those that hookswitch login has stored.
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        env = "HOOKSWITCH_PROFILE",
        value_parser = profile::name
    )]
    pub(super) profile: Option<String>,
    /// The organization (name or id) to act in, for operators.
    #[arg(
        long,
        global = true,
        value_name = "ORGANIZATION",
        env = "HOOKSWITCH_ORGANIZATION"
    )]
    organization: Option<String>,
}

/// Longest answer that is read, in bytes.
const MOST: usize = 64 << 20;
/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_mins(1);
/// The same for an upload: the server compiles before it answers.
const UPLOAD_PATIENCE: Duration = Duration::from_mins(5);
/// How often a request is sent again that came too soon.
const MOST_WAITS: u32 = 10;
/// A server that wants to be left alone for longer is taken to mean no.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// An upload goes out in pieces of that many bytes, where somebody watches it.
const PIECE: usize = 64 << 10;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const ORGANIZATION: HeaderName = HeaderName::from_static("hookswitch-organization");

/// A connection to a server's API.
#[derive(Debug)]
pub(super) struct Client {
    egress: Egress,
    base: String,
    token: HeaderValue,
    organization: Option<HeaderValue>,
}

/// A resource, and which state of it this is.
#[derive(Debug)]
pub(super) struct Tagged {
    pub(super) body: Value,
    etag: Option<HeaderValue>,
}

/// What a server said no to, with the next step.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct Refusal {
    message: String,
    status: StatusCode,
    pub(super) problem: Value,
}

impl Refusal {
    pub(super) fn code(&self) -> &str {
        self.problem["code"].as_str().unwrap_or("unknown")
    }

    pub(super) fn is_not_found(&self) -> bool {
        self.status == StatusCode::NOT_FOUND
    }
}

/// One request.
struct Request<'a> {
    method: Method,
    path: &'a str,
    headers: HeaderMap,
    body: Body<'a>,
    patience: Duration,
}

enum Body<'a> {
    None,
    Json(&'a Value),
    Component(&'a Bytes, &'a Upload),
}

impl Server {
    /// Must be called within a tokio runtime.
    pub(super) fn client(&self) -> anyhow::Result<Client> {
        let stored = match (&self.profile, &self.token) {
            // Whoever says everything needs no file.
            (None, Some(_)) if self.server.is_some() => None,
            (name, _) => profile::read()?.chosen(name.as_deref())?,
        };
        let mut who = self.who(stored)?;
        if self.organization.is_some() {
            who.organization.clone_from(&self.organization);
        }
        Client::of(&who)
    }

    /// What the options say, and the profile where they say nothing.
    fn who(&self, stored: Option<Profile>) -> anyhow::Result<Profile> {
        let server = self.server.as_deref();
        let server = server.or_else(|| stored.as_ref().map(|it| it.server.as_str()));
        let server = trimmed(server.unwrap_or(DEFAULT_SERVER)).to_owned();
        // A profile is for its own server, and no other is told what is in it.
        let stored = stored.filter(|it| trimmed(&it.server) == server);
        if let Some(token) = self.token.as_ref().filter(|token| !token.is_empty()) {
            return Ok(Profile {
                server,
                token: token.clone(),
                organization: None,
            });
        }
        stored.with_context(|| {
            format!(
                "a token is missing: log in with hookswitch login --server {server}, set HOOKSWITCH_TOKEN, or give it with --token"
            )
        })
    }
}

fn trimmed(url: &str) -> &str {
    url.trim_end_matches('/')
}

impl Client {
    /// Must be called within a tokio runtime.
    pub(super) fn of(who: &Profile) -> anyhow::Result<Self> {
        let mut token = HeaderValue::try_from(format!("Bearer {}", who.token))
            .map_err(|_| anyhow!("the token has characters that no token has"))?;
        token.set_sensitive(true);
        let organization = who.organization.as_deref().map(HeaderValue::from_str);
        let organization = organization
            .transpose()
            .context("the organization has characters that no name or id has")?;
        // Whoever sits at the command line may go wherever it names.
        let anywhere = ["0.0.0.0/0", "::/0"].map(str::parse::<IpNet>);
        let options = EgressOptions {
            allow: anywhere.into_iter().collect::<Result<_, _>>()?,
            ..EgressOptions::default()
        };
        let egress = Egress::new(&options, Handle::current())?;
        Ok(Self {
            egress,
            base: trimmed(&who.server).to_owned(),
            token,
            organization,
        })
    }

    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        Ok(self.read(path).await?.body)
    }

    /// What is there, if it is.
    pub(super) async fn found(&self, path: &str) -> anyhow::Result<Option<Value>> {
        match self.get(path).await {
            Ok(found) => Ok(Some(found)),
            Err(error) => match error.downcast_ref::<Refusal>() {
                Some(refusal) if refusal.is_not_found() => Ok(None),
                _ => Err(error),
            },
        }
    }

    /// Reads what is to be changed afterwards.
    pub(super) async fn read(&self, path: &str) -> anyhow::Result<Tagged> {
        self.twice(Request::new(Method::GET, path)).await
    }

    /// All items of a list, through every page of it.
    pub(super) async fn all(&self, list: &str) -> anyhow::Result<Vec<Value>> {
        let joint = if list.contains('?') { '&' } else { '?' };
        let first = format!("{list}{joint}limit=200");
        let (mut items, mut path) = (Vec::new(), first.clone());
        loop {
            let mut page = self.get(&path).await?;
            if let Value::Array(data) = page["data"].take() {
                items.extend(data);
            }
            match page["next_cursor"].as_str() {
                Some(cursor) => path = format!("{first}&cursor={cursor}"),
                None => return Ok(items),
            }
        }
    }

    /// Does something that may be done twice, or not be sent twice.
    pub(super) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = Request::new(Method::POST, path).json(body);
        Ok(self.once(&request).await?.body)
    }

    /// Creates something, once however often it is sent.
    pub(super) async fn create(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let mut request = Request::new(Method::POST, path).json(body);
        let key = Uuid::now_v7().to_string();
        request.headers.insert(IDEMPOTENCY_KEY, key.try_into()?);
        Ok(self.twice(request).await?.body)
    }

    /// Changes what was read, if nobody has changed it since.
    pub(super) async fn change(
        &self,
        path: &str,
        read: &Tagged,
        changes: &Value,
    ) -> anyhow::Result<Value> {
        let mut request = Request::new(Method::PATCH, path).json(changes);
        let any = || HeaderValue::from_static("*");
        let state = read.etag.clone().unwrap_or_else(any);
        request.headers.insert(header::IF_MATCH, state);
        Ok(self.once(&request).await?.body)
    }

    pub(super) async fn put(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = Request::new(Method::PUT, path).json(body);
        Ok(self.twice(request).await?.body)
    }

    pub(super) async fn delete(&self, path: &str) -> anyhow::Result<()> {
        self.once(&Request::new(Method::DELETE, path)).await?;
        Ok(())
    }

    /// Uploads a component. The same bytes twice are one version, so it may be sent again.
    pub(super) async fn upload(&self, path: &str, component: Bytes) -> anyhow::Result<Value> {
        let upload = Upload::of(component.len());
        let request = Request {
            body: Body::Component(&component, &upload),
            patience: UPLOAD_PATIENCE,
            ..Request::new(Method::POST, path)
        };
        let version = self.twice(request).await;
        upload.end();
        Ok(version?.body)
    }

    /// Sends what may be sent again, when the connection broke.
    async fn twice(&self, request: Request<'_>) -> anyhow::Result<Tagged> {
        match self.once(&request).await {
            Err(error) if matches!(error.downcast_ref(), Some(SendError::Broken(_))) => {
                self.once(&request).await
            }
            answer => answer,
        }
    }

    /// Sends a request. One that came too soon after others was not looked at, so it is
    /// sent again when the server says it may.
    async fn once(&self, request: &Request<'_>) -> anyhow::Result<Tagged> {
        let mut waits = 0;
        loop {
            let (head, body) = self.sent(request).await?;
            let wait = too_soon(&head).filter(|_| waits < MOST_WAITS);
            let Some(wait) = wait else {
                return Ok(Tagged {
                    etag: head.headers.get(header::ETAG).cloned(),
                    body: self.answer(head.status, &body)?,
                });
            };
            waits += 1;
            tokio::time::sleep(wait).await;
        }
    }

    async fn sent(&self, request: &Request<'_>) -> anyhow::Result<(http::response::Parts, Bytes)> {
        let mut headers = request.headers.clone();
        self.identify(&mut headers);
        if let Some(media_type) = request.body.media_type() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        }
        let outgoing = Outgoing {
            method: request.method.clone(),
            target: self.target(request.path)?,
            headers,
            body: request.body.outgoing(),
        };
        let answer = tokio::time::timeout(request.patience, self.exchange(outgoing)).await;
        answer.map_err(|_elapsed| {
            let seconds = request.patience.as_secs();
            anyhow!("{} has not answered within {seconds} seconds", self.base)
        })?
    }

    /// Says who asks.
    fn identify(&self, headers: &mut HeaderMap) {
        headers.insert(header::AUTHORIZATION, self.token.clone());
        if let Some(organization) = &self.organization {
            headers.insert(ORGANIZATION, organization.clone());
        }
    }

    fn target(&self, path: &str) -> anyhow::Result<Target> {
        let uri = format!("{}/api/v1{path}", self.base).parse().ok();
        let target = uri.and_then(|uri| Target::parse(&uri).ok());
        target.with_context(|| {
            format!(
                "{} is no server's URL; expected something like {DEFAULT_SERVER}",
                self.base
            )
        })
    }

    async fn exchange(&self, outgoing: Outgoing) -> anyhow::Result<(http::response::Parts, Bytes)> {
        let response = self.egress.send(outgoing).await;
        let response = response.map_err(|error| self.unreachable(error))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MOST).collect().await;
        let body = body.map_err(|error| anyhow!("the answer broke off: {error}"))?;
        Ok((head, body.to_bytes()))
    }

    fn unreachable(&self, error: SendError) -> anyhow::Error {
        let base = &self.base;
        let said = match error {
            SendError::Broken(_) => format!("{base} broke the connection off"),
            SendError::Certificate(_) | SendError::Tls(_) => {
                format!("no secure connection to {base} came about")
            }
            _ => format!(
                "no server can be reached at {base}: start one (hookswitch serve), or name another with --server or HOOKSWITCH_SERVER"
            ),
        };
        anyhow::Error::new(error).context(said)
    }

    fn answer(&self, status: StatusCode, body: &[u8]) -> anyhow::Result<Value> {
        if status.is_success() && body.is_empty() {
            return Ok(Value::Null);
        }
        let answer: Option<Value> = serde_json::from_slice(body).ok();
        let Some(answer) = answer else {
            bail!(
                "{} answered {status} with something that is not JSON: is it a Hookswitch server?",
                self.base
            );
        };
        if status.is_success() {
            return Ok(answer);
        }
        let refusal = Refusal {
            message: self.next_step(status, &answer),
            status,
            problem: answer,
        };
        Err(refusal.into())
    }

    /// What went wrong, and what to do about it.
    fn next_step(&self, status: StatusCode, problem: &Value) -> String {
        let base = &self.base;
        let detail = problem["detail"].as_str().unwrap_or("it does not say why");
        let code = problem["code"].as_str().unwrap_or("unknown");
        let said = match problem["field"].as_str() {
            Some(field) if !detail.contains(field) => format!("{field}: {detail}"),
            _ => detail.to_owned(),
        };
        let next = match status {
            StatusCode::UNAUTHORIZED => {
                return format!(
                    "{base} refuses the token ({detail}): log in with hookswitch login --server {base}, or set another one in HOOKSWITCH_TOKEN"
                );
            }
            StatusCode::FORBIDDEN => "; hookswitch whoami shows whose token is used",
            StatusCode::NOT_FOUND if detail == "there is no such path here" => {
                return format!(
                    "{base} does not know what was asked of it: it seems to be of another version than this program ({})",
                    env!("CARGO_PKG_VERSION")
                );
            }
            StatusCode::PRECONDITION_FAILED => {
                "; somebody has changed it meanwhile: look at it, and repeat the command"
            }
            StatusCode::PRECONDITION_REQUIRED => {
                "; the server is of another version than this program"
            }
            StatusCode::TOO_MANY_REQUESTS => "; wait a little, and repeat the command",
            _ => "",
        };
        format!("{said} ({status}, {code}){next}")
    }
}

/// How long to wait, where nothing was done because too much was asked for.
fn too_soon(head: &http::response::Parts) -> Option<Duration> {
    if head.status != StatusCode::TOO_MANY_REQUESTS {
        return None;
    }
    let wait = head.headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    let wait = Duration::from_secs(wait.parse().ok()?);
    (wait <= LONGEST_WAIT).then_some(wait)
}

impl<'a> Request<'a> {
    fn new(method: Method, path: &'a str) -> Self {
        Self {
            method,
            path,
            headers: HeaderMap::new(),
            body: Body::None,
            patience: PATIENCE,
        }
    }

    fn json(self, body: &'a Value) -> Self {
        Self {
            body: Body::Json(body),
            ..self
        }
    }
}

impl Body<'_> {
    fn media_type(&self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Json(_) => Some("application/json"),
            Self::Component(..) => Some("application/wasm"),
        }
    }

    fn outgoing(&self) -> Option<RequestBody> {
        match self {
            Self::None => None,
            Self::Json(body) => Some(RequestBody::Whole(body.to_string().into())),
            Self::Component(component, upload) if upload.is_watched() => {
                let upload = (*upload).clone();
                upload.begin();
                let pieces: Vec<Bytes> = (0..component.len())
                    .step_by(PIECE)
                    .map(|at| component.slice(at..component.len().min(at + PIECE)))
                    .collect();
                let pieces = iter(pieces.into_iter().map(move |piece| {
                    upload.sent(piece.len());
                    Ok(piece)
                }));
                Some(RequestBody::Stream(Box::pin(pieces)))
            }
            Self::Component(component, _) => Some(RequestBody::Whole((*component).clone())),
        }
    }
}
