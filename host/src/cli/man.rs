//! `hookswitch man`: the manual's pages, from what the commands say of themselves.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, CommandFactory as _};

use super::Arguments;

/// Print the manual's page, or write one for every command.
#[derive(Debug, Args)]
pub(super) struct Man {
    /// Write a page for every command into a folder, such as ~/.local/share/man/man1.
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

impl Man {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let command = Arguments::command();
        if let Some(folder) = &self.dir {
            std::fs::create_dir_all(folder)
                .and_then(|()| clap_mangen::generate_to(command, folder))
                .with_context(|| format!("cannot write into {}", folder.display()))?;
        } else {
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page)?;
            std::io::stdout().lock().write_all(&page)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
