//! `hookswitch token`: who may use the API, and how.

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::asked;
use super::client::{Client, Server};
use super::names::TOKEN;
use super::paging::List;
use super::shown::{self, Column, Output};

/// Create, list and revoke tokens: who may use the API, and how.
#[derive(Debug, Args)]
pub(super) struct Token {
    #[command(flatten)]
    server: Server,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Create a token; the answer shows it, once.
    Create(Create),
    /// List tokens.
    List(List),
    /// Revoke a token: nobody is let in with it from then on.
    Revoke(Revoke),
}

/// What a token lets do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scope {
    /// Everything, in every organization.
    Operator,
    /// Everything in the organization.
    Owner,
    /// Upload, bind and test.
    Developer,
    /// Look at things.
    Viewer,
}

#[derive(Debug, Args)]
struct Create {
    /// What it is for.
    #[arg(value_name = "LABEL")]
    label: String,
    /// What it lets do.
    #[arg(long, value_enum)]
    scope: Scope,
    /// When it ends: a time such as 2027-01-02T03:04:05Z, or in how long: 24h, 720h;
    /// never unless told.
    #[arg(long, value_name = "TIME", value_parser = end)]
    expires: Option<Timestamp>,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
struct Revoke {
    /// Its id, label or prefix.
    #[arg(value_name = "TOKEN")]
    which: String,
}

/// A point in time, or in how long.
fn end(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let length: SignedDuration = text
        .parse()
        .map_err(|_| "expected a time such as 2027-01-02T03:04:05Z, or in how long: 24h, 720h")?;
    let then = Timestamp::now().checked_add(length.abs());
    then.map_err(|error| error.to_string())
}

impl Token {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        asked(async {
            let client = self.server.client()?;
            match self.action {
                Action::Create(create) => create.run(&client).await,
                Action::List(list) => list_all(&client, list).await,
                Action::Revoke(revoke) => revoke.run(&client).await,
            }
        })
    }
}

impl Create {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        let scope = match self.scope {
            Scope::Operator => "operator",
            Scope::Owner => "owner",
            Scope::Developer => "developer",
            Scope::Viewer => "viewer",
        };
        let mut body = Map::from_iter([
            ("label".to_owned(), Value::from(self.label)),
            ("scope".to_owned(), scope.into()),
        ]);
        if let Some(expires) = self.expires {
            body.insert("expires_at".to_owned(), expires.to_string().into());
        }
        let token = client.create("/tokens", &body.into()).await?;
        self.output.print(&token, |token, out| {
            shown::fields(token, out)?;
            writeln!(out, "\nthe token is not shown again")
        })
    }
}

async fn list_all(client: &Client, list: List) -> anyhow::Result<()> {
    const COLUMNS: &[Column] = &[
        Column::Text("id"),
        Column::Text("label"),
        Column::Text("prefix"),
        Column::Text("scope"),
        Column::Text("created"),
        Column::Text("expires"),
        Column::Text("last used"),
    ];
    let page = list.paging.page(client, "/tokens", &[]).await?;
    list.output.print(&page, |page, out| {
        let row = |token: &Value| {
            let fields = [
                "id",
                "label",
                "prefix",
                "scope",
                "created_at",
                "expires_at",
                "last_used_at",
            ];
            shown::texts(token, &fields)
        };
        shown::page(page, "tokens", COLUMNS, row, out)
    })
}

impl Revoke {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        let path = TOKEN.path(client, &self.which).await?;
        client.delete(&path).await?;
        writeln!(std::io::stdout(), "token {} is revoked", self.which)?;
        Ok(())
    }
}
