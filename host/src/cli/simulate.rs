//! `hookswitch simulate`: plays whole calls as a platform would, and checks the replies.
//!
//! [`scenario`] is what happens, in words of no platform; [`platform`] sends it as a
//! dialect writes and signs it, and reads what comes back; [`outcome`] holds that against
//! what was expected; [`summary`] adds up many calls. No server of ours is needed at the
//! other end: whoever takes a platform's webhooks can be tried.

mod outcome;
mod platform;
mod scenario;
mod summary;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, bail};
use clap::Args;
use futures_util::StreamExt as _;
use futures_util::stream;

use self::outcome::Outcome;
use self::platform::{Platform, Proving};
use self::scenario::Scenario;
use self::summary::Summary;
use super::in_runtime;
use crate::ingest::{self, Dialect};

/// Play whole calls as a platform would, correctly signed, and check the replies.
///
/// Ends with 1 if a reply is missing, late, not understood by the platform, or not what the
/// scenario expects. Without a target it shows what the platform would send.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  hookswitch simulate --dialect retell --scenario call.toml
  hookswitch simulate --dialect vapi --scenario call.toml --secret-file secret.txt \\
    --target http://127.0.0.1:8080/hooks/src_…
  hookswitch simulate --dialect dasha --scenario call.toml --target URL --calls 1000 --at-once 32")]
pub(super) struct Simulate {
    /// The platform: a dialect that sources can have.
    #[arg(long, value_name = "NAME", value_parser = dialect)]
    dialect: Named,
    /// What happens (TOML or JSON); - is TOML from standard input.
    #[arg(long, value_name = "FILE")]
    scenario: PathBuf,
    /// Where the platform sends its webhooks: the URL of a source's hook.
    #[arg(long, value_name = "URL")]
    target: Option<String>,
    #[command(flatten)]
    proving: Proving,
    /// How many calls are played.
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    calls: u32,
    /// How many of them at once.
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    at_once: u16,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// A dialect as an argument.
#[derive(Clone, Copy)]
struct Named(&'static dyn Dialect);

impl std::fmt::Debug for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.name())
    }
}

fn dialect(name: &str) -> Result<Named, String> {
    let known = || format!("there is: {}", ingest::names());
    ingest::dialect(name).map(Named).ok_or_else(known)
}

impl Simulate {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let scenario = Scenario::read(&self.scenario).with_context(|| {
            format!("the scenario {} cannot be played", self.scenario.display())
        })?;
        let Named(dialect) = self.dialect;
        let proofs = self.proving.proofs(dialect)?;
        let Some(target) = &self.target else {
            if self.calls > 1 {
                bail!("--calls needs a --target");
            }
            return in_runtime(async { show_requests(dialect, &scenario, &proofs) });
        };
        in_runtime(async {
            let platform = Platform::new(dialect, target, proofs)?;
            if self.calls == 1 {
                self.one(&platform, &scenario).await
            } else {
                self.many(&platform, &scenario).await
            }
        })
    }

    async fn one(&self, platform: &Platform, scenario: &Scenario) -> anyhow::Result<ExitCode> {
        let outcomes = platform.play(scenario).await;
        let mut out = std::io::stdout().lock();
        if self.json {
            serde_json::to_writer_pretty(&mut out, &outcomes)?;
            writeln!(out)?;
        } else {
            outcome::print(&outcomes, &mut out)?;
        }
        Ok(ended(outcomes.iter().all(Outcome::is_well)))
    }

    async fn many(&self, platform: &Platform, scenario: &Scenario) -> anyhow::Result<ExitCode> {
        let started = Instant::now();
        let mut summary = Summary::default();
        let mut calls = stream::iter(0..self.calls)
            .map(|_| platform.play(scenario))
            .buffer_unordered(self.at_once.into());
        while let Some(outcomes) = calls.next().await {
            summary.add(&outcomes);
        }
        summary.took(started.elapsed());
        let mut out = std::io::stdout().lock();
        if self.json {
            serde_json::to_writer_pretty(&mut out, &summary)?;
            writeln!(out)?;
        } else {
            summary.print(&mut out)?;
        }
        Ok(ended(summary.is_well()))
    }
}

fn ended(well: bool) -> ExitCode {
    if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// What the platform would send, for those who want to see it or send it themselves.
fn show_requests(
    dialect: &'static dyn Dialect,
    scenario: &Scenario,
    proofs: &[crate::domain::proof::Proof],
) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    for (step, request) in platform::requests(dialect, scenario, proofs) {
        match request {
            None => writeln!(
                out,
                "# {step}: {} sends nothing of the sort\n",
                dialect.name()
            )?,
            Some(request) => {
                writeln!(out, "# {step}")?;
                for (name, value) in &request.headers {
                    writeln!(out, "{name}: {}", String::from_utf8_lossy(value.as_bytes()))?;
                }
                writeln!(out, "\n{}\n", request.body.get())?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
