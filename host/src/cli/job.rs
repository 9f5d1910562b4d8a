//! `hookswitch job`: what a server does for a while, and waiting for it.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::Value;

use super::asked;
use super::client::{Client, Server};
use super::names::JOB;
use super::paging::List;
use super::progress;
use super::shown::{self, Column, Output, text};

/// List jobs, and show one: what retry and recover have begun.
#[derive(Debug, Args)]
pub(super) struct Job {
    #[command(flatten)]
    server: Server,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List jobs, the newest first.
    List(List),
    /// Show how a job stands, or wait for its end.
    Show(Show),
}

#[derive(Debug, Args)]
struct Show {
    /// The job's id.
    #[arg(value_name = "ID")]
    job: String,
    /// Wait until it is done.
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    output: Output,
}

/// What to do while a job runs.
#[derive(Debug, Args)]
pub(super) struct Wait {
    /// Begin the job, and do not wait for its end.
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    pub(super) output: Output,
}

impl Job {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        asked(async {
            let client = self.server.client()?;
            match self.action {
                Action::List(list) => list_all(&client, list).await,
                Action::Show(show) => show.run(&client).await,
            }
        })
    }
}

async fn list_all(client: &Client, list: List) -> anyhow::Result<()> {
    const COLUMNS: &[Column] = &[
        Column::Text("id"),
        Column::Text("task"),
        Column::Text("state"),
        Column::Number("total"),
        Column::Number("looked at"),
        Column::Number("changed"),
        Column::Text("created"),
    ];
    let page = list.paging.page(client, "/jobs", &[]).await?;
    list.output.print(&page, |page, out| {
        let row = |job: &Value| {
            let mut cells = vec![text(&job["id"]), text(&job["task"]["type"])];
            let fields = ["state", "total", "looked_at", "changed", "created_at"];
            cells.extend(shown::texts(job, &fields));
            cells
        };
        shown::page(page, "jobs", COLUMNS, row, out)
    })
}

impl Show {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        let path = JOB.path(client, &self.job).await?;
        let mut job = client.get(&path).await?;
        if self.wait {
            job = ended(client, job).await?;
        }
        self.output.one(&job)
    }
}

impl Wait {
    /// Waits for the end of a job and says how it goes, unless told not to.
    pub(super) async fn follow(&self, client: &Client, mut job: Value) -> anyhow::Result<()> {
        if !self.no_wait {
            job = ended(client, job).await?;
        }
        self.output.print(&job, said)
    }
}

async fn ended(client: &Client, mut job: Value) -> anyhow::Result<Value> {
    const SHORTEST: Duration = Duration::from_millis(50);
    const LONGEST: Duration = Duration::from_secs(2);
    let id = job["id"].as_str().context("the answer names no job")?;
    let path = JOB.path(client, id).await?;
    let progress = progress::Job::new();
    let mut pause = SHORTEST;
    while job["state"] == "running" {
        progress.show(&job);
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST);
        job = client.get(&path).await?;
    }
    progress.end();
    Ok(job)
}

/// How a job stands, and what to do next.
fn said(job: &Value, out: &mut io::StdoutLock<'_>) -> io::Result<()> {
    let id = text(&job["id"]);
    if job["state"] == "running" {
        return writeln!(
            out,
            "{id} runs: {} to look at; hookswitch job show {id} says how far it is",
            job["total"]
        );
    }
    writeln!(
        out,
        "{id} is done: {} looked at, {} owed now",
        job["looked_at"], job["changed"]
    )
}
