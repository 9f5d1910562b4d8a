//! `hookswitch delivery`: what a running server owes and has sent, and once more.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::asked;
use super::client::{Client, Server};
use super::endpoint::Recover;
use super::input;
use super::job::Wait;
use super::names::{DELIVERY, ENDPOINT, Names};
use super::paging::List;
use super::shown::{self, Column, Output, Sheet, text};

/// List deliveries, show one with its attempts, and send them again.
#[derive(Debug, Args)]
pub(super) struct Delivery {
    #[command(flatten)]
    server: Server,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List deliveries, the newest first.
    List(ListDeliveries),
    /// Show one delivery with its attempts.
    Show(Show),
    /// Send one delivery again, or all that failed of a selection.
    Retry(Retry),
    /// The same as hookswitch endpoint recover.
    #[command(hide = true)]
    Recover(Recover),
}

#[derive(Debug, Args)]
struct ListDeliveries {
    #[command(flatten)]
    selection: Selection,
    /// Only those in that state: owed, delivered, exhausted, refused, cancelled.
    #[arg(long)]
    state: Option<String>,
    /// Only those of that event.
    #[arg(long, value_name = "ID")]
    event: Option<String>,
    #[command(flatten)]
    list: List,
}

#[derive(Debug, Args)]
struct Show {
    /// The delivery's id.
    #[arg(value_name = "ID")]
    delivery: String,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
struct Retry {
    /// The one delivery to send again.
    #[arg(
        value_name = "ID",
        conflicts_with_all = ["endpoint", "kind", "call", "since", "until", "state"]
    )]
    delivery: Option<String>,
    /// Send it although it was delivered.
    #[arg(long, requires = "delivery")]
    again: bool,
    #[command(flatten)]
    selection: Selection,
    /// Only those in that state: exhausted or refused; both unless told.
    #[arg(long)]
    state: Option<String>,
    #[command(flatten)]
    wait: Wait,
}

/// Which deliveries.
#[derive(Debug, Args)]
struct Selection {
    /// Only those to that endpoint (name or id).
    #[arg(long, value_name = "ENDPOINT")]
    endpoint: Option<String>,
    /// Only those of events of that kind, such as call.completed.
    #[arg(long)]
    kind: Option<String>,
    /// Only those of that call.
    #[arg(long, value_name = "ID")]
    call: Option<String>,
    /// Only those owed since then: a time such as 2026-01-02T03:04:05Z, or how long
    /// ago: 90m, 24h.
    #[arg(long, value_name = "TIME", value_parser = input::time)]
    since: Option<Timestamp>,
    /// Only those owed before then.
    #[arg(long, value_name = "TIME", value_parser = input::time)]
    until: Option<Timestamp>,
}

impl Delivery {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        asked(async {
            let client = self.server.client()?;
            match self.action {
                Action::List(list) => list.run(&client).await,
                Action::Show(show) => show.run(&client).await,
                Action::Retry(retry) => retry.run(&client).await,
                Action::Recover(recover) => recover.run(&client).await,
            }
        })
    }
}

impl ListDeliveries {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        let mut filters = self.selection.filters(client, self.state).await?.to_vec();
        filters.push(("event", self.event));
        let List { paging, output } = self.list;
        let page = paging.page(client, "/deliveries", &filters).await?;
        let names = if output.json {
            None
        } else {
            Some(ENDPOINT.names(client).await?)
        };
        output.print(&page, |page, out| table(page, names.as_ref(), out))
    }
}

fn table(page: &Value, names: Option<&Names>, out: &mut impl Write) -> io::Result<()> {
    const COLUMNS: &[Column] = &[
        Column::Text("id"),
        Column::Text("created"),
        Column::Text("endpoint"),
        Column::Text("kind"),
        Column::Text("call"),
        Column::Text("state"),
        Column::Number("attempts"),
        Column::Text("last"),
    ];
    let row = |delivery: &Value| {
        let mut cells = shown::texts(delivery, &["id", "created_at"]);
        let endpoint = &delivery["endpoint"];
        cells.push(names.map_or_else(|| text(endpoint), |names| names.of(endpoint)));
        let fields = ["kind", "call_id", "state", "attempts_made"];
        cells.extend(shown::texts(delivery, &fields));
        cells.push(result(delivery));
        cells
    };
    shown::page(page, "deliveries", COLUMNS, row, out)
}

/// The reply's status, or why there was none.
fn result(of: &Value) -> String {
    match text(&of["status"]) {
        status if status.is_empty() => text(&of["error"]),
        status => status,
    }
}

impl Show {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        let path = DELIVERY.path(client, &self.delivery).await?;
        let delivery = client.get(&path).await?;
        self.output.print(&delivery, one)
    }
}

fn one(delivery: &Value, out: &mut io::StdoutLock<'_>) -> io::Result<()> {
    const COLUMNS: &[Column] = &[
        Column::Number("attempt"),
        Column::Text("started"),
        Column::Number("ms"),
        Column::Text("result"),
        Column::Text("detail"),
        Column::Text("response"),
    ];
    let mut of_itself = delivery.clone();
    let attempts = of_itself["attempts"].take();
    // As it is sent, not field by field.
    if !of_itself["body"].is_null() {
        of_itself["body"] = text(&of_itself["body"]).into();
    }
    shown::fields(&of_itself, out)?;
    let Some(attempts) = attempts.as_array().filter(|it| !it.is_empty()) else {
        return writeln!(out, "\nno attempts yet");
    };
    let mut sheet = Sheet::new(COLUMNS);
    for attempt in attempts {
        let mut cells = shown::texts(attempt, &["number", "started_at"]);
        cells.push(shown::milliseconds(&attempt["elapsed_us"]));
        cells.push(result(attempt));
        cells.extend(shown::texts(attempt, &["detail", "response"]));
        sheet.row(cells);
    }
    writeln!(out)?;
    sheet.print(out)
}

impl Retry {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        if let Some(id) = &self.delivery {
            let path = DELIVERY.path(client, id).await?;
            let body = json!({"again": self.again});
            let delivery = client.post(&format!("{path}/retry"), &body).await?;
            return self.wait.output.print(&delivery, |_, out| {
                writeln!(out, "{id} is owed again, due now")
            });
        }
        let filters = self.selection.filters(client, self.state).await?;
        let wanted: Map<String, Value> = filters
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?.into())))
            .collect();
        // Who names nothing may mean something, and would send everything again.
        if wanted.is_empty() {
            bail!(
                "which deliveries? Name one by its id, or say which ones with --endpoint, --kind, --state, --call, --since or --until"
            );
        }
        let job = client.create("/deliveries/retry", &wanted.into()).await?;
        self.wait.follow(client, job).await
    }
}

impl Selection {
    /// The fields, as the API names them.
    async fn filters(
        self,
        client: &Client,
        state: Option<String>,
    ) -> anyhow::Result<[(&'static str, Option<String>); 6]> {
        let endpoint = match self.endpoint {
            Some(endpoint) => Some(ENDPOINT.id(client, &endpoint).await?),
            None => None,
        };
        Ok([
            ("endpoint", endpoint),
            ("kind", self.kind),
            ("state", state),
            ("call", self.call),
            ("since", self.since.map(|time| time.to_string())),
            ("until", self.until.map(|time| time.to_string())),
        ])
    }
}
