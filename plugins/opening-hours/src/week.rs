//! The intervals of every weekday, as the setting `hours` lists them.

use jiff::civil::Weekday;
use serde::Deserialize;

use crate::Interval;

/// The intervals of each weekday; a weekday without any is closed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Week {
    monday: Vec<Interval>,
    tuesday: Vec<Interval>,
    wednesday: Vec<Interval>,
    thursday: Vec<Interval>,
    friday: Vec<Interval>,
    saturday: Vec<Interval>,
    sunday: Vec<Interval>,
}

impl Week {
    /// Monday to Friday with these intervals, closed at the weekend.
    pub fn working_days(intervals: &[Interval]) -> Self {
        Self {
            monday: intervals.to_vec(),
            tuesday: intervals.to_vec(),
            wednesday: intervals.to_vec(),
            thursday: intervals.to_vec(),
            friday: intervals.to_vec(),
            ..Self::default()
        }
    }

    /// The intervals that begin on that weekday.
    pub fn on(&self, weekday: Weekday) -> &[Interval] {
        match weekday {
            Weekday::Monday => &self.monday,
            Weekday::Tuesday => &self.tuesday,
            Weekday::Wednesday => &self.wednesday,
            Weekday::Thursday => &self.thursday,
            Weekday::Friday => &self.friday,
            Weekday::Saturday => &self.saturday,
            Weekday::Sunday => &self.sunday,
        }
    }

    /// Every interval of the week.
    pub(crate) fn intervals(&self) -> impl Iterator<Item = Interval> {
        let days = [
            &self.monday,
            &self.tuesday,
            &self.wednesday,
            &self.thursday,
            &self.friday,
            &self.saturday,
            &self.sunday,
        ];
        days.into_iter().flatten().copied()
    }
}

#[cfg(test)]
mod tests {
    use hookswitch_sdk::{config, testing::Host};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_weekday_that_is_not_named_is_closed() {
        let week: Week = serde_json::from_value(json!({"monday": ["09:00-17:00"]})).unwrap();
        assert_eq!(week.on(Weekday::Monday).len(), 1);
        assert!(week.on(Weekday::Tuesday).is_empty());
    }

    #[test]
    fn a_bad_interval_and_a_bad_weekday_are_named_with_their_place() {
        let _host = Host::new().config("hours", json!({"monday": ["09:00-17:00", "late"]}));
        let error = config::json::<Week>("hours").unwrap_err().to_string();
        assert!(
            error.starts_with("setting `hours` does not fit: monday[1]: `late` is no interval"),
            "{error}"
        );

        let _host = Host::new().config("hours", json!({"mon": []}));
        let error = config::json::<Week>("hours").unwrap_err().to_string();
        assert!(
            error.contains("unknown field `mon`, expected one of `monday`"),
            "{error}"
        );
    }
}
