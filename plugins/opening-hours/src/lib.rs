//! When a business is open: the settings `time_zone`, `hours` and `closed_on`,
//! which `start-gate` and `appointment-tools` share.
//!
//! | setting | example | default |
//! |---|---|---|
//! | `time_zone` | `"Europe/Berlin"`, an IANA name | `"UTC"` |
//! | `hours` | `{"monday": ["09:00-12:00", "13:00-17:00"], "friday": ["22:00-02:00"]}` | the plugin's |
//! | `closed_on` | `["2025-12-25"]` | `[]` |
//!
//! Times are those of a clock on the wall in that zone, so an interval keeps its
//! hours when daylight saving begins or ends. An interval holds its beginning
//! but not its end; one that ends before it begins runs past midnight and
//! belongs to the day on which it begins. A weekday that is not named is closed,
//! and so is an interval that begins on a day in `closed_on`.

mod interval;
mod week;
mod zone;

use std::collections::BTreeSet;

use hookswitch_sdk::{Result, config, context};
use jiff::{
    Timestamp, Zoned,
    civil::{Date, DateTime},
    tz::TimeZone,
};

pub use self::{interval::Interval, week::Week};

/// The hours of every day.
#[derive(Clone, Debug, Default)]
pub struct Calendar {
    week: Week,
    closed_on: BTreeSet<Date>,
}

impl Calendar {
    /// The calendar of the settings `hours` and `closed_on`, or none when there
    /// is no `hours`.
    pub fn from_settings() -> Result<Option<Self>, config::Error> {
        let closed_on = config::json("closed_on")?.unwrap_or_default();
        Ok(config::json("hours")?.map(|week| Self { week, closed_on }))
    }

    /// The calendar of the settings, with this week when there is no `hours`.
    pub fn from_settings_or(week: Week) -> Result<Self, config::Error> {
        let closed_on = config::json("closed_on")?.unwrap_or_default();
        Ok(Self {
            week: config::json("hours")?.unwrap_or(week),
            closed_on,
        })
    }

    /// The intervals that begin on that day, in order.
    pub fn on(&self, date: Date) -> &[Interval] {
        if self.closed_on.contains(&date) {
            &[]
        } else {
            self.week.on(date.weekday())
        }
    }

    /// Whether that time of the clock on the wall is in an interval of the day,
    /// or in one of the day before that runs past midnight.
    pub fn is_open(&self, at: DateTime) -> bool {
        let minute = minute_of_day(at);
        let today = self
            .on(at.date())
            .iter()
            .any(|interval| interval.contains(minute));
        let since_yesterday = || {
            let yesterday = at.date().yesterday().ok();
            yesterday.is_some_and(|date| {
                self.on(date)
                    .iter()
                    .any(|interval| interval.contains_next_day(minute))
            })
        };
        today || since_yesterday()
    }

    /// True when some interval runs past midnight.
    pub fn runs_past_midnight(&self) -> bool {
        self.week.intervals().any(Interval::runs_past_midnight)
    }
}

/// The zone of the setting `time_zone`, `UTC` without one.
pub fn time_zone() -> Result<TimeZone, config::Error> {
    let Some(name) = config::get("time_zone") else {
        return Ok(TimeZone::UTC);
    };
    zone::named(name.trim()).ok_or_else(|| {
        let problem = format!("is `{name}`, which is no IANA time zone such as Europe/Berlin");
        config::Error::new("time_zone", problem)
    })
}

/// When the event at hand was received, on the wall in that zone.
pub fn received_at(zone: &TimeZone) -> Result<Zoned> {
    let milliseconds = i64::try_from(context::received_at_ms())?;
    Ok(Timestamp::from_millisecond(milliseconds)?.to_zoned(zone.clone()))
}

/// Minutes since midnight.
fn minute_of_day(at: DateTime) -> u16 {
    u16::from(at.hour().unsigned_abs()) * 60 + u16::from(at.minute().unsigned_abs())
}

#[cfg(test)]
mod tests {
    use hookswitch_sdk::testing::Host;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn calendar(hours: serde_json::Value, closed_on: &[&str]) -> Calendar {
        let _host = Host::new()
            .config("hours", hours)
            .config("closed_on", closed_on);
        Calendar::from_settings().unwrap().unwrap()
    }

    fn open(calendar: &Calendar, at: &str) -> bool {
        calendar.is_open(at.parse().unwrap())
    }

    // 2025-10-24 is a Friday.

    #[test]
    fn an_interval_holds_its_beginning_but_not_its_end() {
        let calendar = calendar(json!({"friday": ["09:00-12:00", "13:00-17:00"]}), &[]);
        assert!(!open(&calendar, "2025-10-24T08:59:59"));
        assert!(open(&calendar, "2025-10-24T09:00"));
        assert!(open(&calendar, "2025-10-24T11:59:59"));
        assert!(!open(&calendar, "2025-10-24T12:00"));
        assert!(open(&calendar, "2025-10-24T16:00"));
        assert!(!open(&calendar, "2025-10-25T10:00"));
    }

    #[test]
    fn an_interval_past_midnight_belongs_to_the_day_it_begins_on() {
        let calendar = calendar(json!({"friday": ["22:00-02:00"]}), &[]);
        assert!(!open(&calendar, "2025-10-24T01:00"));
        assert!(open(&calendar, "2025-10-24T23:59"));
        assert!(open(&calendar, "2025-10-25T01:59"));
        assert!(!open(&calendar, "2025-10-25T02:00"));
        assert!(calendar.runs_past_midnight());
    }

    #[test]
    fn a_closed_day_takes_its_night_with_it() {
        let calendar = calendar(json!({"friday": ["22:00-02:00"]}), &["2025-10-24"]);
        assert!(!open(&calendar, "2025-10-24T23:00"));
        assert!(!open(&calendar, "2025-10-25T01:00"));
        assert!(open(&calendar, "2025-10-31T23:00"));
    }

    #[test]
    fn a_zone_that_is_none_is_named() {
        let _host = Host::new().config("time_zone", "Berlin");
        assert_eq!(
            time_zone().unwrap_err().to_string(),
            "setting `time_zone` is `Berlin`, which is no IANA time zone such as Europe/Berlin"
        );
    }

    #[test]
    fn a_date_that_is_none_is_named() {
        let _host = Host::new()
            .config("hours", json!({}))
            .config("closed_on", ["Christmas"]);
        let error = Calendar::from_settings().unwrap_err().to_string();
        assert!(
            error.starts_with("setting `closed_on` does not fit: [0]:"),
            "{error}"
        );
    }

    #[test]
    fn the_event_is_seen_on_the_wall_of_the_zone() {
        let _host = Host::new()
            .config("time_zone", "Europe/Berlin")
            .received_at("2025-10-26T01:30:00Z");
        let now = received_at(&time_zone().unwrap()).unwrap();
        assert_eq!(now.datetime().to_string(), "2025-10-26T02:30:00");
    }

    proptest! {
        /// Against the plainest model there is: every minute of a week, ticked
        /// off one by one.
        #[test]
        fn a_minute_is_open_when_an_interval_covers_it(
            day in 0_i32..7,
            from in 0_i32..1440,
            length in 1_i32..1440,
            probe in 0_i32..(7 * 1440),
        ) {
            let names = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
            let end = (from + length) % 1440;
            let text = format!("{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, end / 60, end % 60);
            let name = names[usize::try_from(day).unwrap()];
            let calendar = calendar(json!({ name: [text] }), &[]);

            // 2025-10-20 is a Monday.
            let monday: DateTime = "2025-10-20T00:00".parse().unwrap();
            let at = monday + jiff::Span::new().minutes(probe);
            let start = day * 1440 + from;
            let covered = (0..length).any(|minute| (start + minute) % (7 * 1440) == probe);
            prop_assert_eq!(calendar.is_open(at), covered, "{} {}", name, at);
        }
    }
}
