//! `hookswitch binding`: which plugin is asked about which events.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::asked;
use super::client::{Client, Server};
use super::confirm::Confirm;
use super::input::{self, Changes, Fields, check_any};
use super::names::{BINDING, Names, SOURCE};
use super::paging::List;
use super::shown::{self, Column, Output, text};
use crate::domain::plugin::Name;

/// Create, list, show, update, activate, roll back and delete bindings: which plugin is
/// asked about which events.
#[derive(Debug, Args)]
pub(super) struct Binding {
    #[command(flatten)]
    server: Server,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Bind a plugin to events.
    Create(Create),
    /// List bindings.
    List(List),
    /// Show one binding.
    Show(Show),
    /// Change a binding.
    Update(Update),
    /// Have a binding run another version of its plugin.
    Activate(Activate),
    /// Have a binding run the version again that it ran before.
    Rollback(Rollback),
    /// Delete a binding.
    Delete(Delete),
}

/// Which events a binding is about; each that is left out matches anything.
#[derive(Debug, Args)]
struct Selector {
    /// Only events of that source (name or id).
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// Only events of that agent.
    #[arg(long, value_name = "ID")]
    agent: Option<String>,
    /// Only events of that kind, such as call.start.
    #[arg(long)]
    kind: Option<String>,
    /// Only calls of that tool.
    #[arg(long, value_name = "NAME")]
    tool: Option<String>,
    /// Take the plugin's settings from a file: JSON, or TOML if its name ends in .toml.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Create {
    /// The plugin's name.
    #[arg(value_name = "PLUGIN")]
    plugin: Name,
    /// The version to run; the newest unless told.
    #[arg(long, value_name = "N")]
    version: Option<u32>,
    #[command(flatten)]
    selector: Selector,
    #[command(flatten)]
    fields: Fields,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
struct Show {
    /// Its id, or its plugin's name where that has one binding only.
    #[arg(value_name = "BINDING")]
    binding: String,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
struct Update {
    /// Its id, or its plugin's name where that has one binding only.
    #[arg(value_name = "BINDING")]
    binding: String,
    #[command(flatten)]
    selector: Selector,
    #[command(flatten)]
    changes: Changes,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
struct Activate {
    /// Its id, or its plugin's name where that has one binding only.
    #[arg(value_name = "BINDING")]
    binding: String,
    /// The version to run.
    #[arg(value_name = "VERSION")]
    version: u32,
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
struct Rollback {
    /// Its id, or its plugin's name where that has one binding only.
    #[arg(value_name = "BINDING")]
    binding: String,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
struct Delete {
    /// Its id, or its plugin's name where that has one binding only.
    #[arg(value_name = "BINDING")]
    binding: String,
}

impl Binding {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        asked(async {
            let client = self.server.client()?;
            match self.action {
                Action::Create(create) => create.run(&client).await,
                Action::List(list) => list_all(&client, list).await,
                Action::Show(show) => show.run(&client).await,
                Action::Update(update) => update.run(&client).await,
                Action::Activate(activate) => activate.run(&client).await,
                Action::Rollback(rollback) => rollback.run(&client).await,
                Action::Delete(delete) => delete.run(&client).await,
            }
        })
    }
}

impl Selector {
    /// Puts in what was said, beside what the fields say already.
    async fn put(self, client: &Client, fields: &mut Map<String, Value>) -> anyhow::Result<()> {
        if let Some(path) = &self.config {
            fields.insert("config".to_owned(), input::object(path)?.into());
        }
        let said = [
            ("source", self.source),
            ("agent", self.agent),
            ("kind", self.kind),
            ("tool", self.tool),
        ];
        for (name, value) in said {
            let Some(value) = value else {
                continue;
            };
            let selector = fields.entry("selector").or_insert_with(|| json!({}));
            if let Value::Object(selector) = selector {
                selector.insert(name.to_owned(), value.into());
            }
        }
        if let Some(source) = fields.get_mut("selector").map(|it| &mut it["source"])
            && let Some(name) = source.as_str()
        {
            *source = SOURCE.id(client, name).await?.into();
        }
        Ok(())
    }
}

impl Create {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        let mut fields = self.fields.read()?;
        fields.insert("plugin".to_owned(), self.plugin.to_string().into());
        if let Some(version) = self.version {
            fields.insert("version".to_owned(), version.into());
        }
        self.selector.put(client, &mut fields).await?;
        let binding = client.create("/bindings", &fields.into()).await?;
        self.output.one(&binding)
    }
}

async fn list_all(client: &Client, list: List) -> anyhow::Result<()> {
    let List { paging, output } = list;
    let page = paging.page(client, "/bindings", &[]).await?;
    let names = if output.json {
        None
    } else {
        Some(SOURCE.names(client).await?)
    };
    output.print(&page, |page, out| table(page, names.as_ref(), out))
}

fn table(page: &Value, names: Option<&Names>, out: &mut impl Write) -> io::Result<()> {
    const COLUMNS: &[Column] = &[
        Column::Text("id"),
        Column::Text("plugin"),
        Column::Number("version"),
        Column::Text("source"),
        Column::Text("agent"),
        Column::Text("kind"),
        Column::Text("tool"),
        Column::Text("circuit"),
    ];
    let row = |binding: &Value| {
        let mut cells = shown::texts(binding, &["id", "plugin", "version"]);
        let source = &binding["selector"]["source"];
        cells.push(match names {
            Some(names) if !source.is_null() => names.of(source),
            _ => text(source),
        });
        cells.extend(shown::texts(
            &binding["selector"],
            &["agent", "kind", "tool"],
        ));
        cells.push(text(&binding["circuit"]));
        cells
    };
    shown::page(page, "bindings", COLUMNS, row, out)
}

impl Show {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        let path = BINDING.path(client, &self.binding).await?;
        self.output.one(&client.get(&path).await?)
    }
}

impl Update {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        let path = BINDING.path(client, &self.binding).await?;
        let now = client.read(&path).await?;
        let mut changes = self.changes.read(&now.body)?;
        if self.selector.says_which() && !changes.contains_key("selector") {
            changes.insert("selector".to_owned(), now.body["selector"].clone());
        }
        self.selector.put(client, &mut changes).await?;
        check_any(&changes)?;
        let binding = client.change(&path, &now, &changes.into()).await?;
        self.output.one(&binding)
    }
}

impl Selector {
    fn says_which(&self) -> bool {
        let Self {
            source,
            agent,
            kind,
            tool,
            config: _,
        } = self;
        [source, agent, kind, tool].iter().any(|it| it.is_some())
    }
}

impl Activate {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        let path = BINDING.path(client, &self.binding).await?;
        let again = format!(
            "hookswitch binding activate {} {}",
            self.binding, self.version
        );
        let path = format!("{path}/activate");
        let binding = self.confirm.activate(client, &path, self.version, &again);
        let binding = binding.await?;
        self.output.print(&binding, said)
    }
}

impl Rollback {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        let path = BINDING.path(client, &self.binding).await?;
        let path = format!("{path}/rollback");
        let binding = client.post(&path, &json!({})).await?;
        self.output.print(&binding, said)
    }
}

fn said(binding: &Value, out: &mut io::StdoutLock<'_>) -> io::Result<()> {
    writeln!(
        out,
        "{} runs {} version {} from now on",
        text(&binding["id"]),
        text(&binding["plugin"]),
        binding["version"]
    )
}

impl Delete {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        let path = BINDING.path(client, &self.binding).await?;
        client.delete(&path).await?;
        writeln!(io::stdout(), "binding {} is deleted", self.binding)?;
        Ok(())
    }
}
