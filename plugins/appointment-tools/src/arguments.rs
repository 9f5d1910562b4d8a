//! Dates and times as a language model writes them.
//!
//! What these types refuse, the SDK answers to the model with the field's name.

use jiff::civil::{Date, Time};
use schemars::JsonSchema;
use serde::Deserialize;

/// A day: `2025-10-25`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(extend("format" = "date"))]
pub(crate) struct Day(#[schemars(with = "String")] pub(crate) Date);

impl TryFrom<String> for Day {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        // jiff reads longer forms too, which would hide a time or a zone.
        let date = (text.trim().len() == "2025-10-25".len()).then(|| text.trim().parse());
        match date {
            Some(Ok(date)) => Ok(Self(date)),
            _ => Err(format!(
                "`{text}` is no day of the calendar written like 2025-10-25"
            )),
        }
    }
}

/// A time of day: `09:30`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(extend("pattern" = "^[0-2][0-9]:[0-5][0-9]$"))]
pub(crate) struct TimeOfDay(#[schemars(with = "String")] pub(crate) Time);

impl TryFrom<String> for TimeOfDay {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let read = || {
            let mut parts = text.trim().split(':');
            let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next());
            let whole = parts.next().is_none() && second.is_none_or(|second| second == "00");
            if !whole || minute.len() != 2 {
                return None;
            }
            Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
        };
        read()
            .map(Self)
            .ok_or_else(|| format!("`{text}` is no time written like 09:30 or 14:00"))
    }
}

/// `09:30`, as slots are written everywhere.
pub(crate) fn hh_mm(time: Time) -> String {
    format!("{:02}:{:02}", time.hour(), time.minute())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Option<String> {
        Day::try_from(text.to_owned())
            .ok()
            .map(|day| day.0.to_string())
    }

    fn time(text: &str) -> Option<String> {
        TimeOfDay::try_from(text.to_owned())
            .ok()
            .map(|time| hh_mm(time.0))
    }

    #[test]
    fn days_are_read_in_one_form_only() {
        assert_eq!(day(" 2025-10-25 ").as_deref(), Some("2025-10-25"));
        for text in [
            "",
            "25.10.2025",
            "2025-02-30",
            "20251025",
            "2025-10-25T10:00",
            "tomorrow",
        ] {
            assert_eq!(day(text), None, "{text}");
        }
    }

    #[test]
    fn times_are_read_with_and_without_zeroes() {
        assert_eq!(time("09:30").as_deref(), Some("09:30"));
        assert_eq!(time("9:30").as_deref(), Some("09:30"));
        assert_eq!(time("14:00:00").as_deref(), Some("14:00"));
        for text in [
            "",
            "9",
            "24:00",
            "09:60",
            "9:5",
            "09:30:15",
            "nine",
            "-1:30",
            "09:30:00:00",
        ] {
            assert_eq!(time(text), None, "{text}");
        }
    }
}
