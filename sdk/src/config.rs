//! The settings of the binding through which the plugin was called.
//!
//! A setting that is a JSON string is given as its text, every other one as
//! JSON. A setting that is missing is `None`; one that does not fit is an
//! [`Error`] that names its key, so that whoever wrote it finds it.
//!
//! ```
//! use hookswitch_sdk::{config, testing};
//!
//! let _host = testing::Host::new().config("limit", 5).config("blocked", ["+1415*"]);
//!
//! let limit: u32 = config::parse("limit")?.unwrap_or(10);
//! let blocked: Vec<String> = config::json("blocked")?.unwrap_or_default();
//! # assert_eq!((limit, blocked), (5, vec!["+1415*".to_owned()]));
//! # Ok::<(), hookswitch_sdk::Error>(())
//! ```

use std::{any, fmt, str::FromStr};

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::host;

/// The setting with that key, or none.
pub fn get(key: &str) -> Option<String> {
    host::config_get(key)
}

/// The setting with that key; an error when there is none.
pub fn required(key: &str) -> Result<String, Error> {
    get(key).ok_or_else(|| Error::new(key, "is missing"))
}

/// A setting that is one word or number, read with [`FromStr`].
pub fn parse<T>(key: &str) -> Result<Option<T>, Error>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    let Some(text) = get(key) else {
        return Ok(None);
    };
    let not_a = |error| {
        let kind = any::type_name::<T>()
            .rsplit("::")
            .next()
            .unwrap_or_default();
        Error::new(key, format!("is `{text}`, which is no {kind}: {error}"))
    };
    text.trim().parse().map(Some).map_err(not_a)
}

/// A setting that is JSON: a list, an object, or a string.
///
/// JSON inside a string is read as well, since many tools keep settings as
/// plain text.
pub fn json<T: DeserializeOwned>(key: &str) -> Result<Option<T>, Error> {
    let Some(text) = get(key) else {
        return Ok(None);
    };
    let misfit = |problem: String| Err(Error::new(key, format!("does not fit: {problem}")));
    let value = match serde_json::from_str(&text) {
        Ok(value) => value,
        Err(error) if text.trim_start().starts_with(['{', '[']) => {
            return misfit(format!("it is no JSON: {error}"));
        }
        Err(_) => Value::String(text.clone()),
    };
    let is_text = value.is_string();
    match serde_path_to_error::deserialize(value) {
        Ok(value) => Ok(Some(value)),
        // `"5"` is text to whoever wants text, though it reads as a number.
        Err(error) => match T::deserialize(Value::String(text)) {
            Ok(value) if !is_text => Ok(Some(value)),
            _ => misfit(error.to_string()),
        },
    }
}

/// A setting that is missing or does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    key: String,
    problem: String,
}

impl Error {
    /// An error of the plugin's own checks: `problem` goes on where
    /// "setting `key`" stops, for example "must name at least one number".
    pub fn new(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            problem: problem.into(),
        }
    }

    /// The setting's key.
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "setting `{}` {}", self.key, self.problem)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::testing::Host;

    #[test]
    fn a_string_is_given_as_its_text_and_the_rest_as_json() {
        let _host = Host::new()
            .config("zone", "Europe/Berlin")
            .config("days", [1, 2]);
        assert_eq!(get("zone").as_deref(), Some("Europe/Berlin"));
        assert_eq!(get("days").as_deref(), Some("[1,2]"));
        assert_eq!(get("nothing"), None);
    }

    #[test]
    fn a_missing_setting_is_none_unless_it_is_required() {
        let _host = Host::new();
        assert_eq!(parse::<u32>("limit"), Ok(None));
        assert_eq!(json::<Vec<String>>("list"), Ok(None));
        assert_eq!(
            required("url").unwrap_err().to_string(),
            "setting `url` is missing"
        );
    }

    #[test]
    fn a_number_may_be_written_as_text() {
        let _host = Host::new().config("number", 5).config("text", " 5 ");
        assert_eq!(parse::<u32>("number"), Ok(Some(5)));
        assert_eq!(parse::<u32>("text"), Ok(Some(5)));
    }

    #[test]
    fn json_may_be_written_inside_a_string() {
        let _host = Host::new()
            .config("list", r#"["a"]"#)
            .config("word", "a")
            .config("digits", "5");
        assert_eq!(json::<Vec<String>>("list"), Ok(Some(vec!["a".to_owned()])));
        assert_eq!(json::<String>("word"), Ok(Some("a".to_owned())));
        assert_eq!(json::<String>("digits"), Ok(Some("5".to_owned())));
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_key_and_place() {
        let _host = Host::new()
            .config("limit", "many")
            .config("targets", json!({"vip": {"number": 7}}))
            .config("list", "a, b")
            .config("broken", r#"["a",]"#);
        let limit = parse::<u32>("limit").unwrap_err();
        assert_eq!(limit.key(), "limit");
        assert!(
            limit
                .to_string()
                .starts_with("setting `limit` is `many`, which is no u32")
        );

        let targets = json::<BTreeMap<String, BTreeMap<String, String>>>("targets").unwrap_err();
        assert!(
            targets
                .to_string()
                .starts_with("setting `targets` does not fit: vip.number: invalid"),
            "{targets}"
        );

        let list = json::<Vec<String>>("list").unwrap_err();
        assert!(list.to_string().contains("expected a sequence"), "{list}");
        let broken = json::<Vec<String>>("broken").unwrap_err();
        assert!(
            broken.to_string().contains("it is no JSON: trailing comma"),
            "{broken}"
        );
    }
}
