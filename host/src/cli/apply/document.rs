//! TOML as people wrote it, and where in it a field is: an error says the line.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A file's text, and its path for people.
#[derive(Debug)]
pub(super) struct Document {
    path: PathBuf,
    text: String,
}

impl Document {
    pub(super) fn new(path: &Path, text: String) -> Self {
        Self {
            path: path.to_owned(),
            text,
        }
    }

    /// The folder that paths in the file begin at.
    pub(super) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    /// The file as JSON; times are texts.
    pub(super) fn json(&self) -> anyhow::Result<Value> {
        let root = DeTable::parse(&self.text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            self.error_at(at, error.message())
        })?;
        table(root.get_ref(), "").map_err(|(field, problem)| self.error(&field, problem))
    }

    /// An error about a field, such as sources.main.proof[0].values, with its line.
    pub(super) fn error(&self, field: &str, problem: impl AsRef<str>) -> anyhow::Error {
        let problem = problem.as_ref();
        let at = match DeTable::parse(&self.text) {
            Ok(root) => place(root.get_ref(), field),
            Err(_) => None,
        };
        let said = match field {
            "" => problem.to_owned(),
            field => format!("{field}: {problem}"),
        };
        self.error_at(at.unwrap_or(0), &said)
    }

    fn error_at(&self, at: usize, said: &str) -> anyhow::Error {
        let before = self.text.get(..at).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        anyhow!("{}:{line}:{column}: {said}", self.path.display())
    }
}

/// A field, and what is wrong with it.
type Fault = (String, &'static str);

fn table(table: &DeTable<'_>, path: &str) -> Result<Value, Fault> {
    let fields = table.iter().map(|(name, value)| {
        let name = name.get_ref().to_string();
        let value = json(value.get_ref(), &joined(path, &name))?;
        Ok((name, value))
    });
    Ok(Value::Object(fields.collect::<Result<Map<_, _>, Fault>>()?))
}

fn json(value: &DeValue<'_>, path: &str) -> Result<Value, Fault> {
    let fault = |problem| (path.to_owned(), problem);
    Ok(match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_err(|_| fault("is too large a number"))?
            .into(),
        DeValue::Float(number) => {
            let number = number.as_str().parse().ok();
            let number = number.and_then(serde_json::Number::from_f64);
            Value::Number(number.ok_or_else(|| fault("is a number that JSON does not have"))?)
        }
        DeValue::Boolean(value) => (*value).into(),
        DeValue::Datetime(time) => time.to_string().into(),
        DeValue::Array(items) => {
            let items = items.iter().enumerate();
            let items = items.map(|(at, item)| json(item.get_ref(), &format!("{path}[{at}]")));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        DeValue::Table(fields) => table(fields, path)?,
    })
}

fn joined(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    }
}

/// Where a field begins; where it is missing, what it is missing from.
fn place(table: &DeTable<'_>, field: &str) -> Option<usize> {
    // A name may have dots of its own, so the longest that fits is meant.
    let fits = |name: &Spanned<Cow<'_, str>>| {
        let rest = field.strip_prefix(name.get_ref().as_ref())?;
        let ends = rest.is_empty() || rest.starts_with(['.', '[']);
        ends.then(|| rest.trim_start_matches('.').to_owned())
    };
    let found = table.iter().filter_map(|(name, value)| {
        let rest = fits(name)?;
        Some((name, value, rest))
    });
    let (name, value, rest) = found.min_by_key(|(_, _, rest)| rest.len())?;
    let within = match rest.as_str() {
        "" => None,
        rest => place_within(value, rest),
    };
    within.or(Some(name.span().start))
}

fn place_within(value: &Spanned<DeValue<'_>>, field: &str) -> Option<usize> {
    match value.get_ref() {
        DeValue::Table(table) => place(table, field),
        DeValue::Array(items) => {
            let (index, rest) = field.strip_prefix('[')?.split_once(']')?;
            let item = items.get(index.parse::<usize>().ok()?)?;
            let within = match rest.trim_start_matches('.') {
                "" => None,
                rest => place_within(item, rest),
            };
            within.or(Some(item.span().start))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TEXT: &str = "\
[sources.main]
margin_ms = 0x10
\"a.b\" = { c = [1, { d = 2.5 }] }

[[bindings]]
plugin = \"gate\"
[[bindings]]
plugin = \"gate\"
since = 2026-01-02T03:04:05Z
";

    fn document(text: &str) -> Document {
        Document::new(Path::new("setup.toml"), text.to_owned())
    }

    #[test]
    fn a_file_is_read_as_json() {
        let wanted = json!({
            "sources": {"main": {"margin_ms": 16, "a.b": {"c": [1, {"d": 2.5}]}}},
            "bindings": [{"plugin": "gate"}, {"plugin": "gate", "since": "2026-01-02T03:04:05Z"}],
        });
        assert_eq!(document(TEXT).json().unwrap(), wanted);
    }

    #[test]
    fn an_error_says_where() {
        for (field, place) in [
            ("sources.main.margin_ms", "2:1"),
            ("sources.main.a.b.c[1].d", "3:21"),
            ("sources.main.name", "1:10"),
            ("bindings[1].plugin", "8:1"),
            ("nothing", "1:1"),
        ] {
            let said = document(TEXT).error(field, "is wrong").to_string();
            assert_eq!(said, format!("setup.toml:{place}: {field}: is wrong"));
        }
        let broken = document("[sources\n").json().unwrap_err().to_string();
        assert!(broken.starts_with("setup.toml:1:9: "), "{broken}");
        let nan = document("a = [nan]").json().unwrap_err().to_string();
        assert!(nan.starts_with("setup.toml:1:6: a[0]: "), "{nan}");
    }
}
