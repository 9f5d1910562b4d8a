//! `cargo xtask hostile`: every attack on a real server, and what its neighbour feels.
//!
//! `corpus` is the list of attacks, the same for this table and for the tests in
//! `tests/it/hostile.rs`; `component` and `bombs` make their bytes, `adversary` is the
//! web server the outbound ones talk to, `target` mounts an attack on a server and
//! strikes, `crate::api` makes the requests. For the table alone: `neighbour` asks its
//! plugin at a steady rate, `battle` is one attack from quiet to quiet, in which attackers
//! leave the processors to the attacked (`background`), `table` prints.

mod adversary;
mod background;
mod battle;
mod bombs;
mod component;
mod corpus;
mod neighbour;
mod table;
mod target;

use anyhow::{Context, Result, bail, ensure};

use self::battle::Battle;
pub use self::corpus::{Attack, Expected, Outcome, files};
pub use self::target::{Armed, Target};
use crate::host;
use crate::server::{self, Server};
use crate::terminal::say;

/// What the server under attack is configured with: one address that plugins may
/// reach though it is not public, room for a guest that holds 100 MB, and a compiler
/// that is stopped early enough for a test to wait for it.
pub const CONFIGURATION: &str = r#"
[egress]
allow = ["127.0.0.9/32"]

[compile]
at_once = 1
seconds = 6
memory_bytes = 1073741824

[ceilings]
memory_bytes = 268435456

[limits]
api_requests_per_second = 1000000
"#;

/// What `cargo xtask hostile` was told.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Attack a development build: there sooner, and slower than what operators run
    #[arg(long)]
    dev: bool,
    /// Attacks to try, by the beginning of their names; all unless given
    #[arg(value_name = "ATTACK")]
    only: Vec<String>,
}

/// Attacks a server on a fresh store, prints the table, and fails if an attack did not
/// come to its expected end.
pub fn run(options: &Options) -> Result<()> {
    let host = if options.dev {
        host::ensure()
    } else {
        host::ensure_release()
    }?;
    let directory = tempfile::TempDir::with_prefix("hookswitch-hostile-")?;
    std::fs::write(directory.path().join(server::CONFIGURATION), CONFIGURATION)?;
    let mut server = Server::start(&host, directory.path(), server::ANY_FREE_PORT)?;
    say(format!("Attacking {} on {}.\n", host.display(), server.url));

    let target = Target::new(
        &server.url,
        &server.token,
        &directory.path().join(server::DATA),
    )?;
    let attacks = chosen(target.attacks()?, &options.only)?;
    let battle = Battle::prepare(&target, &server.url, server.id())?;
    let mut rows = Vec::new();
    for attack in &attacks {
        let row = battle.fight(attack);
        ensure!(
            server.runs(),
            "the server died of {}; it says:\n{}",
            attack.name,
            server.log()
        );
        let row = row.with_context(|| format!("in {}", attack.name))?;
        say(table::line(&row));
        rows.push(row);
    }
    say(format!("\n{}\n", table::render(&rows)));
    say(table::summary(&rows));
    server.stop()?;
    report(&rows, target.trespasses())
}

fn chosen(attacks: Vec<Attack>, only: &[String]) -> Result<Vec<Attack>> {
    let wanted = |attack: &Attack| only.iter().any(|name| attack.name.starts_with(name));
    let chosen: Vec<Attack> = attacks
        .into_iter()
        .filter(|attack| only.is_empty() || wanted(attack))
        .collect();
    ensure!(!chosen.is_empty(), "there is no attack of that name");
    Ok(chosen)
}

fn report(rows: &[battle::Row], trespasses: usize) -> Result<()> {
    let mut wrong: Vec<String> = rows
        .iter()
        .filter_map(|row| Some(format!("{}: {}", row.name, row.difference.as_ref()?)))
        .collect();
    if trespasses > 0 {
        wrong.push(format!(
            "{trespasses} requests arrived where none may: see adversary.rs"
        ));
    }
    if wrong.is_empty() {
        return Ok(());
    }
    bail!("not every attack was contained:\n{}", wrong.join("\n"))
}
