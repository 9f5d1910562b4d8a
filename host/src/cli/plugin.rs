//! `hookswitch plugin`: upload versions, see them, and have them run.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use bytes::Bytes;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::asked;
use super::client::{Client, Server};
use super::confirm::{self, Confirm};
use super::names::named;
use super::paging::List;
use super::shown::{self, Column, Output, Sheet, listed, text};
use crate::domain::plugin::Name;

/// Upload plugins, list and show them, activate and roll back versions, read their logs.
#[derive(Debug, Args)]
pub(super) struct Plugin {
    #[command(flatten)]
    server: Server,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Upload a component as the next version of a plugin.
    Push(Push),
    /// List plugins.
    List(List),
    /// Show a plugin with its versions.
    Show(Show),
    /// Have all bindings of a plugin run a version.
    Activate(Activate),
    /// Have all bindings of a plugin run the version again that they ran before.
    Rollback(Rollback),
    /// Show what a plugin has logged, the newest first.
    Logs(Logs),
}

#[derive(Debug, Args)]
struct Push {
    /// The component.
    #[arg(value_name = "FILE.wasm")]
    component: PathBuf,
    /// The plugin's name; the file's unless told.
    #[arg(long, value_name = "NAME")]
    name: Option<Name>,
    /// Have all bindings of the plugin run it at once.
    #[arg(long)]
    activate: bool,
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
struct Show {
    /// The plugin's name.
    #[arg(value_name = "PLUGIN")]
    plugin: Name,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
struct Activate {
    /// The plugin's name.
    #[arg(value_name = "PLUGIN")]
    plugin: Name,
    /// The version; the newest unless told.
    #[arg(value_name = "VERSION")]
    version: Option<u32>,
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
struct Rollback {
    /// The plugin's name.
    #[arg(value_name = "PLUGIN")]
    plugin: Name,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
struct Logs {
    /// The plugin's name.
    #[arg(value_name = "PLUGIN")]
    plugin: Name,
    #[command(flatten)]
    list: List,
}

impl Plugin {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        asked(async {
            let client = self.server.client()?;
            match self.action {
                Action::Push(push) => push.run(&client).await,
                Action::List(list) => list_all(&client, list).await,
                Action::Show(show) => show.run(&client).await,
                Action::Activate(activate) => activate.run(&client).await,
                Action::Rollback(rollback) => rollback.run(&client).await,
                Action::Logs(logs) => logs.run(&client).await,
            }
        })
    }
}

/// Reads a component's file.
pub(super) fn component(path: &Path) -> anyhow::Result<Bytes> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(bytes.into())
}

/// Uploads a component, and gives its version.
pub(super) async fn upload(
    client: &Client,
    plugin: &Name,
    component: Bytes,
) -> anyhow::Result<Value> {
    let path = format!("{}/versions", named("/plugins", plugin));
    client.upload(&path, component).await
}

impl Push {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        let name = match &self.name {
            Some(name) => name.clone(),
            None => name_of(&self.component)?,
        };
        let version = upload(client, &name, component(&self.component)?).await?;
        self.output.print(&version, pushed)?;
        if !self.activate {
            return Ok(());
        }
        let number = version["version"]
            .as_u64()
            .and_then(|it| it.try_into().ok());
        let number: u32 = number.context("the answer names no version")?;
        // The answer of the upload stays the only thing that programs read.
        let activated = activate(client, &name, number, &self.confirm).await?;
        if self.output.json {
            return Ok(());
        }
        said(&name, &activated, &mut io::stdout().lock())?;
        Ok(())
    }
}

/// The plugin's name, where it is called like its file. Cargo writes _ where a crate has -.
fn name_of(path: &Path) -> anyhow::Result<Name> {
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    let name = stem.and_then(|stem| stem.replace('_', "-").parse().ok());
    name.with_context(|| {
        format!(
            "{} says no name that a plugin can have: give one with --name",
            path.display()
        )
    })
}

fn pushed(version: &Value, out: &mut io::StdoutLock<'_>) -> io::Result<()> {
    let plugin = text(&version["plugin"]);
    writeln!(
        out,
        "{plugin} version {}, {} ({}): {}",
        version["version"],
        shown::bytes(&version["size"]),
        text(&version["digest"]),
        listed(&version["exports"])
    )?;
    for permission in version["permissions"].as_array().into_iter().flatten() {
        let (name, what) = (text(&permission["name"]), text(&permission["description"]));
        writeln!(out, "  wants {name}: {what}")?;
    }
    for difference in version["differences"].as_array().into_iter().flatten() {
        writeln!(
            out,
            "  {} runs version {}, and would want {}",
            text(&difference["binding"]),
            difference["version"],
            confirm::in_a_line(difference)
        )?;
    }
    Ok(())
}

async fn list_all(client: &Client, list: List) -> anyhow::Result<()> {
    const COLUMNS: &[Column] = &[
        Column::Text("name"),
        Column::Number("newest version"),
        Column::Text("created"),
    ];
    let page = list.paging.page(client, "/plugins", &[]).await?;
    list.output.print(&page, |page, out| {
        let row = |plugin: &Value| shown::texts(plugin, &["name", "latest_version", "created_at"]);
        shown::page(page, "plugins", COLUMNS, row, out)
    })
}

impl Show {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        let plugin = client.get(&named("/plugins", &self.plugin)).await?;
        self.output.print(&plugin, versions)
    }
}

fn versions(plugin: &Value, out: &mut io::StdoutLock<'_>) -> io::Result<()> {
    const COLUMNS: &[Column] = &[
        Column::Number("version"),
        Column::Text("uploaded"),
        Column::Number("size"),
        Column::Text("handlers"),
        Column::Text("permissions"),
        Column::Text("digest"),
    ];
    let mut of_itself = plugin.clone();
    let versions = of_itself["versions"].take();
    shown::fields(&of_itself, out)?;
    let mut sheet = Sheet::new(COLUMNS);
    for version in versions.as_array().into_iter().flatten() {
        let permissions = version["permissions"].as_array().into_iter().flatten();
        let permissions: Vec<_> = permissions.map(|it| text(&it["name"])).collect();
        // Enough of it to tell versions apart; --json shows it whole.
        let digest: String = text(&version["digest"]).chars().take(19).collect();
        let mut cells = shown::texts(version, &["version", "created_at"]);
        cells.push(shown::bytes(&version["size"]));
        cells.push(listed(&version["exports"]));
        cells.push(permissions.join(", "));
        cells.push(format!("{digest}…"));
        sheet.row(cells);
    }
    writeln!(out)?;
    sheet.print(out)
}

impl Activate {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        let version = match self.version {
            Some(version) => version,
            None => newest(client, &self.plugin).await?,
        };
        let activated = activate(client, &self.plugin, version, &self.confirm).await?;
        self.output
            .print(&activated, |it, out| said(&self.plugin, it, out))
    }
}

async fn newest(client: &Client, plugin: &Name) -> anyhow::Result<u32> {
    let plugin = client.get(&named("/plugins", plugin)).await?;
    let newest = plugin["latest_version"].as_u64();
    let newest = newest.and_then(|it| it.try_into().ok());
    newest.context("the answer names no version")
}

async fn activate(
    client: &Client,
    plugin: &Name,
    version: u32,
    confirm: &Confirm,
) -> anyhow::Result<Value> {
    let path = format!("{}/activate", named("/plugins", plugin));
    let again = format!("hookswitch plugin activate {plugin} {version}");
    confirm.activate(client, &path, version, &again).await
}

impl Rollback {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        let path = format!("{}/rollback", named("/plugins", &self.plugin));
        let rolled_back = client.post(&path, &json!({})).await?;
        self.output
            .print(&rolled_back, |it, out| said(&self.plugin, it, out))
    }
}

/// Which bindings run what from now on.
fn said(plugin: &Name, answer: &Value, out: &mut impl Write) -> io::Result<()> {
    let bindings = answer["bindings"].as_array().map_or(&[][..], Vec::as_slice);
    if bindings.is_empty() {
        return writeln!(
            out,
            "no binding of {plugin} runs another version now (hookswitch binding list)"
        );
    }
    for binding in bindings {
        writeln!(
            out,
            "{} runs {plugin} version {} from now on",
            text(&binding["id"]),
            binding["version"]
        )?;
    }
    Ok(())
}

impl Logs {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        const COLUMNS: &[Column] = &[
            Column::Text("received"),
            Column::Text("event"),
            Column::Text("level"),
            Column::Text("message"),
        ];
        let List { paging, output } = self.list;
        let path = format!("{}/logs", named("/plugins", &self.plugin));
        let page = paging.page(client, &path, &[]).await?;
        output.print(&page, |page, out| {
            let row =
                |line: &Value| shown::texts(line, &["received_at", "event", "level", "message"]);
            shown::page(page, "log lines", COLUMNS, row, out)
        })
    }
}
