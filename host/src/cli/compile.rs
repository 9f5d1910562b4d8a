//! `hookswitch compile`: what the server runs as its child process to compile an
//! uploaded component. Not for people, so it is not listed.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use crate::runtime::compile;

/// Compile a component under limits (used by the server itself).
#[derive(Debug, Args)]
#[command(hide = true)]
pub(super) struct Compile {
    component: PathBuf,
    output: PathBuf,
    /// Most memory this process may take.
    #[arg(long)]
    memory_bytes: u64,
}

impl Compile {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        compile::confine(self.memory_bytes).context("the compiler cannot be confined")?;
        match compile::here(&self.component, &self.output)? {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(report) => {
                std::io::stdout().write_all(report.as_bytes())?;
                Ok(ExitCode::from(compile::REFUSED))
            }
        }
    }
}
