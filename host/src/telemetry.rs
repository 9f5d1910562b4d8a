//! The log of the process: to standard error, as text or JSON lines.
//!
//! What may be logged: ids, kinds, counts, times, our own error texts. What may
//! not: payloads, numbers, transcripts, secrets, a plugin's own lines. How much may
//! be is the matter of [`sparing`].

mod sparing;

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

pub use self::sparing::Sparing;
use crate::config::LogFormat;

/// The name server's client logs names that plugins ask for.
const FILTER: &str = "info,hickory_net=off,hickory_proto=off,hickory_resolver=off";

/// Starts logging. `HOOKSWITCH_LOG` filters (`debug`, `hookswitch::call=trace`).
pub fn start(format: LogFormat) -> Sparing {
    let filter =
        EnvFilter::try_from_env("HOOKSWITCH_LOG").unwrap_or_else(|_| EnvFilter::new(FILTER));
    let sparing = Sparing::default();
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let registry = tracing_subscriber::registry()
        .with(filter)
        .with(sparing.clone());
    // A second start in one process (as in tests) changes nothing.
    let _ = match format {
        LogFormat::Text => registry.with(lines).try_init(),
        LogFormat::Json => registry.with(lines.json()).try_init(),
    };
    sparing
}
