//! `hookswitch serve`

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use crate::app::App;
use crate::config::{Config, Overrides, keys_of_environment};
use crate::telemetry;

/// Run the server. Works without any configuration: it stores in ./hookswitch-data
/// and listens on 127.0.0.1:8080.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Configuration file (TOML); see docs/operators.md.
    #[arg(long, value_name = "FILE", env = "HOOKSWITCH_CONFIG")]
    config: Option<PathBuf>,
    /// Folder for the database and compiled plugins.
    #[arg(long, value_name = "DIR", env = "HOOKSWITCH_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// Address and port to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", env = "HOOKSWITCH_LISTEN")]
    listen: Option<SocketAddr>,
}

const TOKEN_VARIABLE: &str = "HOOKSWITCH_ADMIN_TOKEN";
/// A shorter token could be guessed.
const SHORTEST_TOKEN: usize = 16;

impl Serve {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let overrides = Overrides {
            listen: self.listen,
            data_dir: self.data_dir,
            encryption_keys: keys_of_environment()?,
        };
        let config = Config::load(self.config.as_deref(), overrides)?;
        let lines = telemetry::start(config.log_format);
        let token = admin_token()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        runtime.spawn(lines.clone().tell_for_ever());
        let served = runtime.block_on(serve(&config, token.as_deref()));
        lines.tell();
        served?;
        Ok(ExitCode::SUCCESS)
    }
}

fn admin_token() -> anyhow::Result<Option<String>> {
    let token = match std::env::var(TOKEN_VARIABLE) {
        Ok(token) => token,
        Err(std::env::VarError::NotPresent) => return Ok(None),
        Err(error) => return Err(error).context(format!("{TOKEN_VARIABLE} cannot be used")),
    };
    anyhow::ensure!(
        token.len() >= SHORTEST_TOKEN && token.bytes().all(|b| b.is_ascii_graphic()),
        "{TOKEN_VARIABLE} must have at least {SHORTEST_TOKEN} characters, all of them visible ASCII"
    );
    Ok(Some(token))
}

async fn serve(config: &Config, token: Option<&str>) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut reload = signal(SignalKind::hangup())?;
    let app = App::start(config, token).await?;
    announce(&app)?;
    loop {
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            _ = reload.recv() => {}
        }
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            () = app.reload_keys(config) => {}
        }
    }
    tracing::info!("stopping: requests in flight are finished first");
    tokio::select! {
        () = app.stop() => tracing::info!("stopped"),
        _ = interrupt.recv() => tracing::warn!("stopped at once, on a second signal"),
    }
    Ok(())
}

/// On standard output, for people and for scripts that wait for it.
fn announce(app: &App) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    if let Some(token) = &app.new_token {
        writeln!(out, "admin token: {token}")?;
        writeln!(
            out,
            "(shown this once; set {TOKEN_VARIABLE} to choose your own)"
        )?;
    }
    writeln!(out, "listening on http://{}", app.address)?;
    out.flush()
}
