//! `hookswitch deliveries`: what a running server owes and has sent, and once more.

mod shown;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use self::shown::Progress;
use super::client::{Client, Server};

/// List deliveries of a running server, show one, and send them again.
#[derive(Debug, Args)]
pub(super) struct Deliveries {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List deliveries, the newest first.
    List(List),
    /// Show one delivery with its attempts.
    Show(Show),
    /// Send one delivery again, or all that failed of a selection.
    Retry(Retry),
    /// Send an endpoint everything since a time that it did not get.
    Recover(Recover),
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    selection: Selection,
    /// Only those in that state: owed, delivered, exhausted, refused, cancelled.
    #[arg(long)]
    state: Option<String>,
    /// Only those of that event.
    #[arg(long, value_name = "ID")]
    event: Option<String>,
    /// How many, 1 to 200.
    #[arg(long, default_value_t = 50)]
    limit: u16,
    /// Where the list goes on: the next_cursor of the one before.
    #[arg(long)]
    cursor: Option<String>,
    /// Print the API's answer instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Show {
    #[command(flatten)]
    server: Server,
    /// The delivery's id.
    #[arg(value_name = "ID")]
    delivery: String,
    /// Print the API's answer instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Retry {
    #[command(flatten)]
    server: Server,
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

#[derive(Debug, Args)]
struct Recover {
    #[command(flatten)]
    server: Server,
    /// The endpoint's name or id.
    #[arg(value_name = "ENDPOINT")]
    endpoint: String,
    /// From when on: a time such as 2026-01-02T03:04:05Z, or how long ago: 90m, 24h.
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Timestamp,
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
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// Only those owed before then.
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
}

/// What to do while a job runs.
#[derive(Debug, Args)]
struct Wait {
    /// Begin the job, and do not wait for its end.
    #[arg(long)]
    no_wait: bool,
    /// Print the API's answer instead of text.
    #[arg(long)]
    json: bool,
}

fn time(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let ago: SignedDuration = text
        .parse()
        .map_err(|_| "expected a time such as 2026-01-02T03:04:05Z, or how long ago: 90m, 24h")?;
    let then = Timestamp::now().checked_sub(ago.abs());
    then.map_err(|error| error.to_string())
}

impl Deliveries {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            match self.action {
                Action::List(list) => list.run().await,
                Action::Show(show) => show.run().await,
                Action::Retry(retry) => retry.run().await,
                Action::Recover(recover) => recover.run().await,
            }
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let client = self.server.client()?;
        let mut wanted = self.selection.wanted(&client, self.state).await?;
        wanted.insert("limit".to_owned(), self.limit.into());
        for (name, value) in [("event", self.event), ("cursor", self.cursor)] {
            wanted.extend(value.map(|value| (name.to_owned(), value.into())));
        }
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in &wanted {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            query.append_pair(name, &value);
        }
        let page = client
            .get(&format!("/deliveries?{}", query.finish()))
            .await?;
        if self.json {
            return print_json(&page);
        }
        let names = endpoint_names(&client).await?;
        shown::list(&page, &names, &mut std::io::stdout().lock())?;
        Ok(())
    }
}

impl Show {
    async fn run(self) -> anyhow::Result<()> {
        let client = self.server.client()?;
        let delivery = client.get(&delivery_path(&self.delivery, "")?).await?;
        if self.json {
            return print_json(&delivery);
        }
        shown::one(&delivery, &mut std::io::stdout().lock())?;
        Ok(())
    }
}

impl Retry {
    async fn run(self) -> anyhow::Result<()> {
        let client = self.server.client()?;
        if let Some(id) = &self.delivery {
            let path = delivery_path(id, "/retry")?;
            let delivery = client.post(&path, &json!({"again": self.again})).await?;
            if self.wait.json {
                return print_json(&delivery);
            }
            writeln!(std::io::stdout(), "{id} is owed again, due now")?;
            return Ok(());
        }
        let wanted = self.selection.wanted(&client, self.state).await?;
        // Who names nothing may mean something, and would send everything again.
        if wanted.is_empty() {
            bail!(
                "which deliveries? Name one by its id, or say which ones with --endpoint, --kind, --state, --call, --since or --until"
            );
        }
        let job = client.post("/deliveries/retry", &wanted.into()).await?;
        self.wait.follow(&client, job).await
    }
}

impl Recover {
    async fn run(self) -> anyhow::Result<()> {
        let client = self.server.client()?;
        let endpoint = endpoint_id(&client, &self.endpoint).await?;
        let path = format!("/endpoints/{endpoint}/recover");
        let job = client.post(&path, &json!({"since": self.since})).await?;
        self.wait.follow(&client, job).await
    }
}

impl Selection {
    /// The fields that are set, as the API names them.
    async fn wanted(
        self,
        client: &Client,
        state: Option<String>,
    ) -> anyhow::Result<Map<String, Value>> {
        let endpoint = match self.endpoint {
            Some(endpoint) => Some(endpoint_id(client, &endpoint).await?),
            None => None,
        };
        let fields = [
            ("endpoint", endpoint),
            ("kind", self.kind),
            ("state", state),
            ("call", self.call),
            ("since", self.since.map(|time| time.to_string())),
            ("until", self.until.map(|time| time.to_string())),
        ];
        let set = fields
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?.into())));
        Ok(set.collect())
    }
}

impl Wait {
    /// Waits for the end of a job and says how it goes, unless told not to.
    async fn follow(&self, client: &Client, mut job: Value) -> anyhow::Result<()> {
        const SHORTEST: Duration = Duration::from_millis(50);
        const LONGEST: Duration = Duration::from_secs(2);
        let id = job["id"].as_str().context("the answer names no job")?;
        let path = format!("/jobs/{id}");
        let mut progress = Progress::new();
        let mut pause = SHORTEST;
        while !self.no_wait && job["state"] == "running" {
            progress.show(&job);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST);
            job = client.get(&path).await?;
        }
        progress.end();
        if self.json {
            return print_json(&job);
        }
        shown::job(&job, &mut std::io::stdout().lock())?;
        Ok(())
    }
}

/// A path is made of what people typed: only what can be an id goes in.
fn delivery_path(id: &str, rest: &str) -> anyhow::Result<String> {
    check_id(id, "dlv_", "a delivery")?;
    Ok(format!("/deliveries/{id}{rest}"))
}

fn check_id(id: &str, prefix: &str, what: &str) -> anyhow::Result<()> {
    let digits = id.strip_prefix(prefix);
    if digits.is_some_and(|it| it.bytes().all(|b| b.is_ascii_hexdigit())) {
        return Ok(());
    }
    bail!("{id:?} is no id of {what}; such an id begins with {prefix}")
}

/// People know endpoints by their names, the API by their ids.
async fn endpoint_id(client: &Client, given: &str) -> anyhow::Result<String> {
    if check_id(given, "ep_", "an endpoint").is_ok() {
        return Ok(given.to_owned());
    }
    let names = endpoint_names(client).await?;
    let found = names.into_iter().find(|(_, name)| name == given);
    let (id, _) = found.with_context(|| {
        format!("there is no endpoint {given:?}: give its name or its id (GET /api/v1/endpoints)")
    })?;
    Ok(id)
}

/// The ids and names of all endpoints.
async fn endpoint_names(client: &Client) -> anyhow::Result<Vec<(String, String)>> {
    const LIST: &str = "/endpoints?limit=200";
    let mut names = Vec::new();
    let mut path = LIST.to_owned();
    loop {
        let page = client.get(&path).await?;
        for endpoint in page["data"].as_array().into_iter().flatten() {
            let text = |field: &str| endpoint[field].as_str().unwrap_or_default().to_owned();
            names.push((text("id"), text("name")));
        }
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("{LIST}&cursor={cursor}"),
            None => return Ok(names),
        }
    }
}

fn print_json(value: &Value) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_points_or_distances() {
        let point = time("2026-01-02T03:04:05Z").unwrap();
        assert_eq!(point.to_string(), "2026-01-02T03:04:05Z");
        let hour_ago = Timestamp::now() - SignedDuration::from_hours(1);
        let distance = time("1h").unwrap().duration_since(hour_ago);
        assert!(distance.abs() < SignedDuration::from_secs(10));
        assert!(time("yesterday").is_err());
    }

    #[test]
    fn only_ids_go_into_paths() {
        assert!(delivery_path("dlv_0192", "/retry").is_ok());
        for bad in ["", "evt_0192", "dlv_../../secrets", "dlv_01?x=1"] {
            assert!(delivery_path(bad, "").is_err(), "{bad}");
        }
    }
}
