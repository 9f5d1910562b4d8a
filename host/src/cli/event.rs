//! `hookswitch event`: what came in, and what came of it.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::asked;
use super::client::{Client, Server};
use super::names::{EVENT, Names, SOURCE};
use super::paging::List;
use super::shown::{self, Column, Output, Sheet, text};

/// List events, and show one with its decision, log and deliveries.
#[derive(Debug, Args)]
pub(super) struct Event {
    #[command(flatten)]
    server: Server,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List events, the newest first.
    List(ListEvents),
    /// Show one event with its payload, decision, log and deliveries.
    Show(Show),
}

#[derive(Debug, Args)]
struct ListEvents {
    /// Only those of that source (name or id).
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// Only those of that kind, such as call.start.
    #[arg(long)]
    kind: Option<String>,
    /// Only those of that call.
    #[arg(long, value_name = "ID")]
    call: Option<String>,
    #[command(flatten)]
    list: List,
}

#[derive(Debug, Args)]
struct Show {
    /// The event's id.
    #[arg(value_name = "ID")]
    event: String,
    #[command(flatten)]
    output: Output,
}

impl Event {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        asked(async {
            let client = self.server.client()?;
            match self.action {
                Action::List(list) => list.run(&client).await,
                Action::Show(show) => show.run(&client).await,
            }
        })
    }
}

impl ListEvents {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        let source = match self.source {
            Some(source) => Some(SOURCE.id(client, &source).await?),
            None => None,
        };
        let filters = [("source", source), ("kind", self.kind), ("call", self.call)];
        let List { paging, output } = self.list;
        let page = paging.page(client, "/events", &filters).await?;
        let names = if output.json {
            None
        } else {
            Some(SOURCE.names(client).await?)
        };
        output.print(&page, |page, out| table(page, names.as_ref(), out))
    }
}

fn table(page: &Value, names: Option<&Names>, out: &mut impl Write) -> io::Result<()> {
    const COLUMNS: &[Column] = &[
        Column::Text("id"),
        Column::Text("received"),
        Column::Text("source"),
        Column::Text("kind"),
        Column::Text("call"),
        Column::Text("agent"),
        Column::Text("tool"),
        Column::Text("state"),
    ];
    let row = |event: &Value| {
        let mut cells = shown::texts(event, &["id", "received_at"]);
        let source = &event["source"];
        cells.push(names.map_or_else(|| text(source), |names| names.of(source)));
        let fields = ["kind", "call_id", "agent_id", "tool", "state"];
        cells.extend(shown::texts(event, &fields));
        cells
    };
    shown::page(page, "events", COLUMNS, row, out)
}

impl Show {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        let path = EVENT.path(client, &self.event).await?;
        self.output.print(&client.get(&path).await?, one)
    }
}

fn one(event: &Value, out: &mut io::StdoutLock<'_>) -> io::Result<()> {
    let mut of_itself = event.clone();
    let [payload, decision, log, deliveries] =
        ["payload", "decision", "log", "deliveries"].map(|field| of_itself[field].take());
    shown::fields(&of_itself, out)?;
    writeln!(out, "\npayload\n{payload:#}")?;
    if !decision.is_null() {
        writeln!(out)?;
        decided(&decision, out)?;
    }
    let lines = log.as_array().map_or(&[][..], Vec::as_slice);
    if !lines.is_empty() {
        writeln!(out, "\nlog")?;
    }
    for line in lines {
        writeln!(
            out,
            "{:5}  {}",
            text(&line["level"]),
            text(&line["message"])
        )?;
    }
    owed(&deliveries, out)
}

fn decided(decision: &Value, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "decision  {} {}",
        text(&decision["outcome"]),
        text(&decision["reason"])
    )?;
    writeln!(out, "answer    {}", decision["answer"])?;
    if !decision["reply"].is_null() {
        writeln!(out, "reply     {}", decision["reply"])?;
    }
    writeln!(
        out,
        "took      {} ms",
        shown::milliseconds(&decision["elapsed_us"])
    )?;
    for called in decision["invocations"].as_array().into_iter().flatten() {
        writeln!(
            out,
            "asked     {} version {}: {} {} in {} ms",
            text(&called["plugin"]),
            called["version"],
            text(&called["outcome"]),
            text(&called["error"]["message"]),
            shown::milliseconds(&called["elapsed_us"])
        )?;
    }
    Ok(())
}

fn owed(deliveries: &Value, out: &mut impl Write) -> io::Result<()> {
    const COLUMNS: &[Column] = &[
        Column::Text("delivery"),
        Column::Text("endpoint"),
        Column::Text("state"),
        Column::Number("attempts"),
        Column::Text("status"),
        Column::Text("error"),
    ];
    let Some(deliveries) = deliveries.as_array().filter(|it| !it.is_empty()) else {
        return Ok(());
    };
    let mut sheet = Sheet::new(COLUMNS);
    for delivery in deliveries {
        let named = ["endpoint_name", "endpoint"].map(|field| text(&delivery[field]));
        let name = named.into_iter().find(|name| !name.is_empty());
        let mut cells = vec![text(&delivery["id"]), name.unwrap_or_default()];
        let fields = ["state", "attempts", "status", "error"];
        cells.extend(shown::texts(delivery, &fields));
        sheet.row(cells);
    }
    writeln!(out)?;
    sheet.print(out)
}
