//! `hookswitch organization`: whose things are whose, for operators.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::asked;
use super::client::{Client, Server};
use super::input::{Changes, Fields, check_any};
use super::names::ORGANIZATION;
use super::paging::List;
use super::shown::{self, Column, Output};
use crate::domain::plugin::Name;

/// Create, list, show and update organizations, for operators.
#[derive(Debug, Args)]
pub(super) struct Organization {
    #[command(flatten)]
    server: Server,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Create an organization.
    Create(Create),
    /// List organizations.
    List(List),
    /// Show one organization with its quotas.
    Show(Show),
    /// Change an organization's name or quotas.
    Update(Update),
}

/// How much an organization may have and do.
#[derive(Debug, Args)]
struct Quotas {
    /// Most plugins.
    #[arg(long, value_name = "N")]
    plugins: Option<u64>,
    /// Most bytes of all versions of plugins together.
    #[arg(long, value_name = "N")]
    plugin_bytes: Option<u64>,
    /// Most webhooks a second, over all sources.
    #[arg(long, value_name = "N")]
    calls_per_second: Option<u64>,
    /// Most events that are kept.
    #[arg(long, value_name = "N")]
    events_kept: Option<u64>,
}

#[derive(Debug, Args)]
struct Create {
    /// Its name.
    #[arg(value_name = "NAME")]
    name: Name,
    #[command(flatten)]
    quotas: Quotas,
    #[command(flatten)]
    fields: Fields,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
struct Show {
    /// Its name or id.
    #[arg(value_name = "ORGANIZATION")]
    which: String,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
struct Update {
    /// Its name or id.
    #[arg(value_name = "ORGANIZATION")]
    which: String,
    /// Its new name.
    #[arg(long, value_name = "NAME")]
    name: Option<Name>,
    #[command(flatten)]
    quotas: Quotas,
    #[command(flatten)]
    changes: Changes,
    #[command(flatten)]
    output: Output,
}

impl Organization {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        asked(async {
            let client = self.server.client()?;
            match self.action {
                Action::Create(create) => create.run(&client).await,
                Action::List(list) => list_all(&client, list).await,
                Action::Show(show) => show.run(&client).await,
                Action::Update(update) => update.run(&client).await,
            }
        })
    }
}

impl Quotas {
    fn put(&self, fields: &mut Map<String, Value>, now: &Value) {
        let said = [
            ("plugins", self.plugins),
            ("plugin_bytes", self.plugin_bytes),
            ("calls_per_second", self.calls_per_second),
            ("events_kept", self.events_kept),
        ];
        if said.iter().all(|(_, value)| value.is_none()) {
            return;
        }
        // A field is changed as a whole.
        let quotas = fields
            .entry("quotas")
            .or_insert_with(|| now["quotas"].clone());
        if !quotas.is_object() {
            *quotas = json!({});
        }
        for (name, value) in said {
            if let Some(value) = value {
                quotas[name] = value.into();
            }
        }
    }
}

impl Create {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        let mut fields = self.fields.read()?;
        fields.insert("name".to_owned(), self.name.to_string().into());
        self.quotas.put(&mut fields, &Value::Null);
        let organization = client.create("/organizations", &fields.into()).await?;
        self.output.one(&organization)
    }
}

async fn list_all(client: &Client, list: List) -> anyhow::Result<()> {
    const COLUMNS: &[Column] = &[
        Column::Text("id"),
        Column::Text("name"),
        Column::Number("plugins"),
        Column::Number("plugin bytes"),
        Column::Number("calls per second"),
        Column::Number("events kept"),
        Column::Text("created"),
    ];
    let page = list.paging.page(client, "/organizations", &[]).await?;
    list.output.print(&page, |page, out| {
        let row = |organization: &Value| {
            let quotas = ["plugins", "plugin_bytes", "calls_per_second", "events_kept"];
            let mut cells = shown::texts(organization, &["id", "name"]);
            cells.extend(shown::texts(&organization["quotas"], &quotas));
            cells.push(shown::text(&organization["created_at"]));
            cells
        };
        shown::page(page, "organizations", COLUMNS, row, out)
    })
}

impl Show {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        let path = ORGANIZATION.path(client, &self.which).await?;
        self.output.one(&client.get(&path).await?)
    }
}

impl Update {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        let path = ORGANIZATION.path(client, &self.which).await?;
        let now = client.read(&path).await?;
        let mut changes = self.changes.read(&now.body)?;
        if let Some(name) = self.name {
            changes.insert("name".to_owned(), name.to_string().into());
        }
        self.quotas.put(&mut changes, &now.body);
        check_any(&changes)?;
        let organization = client.change(&path, &now, &changes.into()).await?;
        self.output.one(&organization)
    }
}
