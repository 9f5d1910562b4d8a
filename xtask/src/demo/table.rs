//! The table at the end of the demo: event → plugin → answer → milliseconds.

use comfy_table::{Cell, CellAlignment, LineStyle, Table, TableStyle};
use serde_json::Value;

/// Longer answers are cut here, so that a row stays a line.
const ANSWER_WIDTH: usize = 50;

/// What one step came to.
pub(super) struct Row {
    pub(super) event: &'static str,
    pub(super) plugin: String,
    pub(super) answer: String,
    pub(super) milliseconds: f64,
    /// How the answer differs from the expected one, if it does.
    pub(super) difference: Option<String>,
}

pub(super) fn render(rows: &[Row]) -> Table {
    let mut table = Table::new();
    let line = LineStyle::none().fill('─').junction('─');
    table.load_style(TableStyle::new().header_separator(line).bottom_border(line));
    table.set_header(["event", "plugin", "answer", "ms", "expected"]);
    for row in rows {
        table.add_row([
            Cell::new(row.event),
            Cell::new(&row.plugin),
            Cell::new(shortened(&row.answer)),
            Cell::new(format!("{:.2}", row.milliseconds)).set_alignment(CellAlignment::Right),
            Cell::new(if row.difference.is_none() {
                "yes"
            } else {
                "NO"
            }),
        ]);
    }
    table
}

/// What became of a notice, in words: to whom something was delivered.
pub(super) fn notice(event: &Value) -> String {
    let delivered: Vec<&str> = event["deliveries"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|delivery| delivery["endpoint_name"].as_str())
        .collect();
    match event["decision"]["answer"]["decision"].as_str() {
        Some("deliver") => format!("acknowledged; delivered to {}", delivered.join(", ")),
        Some("drop") => "acknowledged; dropped".to_owned(),
        Some(other) => format!("acknowledged; {other}"),
        None => "acknowledged; no plugin asked".to_owned(),
    }
}

/// A question that the platform has to answer itself.
pub(super) fn no_answer(status: u16) -> String {
    format!("{status}: the platform's own fallback acts")
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= ANSWER_WIDTH {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(ANSWER_WIDTH - 1).collect();
    short.push('…');
    short
}
