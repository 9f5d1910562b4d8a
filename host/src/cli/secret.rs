//! `hookswitch secret`: values that the server adds to requests, and never shows again.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::asked;
use super::client::{Client, Server};
use super::input;
use super::names::named;
use super::shown::{self, Column, Output};
use crate::domain::plugin::Name;

/// Set, list and delete secrets: values that the server adds to requests.
#[derive(Debug, Args)]
pub(super) struct Secret {
    #[command(flatten)]
    server: Server,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Set a secret: its value is asked for, or read from standard input or a file.
    Set(Set),
    /// List the names of secrets; their values are never shown.
    List(List),
    /// Delete a secret that nothing uses.
    Delete(Delete),
}

#[derive(Debug, Args)]
struct Set {
    /// Its name.
    #[arg(value_name = "NAME")]
    name: Name,
    /// Read the value from a file; a line's end at its end is not part of it.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
struct Delete {
    /// Its name.
    #[arg(value_name = "NAME")]
    name: Name,
}

impl Secret {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        asked(async {
            let client = self.server.client()?;
            match self.action {
                Action::Set(set) => set.run(&client).await,
                Action::List(list) => list.run(&client).await,
                Action::Delete(delete) => delete.run(&client).await,
            }
        })
    }
}

impl Set {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        let value = match &self.file {
            Some(path) => input::secret_file(path, "secret")?,
            None => input::secret("secret")?,
        };
        let path = named("/secrets", &self.name);
        client.put(&path, &json!({"value": value})).await?;
        writeln!(std::io::stdout(), "secret {} is set", self.name)?;
        Ok(())
    }
}

impl List {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        const COLUMNS: &[Column] = &[Column::Text("name"), Column::Text("updated")];
        let all = client.get("/secrets").await?;
        self.output.print(&all, |all, out| {
            let row = |secret: &Value| shown::texts(secret, &["name", "updated_at"]);
            shown::page(all, "secrets", COLUMNS, row, out)
        })
    }
}

impl Delete {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        client.delete(&named("/secrets", &self.name)).await?;
        writeln!(std::io::stdout(), "secret {} is deleted", self.name)?;
        Ok(())
    }
}
