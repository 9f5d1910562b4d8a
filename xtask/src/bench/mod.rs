//! `cargo xtask bench`: how fast the server is, beside others that do the same.
//!
//! Absolute figures change from machine to machine, so what counts are ratios of things
//! that were run in turn, in one run, on one machine. In reading order: [`stage`] is what
//! a run has (programs, components, payloads, how long rounds are), [`figures`] measures,
//! a file for each group, [`rounds`] lets contestants take turns, [`subject`] is the
//! server that is measured and [`peers`] are the others, [`load`] asks them; [`report`]
//! collects figures, [`goals`] says what they should be, [`table`] prints. [`growth`] is how
//! cost grows with what there is. The programs that have to be quick are the crate in
//! `bench/`.

mod figures;
mod goals;
mod growth;
mod load;
mod peers;
mod programs;
mod report;
mod rounds;
mod stage;
mod subject;
mod table;

use anyhow::{Result, ensure};

use self::figures::Group;
use self::report::Report;
use self::stage::Stage;
use crate::terminal::say;

/// What `cargo xtask bench` was told.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Groups or figures to measure, by the beginning of their names; all unless given,
    /// but for those of `growth`, which take long
    #[arg(value_name = "NAME")]
    only: Vec<String>,
    /// Few and short rounds: to see that it works, not how fast it is
    #[arg(long)]
    quick: bool,
    /// Up to how many events are stored for `growth_events`
    #[arg(long, default_value_t = 1_000_000)]
    events: u64,
}

/// Measures, prints each group when it is done and the table at the end, writes the report.
pub fn run(options: &Options) -> Result<()> {
    let chosen: Vec<Group> = Group::ALL
        .into_iter()
        .filter(|group| group.is_wanted(&options.only))
        .collect();
    ensure!(!chosen.is_empty(), "there is no figure of that name");
    let stage = Stage::build(options)?;
    let mut report = Report::default();
    for group in chosen {
        say(format!("{}: {}", group.name(), group.about()));
        if let Err(error) = group.measure(&stage, &mut report) {
            report.failed(group.name(), &error);
        }
    }
    say(format!("\n{}", table::render(&report)));
    for note in report.notes() {
        say(note);
    }
    let path = report.write()?;
    say(format!("Written to {}.", path.display()));
    ensure!(report.is_whole(), "not everything could be measured");
    Ok(())
}
