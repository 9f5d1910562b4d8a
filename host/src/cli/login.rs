//! `hookswitch login`, `logout` and `whoami`: the token and the server it is for.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;

use super::asked;
use super::client::{Client, Server};
use super::input;
use super::profile::{self, Profile};
use super::shown::{Output, text};

/// Store a server's URL and a token for it, so that other commands need neither.
///
/// The token is asked for, or read from standard input; it is stored in a file that only
/// you may read, ~/.config/hookswitch/config.toml, after the server has taken it.
#[derive(Debug, Args)]
pub(super) struct Login {
    /// The server's URL; unless told that of the profile, or http://127.0.0.1:8080.
    #[arg(long, value_name = "URL", env = "HOOKSWITCH_SERVER")]
    server: Option<String>,
    /// The profile's name; the current one's, or default, unless told.
    #[arg(long, value_name = "NAME", env = "HOOKSWITCH_PROFILE", value_parser = profile::name)]
    profile: Option<String>,
    /// The organization (name or id) to act in, for operators.
    #[arg(long, value_name = "ORGANIZATION")]
    organization: Option<String>,
    /// Read the token from standard input, also where that is a terminal.
    #[arg(long)]
    token_stdin: bool,
}

/// Forget a stored token. It stays valid: hookswitch token revoke ends it.
#[derive(Debug, Args)]
pub(super) struct Logout {
    /// The profile's name; the current one's unless told.
    #[arg(long, value_name = "NAME", env = "HOOKSWITCH_PROFILE", value_parser = profile::name)]
    profile: Option<String>,
}

/// Show whose token is used, in which organization.
#[derive(Debug, Args)]
pub(super) struct Whoami {
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    output: Output,
}

impl Login {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let mut profiles = profile::read()?;
        let name = self.profile.as_deref();
        let name = name.unwrap_or(profiles.current_name()).to_owned();
        let before = profiles.chosen(Some(&name)).ok().flatten();
        let server = self.server.or_else(|| Some(before?.server));
        let server = server.unwrap_or_else(|| super::client::DEFAULT_SERVER.to_owned());
        let token = if self.token_stdin {
            input::secret_of_stdin("token")?
        } else {
            input::secret("token")?
        };
        let profile = Profile {
            server,
            token,
            organization: self.organization,
        };
        asked(async {
            let who = Client::of(&profile)?.get("/whoami").await?;
            let server = profile.server.clone();
            profiles.put(&name, profile);
            let path = profiles.write()?;
            writeln!(
                std::io::stdout(),
                "logged in to {server} as {} ({}), organization {}; stored as profile {name} in {}",
                text(&who["token"]["label"]),
                text(&who["token"]["scope"]),
                text(&who["organization"]["name"]),
                path.display()
            )?;
            Ok(())
        })
    }
}

impl Logout {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let mut profiles = profile::read()?;
        let name = self.profile.as_deref();
        let name = name.unwrap_or(profiles.current_name()).to_owned();
        let Some(removed) = profiles.remove(&name) else {
            bail!("there is no profile {name:?}: nobody is logged in with it");
        };
        profiles.write()?;
        writeln!(
            std::io::stdout(),
            "the token for {} is forgotten here; it stays valid until it is revoked",
            removed.server
        )?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Whoami {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        asked(async {
            let who = self.server.client()?.get("/whoami").await?;
            self.output.one(&who)
        })
    }
}
