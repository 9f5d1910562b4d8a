//! A platform as far as its webhooks go: it writes and signs what happens, sends it, and
//! reads the reply as it would.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use clap::Args;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use ipnet::IpNet;
use jiff::Timestamp;
use serde_json::value::to_raw_value;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::outcome::{Outcome, Problem, Reading};
use super::scenario::{self, Scenario, Step, StepName};
use crate::cli::input;
use crate::domain::Json;
use crate::domain::plugin::Handler;
use crate::domain::proof::{HmacForm, HmacHeader, PlatformProof, Proof, SharedHeader, Tolerance};
use crate::domain::secret::Secret;
use crate::domain::source::Patience;
use crate::egress::{Egress, EgressOptions, Outgoing, RequestBody, Target};
use crate::ingest::{self, Dialect, Sample, proof};

/// Longest reply that is read, in bytes.
const MOST_REPLY: usize = 16 << 20;

/// How requests prove that they are the platform's.
#[derive(Debug, Args)]
#[command(next_help_heading = "Proof of origin")]
pub(super) struct Proving {
    /// Sign in the platform's own way with the secret in a file; - is standard input.
    #[arg(long, value_name = "FILE", env = "HOOKSWITCH_SIMULATE_SECRET_FILE")]
    secret_file: Option<PathBuf>,
    /// Sign the body in this header instead: HMAC-SHA256 in hex.
    #[arg(long, value_name = "HEADER", requires = "secret_file")]
    hmac: Option<String>,
    /// A header of every request, as often as needed.
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
}

fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) => Ok((name.trim().to_owned(), value.trim().to_owned())),
        None => Err("expected a name and a value, as in 'Authorization: Bearer …'".to_owned()),
    }
}

impl Proving {
    /// As a source would want them.
    pub(super) fn proofs(&self, dialect: &dyn Dialect) -> anyhow::Result<Vec<Proof>> {
        let mut proofs = Vec::new();
        for (name, value) in &self.headers {
            proofs.push(Proof::Header(SharedHeader {
                name: name.clone().try_into()?,
                values: vec![Secret::try_from(value.clone())?],
            }));
        }
        let Some(path) = &self.secret_file else {
            return Ok(proofs);
        };
        let secret = input::secret_file(path, "secret")?;
        let secrets = vec![Secret::try_from(secret)?];
        if self.hmac.is_none() {
            let key = dialect.scheme().key(&secrets[0]);
            key.with_context(|| format!("this is no secret of {}", dialect.name()))?;
        }
        proofs.push(match &self.hmac {
            Some(header) => Proof::Hmac(HmacHeader {
                header: header.clone().try_into()?,
                secrets,
                form: HmacForm::default(),
            }),
            None => Proof::Platform(PlatformProof {
                secrets,
                tolerance_seconds: Tolerance::default(),
            }),
        });
        Ok(proofs)
    }
}

/// What the platform sends.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) headers: HeaderMap,
    pub(super) body: Json,
}

impl Request {
    /// None if the platform sends nothing of the sort.
    fn of(dialect: &dyn Dialect, sample: &Sample, proofs: &[Proof]) -> Option<Self> {
        let body = dialect.sample(sample)?;
        let mut headers = HeaderMap::new();
        let json = HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json);
        if let Some(name) = dialect.agent_headers().first()
            && let Ok(agent) = HeaderValue::from_str(&sample.agent_id)
        {
            headers.insert(HeaderName::from_static(name), agent);
        }
        let now = Timestamp::now();
        proof::complete(dialect, proofs, &mut headers, body.get().as_bytes(), now);
        Some(Self { headers, body })
    }
}

/// All that the platform sends in a call.
pub(super) fn requests<'s>(
    dialect: &'static dyn Dialect,
    scenario: &'s Scenario,
    proofs: &'s [Proof],
) -> impl Iterator<Item = (StepName, Option<Request>)> + 's {
    scenario
        .samples()
        .map(move |(step, sample)| (step.name(), Request::of(dialect, &sample, proofs)))
}

/// A platform that sends to one place.
#[derive(Debug)]
pub(super) struct Platform {
    dialect: super::Named,
    target: Target,
    proofs: Vec<Proof>,
    egress: Egress,
}

impl Platform {
    pub(super) fn new(
        dialect: &'static dyn Dialect,
        target: &str,
        proofs: Vec<Proof>,
    ) -> anyhow::Result<Self> {
        let uri = target
            .parse()
            .with_context(|| format!("{target} is no URL"))?;
        let target = Target::parse(&uri).with_context(|| format!("{target} cannot be a target"))?;
        // Whoever types the command may go wherever the machine can.
        let everywhere = ["0.0.0.0/0", "::/0"].map(str::parse::<IpNet>);
        let options = EgressOptions {
            allow: everywhere.into_iter().collect::<Result<_, _>>()?,
            ..EgressOptions::default()
        };
        Ok(Self {
            dialect: super::Named(dialect),
            target,
            proofs,
            egress: Egress::new(&options, Handle::current())?,
        })
    }

    /// Plays a call, one step after the other as a platform does. It goes on after a step
    /// that went wrong.
    pub(super) async fn play(&self, scenario: &Scenario) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for (step, sample) in scenario.samples() {
            outcomes.push(self.step(step, &sample).await);
        }
        outcomes
    }

    async fn step(&self, step: &Step, sample: &Sample) -> Outcome {
        let super::Named(dialect) = self.dialect;
        let name = step.name();
        let Some(request) = Request::of(dialect, sample, &self.proofs) else {
            return Outcome::skipped(name);
        };
        let payload = request.body.clone();
        let started = Instant::now();
        let patience = wait(dialect, step.handler());
        let heard = match timeout(patience, self.send(request)).await {
            Ok(heard) => heard.map_err(|error| Problem::Unreachable(format!("{error:#}"))),
            Err(_elapsed) => Err(Problem::Late(patience)),
        };
        let elapsed = started.elapsed();
        let read = heard.and_then(|(status, body)| self.read(step, &payload, status, &body));
        Outcome::played(name, elapsed, read)
    }

    async fn send(&self, request: Request) -> anyhow::Result<(StatusCode, Bytes)> {
        let body = Bytes::from(String::from(Box::<str>::from(request.body)));
        let outgoing = Outgoing {
            method: Method::POST,
            target: self.target.clone(),
            headers: request.headers,
            body: Some(RequestBody::Whole(body)),
        };
        let response = self.egress.send(outgoing).await?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, MOST_REPLY).collect().await;
        let body = body.map_err(|error| anyhow!("the reply cannot be read: {error}"))?;
        Ok((parts.status, body.to_bytes()))
    }

    /// What a reply means to the platform.
    fn read(
        &self,
        step: &Step,
        payload: &Json,
        status: StatusCode,
        body: &[u8],
    ) -> Result<Reading, Problem> {
        let super::Named(dialect) = self.dialect;
        if step.handler() == Handler::Event {
            return if status.is_success() {
                Ok(Reading::Acknowledged)
            } else {
                Err(Problem::Status(status.as_u16()))
            };
        }
        let expected = step.expected();
        let unavailable = expected.and_then(|it| it.get("decision"));
        if status.is_server_error() && unavailable.is_some_and(|word| word == "unavailable") {
            return Ok(Reading::Unavailable);
        }
        if !status.is_success() {
            return Err(Problem::Status(status.as_u16()));
        }
        let text = crate::json::text(body).map_err(|error| Problem::Reply(error.to_string()))?;
        let asked = dialect.parse(payload.get());
        let asked = asked.map_err(|error| Problem::Reply(error.to_string()))?;
        let (answer, _) = ingest::relay(dialect, &asked, text)
            .map_err(|_| Problem::Reply(ingest::review(dialect, &asked, text).join("; ")))?;
        let answer = to_raw_value(&answer).map_err(|error| Problem::Reply(error.to_string()))?;
        match expected {
            Some(expected) if !scenario::holds_in(expected, &answer) => Err(Problem::Unexpected {
                expected: expected.clone().into(),
                answer,
            }),
            _ => Ok(Reading::Answered(answer)),
        }
    }
}

/// As long as the platform itself waits.
fn wait(dialect: &dyn Dialect, handler: Handler) -> Duration {
    match handler {
        Handler::Event => Patience::EVENT,
        Handler::Start | Handler::Transfer | Handler::Tool => dialect.patience().wait(handler),
    }
}
