//! `hookswitch endpoint`: where events are sent.

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::asked;
use super::client::{Client, Server};
use super::input::{self, Changes, Fields, check_any};
use super::job::Wait;
use super::names::ENDPOINT;
use super::paging::List;
use super::shown::{self, Column, Output};
use crate::domain::plugin::Name;

/// Create, list, show, update, rotate, recover and delete endpoints: where events are sent.
#[derive(Debug, Args)]
pub(super) struct Endpoint {
    #[command(flatten)]
    server: Server,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Create an endpoint; the answer shows its signing secret, once.
    Create(Create),
    /// List endpoints.
    List(List),
    /// Show one endpoint.
    Show(Show),
    /// Change an endpoint.
    Update(Update),
    /// Replace the signing secret; for a while requests are signed with both.
    Rotate(Rotate),
    /// Show how an endpoint has done of late.
    Health(Show),
    /// Send an endpoint everything since a time that it did not get.
    Recover(Recover),
    /// Delete an endpoint; what is owed to it is cancelled.
    Delete(Delete),
}

#[derive(Debug, Args)]
struct Create {
    /// Its name, by which plugins address it.
    #[arg(value_name = "NAME")]
    name: Name,
    /// Where requests go.
    #[arg(value_name = "URL")]
    url: String,
    /// Send only events of that kind, such as call.completed or call.*; may be repeated.
    #[arg(long = "kind", value_name = "KIND")]
    kinds: Vec<String>,
    #[command(flatten)]
    fields: Fields,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
struct Show {
    /// Its name or id.
    #[arg(value_name = "ENDPOINT")]
    endpoint: String,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
struct Update {
    /// Its name or id.
    #[arg(value_name = "ENDPOINT")]
    endpoint: String,
    #[command(flatten)]
    changes: Changes,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
struct Rotate {
    /// Its name or id.
    #[arg(value_name = "ENDPOINT")]
    endpoint: String,
    /// For how long requests are signed with both secrets; a day unless told.
    #[arg(long, value_name = "SECONDS")]
    overlap_seconds: Option<u32>,
    /// Take the new secret (whsec_…) from standard input instead of having one made up.
    #[arg(long)]
    secret_stdin: bool,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
pub(super) struct Recover {
    /// Its name or id.
    #[arg(value_name = "ENDPOINT")]
    endpoint: String,
    /// From when on: a time such as 2026-01-02T03:04:05Z, or how long ago: 90m, 24h.
    #[arg(long, value_name = "TIME", value_parser = input::time)]
    since: Timestamp,
    #[command(flatten)]
    wait: Wait,
}

#[derive(Debug, Args)]
struct Delete {
    /// Its name or id.
    #[arg(value_name = "ENDPOINT")]
    endpoint: String,
}

impl Endpoint {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        asked(async {
            let client = self.server.client()?;
            match self.action {
                Action::Create(create) => create.run(&client).await,
                Action::List(list) => list_all(&client, list).await,
                Action::Show(show) => show.run(&client, "").await,
                Action::Update(update) => update.run(&client).await,
                Action::Rotate(rotate) => rotate.run(&client).await,
                Action::Health(show) => show.run(&client, "/health").await,
                Action::Recover(recover) => recover.run(&client).await,
                Action::Delete(delete) => delete.run(&client).await,
            }
        })
    }
}

impl Create {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        let mut fields: Map<String, Value> = self.fields.read()?;
        fields.insert("name".to_owned(), self.name.to_string().into());
        fields.insert("url".to_owned(), self.url.into());
        if !self.kinds.is_empty() {
            let filter = fields.entry("filter").or_insert_with(|| json!({}));
            if let Value::Object(filter) = filter {
                filter.insert("kinds".to_owned(), self.kinds.into());
            }
        }
        let endpoint = client.create("/endpoints", &fields.into()).await?;
        with_secret(self.output, &endpoint)
    }
}

/// The secret is shown now or never.
fn with_secret(output: Output, endpoint: &Value) -> anyhow::Result<()> {
    output.print(endpoint, |endpoint, out| {
        shown::fields(endpoint, out)?;
        writeln!(out, "\nthe signing secret is not shown again")
    })
}

async fn list_all(client: &Client, list: List) -> anyhow::Result<()> {
    const COLUMNS: &[Column] = &[
        Column::Text("id"),
        Column::Text("name"),
        Column::Text("url"),
        Column::Text("kinds"),
        Column::Text("standing"),
        Column::Text("created"),
    ];
    let page = list.paging.page(client, "/endpoints", &[]).await?;
    list.output.print(&page, |page, out| {
        let row = |endpoint: &Value| {
            let mut cells = shown::texts(endpoint, &["id", "name", "url"]);
            cells.push(shown::listed(&endpoint["filter"]["kinds"]));
            cells.push(shown::text(&endpoint["standing"]["state"]));
            cells.push(shown::text(&endpoint["created_at"]));
            cells
        };
        shown::page(page, "endpoints", COLUMNS, row, out)
    })
}

impl Show {
    async fn run(self, client: &Client, of_it: &str) -> anyhow::Result<()> {
        let path = ENDPOINT.path(client, &self.endpoint).await?;
        self.output
            .one(&client.get(&format!("{path}{of_it}")).await?)
    }
}

impl Update {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        let path = ENDPOINT.path(client, &self.endpoint).await?;
        let now = client.read(&path).await?;
        let changes = self.changes.read(&now.body)?;
        check_any(&changes)?;
        let endpoint = client.change(&path, &now, &changes.into()).await?;
        self.output.one(&endpoint)
    }
}

impl Rotate {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        let mut body = Map::new();
        if let Some(seconds) = self.overlap_seconds {
            body.insert("overlap_seconds".to_owned(), seconds.into());
        }
        if self.secret_stdin {
            let secret = input::secret_of_stdin("signing secret")?;
            body.insert("signing_secret".to_owned(), secret.into());
        }
        let path = ENDPOINT.path(client, &self.endpoint).await?;
        let path = format!("{path}/rotate");
        let rotated = client.post(&path, &body.into()).await?;
        with_secret(self.output, &rotated)
    }
}

impl Recover {
    pub(super) async fn run(self, client: &Client) -> anyhow::Result<()> {
        let path = ENDPOINT.path(client, &self.endpoint).await?;
        let body = json!({"since": self.since});
        let job = client.create(&format!("{path}/recover"), &body).await?;
        self.wait.follow(client, job).await
    }
}

impl Delete {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        let path = ENDPOINT.path(client, &self.endpoint).await?;
        client.delete(&path).await?;
        writeln!(std::io::stdout(), "endpoint {} is deleted", self.endpoint)?;
        Ok(())
    }
}
