//! Talks to a running server by its API, for commands that ask one.

mod stream;

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use ipnet::IpNet;
use serde_json::Value;
use tokio::runtime::Handle;

pub(super) use self::stream::NoStream;
use crate::egress::{Egress, EgressOptions, Outgoing, RequestBody, Target};

/// Where the server is, and who asks.
#[derive(Debug, Args)]
pub(super) struct Server {
    /// The server's URL.
    #[arg(
        long,
        value_name = "URL",
        env = "HOOKSWITCH_SERVER",
        default_value = "http://127.0.0.1:8080"
    )]
    server: String,
    /// A token of the API; better set in the environment, where no list of processes
    /// shows it.
    #[arg(
        long,
        value_name = "TOKEN",
        env = "HOOKSWITCH_TOKEN",
        hide_env_values = true
    )]
    token: Option<String>,
}

/// Longest answer that is read, in bytes.
const MOST: usize = 64 << 20;
/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_mins(1);

/// A connection to a server's API.
#[derive(Debug)]
pub(super) struct Client {
    egress: Egress,
    base: String,
    token: HeaderValue,
}

impl Server {
    /// Must be called within a tokio runtime.
    pub(super) fn client(&self) -> anyhow::Result<Client> {
        let token = self.token.as_deref().unwrap_or_default();
        if token.is_empty() {
            bail!("a token is missing: set HOOKSWITCH_TOKEN, or give it with --token");
        }
        let mut token = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| anyhow!("the token has characters that no token has"))?;
        token.set_sensitive(true);
        // Whoever sits at the command line may go wherever it names.
        let anywhere = ["0.0.0.0/0", "::/0"].map(str::parse::<IpNet>);
        let options = EgressOptions {
            allow: anywhere.into_iter().collect::<Result<_, _>>()?,
            ..EgressOptions::default()
        };
        let egress = Egress::new(&options, Handle::current())?;
        Ok(Client {
            egress,
            base: self.server.trim_end_matches('/').to_owned(),
            token,
        })
    }
}

impl Client {
    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.ask(Method::GET, path, None).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.ask(Method::POST, path, Some(body)).await
    }

    fn target(&self, path: &str) -> anyhow::Result<Target> {
        let url = format!("{}/api/v1{path}", self.base);
        let uri = url.parse().ok();
        let target = uri.and_then(|uri| Target::parse(&uri).ok());
        target.with_context(|| {
            format!(
                "{} is no server's URL; expected something like http://127.0.0.1:8080",
                self.base
            )
        })
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let target = self.target(path)?;
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, self.token.clone());
        if body.is_some() {
            let json = HeaderValue::from_static("application/json");
            headers.insert(header::CONTENT_TYPE, json);
        }
        let outgoing = Outgoing {
            method,
            target,
            headers,
            body: body.map(|body| RequestBody::Whole(body.to_string().into())),
        };
        let answer = tokio::time::timeout(PATIENCE, self.exchange(outgoing)).await;
        let (status, body) = answer.map_err(|_elapsed| {
            let seconds = PATIENCE.as_secs();
            anyhow!("{} has not answered within {seconds} seconds", self.base)
        })??;
        self.read(status, &body)
    }

    async fn exchange(&self, outgoing: Outgoing) -> anyhow::Result<(StatusCode, Vec<u8>)> {
        let response = self.egress.send(outgoing).await.with_context(|| {
            format!(
                "no server can be reached at {}: start one (hookswitch serve), or name another with --server or HOOKSWITCH_SERVER",
                self.base
            )
        })?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MOST).collect().await;
        let body = body.map_err(|error| anyhow!("the answer broke off: {error}"))?;
        Ok((head.status, body.to_bytes().to_vec()))
    }

    fn read(&self, status: StatusCode, body: &[u8]) -> anyhow::Result<Value> {
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
        let detail = answer["detail"].as_str().unwrap_or("it does not say why");
        let code = answer["code"].as_str().unwrap_or("unknown");
        if status == StatusCode::UNAUTHORIZED {
            bail!(
                "{} refuses the token ({detail}): set the one the server was started with, or showed at its first start, in HOOKSWITCH_TOKEN",
                self.base
            );
        }
        match answer["field"].as_str() {
            Some(field) if !detail.contains(field) => bail!("{field}: {detail} ({status}, {code})"),
            _ => bail!("{detail} ({status}, {code})"),
        }
    }
}
