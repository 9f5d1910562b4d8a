//! A day's bookings: one document in the key-value store, changed only by
//! compare-and-swap.
//!
//! One document for each day, because that is what every tool asks about: a
//! look at a day costs one read, and two calls that want slots of the same day
//! meet at one key.

use std::time::Duration;

use hookswitch_sdk::{
    Call, Result, ToolDecision, json,
    kv::{self, Change, Code},
};
use jiff::{Zoned, civil::Date};
use serde::{Deserialize, Serialize};

use crate::slots::minute_of;

/// Bookings are forgotten that long after their day.
const KEPT: Duration = Duration::from_hours(30 * 24);

/// One appointment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Booking {
    pub(crate) reference: String,
    pub(crate) time: jiff::civil::Time,
    /// Kept with it, so that slots of another length later do not overlap it.
    pub(crate) minutes: u16,
    pub(crate) call_id: String,
    pub(crate) phone: Option<String>,
    pub(crate) service: Option<String>,
    pub(crate) name: Option<String>,
}

/// The appointments of one day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Bookings(Vec<Booking>);

/// What came of an attempt to book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Booked {
    /// The appointment stands: now, or since an earlier attempt of this call.
    Stands(Booking),
    /// Somebody else has it; the day as it is.
    Taken(Bookings),
}

impl Bookings {
    /// The bookings of that day.
    pub(crate) fn of(date: Date) -> Result<Self> {
        Ok(kv::get_json(&key(date))?.unwrap_or_default())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Booking> {
        self.0.iter()
    }

    /// True when no booking overlaps an appointment at that time.
    pub(crate) fn is_free(&self, time: jiff::civil::Time, minutes: u16) -> bool {
        let start = minute_of(time);
        self.0.iter().all(|booking| {
            let booked = minute_of(booking.time);
            start + minutes <= booked || booked + booking.minutes <= start
        })
    }

    /// Adds a booking, unless the slot is taken.
    fn add(&mut self, booking: &Booking) -> Option<Booking> {
        if let Some(standing) = self.0.iter().find(|standing| standing.repeats(booking)) {
            return Some(standing.clone());
        }
        self.is_free(booking.time, booking.minutes).then(|| {
            self.0.push(booking.clone());
            booking.clone()
        })
    }
}

impl Booking {
    /// True when the same call has booked the same slot already.
    fn repeats(&self, other: &Self) -> bool {
        !self.call_id.is_empty() && self.call_id == other.call_id && self.time == other.time
    }

    /// True when the person in that call made this booking.
    pub(crate) fn belongs_to(&self, call: &Call) -> bool {
        let same_call = !call.call_id.is_empty() && self.call_id == call.call_id;
        let same_phone = self.phone.is_some() && self.phone.as_deref() == call.other_party();
        same_call || same_phone
    }
}

/// Books, unless somebody else was faster.
pub(crate) fn book(date: Date, booking: &Booking, now: &Zoned) -> Result<Booked, kv::Error> {
    kv::update(
        &key(date),
        time_to_live(date, now),
        |bookings: Option<Bookings>| {
            let before = bookings.unwrap_or_default();
            let mut after = before.clone();
            match after.add(booking) {
                None => (Change::Keep, Booked::Taken(before)),
                Some(standing) if after == before => (Change::Keep, Booked::Stands(standing)),
                Some(new) => (Change::Store(after), Booked::Stands(new)),
            }
        },
    )
}

/// Removes one booking. False when it is gone already.
pub(crate) fn cancel(date: Date, reference: &str, now: &Zoned) -> Result<bool, kv::Error> {
    kv::update(
        &key(date),
        time_to_live(date, now),
        |bookings: Option<Bookings>| {
            let mut left = bookings.unwrap_or_default();
            let before = left.0.len();
            left.0.retain(|booking| booking.reference != reference);
            match left.0.len() {
                after if after == before => (Change::Keep, false),
                0 => (Change::Remove, true),
                _ => (Change::Store(left), true),
            }
        },
    )
}

/// What the model is told when the day was too busy to get a word in. Every
/// other failure of the store is the plugin's.
pub(crate) fn busy(outcome: &str, error: kv::Error) -> Result<ToolDecision> {
    if *error.code() != Code::Contended {
        return Err(error.into());
    }
    ToolDecision::answer(json!({
        outcome: false,
        "reason": "busy",
        "message": "Many people are booking this day right now. Please try again.",
    }))
}

fn key(date: Date) -> String {
    format!("day/{date}")
}

fn time_to_live(date: Date, now: &Zoned) -> Duration {
    let ahead = now.date().duration_until(date);
    KEPT + if ahead.is_positive() {
        ahead.unsigned_abs()
    } else {
        Duration::ZERO
    }
}
