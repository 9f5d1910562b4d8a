//! `cargo xtask …`: the commands, one line each; what they do is in the library.

use std::io::{self, Write as _};

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Tasks of this repository")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure how fast the server is, beside others that do the same.
    Bench(xtask::bench::Options),
    /// Build every guest component: the example plugins and the guests of tests.
    Guests,
    /// Try everything on this machine: build, start, upload, bind, send, show.
    Demo(xtask::demo::Options),
    /// Kill a server, fill its disk, let its endpoints die, and count what is lost.
    Faults(xtask::faults::Options),
    /// Run the fuzz targets for longer than the tests do; needs cargo-fuzz.
    Fuzz(xtask::fuzz::Options),
    /// Attack a server with every hostile plugin, and show what its neighbour feels.
    Hostile(xtask::hostile::Options),
    /// Hold the API against its description, by Schemathesis from the Python registry.
    Schemathesis(xtask::schemathesis::Options),
    /// Check everything that CI checks.
    Test(xtask::checks::Options),
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Bench(options) => xtask::bench::run(&options),
        Command::Guests => guests(),
        Command::Demo(options) => xtask::demo::run(options),
        Command::Faults(options) => xtask::faults::run(&options),
        Command::Fuzz(options) => xtask::fuzz::run(&options),
        Command::Hostile(options) => xtask::hostile::run(&options),
        Command::Schemathesis(options) => xtask::schemathesis::run(options),
        Command::Test(options) => xtask::checks::run(options),
    }
}

fn guests() -> Result<()> {
    let guests = xtask::guests::ensure()?;
    let mut out = io::stdout().lock();
    for (name, path) in guests.iter() {
        let kilobytes = path.metadata()?.len().div_ceil(1000);
        writeln!(out, "{name:<20} {kilobytes:>6} kB  {}", path.display())?;
    }
    Ok(())
}
