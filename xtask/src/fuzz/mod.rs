//! `cargo xtask fuzz`: runs the fuzz targets under libFuzzer, one after the other,
//! each for as long as one likes.
//!
//! The short run of every target is one of the ordinary tests; this is for a night,
//! or for a change to a parser. What is found is kept under `target/fuzz/corpus`, so
//! the next run goes on from there, and `fuzz/corpus` stays what people put into it.
//! Neighbours: `fuzz/README.md` says how to replay and to keep what was found.

mod log;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use comfy_table::{Cell, CellAlignment, LineStyle, Table, TableStyle};

use self::log::Log;
use crate::host;
use crate::terminal::say;

/// What `cargo xtask fuzz` was told.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// The target to run; all of them without it
    target: Option<String>,
    /// How long each target runs
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// What watches the memory beside. The host has no unsafe code of its own, so it
    /// is the libraries that are watched, at half the speed
    #[arg(long, value_enum, default_value_t = Sanitizer::None)]
    sanitizer: Sanitizer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Sanitizer {
    None,
    Address,
}

/// Longest input that is tried, in bytes.
const MOST_BYTES: u32 = 16 << 10;
/// An input that takes longer is a finding, in seconds.
const TOO_SLOW: u32 = 10;

/// Runs the targets; an error names every input that a target does not hold for.
pub fn run(options: &Options) -> Result<()> {
    let fuzzing = Fuzzing::new(options)?;
    let targets = fuzzing.targets(options.target.as_deref())?;
    fuzzing.build(options.target.as_deref())?;
    let mut runs = Vec::new();
    for target in targets {
        say(format!("{target}: {} seconds", options.seconds));
        runs.push((fuzzing.run(&target, options.seconds)?, target));
    }
    say(table(&runs));
    let mut failed = 0;
    for (run, target) in &runs {
        if let Some(finding) = &run.finding {
            failed += 1;
            say(fuzzing.how_to_replay(target, finding));
        }
    }
    ensure!(
        failed == 0,
        "{failed} of {} targets do not hold",
        runs.len()
    );
    Ok(())
}

/// The folders, and how cargo-fuzz is called.
struct Fuzzing {
    root: &'static Path,
    /// What libFuzzer makes; nothing of it is in the repository.
    made: PathBuf,
    sanitizer: Sanitizer,
}

/// How one target ran.
struct Run {
    log: Log,
    finding: Option<Finding>,
}

/// An input that a target does not hold for.
struct Finding {
    /// None if the program ended before it could write it.
    input: Option<PathBuf>,
    log: PathBuf,
}

impl Fuzzing {
    fn new(options: &Options) -> Result<Self> {
        let root = host::workspace()?;
        let version = host::cargo()
            .args(["fuzz", "--version"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .context("cargo does not run")?;
        ensure!(
            version.success(),
            "cargo-fuzz is not installed; install it with: cargo install cargo-fuzz --locked"
        );
        Ok(Self {
            root,
            made: root.join("target").join("fuzz"),
            sanitizer: options.sanitizer,
        })
    }

    /// The target that was asked for, or all, by name.
    fn targets(&self, wanted: Option<&str>) -> Result<Vec<String>> {
        let programs = self.root.join("fuzz").join("fuzz_targets");
        let mut targets = Vec::new();
        for entry in fs::read_dir(&programs).with_context(|| programs.display().to_string())? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "rs")
                && let Some(name) = path.file_stem().and_then(|stem| stem.to_str())
            {
                targets.push(name.to_owned());
            }
        }
        targets.sort();
        match wanted {
            None => Ok(targets),
            Some(wanted) if targets.iter().any(|target| target == wanted) => {
                Ok(vec![wanted.to_owned()])
            }
            Some(wanted) => bail!(
                "there is no target {wanted}; the targets are: {}",
                targets.join(", ")
            ),
        }
    }

    /// Builds beforehand, so that the time to build is not taken from any target.
    fn build(&self, target: Option<&str>) -> Result<()> {
        let status = self
            .cargo_fuzz("build")
            .args(target)
            .status()
            .context("cargo fuzz does not run")?;
        ensure!(
            status.success(),
            "the targets do not build; cargo says why above"
        );
        Ok(())
    }

    fn run(&self, target: &str, seconds: u32) -> Result<Run> {
        let found = self.made.join("corpus").join(target);
        let logs = self.made.join("logs");
        for folder in [&found, &logs] {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        let log_path = logs.join(format!("{target}.log"));
        let log = File::create(&log_path).with_context(|| log_path.display().to_string())?;
        let dictionary = self.root.join("fuzz").join("dictionaries");
        let dictionary = dictionary.join(format!("{target}.dict"));
        let status = self
            .cargo_fuzz("run")
            .arg(target)
            // New inputs go to the first folder.
            .arg(&found)
            .arg(self.root.join("fuzz").join("corpus").join(target))
            .arg("--")
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-max_len={MOST_BYTES}"))
            .arg(format!("-timeout={TOO_SLOW}"))
            .arg(format!("-dict={}", dictionary.display()))
            .arg("-print_final_stats=1")
            .stdout(Stdio::null())
            .stderr(log)
            .status()
            .context("cargo fuzz does not run")?;
        let text = String::from_utf8_lossy(&fs::read(&log_path)?).into_owned();
        let log = Log::read(&text);
        let finding = (!status.success()).then(|| Finding {
            input: log.input.clone(),
            log: log_path,
        });
        Ok(Run { log, finding })
    }

    fn cargo_fuzz(&self, command: &str) -> Command {
        let mut cargo = host::cargo();
        cargo
            .args(["fuzz", command, "--sanitizer"])
            .arg(match self.sanitizer {
                Sanitizer::None => "none",
                Sanitizer::Address => "address",
            })
            .arg("--target-dir")
            .arg(&self.made)
            .current_dir(self.root);
        if self.sanitizer != Sanitizer::None {
            // Sanitizers are not stable; this lets the toolchain at hand have them.
            cargo.env("RUSTC_BOOTSTRAP", "1");
        }
        cargo
    }

    fn how_to_replay(&self, target: &str, finding: &Finding) -> String {
        let Some(input) = &finding.input else {
            return format!(
                "\n{target} did not end well, and left no input; its log says more: {}",
                finding.log.display()
            );
        };
        let input = input.strip_prefix(self.root).unwrap_or(input).display();
        format!(
            "\n{target} does not hold for {input} (log: {log})\n  \
             replay it:         cargo run -p hookswitch-fuzz -- {target} {input}\n  \
             make it smaller:   cargo fuzz tmin --sanitizer none --target-dir {made} {target} {input}\n  \
             keep it as a test: cp {input} fuzz/corpus/{target}/what-it-shows",
            log = finding.log.display(),
            made = self
                .made
                .strip_prefix(self.root)
                .unwrap_or(&self.made)
                .display(),
        )
    }
}

fn table(runs: &[(Run, String)]) -> Table {
    let mut table = Table::new();
    let line = LineStyle::none().fill('─').junction('─');
    table.load_style(TableStyle::new().header_separator(line).bottom_border(line));
    table.set_header([
        "target",
        "executions",
        "per second",
        "edges",
        "new inputs",
        "holds",
    ]);
    let number = |number: Option<u64>| {
        let text = number.map_or_else(|| "?".to_owned(), |number| number.to_string());
        Cell::new(text).set_alignment(CellAlignment::Right)
    };
    for (run, target) in runs {
        table.add_row([
            Cell::new(target),
            number(run.log.executions),
            number(run.log.per_second),
            number(run.log.edges),
            number(run.log.new_inputs),
            Cell::new(if run.finding.is_none() { "yes" } else { "NO" }),
        ]);
    }
    table
}
