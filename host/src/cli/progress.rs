//! Bars that show how an upload or a job goes, where standard error is a terminal.

use std::io::{self, IsTerminal as _};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;

/// How an upload goes.
#[derive(Debug, Clone)]
pub(super) struct Upload(Option<ProgressBar>);

impl Upload {
    pub(super) fn of(bytes: usize) -> Self {
        Self(bar(
            bytes as u64,
            "uploading {bar:30} {bytes} of {total_bytes}, {bytes_per_sec}",
        ))
    }

    /// Whether anybody sees it.
    pub(super) fn is_watched(&self) -> bool {
        self.0.is_some()
    }

    /// It is sent from its first byte on.
    pub(super) fn begin(&self) {
        if let Some(bar) = &self.0 {
            bar.set_position(0);
        }
    }

    pub(super) fn sent(&self, bytes: usize) {
        let Some(bar) = &self.0 else {
            return;
        };
        bar.inc(bytes as u64);
        if Some(bar.position()) == bar.length() {
            // What comes now takes longer, and has no length.
            bar.set_style(style("{spinner} the server inspects and compiles it"));
            bar.enable_steady_tick(std::time::Duration::from_millis(100));
        }
    }

    pub(super) fn end(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// How a job goes.
#[derive(Debug)]
pub(super) struct Job(Option<ProgressBar>);

impl Job {
    pub(super) fn new() -> Self {
        Self(bar(0, "{bar:30} {pos} of {len} looked at, {msg} owed now"))
    }

    pub(super) fn show(&self, job: &Value) {
        if let Some(bar) = &self.0 {
            bar.set_length(job["total"].as_u64().unwrap_or_default());
            bar.set_position(job["looked_at"].as_u64().unwrap_or_default());
            bar.set_message(job["changed"].to_string());
        }
    }

    pub(super) fn end(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

fn bar(length: u64, template: &str) -> Option<ProgressBar> {
    if !io::stderr().is_terminal() {
        return None;
    }
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
    bar.set_style(style(template));
    Some(bar)
}

fn style(template: &str) -> ProgressStyle {
    // A template of ours that is wrong is no reason to stop.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
