//! One stretch of time on one day: `09:00-12:30`.

use std::{fmt, str::FromStr};

use serde::Deserialize;

const DAY: u16 = 24 * 60;

/// From a minute of the day to another one, which may be on the next day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Interval {
    from: u16,
    /// Beyond 24 hours when it runs past midnight; always after `from`.
    to: u16,
}

impl Interval {
    /// From one full hour to a later one of the same day; `None` when there is
    /// no such interval.
    pub fn of_hours(from: u8, to: u8) -> Option<Self> {
        let interval = Self {
            from: u16::from(from) * 60,
            to: u16::from(to) * 60,
        };
        (interval.from < interval.to && interval.to <= DAY).then_some(interval)
    }

    /// Its first minute, counted from midnight.
    pub fn from(self) -> u16 {
        self.from
    }

    /// The minute after its last one, counted from midnight; 1440 and more is
    /// on the next day.
    pub fn to(self) -> u16 {
        self.to
    }

    /// True when it ends on the day after the one it begins on.
    pub fn runs_past_midnight(self) -> bool {
        self.to > DAY
    }

    /// Whether it holds that minute of the day it begins on.
    pub(crate) fn contains(self, minute: u16) -> bool {
        (self.from..self.to).contains(&minute)
    }

    /// Whether it holds that minute of the day after.
    pub(crate) fn contains_next_day(self, minute: u16) -> bool {
        self.contains(minute + DAY)
    }
}

impl FromStr for Interval {
    type Err = NoInterval;

    fn from_str(text: &str) -> Result<Self, NoInterval> {
        let parse = || {
            let (from, to) = text.split_once('-')?;
            let (from, to) = (minute_of_day(from)?, minute_of_day(to)?);
            match to {
                _ if from == DAY || from == to => None,
                to if to < from => Some(Self { from, to: to + DAY }),
                to => Some(Self { from, to }),
            }
        };
        parse().ok_or_else(|| NoInterval(text.to_owned()))
    }
}

impl TryFrom<String> for Interval {
    type Error = NoInterval;

    fn try_from(text: String) -> Result<Self, NoInterval> {
        text.parse()
    }
}

/// Text that is no interval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoInterval(String);

impl fmt::Display for NoInterval {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "`{}` is no interval like 09:00-17:30 (all day is 00:00-24:00)",
            self.0
        )
    }
}

impl std::error::Error for NoInterval {}

/// Minutes since midnight of `HH:MM`, up to 24:00.
fn minute_of_day(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    if !(1..=2).contains(&hour.len()) || minute.len() != 2 {
        return None;
    }
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(hour) || !digits(minute) {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    let total = hour * 60 + minute;
    (minute < 60 && total <= DAY).then_some(total)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn interval(text: &str) -> Option<(u16, u16)> {
        text.parse::<Interval>()
            .ok()
            .map(|interval| (interval.from, interval.to))
    }

    #[test]
    fn intervals_are_read_as_people_write_them() {
        assert_eq!(interval("09:00-17:30"), Some((540, 1050)));
        assert_eq!(interval("9:00 - 17:30"), Some((540, 1050)));
        assert_eq!(interval("00:00-24:00"), Some((0, 1440)));
        assert_eq!(interval("22:00-02:00"), Some((1320, 1560)));
        assert_eq!(interval("22:00-00:00"), Some((1320, 1440)));
    }

    #[test]
    fn what_is_no_interval_is_refused() {
        for text in [
            "",
            "09:00",
            "09:00-",
            "9-17",
            "09:00-09:00",
            "24:00-02:00",
            "09:60-10:00",
            "25:00-26:00",
            "+9:00-10:00",
        ] {
            assert_eq!(interval(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*") {
            let _ = interval(&text);
        }

        #[test]
        fn an_interval_is_never_empty_and_never_longer_than_a_day(text in "[0-9]{1,2}:[0-9]{2}-[0-9]{1,2}:[0-9]{2}") {
            if let Some((from, to)) = interval(&text) {
                prop_assert!(from < to && to - from <= DAY);
            }
        }
    }
}
