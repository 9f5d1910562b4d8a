//! The table: figure → median → spread → goal → met or not.

use comfy_table::{Cell, CellAlignment, LineStyle, Table, TableStyle};

use super::goals::Goal;
use super::report::{Report, number};

const COLUMNS: [&str; 6] = ["figure", "median", "least", "most", "goal", ""];

pub(super) fn render(report: &Report) -> Table {
    let mut table = Table::new();
    let line = LineStyle::none().fill('─').junction('─');
    table.load_style(TableStyle::new().header_separator(line).bottom_border(line));
    table.set_header(COLUMNS);
    for (name, samples) in report.figures() {
        let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
        let (least, most) = samples.range();
        let median = samples.median();
        let goal = Goal::of(name);
        let met = match goal {
            None => "",
            Some(goal) if goal.is_met(median) => "met",
            Some(_) => "NOT MET",
        };
        table.add_row([
            Cell::new(name),
            right(number(median)),
            right(number(least)),
            right(number(most)),
            right(goal.map_or_else(String::new, |goal| goal.to_string())),
            Cell::new(met),
        ]);
    }
    table
}
