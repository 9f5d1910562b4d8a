//! Every figure of a run, and the file they are written to.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value};

use super::rounds::Samples;
use crate::guests::{repository, target_folder};
use crate::terminal::say;

/// What was measured, in the order in which it was.
#[derive(Debug, Default)]
pub(super) struct Report {
    figures: Vec<(String, Samples)>,
    notes: Vec<String>,
    failures: usize,
}

impl Report {
    pub(super) fn add(&mut self, name: impl Into<String>, samples: Samples) {
        let name = name.into();
        say(format!("  {name:<34} {}", number(samples.median())));
        self.figures.push((name, samples));
    }

    /// Something that a reader of the figures should know.
    pub(super) fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        say(format!("  {note}"));
        self.notes.push(note);
    }

    /// Says of a peer that it is missing, and why.
    pub(super) fn skipped(&mut self, peer: &str, why: &anyhow::Error) {
        self.note(format!("SKIPPED: {peer} is not measured: {why:#}"));
    }

    /// Says of a group that it broke off, and why. The others go on.
    pub(super) fn failed(&mut self, group: &str, why: &anyhow::Error) {
        self.failures += 1;
        self.note(format!("FAILED: {group} broke off: {why:#}"));
    }

    pub(super) fn is_whole(&self) -> bool {
        self.failures == 0
    }

    pub(super) fn figures(&self) -> &[(String, Samples)] {
        &self.figures
    }

    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// A flat object: medians by their names.
    pub(super) fn write(&self) -> Result<PathBuf> {
        let folder = folder();
        std::fs::create_dir_all(&folder)?;
        let path = folder.join("report.json");
        let figures = self.figures.iter();
        let figures: Map<String, Value> = figures
            .map(|(name, samples)| (name.clone(), samples.median().into()))
            .collect();
        let mut text = serde_json::to_string_pretty(&figures)?;
        text.push('\n');
        std::fs::write(&path, text)
            .with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(path)
    }
}

/// For everything that a run leaves behind.
pub(super) fn folder() -> PathBuf {
    target_folder(&repository()).join("bench")
}

/// As many digits as mean something.
pub(super) fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1000.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
