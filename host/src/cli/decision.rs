//! `hookswitch decision`: what was answered, by whom, why and how fast.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::asked;
use super::client::{Client, Server};
use super::paging::List;
use super::shown::{self, Column, text};

/// List decisions: what was answered, by whom, why and how fast.
#[derive(Debug, Args)]
pub(super) struct Decision {
    #[command(flatten)]
    server: Server,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List decisions, the newest first.
    List(ListDecisions),
}

#[derive(Debug, Args)]
struct ListDecisions {
    /// Only those with that outcome: answered or verdict.
    #[arg(long)]
    outcome: Option<String>,
    #[command(flatten)]
    list: List,
}

impl Decision {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        asked(async {
            let client = self.server.client()?;
            match self.action {
                Action::List(list) => list.run(&client).await,
            }
        })
    }
}

impl ListDecisions {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        const COLUMNS: &[Column] = &[
            Column::Text("event"),
            Column::Text("decided"),
            Column::Text("kind"),
            Column::Text("outcome"),
            Column::Text("plugin"),
            Column::Text("answer"),
            Column::Number("ms"),
        ];
        let List { paging, output } = self.list;
        let filters = [("outcome", self.outcome)];
        let page = paging.page(client, "/decisions", &filters).await?;
        output.print(&page, |page, out| {
            let row = |decision: &Value| {
                let mut cells = shown::texts(decision, &["event", "decided_at", "kind"]);
                cells.push(outcome(decision));
                cells.push(asked_last(decision));
                cells.push(text(&decision["answer"]));
                cells.push(shown::milliseconds(&decision["elapsed_us"]));
                cells
            };
            shown::page(page, "decisions", COLUMNS, row, out)
        })
    }
}

fn outcome(decision: &Value) -> String {
    match text(&decision["reason"]) {
        reason if reason.is_empty() => text(&decision["outcome"]),
        reason => format!("{}: {reason}", text(&decision["outcome"])),
    }
}

/// The plugin whose answer it is, if one was asked.
fn asked_last(decision: &Value) -> String {
    let invocations = decision["invocations"].as_array();
    let last = invocations.and_then(|it| it.last());
    last.map_or_else(String::new, |called| {
        format!("{} v{}", text(&called["plugin"]), called["version"])
    })
}
