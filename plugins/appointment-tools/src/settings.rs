//! The settings, read and checked at once.

use hookswitch_sdk::config::{self, Error};
use jiff::tz::TimeZone;
use opening_hours::{Calendar, Interval, Week};
use serde::Deserialize;

/// What the operator wants; the module header of the crate has the table.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) time_zone: TimeZone,
    pub(crate) calendar: Calendar,
    pub(crate) slot_minutes: u16,
    pub(crate) services: Vec<String>,
    pub(crate) book_ahead_days: i32,
    pub(crate) past_dates: PastDates,
}

/// What becomes of dates before today.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PastDates {
    #[default]
    Refuse,
    /// Time is ignored, for replays.
    Allow,
}

impl Settings {
    pub(crate) fn read() -> Result<Self, Error> {
        let nine_to_five = Interval::of_hours(9, 17).into_iter().collect::<Vec<_>>();
        let settings = Self {
            time_zone: opening_hours::time_zone()?,
            calendar: Calendar::from_settings_or(Week::working_days(&nine_to_five))?,
            slot_minutes: config::parse("slot_minutes")?.unwrap_or(30),
            services: config::json("services")?.unwrap_or_default(),
            book_ahead_days: config::parse("book_ahead_days")?.unwrap_or(90),
            past_dates: config::json("past_dates")?.unwrap_or_default(),
        };
        if settings.calendar.runs_past_midnight() {
            return Err(Error::new("hours", "must not run past midnight"));
        }
        if !(5..=480).contains(&settings.slot_minutes) {
            return Err(Error::new("slot_minutes", "must be 5 to 480"));
        }
        if !(1..=730).contains(&settings.book_ahead_days) {
            return Err(Error::new("book_ahead_days", "must be 1 to 730"));
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use hookswitch_sdk::{json, serde_json::Value, testing::Host};

    use super::*;

    #[track_caller]
    fn assert_refused(settings: Value, beginning: &str) {
        let _host = Host::new().settings(settings);
        let error = Settings::read().unwrap_err().to_string();
        assert!(error.starts_with(beginning), "{error}");
    }

    #[test]
    fn a_bad_setting_is_named() {
        assert_refused(
            json!({"hours": {"friday": ["22:00-02:00"]}}),
            "setting `hours` must not run",
        );
        assert_refused(
            json!({"slot_minutes": 0}),
            "setting `slot_minutes` must be 5 to 480",
        );
        assert_refused(
            json!({"slot_minutes": "long"}),
            "setting `slot_minutes` is `long`",
        );
        assert_refused(
            json!({"book_ahead_days": 0}),
            "setting `book_ahead_days` must be",
        );
        assert_refused(
            json!({"services": "any"}),
            "setting `services` does not fit",
        );
        assert_refused(
            json!({"past_dates": "maybe"}),
            "setting `past_dates` does not fit: unknown variant",
        );
        assert_refused(
            json!({"time_zone": "PST8"}),
            "setting `time_zone` is `PST8`",
        );
    }
}
