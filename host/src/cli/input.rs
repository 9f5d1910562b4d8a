//! What commands are given: fields of a resource, times, and secrets, which never come
//! as arguments, because lists of processes and histories of shells show those.

use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

/// Largest file or input that is read as fields or as a secret, in bytes.
const MOST: u64 = 4 << 20;

/// Fields of a resource in the API's form.
#[derive(Debug, Args)]
pub(super) struct Fields {
    /// Take fields from a file: JSON, or TOML if its name ends in .toml; - is JSON from
    /// standard input.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Set a field; a value that is JSON is taken as JSON, a path has dots:
    /// timeouts_ms.start=8000.
    #[arg(long = "set", value_name = "PATH=VALUE", value_parser = setting)]
    set: Vec<(String, Value)>,
}

/// The same, and fields that are to have their defaults.
#[derive(Debug, Args)]
pub(super) struct Changes {
    #[command(flatten)]
    fields: Fields,
    /// Give a field its default back.
    #[arg(long, value_name = "FIELD")]
    unset: Vec<String>,
}

pub(super) fn setting(text: &str) -> Result<(String, Value), String> {
    let (path, value) = text.split_once('=').ok_or("expected PATH=VALUE")?;
    if path.split('.').any(str::is_empty) {
        return Err("the path before = has an empty part".to_owned());
    }
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
    Ok((path.to_owned(), value))
}

impl Fields {
    /// The fields of something new.
    pub(super) fn read(&self) -> anyhow::Result<Map<String, Value>> {
        let mut fields = self.of_file()?;
        self.set(&mut fields)?;
        Ok(fields)
    }

    fn of_file(&self) -> anyhow::Result<Map<String, Value>> {
        match &self.file {
            None => Ok(Map::new()),
            Some(path) => object(path),
        }
    }

    fn set(&self, fields: &mut Map<String, Value>) -> anyhow::Result<()> {
        for (path, value) in &self.set {
            put(fields, path, value.clone())?;
        }
        Ok(())
    }
}

impl Changes {
    /// What to change of something. A field is always changed as a whole, so what is set
    /// within one goes into what it is now.
    pub(super) fn read(&self, now: &Value) -> anyhow::Result<Map<String, Value>> {
        let mut changes = self.fields.of_file()?;
        for (path, _) in &self.fields.set {
            let field = path.split('.').next().unwrap_or_default();
            if path != field && !now[field].is_null() && !changes.contains_key(field) {
                changes.insert(field.to_owned(), now[field].clone());
            }
        }
        self.fields.set(&mut changes)?;
        changes.extend(self.unset.iter().map(|field| (field.clone(), Value::Null)));
        Ok(changes)
    }
}

/// Who changes nothing may have meant something.
pub(super) fn check_any(changes: &Map<String, Value>) -> anyhow::Result<()> {
    if changes.is_empty() {
        bail!("what is to be changed? Say so with --set PATH=VALUE, --file or --unset");
    }
    Ok(())
}

fn put(fields: &mut Map<String, Value>, path: &str, value: Value) -> anyhow::Result<()> {
    match path.split_once('.') {
        None => {
            fields.insert(path.to_owned(), value);
            Ok(())
        }
        Some((first, rest)) => {
            let within = fields
                .entry(first)
                .or_insert_with(|| Value::Object(Map::new()));
            let Value::Object(within) = within else {
                bail!("{first} is no object, so there is no {path} to set");
            };
            put(within, rest, value)
        }
    }
}

/// A JSON or TOML file's object.
pub(super) fn object(path: &Path) -> anyhow::Result<Map<String, Value>> {
    let text = file(path)?;
    let is_toml = path.extension().is_some_and(|it| it == "toml");
    let value = if is_toml {
        toml::from_str::<Value>(&text).map_err(anyhow::Error::from)
    } else {
        serde_json::from_str(&text).map_err(anyhow::Error::from)
    };
    let form = if is_toml { "TOML" } else { "JSON" };
    match value.with_context(|| format!("{} is not valid {form}", path.display()))? {
        Value::Object(fields) => Ok(fields),
        _ => bail!("{} must be an object", path.display()),
    }
}

/// A file's text; that of - is standard input.
pub(super) fn file(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().take(MOST + 1).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(MOST + 1).read_to_string(&mut text))
    };
    let read = read.with_context(|| format!("cannot read {}", path.display()))?;
    if read as u64 > MOST {
        bail!("{} has more than {MOST} bytes", path.display());
    }
    Ok(text)
}

/// A secret: asked for without showing what is typed, or from standard input where that
/// is no terminal. The line's end is not part of it.
pub(super) fn secret(what: &str) -> anyhow::Result<String> {
    let text = if std::io::stdin().is_terminal() {
        rpassword::prompt_password(format!("{what}: "))
            .with_context(|| format!("cannot ask for the {what}"))?
    } else {
        file(Path::new("-"))?
    };
    one_line(&text, what)
}

/// A secret from standard input, whatever that is.
pub(super) fn secret_of_stdin(what: &str) -> anyhow::Result<String> {
    secret_file(Path::new("-"), what)
}

/// A secret in a file.
pub(super) fn secret_file(path: &Path, what: &str) -> anyhow::Result<String> {
    one_line(&file(path)?, what)
}

fn one_line(text: &str, what: &str) -> anyhow::Result<String> {
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() {
        bail!("the {what} is empty");
    }
    Ok(line.to_owned())
}

/// A point in time, or how long ago.
pub(super) fn time(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let ago: SignedDuration = text
        .parse()
        .map_err(|_| "expected a time such as 2026-01-02T03:04:05Z, or how long ago: 90m, 24h")?;
    let then = Timestamp::now().checked_sub(ago.abs());
    then.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_are_points_or_distances() {
        let point = time("2026-01-02T03:04:05Z").unwrap();
        assert_eq!(point.to_string(), "2026-01-02T03:04:05Z");
        let hour_ago = Timestamp::now() - SignedDuration::from_hours(1);
        let distance = time("1h").unwrap().duration_since(hour_ago);
        assert!(distance.abs() < SignedDuration::from_secs(10));
        assert!(time("yesterday").is_err());
    }

    fn changes(set: &[&str], unset: &[&str]) -> Changes {
        Changes {
            fields: Fields {
                file: None,
                set: set.iter().map(|it| setting(it).unwrap()).collect(),
            },
            unset: unset.iter().map(|&it| it.to_owned()).collect(),
        }
    }

    #[test]
    fn a_change_within_a_field_keeps_the_rest_of_it() {
        let now = json!({"timeouts_ms": {"start": 1, "tool": 2}, "margin_ms": 3});
        let set = ["timeouts_ms.start=9", "name=line"];
        let read = changes(&set, &["margin_ms"]).read(&now).unwrap();
        let wanted = json!({
            "timeouts_ms": {"start": 9, "tool": 2}, "name": "line", "margin_ms": null
        });
        assert_eq!(Value::Object(read), wanted);
        assert!(changes(&["margin_ms.x=1"], &[]).read(&now).is_err());
        assert!(setting("a..b=1").is_err());
    }

    #[test]
    fn a_secret_is_a_line_without_its_end() {
        assert_eq!(one_line("a b\r\n", "token").unwrap(), "a b");
        assert!(one_line("\n", "token").is_err());
    }
}
