//! `hookswitch apply`: has a server be set up as a file says.
//!
//! In reading order: [`document`] reads TOML and knows where in it things are, [`setup`]
//! makes of it what is wanted, with [`fill`] for what stands elsewhere; [`plan`] compares
//! that with what the server has ([`difference`]); [`carry_out`] does what is planned.

mod carry_out;
mod difference;
mod document;
mod fill;
mod plan;
mod setup;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use self::carry_out::CarryOut;
use self::document::Document;
use self::plan::{Action, Kind, Plan, Planner, Step, Wishes};
use self::setup::Setup;
use super::client::{Client, Server};
use super::input;
use super::shown::{Output, text};

/// Set up sources, plugins, endpoints, secrets and bindings as a file says.
///
/// Shows what is different first, then changes that and nothing else; a second time there
/// is nothing to change. docs/cli.md describes the file.
#[allow(clippy::struct_excessive_bools)] // Options.
#[derive(Debug, Args)]
pub(super) struct Apply {
    /// The file (TOML).
    #[arg(value_name = "FILE.toml")]
    file: PathBuf,
    /// Show what is different, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// End with status 2 where something is different.
    #[arg(long, requires = "dry_run")]
    exit_code: bool,
    /// Delete bindings, endpoints, sources and secrets that the file does not name.
    #[arg(long)]
    prune: bool,
    /// Set secrets and proofs again that the server has already: it does not show them, so
    /// they cannot be compared.
    #[arg(long)]
    rotate_secrets: bool,
    /// A permission that versions may want more than those before; may be repeated.
    #[arg(long, value_name = "PERMISSION")]
    confirm: Vec<String>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

/// How far something planned has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Planned,
    Done,
    Failed,
    NotBegun,
}

impl Apply {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let document = Document::new(&self.file, input::file(&self.file)?);
        let setup = Setup::read(&document)?;
        super::in_runtime(async {
            let client = self.server.client()?;
            let wishes = Wishes {
                rotate_secrets: self.rotate_secrets,
                prune: self.prune,
            };
            let planner = Planner::new(&client, &document, &setup, wishes).await?;
            let plan = planner.plan().await?;
            if !self.output.json {
                print(&plan, &mut io::stdout().lock())?;
            }
            if !self.dry_run {
                return self.carry_out(&client, plan).await;
            }
            if self.output.json {
                let steps = plan.steps.iter();
                let steps = steps.map(|step| shown(step, State::Planned, &Value::Null));
                self.report(plan.unchanged, &steps.collect::<Vec<_>>())?;
            }
            let is_different = self.exit_code && !plan.steps.is_empty();
            Ok(ExitCode::from(if is_different { 2 } else { 0 }))
        })
    }

    async fn carry_out(&self, client: &Client, plan: Plan) -> anyhow::Result<ExitCode> {
        let Plan { steps, unchanged } = plan;
        let number = steps.len();
        let mut carry_out = CarryOut::new(client, &self.confirm);
        let (mut reports, mut failed) = (Vec::new(), None);
        let mut remaining = Vec::new();
        for step in steps {
            if failed.is_some() {
                reports.push(shown(&step, State::NotBegun, &Value::Null));
                remaining.push(called(&step));
                continue;
            }
            let mut report = shown(&step, State::Done, &Value::Null);
            let (kind, action, called) = (step.kind, step.action, called(&step));
            match carry_out.work(step.work).await {
                Ok(answer) => {
                    if !self.output.json {
                        done(kind, action, &called, &answer, &mut io::stdout().lock())?;
                    }
                    report["answer"] = answer;
                }
                Err(error) => {
                    report["state"] = name(State::Failed).into();
                    remaining.push(called.clone());
                    failed = Some((called, error));
                }
            }
            reports.push(report);
        }
        if self.output.json {
            self.report(unchanged, &reports)?;
        }
        match failed {
            None => Ok(ExitCode::SUCCESS),
            Some((called, error)) => Err(error.context(format!(
                "{called} failed; {} of {number} changes are made, what remains: {}. What is done stays: apply the file again when the cause is gone",
                number - remaining.len(),
                remaining.join(", ")
            ))),
        }
    }

    fn report(&self, unchanged: usize, changes: &[Value]) -> anyhow::Result<()> {
        let report = json!({
            "dry_run": self.dry_run, "unchanged": unchanged, "changes": changes,
        });
        self.output.print(&report, |_, _| Ok(()))
    }
}

fn name(state: State) -> &'static str {
    match state {
        State::Planned => "planned",
        State::Done => "done",
        State::Failed => "failed",
        State::NotBegun => "not_begun",
    }
}

/// A planned change for programs.
fn shown(step: &Step, state: State, answer: &Value) -> Value {
    json!({
        "kind": step.kind, "name": step.name, "action": step.action, "fields": step.fields,
        "state": name(state), "answer": answer,
    })
}

fn called(step: &Step) -> String {
    format!("{} {}", step.kind.as_str(), step.name)
}

/// The difference, for people.
fn print(plan: &Plan, out: &mut impl Write) -> io::Result<()> {
    if plan.steps.is_empty() {
        return writeln!(
            out,
            "nothing to change: {} as the file says",
            match plan.unchanged {
                1 => "1 thing is".to_owned(),
                number => format!("{number} things are"),
            }
        );
    }
    for step in &plan.steps {
        let sign = match step.action {
            Action::Create => '+',
            Action::Change => '~',
            Action::Delete => '-',
        };
        writeln!(out, "{sign} {}", called(step))?;
        for field in &step.fields {
            field.print(out)?;
        }
    }
    let number = |action| plan.steps.iter().filter(|it| it.action == action).count();
    writeln!(
        out,
        "{} to create, {} to change, {} to delete, {} unchanged",
        number(Action::Create),
        number(Action::Change),
        number(Action::Delete),
        plan.unchanged
    )
}

/// What has been done, with what people need of the answer.
fn done(
    kind: Kind,
    action: Action,
    called: &str,
    answer: &Value,
    out: &mut impl Write,
) -> io::Result<()> {
    let what = match (kind, action) {
        (Kind::Plugin, _) => {
            return writeln!(out, "uploaded {called} as version {}", answer["version"]);
        }
        (_, Action::Create) => "created",
        (_, Action::Change) => "changed",
        (_, Action::Delete) => "deleted",
    };
    match (kind, action) {
        (Kind::Source, Action::Create) => writeln!(
            out,
            "{what} {called}; the platform sends to {}",
            text(&answer["hook_path"])
        ),
        (Kind::Endpoint, Action::Create) => writeln!(
            out,
            "{what} {called}; its signing secret, shown this once: {}",
            text(&answer["signing_secret"])
        ),
        _ => writeln!(out, "{what} {called}"),
    }
}
