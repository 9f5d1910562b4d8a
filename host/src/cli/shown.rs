//! What a server answered, for people: tables and fields; or as it is, for programs.

use std::io::{self, Write};

use comfy_table::{Cell, CellAlignment, LineStyle, Table, TableStyle};
use serde_json::Value;

/// Longest text in a cell, so that a row stays a line.
const WIDTH: usize = 60;

/// How an answer is to be printed.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct Output {
    /// Print the API's answer (JSON) instead of text for people.
    #[arg(long)]
    pub(super) json: bool,
}

impl Output {
    /// Prints an answer as it is, or as people like to read it.
    pub(super) fn print(
        self,
        answer: &Value,
        for_people: impl FnOnce(&Value, &mut io::StdoutLock<'_>) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        if self.json {
            print_json(answer, &mut out)?;
        } else {
            for_people(answer, &mut out)?;
        }
        out.flush()?;
        Ok(())
    }

    /// One thing with all its fields.
    pub(super) fn one(self, answer: &Value) -> anyhow::Result<()> {
        self.print(answer, |answer, out| fields(answer, out))
    }
}

fn print_json(value: &Value, out: &mut impl Write) -> anyhow::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)?;
    Ok(())
}

/// A column's heading, and at which side its cells begin.
#[derive(Debug, Clone, Copy)]
pub(super) enum Column {
    Text(&'static str),
    Number(&'static str),
}

/// Rows below headings.
#[derive(Debug)]
pub(super) struct Sheet {
    columns: Vec<Column>,
    table: Table,
}

impl Sheet {
    pub(super) fn new(columns: &[Column]) -> Self {
        let mut table = Table::new();
        let line = LineStyle::none().fill('─').junction('─');
        table.load_style(TableStyle::new().header_separator(line).bottom_border(line));
        table.set_header(columns.iter().map(|column| match column {
            Column::Text(heading) | Column::Number(heading) => *heading,
        }));
        Self {
            columns: columns.to_vec(),
            table,
        }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells = self.columns.iter().zip(cells);
        let cells = cells.map(|(column, text)| match column {
            Column::Text(_) => Cell::new(shortened(&text)),
            Column::Number(_) => Cell::new(text).set_alignment(CellAlignment::Right),
        });
        self.table.add_row(cells.collect::<Vec<_>>());
    }

    pub(super) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{}", self.table)
    }
}

/// A page of a list as a table, a row for each item, and where it goes on.
pub(super) fn page(
    page: &Value,
    what: &str,
    columns: &[Column],
    row: impl Fn(&Value) -> Vec<String>,
    out: &mut impl Write,
) -> io::Result<()> {
    let items = page["data"].as_array().map_or(&[][..], Vec::as_slice);
    if items.is_empty() {
        return writeln!(out, "no {what}");
    }
    let mut sheet = Sheet::new(columns);
    for item in items {
        sheet.row(row(item));
    }
    sheet.print(out)?;
    if let Some(cursor) = page["next_cursor"].as_str() {
        writeln!(out, "there are more: --cursor {cursor}, or --all")?;
    }
    Ok(())
}

/// All fields of one thing, a line each; what lies within an object by its path.
pub(super) fn fields(thing: &Value, out: &mut impl Write) -> io::Result<()> {
    let mut lines = Vec::new();
    flatten("", thing, &mut lines);
    // First what it is.
    lines.sort_by_key(|(name, _)| !matches!(name.as_str(), "id" | "name" | "label"));
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in lines {
        writeln!(out, "{name:<width$}  {value}")?;
    }
    Ok(())
}

fn flatten(path: &str, value: &Value, lines: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                let name = text(&Value::from(name.as_str()));
                let path = match path {
                    "" => name,
                    path => format!("{path}.{name}"),
                };
                flatten(&path, value, lines);
            }
        }
        Value::Object(_) | Value::Null => {}
        Value::Array(items) if items.is_empty() => {}
        value => lines.push((path.to_owned(), text(value))),
    }
}

/// A value as people read it. Others wrote some of it: it must not steer the terminal.
pub(super) fn text(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(plain).collect()
}

/// The texts of some fields.
pub(super) fn texts(of: &Value, fields: &[&str]) -> Vec<String> {
    fields.iter().map(|field| text(&of[*field])).collect()
}

/// The texts of a list, with commas between.
pub(super) fn listed(list: &Value) -> String {
    let items = list.as_array().into_iter().flatten().map(text);
    items.collect::<Vec<_>>().join(", ")
}

/// Microseconds as milliseconds.
pub(super) fn milliseconds(us: &Value) -> String {
    format!("{:.1}", us.as_f64().unwrap_or_default() / 1000.0)
}

/// Bytes as people read them.
pub(super) fn bytes(bytes: &Value) -> String {
    indicatif::BinaryBytes(bytes.as_u64().unwrap_or_default()).to_string()
}

pub(super) fn shortened(text: &str) -> String {
    if text.chars().count() <= WIDTH {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(WIDTH - 1).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_others_wrote_does_not_steer_the_terminal() {
        assert_eq!(text(&json!("a\u{1b}[2Jb\nc")), "a [2Jb c");
        let mut out = Vec::new();
        fields(&json!({"a\u{7}": {"b": [1], "c": [], "d": null}}), &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "a .b  [1]\n");
    }
}
