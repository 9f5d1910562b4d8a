//! The table: attack → outcome → time to end → what the neighbour felt → memory.

use comfy_table::{Cell, CellAlignment, LineStyle, Table, TableStyle};

use super::battle::{Felt, Row};
use super::neighbour::Latencies;

const COLUMNS: [&str; 8] = [
    "attack",
    "outcome",
    "ends in ms",
    "strikes",
    "quiet p50 / p99 ms",
    "during p50 / p99 ms",
    "p99 ratio",
    "resident MiB",
];

pub(super) fn render(rows: &[Row]) -> Table {
    let mut table = Table::new();
    let line = LineStyle::none().fill('─').junction('─');
    table.load_style(TableStyle::new().header_separator(line).bottom_border(line));
    table.set_header(COLUMNS);
    for row in rows {
        let number = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
        let outcome = match &row.difference {
            None => row.outcome.clone(),
            Some(_) => format!("{} (NOT EXPECTED)", row.outcome),
        };
        table.add_row([
            Cell::new(row.name),
            Cell::new(outcome),
            number(format!("{:.0}", row.time_to_end.as_secs_f64() * 1000.0)),
            number(row.felt.strikes.to_string()),
            number(latency(&row.felt.quiet)),
            number(latency(&row.felt.during)),
            number(format!("{:.1}", row.felt.ratio())),
            number(format!(
                "{} → {}",
                row.resident_before >> 20,
                row.resident_after >> 20
            )),
        ]);
    }
    table
}

/// A row as soon as it is there.
pub(super) fn line(row: &Row) -> String {
    format!(
        "{:<28} {:<34} neighbour's p99 {:.2} → {:.2} ms",
        row.name,
        row.outcome,
        row.felt.quiet.percentile(99),
        row.felt.during.percentile(99),
    )
}

/// What all rows together say.
pub(super) fn summary(rows: &[Row]) -> String {
    let expected = rows.iter().filter(|row| row.difference.is_none()).count();
    let mut over: Vec<&Row> = rows
        .iter()
        .filter(|row| row.felt.ratio() > Felt::AIM)
        .collect();
    over.sort_by(|a, b| b.felt.ratio().total_cmp(&a.felt.ratio()));
    let over: Vec<String> = over
        .iter()
        .map(|row| format!("{} ({:.1})", row.name, row.felt.ratio()))
        .collect();
    let least = rows
        .iter()
        .map(|row| row.felt.quiet.count().min(row.felt.during.count()));
    format!(
        "{expected} of {} attacks ended as expected. The neighbour was asked at least {} times \
         for each percentile.\nIts p99 was above {} times its quiet value in {} of them{}{}",
        rows.len(),
        least.min().unwrap_or_default(),
        Felt::AIM,
        over.len(),
        if over.is_empty() { "." } else { ": " },
        over.join(", "),
    )
}

fn latency(latencies: &Latencies) -> String {
    format!(
        "{:.2} / {:.2}",
        latencies.percentile(50),
        latencies.percentile(99)
    )
}
