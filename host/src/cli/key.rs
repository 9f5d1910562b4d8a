//! `hookswitch key`: the keys that seal secrets, on the machine that has them.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use comfy_table::{Cell, CellAlignment, LineStyle, Table, TableStyle};
use serde_json::{Map, Value, json};

use crate::config::{Config, Overrides, keys_of_environment};
use crate::store::seal::folder::{KeyFolder, Listed, Retired, Rotated};
use crate::store::seal::{KeyId, Resealed, new_key};

/// See and change the keys that seal the secrets in a data folder.
#[derive(Debug, Args)]
pub(super) struct Key {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show which keys there are, and how many values each one seals.
    List(List),
    /// Make a new key and seal everything with it.
    Rotate(Place),
    /// Take away the keys that seal nothing any more. No server may be running.
    Retire(Place),
    /// Print a new key, for a key file or HOOKSWITCH_ENCRYPTION_KEYS.
    Generate,
}

/// Where the data and its keys are.
#[derive(Debug, Args)]
struct Place {
    /// The server's configuration file.
    #[arg(long, value_name = "FILE", env = "HOOKSWITCH_CONFIG")]
    config: Option<PathBuf>,
    /// The server's data folder.
    #[arg(long, value_name = "DIR", env = "HOOKSWITCH_DATA_DIR")]
    data_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    place: Place,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

impl Key {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let mut out = io::stdout().lock();
        let code = match self.action {
            Action::List(List { place, json }) => {
                let listed = runtime.block_on(place.folder()?.list())?;
                if json {
                    serde_json::to_writer_pretty(&mut out, &as_json(&listed))?;
                    writeln!(out)?;
                } else {
                    writeln!(out, "{}", table(&listed))?;
                }
                ExitCode::SUCCESS
            }
            Action::Rotate(place) => {
                let rotated = runtime.block_on(place.folder()?.rotate())?;
                tell_rotated(&rotated, &mut out)?
            }
            Action::Retire(place) => {
                let retired = runtime.block_on(place.folder()?.retire())?;
                tell_retired(&retired, &mut out)?
            }
            Action::Generate => {
                writeln!(out, "{}", *new_key())?;
                ExitCode::SUCCESS
            }
        };
        Ok(code)
    }
}

impl Place {
    fn folder(self) -> anyhow::Result<KeyFolder> {
        let overrides = Overrides {
            data_dir: self.data_dir,
            encryption_keys: keys_of_environment()?,
            ..Overrides::default()
        };
        let config = Config::load(self.config.as_deref(), overrides)?;
        Ok(KeyFolder::new(&config.data_dir, config.keys)?)
    }
}

fn tell_rotated(rotated: &Rotated, out: &mut impl Write) -> io::Result<ExitCode> {
    let Rotated { old, new, resealed } = rotated;
    let Some(Resealed { values, broken }) = resealed else {
        writeln!(
            out,
            "the key {new} is there; the server that runs seals everything with it when it is \
             started again, or sent SIGHUP"
        )?;
        return Ok(ExitCode::SUCCESS);
    };
    writeln!(out, "the key {new} seals now, {values} values so far")?;
    if *broken > 0 {
        writeln!(
            out,
            "{broken} values do not open and were left as they are: set them again"
        )?;
        return Ok(ExitCode::FAILURE);
    }
    writeln!(
        out,
        "the key {old} stays for what a backup holds; hookswitch key retire takes it away"
    )?;
    Ok(ExitCode::SUCCESS)
}

fn tell_retired(retired: &Retired, out: &mut impl Write) -> io::Result<ExitCode> {
    let Retired { gone, needed } = retired;
    if gone.is_empty() {
        writeln!(out, "no key was taken away")?;
    }
    for key in gone {
        writeln!(out, "the key {key} was taken away")?;
    }
    for key in needed {
        writeln!(
            out,
            "the key {key} stays: it seals values that do not open; set them again"
        )?;
    }
    Ok(if needed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// A key with what it seals, by column; without an id what stands in clear.
struct Row {
    key: Option<KeyId>,
    state: &'static str,
    values: Vec<(&'static str, u64)>,
}

/// The keys there are, then those that are needed and are not there.
fn rows(listed: &Listed) -> Vec<Row> {
    let known = listed.keys.iter().copied().enumerate();
    let mut rows: Vec<Row> = known
        .map(|(at, key)| Row {
            key: Some(key),
            state: if at == 0 { "current" } else { "older" },
            values: Vec::new(),
        })
        .collect();
    for used in &listed.uses {
        let at = rows.iter().position(|row| row.key == used.key);
        let at = at.unwrap_or_else(|| {
            let state = used.key.map_or("in clear", |_| "missing");
            rows.push(Row {
                key: used.key,
                state,
                values: Vec::new(),
            });
            rows.len() - 1
        });
        rows[at].values.push((used.column, used.values));
    }
    rows
}

fn table(listed: &Listed) -> Table {
    let mut table = Table::new();
    let line = LineStyle::none().fill('─').junction('─');
    table.load_style(TableStyle::new().header_separator(line).bottom_border(line));
    table.set_header(vec!["key", "state", "values", "of"]);
    for row in rows(listed) {
        let total: u64 = row.values.iter().map(|(_, values)| values).sum();
        let of = row.values.iter();
        let of: Vec<String> = of
            .map(|(name, values)| format!("{values} {name}"))
            .collect();
        table.add_row([
            Cell::new(row.key.map(|key| key.to_string()).unwrap_or_default()),
            Cell::new(row.state),
            Cell::new(total).set_alignment(CellAlignment::Right),
            Cell::new(of.join(", ")),
        ]);
    }
    table
}

fn as_json(listed: &Listed) -> Value {
    let rows = rows(listed).into_iter().map(|row| {
        let values = row.values.into_iter();
        let values: Map<String, Value> = values
            .map(|(name, values)| (name.to_owned(), values.into()))
            .collect();
        json!({"id": row.key.map(|key| key.to_string()), "state": row.state, "values": values})
    });
    json!({"keys": rows.collect::<Vec<_>>()})
}
