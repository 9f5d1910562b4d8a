//! `cancel_appointment`: gives a slot back, to whom it belongs.

use hookswitch_sdk::{Call, Result, Tool, ToolDecision, json, log};
use jiff::civil::Date;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    arguments::{Day, TimeOfDay, hh_mm},
    bookings::{self, Booking, Bookings},
    desk::{Desk, times},
};

/// Cancels an appointment. The caller's own appointments on that day are found
/// by the number they call from; with the reference, anybody's.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct CancelAppointment {
    /// The day of the appointment, written as YYYY-MM-DD.
    date: Day,
    /// When it begins, written as HH:MM; needed when there are several.
    time: Option<TimeOfDay>,
    /// The reference that was given when it was booked.
    reference: Option<String>,
}

impl Tool for CancelAppointment {
    const NAME: &'static str = "cancel_appointment";

    fn call(self, call: &Call) -> Result<ToolDecision> {
        let desk = Desk::open()?;
        let Day(date) = self.date;
        // A day that is over has nothing left to cancel; one that is closed
        // today may have been open when it was booked.
        if let Some(obstacle) = desk.obstacle(date).filter(|_| date < desk.now.date()) {
            let mut answer = desk.about(date);
            answer.insert("cancelled".to_owned(), json!(false));
            obstacle.explain(&mut answer, None);
            return ToolDecision::answer(answer);
        }
        let bookings = Bookings::of(date)?;
        let candidates: Vec<_> = bookings
            .iter()
            .filter(|booking| self.means(booking, call))
            .collect();
        match candidates.as_slice() {
            [] => not_found(),
            [booking] => cancel(&desk, date, booking),
            several => which_one(several),
        }
    }
}

impl CancelAppointment {
    fn means(&self, booking: &Booking, call: &Call) -> bool {
        let at_that_time = self.time.is_none_or(|TimeOfDay(time)| booking.time == time);
        let by_right = match &self.reference {
            Some(reference) => is_reference(reference, &booking.reference),
            None => booking.belongs_to(call),
        };
        at_that_time && by_right
    }
}

/// References are spoken, so `k7m-2qd` is as good as `K7M2QD`.
fn is_reference(spoken: &str, reference: &str) -> bool {
    let letters = spoken.chars().filter(char::is_ascii_alphanumeric);
    letters
        .map(|letter| letter.to_ascii_uppercase())
        .eq(reference.chars())
}

fn cancel(desk: &Desk, date: Date, booking: &Booking) -> Result<ToolDecision> {
    match bookings::cancel(date, &booking.reference, &desk.now) {
        Ok(true) => {
            log::info!("{} is cancelled", booking.reference);
            let mut answer = desk.about(date);
            answer.insert("cancelled".to_owned(), json!(true));
            answer.insert("reference".to_owned(), json!(booking.reference));
            answer.insert("time".to_owned(), json!(hh_mm(booking.time)));
            ToolDecision::answer(answer)
        }
        Ok(false) => not_found(),
        Err(error) => bookings::busy("cancelled", error),
    }
}

fn not_found() -> Result<ToolDecision> {
    ToolDecision::answer(json!({
        "cancelled": false,
        "reason": "not_found",
        "message": "There is no such appointment on that day for this caller. \
                    Ask for the reference, or whether the day is right.",
    }))
}

fn which_one(bookings: &[&Booking]) -> Result<ToolDecision> {
    let mut starts: Vec<_> = bookings.iter().map(|booking| booking.time).collect();
    starts.sort_unstable();
    ToolDecision::answer(json!({
        "cancelled": false,
        "reason": "which_one",
        "message": "The caller has several appointments on that day. Ask which one.",
        "times": times(&starts),
    }))
}
