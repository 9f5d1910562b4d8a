//! What the three tools share: the settings, the time, and the words for what
//! cannot be had.

use hookswitch_sdk::{
    Result, json,
    serde_json::{Map, Value},
};
use jiff::{
    ToSpan, Zoned,
    civil::{Date, Time},
};

use crate::{
    arguments::hh_mm,
    bookings::Bookings,
    settings::{PastDates, Settings},
    slots::slots,
};

/// So many days are looked at to find the next free one.
const DAYS_TO_LOOK_AHEAD: i32 = 14;

/// The settings at the time of this tool call.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) settings: Settings,
    pub(crate) now: Zoned,
}

/// Why there is no appointment on a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Obstacle {
    reason: &'static str,
    message: String,
}

impl Desk {
    pub(crate) fn open() -> Result<Self> {
        let settings = Settings::read()?;
        let now = opening_hours::received_at(&settings.time_zone)?;
        Ok(Self { settings, now })
    }

    /// What speaks against that day, whatever is booked on it.
    pub(crate) fn obstacle(&self, date: Date) -> Option<Obstacle> {
        let today = self.now.date();
        if date < today && self.settings.past_dates == PastDates::Refuse {
            return Some(Obstacle {
                reason: "date_is_past",
                message: format!("{date} is in the past; today is {today}."),
            });
        }
        if self.last_day().is_some_and(|last| date > last) {
            let days = self.settings.book_ahead_days;
            return Some(Obstacle {
                reason: "too_far_ahead",
                message: format!("Appointments can be made up to {days} days ahead."),
            });
        }
        self.settings
            .calendar
            .on(date)
            .is_empty()
            .then(|| Obstacle {
                reason: "closed",
                message: format!("We are closed on {}, {date}.", weekday(date)),
            })
    }

    /// The slots of that day that have not begun yet.
    pub(crate) fn slots_on(&self, date: Date) -> Vec<Time> {
        let mut slots = slots(self.settings.calendar.on(date), self.settings.slot_minutes);
        if date == self.now.date() && self.settings.past_dates == PastDates::Refuse {
            slots.retain(|slot| *slot > self.now.time());
        }
        slots
    }

    /// Those of them that nobody has booked.
    pub(crate) fn free_slots(&self, date: Date, bookings: &Bookings) -> Vec<Time> {
        let minutes = self.settings.slot_minutes;
        let slots = self.slots_on(date).into_iter();
        slots
            .filter(|slot| bookings.is_free(*slot, minutes))
            .collect()
    }

    /// The next day with a free slot, after that date and not before today, if
    /// one is near.
    pub(crate) fn next_date(&self, date: Date) -> Result<Option<Date>> {
        let from = if self.settings.past_dates == PastDates::Refuse && date < self.now.date() {
            self.now.date()
        } else {
            date.tomorrow()?
        };
        for days in 0..DAYS_TO_LOOK_AHEAD {
            let date = from.checked_add(days.days())?;
            if self.obstacle(date).is_none()
                && !self.free_slots(date, &Bookings::of(date)?).is_empty()
            {
                return Ok(Some(date));
            }
        }
        Ok(None)
    }

    /// The service by the name the settings have for it, or what is wrong with
    /// the one that was asked for.
    pub(crate) fn service(&self, asked: Option<String>) -> Result<Option<String>, String> {
        let services = &self.settings.services;
        if services.is_empty() {
            return Ok(asked);
        }
        let Some(asked) = asked else { return Ok(None) };
        let known = services
            .iter()
            .find(|service| service.eq_ignore_ascii_case(asked.trim()));
        known.cloned().map(Some).ok_or_else(|| {
            format!(
                "There is no service `{asked}`. There are: {}.",
                services.join(", ")
            )
        })
    }

    /// The fields every answer about a day has.
    pub(crate) fn about(&self, date: Date) -> Map<String, Value> {
        let mut fields = Map::new();
        fields.insert("date".to_owned(), json!(date.to_string()));
        fields.insert("weekday".to_owned(), json!(weekday(date)));
        fields.insert("slot_minutes".to_owned(), json!(self.settings.slot_minutes));
        if let Some(zone) = self.settings.time_zone.iana_name() {
            fields.insert("time_zone".to_owned(), json!(zone));
        }
        fields
    }

    fn last_day(&self) -> Option<Date> {
        self.now
            .date()
            .checked_add(self.settings.book_ahead_days.days())
            .ok()
    }
}

impl Obstacle {
    pub(crate) fn fully_booked(date: Date) -> Self {
        Self {
            reason: "fully_booked",
            message: format!("There is nothing left on {}, {date}.", weekday(date)),
        }
    }

    /// Adds why, and when instead, to an answer.
    pub(crate) fn explain(&self, answer: &mut Map<String, Value>, next_date: Option<Date>) {
        answer.insert("reason".to_owned(), json!(self.reason));
        answer.insert("message".to_owned(), json!(self.message));
        if let Some(date) = next_date {
            answer.insert("next_date".to_owned(), json!(date.to_string()));
        }
    }
}

/// Times as the model reads them.
pub(crate) fn times(times: &[Time]) -> Value {
    times.iter().map(|time| hh_mm(*time)).collect()
}

fn weekday(date: Date) -> String {
    date.strftime("%A").to_string()
}
