//! The log of the process: to standard error, as text or JSON lines.
//!
//! What may be logged: ids, kinds, counts, times, our own error texts. What may
//! not: payloads, numbers, transcripts, secrets, a plugin's own lines.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::LogFormat;

/// Starts logging. `HOOKSWITCH_LOG` filters (`debug`, `hookswitch::call=trace`).
pub fn start(format: LogFormat) {
    let filter =
        EnvFilter::try_from_env("HOOKSWITCH_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let registry = tracing_subscriber::registry().with(filter);
    // A second start in one process (as in tests) changes nothing.
    let _ = match format {
        LogFormat::Text => registry.with(lines).try_init(),
        LogFormat::Json => registry.with(lines.json()).try_init(),
    };
}
