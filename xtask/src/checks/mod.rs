//! `cargo xtask test`: everything that has to hold before a change is shared, in
//! the order in which a fault is cheapest to find. `.ci/run` runs exactly this.
//!
//! Neighbours: `guests` and `host` build what is tested, `demo` is the last step.

mod tally;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use self::tally::Tally;
use crate::terminal::say;
use crate::{demo, guests, host, schemathesis};

/// What `cargo xtask test` was told.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Options {
    /// Leave out the formatter, the linter and the documentation
    #[arg(long)]
    fast: bool,
    /// Hold the API against its description too, by Schemathesis
    #[arg(long)]
    long: bool,
}

/// Runs every step until one fails. The last line is the total of all tests,
/// whatever happened, and the exit code tells whether every step succeeded.
pub fn run(options: Options) -> Result<()> {
    let mut checks = Checks::new()?;
    let outcome = checks.run_all(options);
    if let Err(error) = &outcome {
        say(format!("\nNot everything is right: {error:#}"));
    }
    say(&checks.tally);
    if outcome.is_err() {
        // Returned, the error would be printed after the last line.
        std::process::exit(1);
    }
    Ok(())
}

struct Checks {
    root: &'static Path,
    plugins: PathBuf,
    tally: Tally,
    started: Instant,
}

impl Checks {
    fn new() -> Result<Self> {
        let root = host::workspace()?;
        Ok(Self {
            root,
            plugins: root.join("plugins"),
            tally: Tally::default(),
            started: Instant::now(),
        })
    }

    fn run_all(&mut self, options: Options) -> Result<()> {
        if !options.fast {
            self.heading("format");
            execute(cargo(self.root, &["fmt", "--all", "--check"]))?;
            execute(cargo(&self.plugins, &["fmt", "--all", "--check"]))?;
            execute(cargo(&self.root.join("fuzz"), &["fmt", "--check"]))?;
        }

        self.heading("build the guests");
        guests::ensure()?;
        guests::languages::ensure()?;

        if !options.fast {
            self.heading("lint");
            let lint = [
                "clippy",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ];
            execute(cargo(self.root, &lint))?;
            execute(cargo(&self.plugins, &lint))?;
        }

        self.heading("test the plugins' logic, natively");
        self.test(cargo(
            &self.plugins,
            &["test", "--workspace", "--no-fail-fast"],
        ))?;

        self.heading("build the host and all tests");
        // One build for all of it: with the same packages chosen, cargo chooses
        // the same features below and compiles nothing twice.
        execute(cargo(self.root, &["build", "--workspace", "--all-targets"]))?;
        let binary = self.host_binary()?;

        self.heading("test the workspace, and the host as a process");
        let mut tests = cargo(self.root, &["test", "--workspace", "--no-fail-fast"]);
        tests
            .env(host::BINARY_VARIABLE, &binary)
            .env("INSTA_UPDATE", "no");
        self.test(tests)?;

        if !options.fast {
            self.heading("documentation");
            let mut doc = cargo(
                self.root,
                &["doc", "--no-deps", "--package", "hookswitch-sdk"],
            );
            doc.env("RUSTDOCFLAGS", "-D warnings");
            execute(doc)?;
        }

        if options.long {
            self.heading("schemathesis");
            schemathesis::run_on(&binary, schemathesis::Options::default())?;
        }

        self.heading("demo");
        demo::run_on(&binary, demo::Options::exit())
    }

    fn heading(&self, what: &str) {
        let minutes = self.started.elapsed().as_secs_f64() / 60.0;
        say(format!("\n━━ {what} (after {minutes:.1} min) ━━"));
    }

    /// Runs tests and counts them; their output goes to the terminal as it comes.
    fn test(&mut self, mut command: Command) -> Result<()> {
        say(format!("$ {}", shown(&command)));
        let status = self.tally.watch(&mut command)?;
        ensure!(status.success(), "{} ended with {status}", shown(&command));
        Ok(())
    }

    /// The host that the build above made.
    fn host_binary(&self) -> Result<PathBuf> {
        if let Some(binary) = std::env::var_os(host::BINARY_VARIABLE) {
            return Ok(PathBuf::from(binary));
        }
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| self.root.join("target"), |target| self.root.join(target));
        let binary = target
            .join("debug")
            .join(format!("hookswitch{}", std::env::consts::EXE_SUFFIX));
        ensure!(binary.is_file(), "{} was not built", binary.display());
        Ok(binary)
    }
}

fn cargo(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = host::cargo();
    command.args(arguments).current_dir(directory);
    command
}

fn execute(mut command: Command) -> Result<()> {
    say(format!("$ {}", shown(&command)));
    let status = command.status().with_context(|| shown(&command))?;
    ensure!(status.success(), "{} ended with {status}", shown(&command));
    Ok(())
}

/// A command as one would type it.
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    let mut text = program.to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}
