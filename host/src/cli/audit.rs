//! `hookswitch audit`: who changed what.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::asked;
use super::client::Server;
use super::paging::List;
use super::shown::{self, Column};

/// List who changed what.
#[derive(Debug, Args)]
pub(super) struct Audit {
    #[command(flatten)]
    server: Server,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List changes, the newest first; --json shows what was before and after.
    List(ListChanges),
}

#[derive(Debug, Args)]
struct ListChanges {
    /// Only changes of such things: source, binding, token, …
    #[arg(long)]
    what: Option<String>,
    /// Only changes of that one: its id, or a plugin's or secret's name.
    #[arg(long, value_name = "ID")]
    subject: Option<String>,
    #[command(flatten)]
    list: List,
}

impl Audit {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        const COLUMNS: &[Column] = &[
            Column::Text("at"),
            Column::Text("who"),
            Column::Text("action"),
            Column::Text("what"),
            Column::Text("which"),
        ];
        asked(async {
            let client = self.server.client()?;
            let Action::List(wanted) = self.action;
            let List { paging, output } = wanted.list;
            let filters = [("what", wanted.what), ("subject", wanted.subject)];
            let page = paging.page(&client, "/audit", &filters).await?;
            output.print(&page, |page, out| {
                let row = |entry: &Value| {
                    shown::texts(entry, &["at", "actor", "action", "what", "subject"])
                };
                shown::page(page, "changes", COLUMNS, row, out)
            })
        })
    }
}
