//! `hookswitch completion`: what a shell needs to complete commands.

use std::process::ExitCode;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::Arguments;

/// Print what a shell needs to complete commands and options.
///
/// For bash: hookswitch completion bash > ~/.local/share/bash-completion/completions/hookswitch.
/// For zsh, into a file _hookswitch in a folder of $fpath; for fish, into
/// ~/.config/fish/completions/hookswitch.fish.
#[derive(Debug, Args)]
pub(super) struct Completion {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

impl Completion {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let mut command = Arguments::command();
        // As a whole first: what cannot be written is an error, not a panic.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "hookswitch", &mut script);
        std::io::Write::write_all(&mut std::io::stdout().lock(), &script)?;
        Ok(ExitCode::SUCCESS)
    }
}
