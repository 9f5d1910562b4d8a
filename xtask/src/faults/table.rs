//! The table: fault → rounds → acknowledged → delivered → duplicates → lost.

use comfy_table::{Cell, CellAlignment, LineStyle, Table, TableStyle};

use super::Row;

const COLUMNS: [&str; 7] = [
    "fault",
    "rounds",
    "acknowledged",
    "delivered",
    "duplicates",
    "lost",
    "",
];

pub(super) const FOOTNOTE: &str = "A duplicate is a request with the webhook-id of one that was taken before. It was taken just\n\
     before the server died, or had given up waiting for the reply, and so nobody had written\n\
     down that it was. Deliveries are made at least once; receivers know repetitions by the id.";

pub(super) fn render(rows: &[Row]) -> Table {
    let mut table = Table::new();
    let line = LineStyle::none().fill('─').junction('─');
    table.load_style(TableStyle::new().header_separator(line).bottom_border(line));
    table.set_header(COLUMNS);
    for row in rows {
        let number = |number: usize| Cell::new(number).set_alignment(CellAlignment::Right);
        table.add_row([
            Cell::new(row.fault),
            Cell::new(row.rounds).set_alignment(CellAlignment::Right),
            number(row.acknowledged),
            number(row.delivered),
            number(row.duplicates),
            number(row.lost()),
            Cell::new(&row.remark),
        ]);
    }
    table
}

/// A row as soon as it is there.
pub(super) fn line(row: &Row) -> String {
    format!(
        "{:<22} {} lost of {}; {}",
        row.fault,
        row.lost(),
        row.acknowledged,
        row.remark
    )
}
