//! Deliveries and jobs for people: tables, and a line that shows how a job goes.

use std::io::{self, IsTerminal as _, Write};

use comfy_table::{Cell, CellAlignment, LineStyle, Table, TableStyle};
use serde_json::Value;

/// Longest text in a cell, so that a row stays a line.
const WIDTH: usize = 60;

/// A page of deliveries.
pub(super) fn list(
    page: &Value,
    names: &[(String, String)],
    out: &mut impl Write,
) -> io::Result<()> {
    let deliveries = page["data"].as_array().map_or(&[][..], Vec::as_slice);
    if deliveries.is_empty() {
        return writeln!(out, "no deliveries");
    }
    let mut table = table(&[
        "id", "created", "endpoint", "kind", "call", "state", "attempts", "last",
    ]);
    for delivery in deliveries {
        let id = text(&delivery["endpoint"]);
        // One that was deleted has no name any more.
        let name = names.iter().find(|(known, _)| *known == id);
        table.add_row([
            Cell::new(text(&delivery["id"])),
            Cell::new(text(&delivery["created_at"])),
            Cell::new(name.map_or(id.as_str(), |(_, name)| name)),
            Cell::new(text(&delivery["kind"])),
            Cell::new(text(&delivery["call_id"])),
            Cell::new(text(&delivery["state"])),
            Cell::new(text(&delivery["attempts_made"])).set_alignment(CellAlignment::Right),
            Cell::new(result(delivery)),
        ]);
    }
    writeln!(out, "{table}")?;
    if let Some(cursor) = page["next_cursor"].as_str() {
        writeln!(out, "there are more: --cursor {cursor}")?;
    }
    Ok(())
}

/// One delivery with its attempts.
pub(super) fn one(delivery: &Value, out: &mut impl Write) -> io::Result<()> {
    for field in [
        "id",
        "event",
        "endpoint",
        "kind",
        "call_id",
        "state",
        "due_at",
        "bytes",
        "created_at",
        "ended_at",
    ] {
        let value = text(&delivery[field]);
        if !value.is_empty() {
            writeln!(out, "{field:<11} {value}")?;
        }
    }
    if !delivery["body"].is_null() {
        writeln!(out, "{:<11} {}", "body", text(&delivery["body"]))?;
    }
    let attempts = delivery["attempts"].as_array();
    let Some(attempts) = attempts.filter(|attempts| !attempts.is_empty()) else {
        return writeln!(out, "\nno attempts yet");
    };
    let mut table = table(&["attempt", "started", "ms", "result", "detail", "response"]);
    for attempt in attempts {
        let us = attempt["elapsed_us"].as_f64().unwrap_or_default();
        table.add_row([
            Cell::new(text(&attempt["number"])).set_alignment(CellAlignment::Right),
            Cell::new(text(&attempt["started_at"])),
            Cell::new(format!("{:.1}", us / 1000.0)).set_alignment(CellAlignment::Right),
            Cell::new(result(attempt)),
            Cell::new(shortened(&text(&attempt["detail"]))),
            Cell::new(shortened(&text(&attempt["response"]))),
        ]);
    }
    writeln!(out, "\n{table}")
}

/// How a job stands, and what to do next.
pub(super) fn job(job: &Value, out: &mut impl Write) -> io::Result<()> {
    let id = text(&job["id"]);
    if job["state"] == "running" {
        return writeln!(
            out,
            "{id} runs: {} to look at; GET /api/v1/jobs/{id} shows how far it is",
            job["total"]
        );
    }
    writeln!(
        out,
        "{id} is done: {} looked at, {} owed now",
        job["looked_at"], job["changed"]
    )
}

/// The line that is written over and over, at a terminal only.
pub(super) struct Progress {
    shown: bool,
    at_terminal: bool,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            shown: false,
            at_terminal: io::stderr().is_terminal(),
        }
    }

    pub(super) fn show(&mut self, job: &Value) {
        if !self.at_terminal {
            return;
        }
        self.shown = true;
        // When nobody sees it, that is no reason to stop.
        let _ = write!(
            io::stderr(),
            "\r\x1b[K{} of {} looked at, {} owed now",
            job["looked_at"],
            job["total"],
            job["changed"]
        );
    }

    /// Makes room for what is said at the end.
    pub(super) fn end(&self) {
        if self.shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    let line = LineStyle::none().fill('─').junction('─');
    table.load_style(TableStyle::new().header_separator(line).bottom_border(line));
    table.set_header(header.to_vec());
    table
}

/// The reply's status, or why there was none.
fn result(of: &Value) -> String {
    match text(&of["status"]) {
        status if status.is_empty() => text(&of["error"]),
        status => status,
    }
}

/// A value as people read it. Others wrote some of it: it must not steer the terminal.
fn text(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(plain).collect()
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= WIDTH {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(WIDTH - 1).collect();
    short.push('…');
    short
}
