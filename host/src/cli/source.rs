//! `hookswitch source`: where platforms send their webhooks.

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Map, Value};

use super::asked;
use super::client::{Client, Server};
use super::input::{Changes, Fields, check_any};
use super::names::SOURCE;
use super::paging::List;
use super::shown::{self, Column, Output};
use crate::domain::plugin::Name;

/// Create, list, show, update and delete sources: where platforms send their webhooks.
#[derive(Debug, Args)]
pub(super) struct Source {
    #[command(flatten)]
    server: Server,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Create a source; the answer says the path to give to the platform.
    Create(Create),
    /// List sources.
    List(List),
    /// Show one source.
    Show(Show),
    /// Change a source.
    Update(Update),
    /// Delete a source, and its bindings with it.
    Delete(Delete),
}

#[derive(Debug, Args)]
struct Create {
    /// Its name.
    #[arg(value_name = "NAME")]
    name: Name,
    /// The platform whose form its requests have; dasha unless told.
    #[arg(long, value_name = "NAME")]
    dialect: Option<String>,
    #[command(flatten)]
    fields: Fields,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
struct Show {
    /// Its name or id.
    #[arg(value_name = "SOURCE")]
    source: String,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
struct Update {
    /// Its name or id.
    #[arg(value_name = "SOURCE")]
    source: String,
    #[command(flatten)]
    changes: Changes,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
struct Delete {
    /// Its name or id.
    #[arg(value_name = "SOURCE")]
    source: String,
}

impl Source {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        asked(async {
            let client = self.server.client()?;
            match self.action {
                Action::Create(create) => create.run(&client).await,
                Action::List(list) => list_all(&client, list).await,
                Action::Show(show) => show.run(&client).await,
                Action::Update(update) => update.run(&client).await,
                Action::Delete(delete) => delete.run(&client).await,
            }
        })
    }
}

impl Create {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        let mut fields: Map<String, Value> = self.fields.read()?;
        fields.insert("name".to_owned(), self.name.to_string().into());
        if let Some(dialect) = self.dialect {
            fields.insert("dialect".to_owned(), dialect.into());
        }
        let source = client.create("/sources", &fields.into()).await?;
        self.output.one(&source)
    }
}

async fn list_all(client: &Client, list: List) -> anyhow::Result<()> {
    const COLUMNS: &[Column] = &[
        Column::Text("id"),
        Column::Text("name"),
        Column::Text("dialect"),
        Column::Text("hook path"),
        Column::Text("proof"),
        Column::Text("created"),
    ];
    let page = list.paging.page(client, "/sources", &[]).await?;
    list.output.print(&page, |page, out| {
        let row = |source: &Value| {
            let mut cells = shown::texts(source, &["id", "name", "dialect", "hook_path"]);
            cells.push(proofs(source));
            cells.push(shown::text(&source["created_at"]));
            cells
        };
        shown::page(page, "sources", COLUMNS, row, out)
    })
}

/// What its requests must prove.
fn proofs(source: &Value) -> String {
    let proofs = source["proof"].as_array().into_iter().flatten();
    let types: Vec<_> = proofs.map(|proof| shown::text(&proof["type"])).collect();
    match types.as_slice() {
        [] => "none".to_owned(),
        types => types.join(", "),
    }
}

impl Show {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        let path = SOURCE.path(client, &self.source).await?;
        self.output.one(&client.get(&path).await?)
    }
}

impl Update {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        let path = SOURCE.path(client, &self.source).await?;
        let now = client.read(&path).await?;
        let changes = self.changes.read(&now.body)?;
        check_any(&changes)?;
        let source = client.change(&path, &now, &changes.into()).await?;
        self.output.one(&source)
    }
}

impl Delete {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        let path = SOURCE.path(client, &self.source).await?;
        client.delete(&path).await?;
        writeln!(std::io::stdout(), "source {} is deleted", self.source)?;
        Ok(())
    }
}
