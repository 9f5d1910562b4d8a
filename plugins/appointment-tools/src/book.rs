//! `book_appointment`: takes a slot, once.

use hookswitch_sdk::{
    Call, Result, Tool, ToolDecision, context, json, log,
    serde_json::{Map, Value},
};
use jiff::civil::{Date, Time};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    arguments::{Day, TimeOfDay, hh_mm},
    bookings::{self, Booked, Booking, Bookings},
    desk::{Desk, times},
    slots::nearest,
};

/// So many other times are offered when the wanted one cannot be had.
const ALTERNATIVES: usize = 4;

/// Books an appointment. Confirm day and time with the caller first, and tell
/// them the reference afterwards.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct BookAppointment {
    /// The day, written as YYYY-MM-DD.
    date: Day,
    /// When it begins, written as HH:MM: one of the slots of `check_availability`.
    time: TimeOfDay,
    /// What the appointment is for.
    service: Option<String>,
    /// The name of the person it is for.
    name: Option<String>,
}

impl Tool for BookAppointment {
    const NAME: &'static str = "book_appointment";

    fn call(self, call: &Call) -> Result<ToolDecision> {
        let desk = Desk::open()?;
        let (Day(date), TimeOfDay(time)) = (self.date, self.time);
        let service = match desk.service(self.service) {
            Ok(service) => service,
            Err(problem) => return ToolDecision::invalid_argument("service", &problem),
        };
        if let Some(obstacle) = desk.obstacle(date) {
            let mut answer = desk.about(date);
            answer.insert("booked".to_owned(), json!(false));
            obstacle.explain(&mut answer, desk.next_date(date)?);
            return ToolDecision::answer(answer);
        }
        if !desk.slots_on(date).contains(&time) {
            let message = format!("There is no appointment at {} on that day.", hh_mm(time));
            return offer_others(
                &desk,
                date,
                time,
                "no_such_slot",
                &message,
                &Bookings::of(date)?,
            );
        }
        let booking = Booking {
            reference: reference(call, date, time),
            time,
            minutes: desk.settings.slot_minutes,
            call_id: call.call_id.clone(),
            phone: call.other_party().map(str::to_owned),
            service,
            name: self.name,
        };
        match bookings::book(date, &booking, &desk.now) {
            Ok(Booked::Stands(booking)) => {
                log::info!("{} is booked for {date} {}", booking.reference, hh_mm(time));
                ToolDecision::answer(confirmation(&desk, date, &booking))
            }
            Ok(Booked::Taken(bookings)) => {
                let message = format!("{} is already taken.", hh_mm(time));
                offer_others(&desk, date, time, "taken", &message, &bookings)
            }
            Err(error) => bookings::busy("booked", error),
        }
    }
}

fn confirmation(desk: &Desk, date: Date, booking: &Booking) -> Map<String, Value> {
    let mut answer = desk.about(date);
    answer.insert("booked".to_owned(), json!(true));
    answer.insert("reference".to_owned(), json!(booking.reference));
    answer.insert("time".to_owned(), json!(hh_mm(booking.time)));
    for (field, value) in [("service", &booking.service), ("name", &booking.name)] {
        if let Some(value) = value {
            answer.insert(field.to_owned(), json!(value));
        }
    }
    answer
}

fn offer_others(
    desk: &Desk,
    date: Date,
    wanted: Time,
    reason: &str,
    message: &str,
    bookings: &Bookings,
) -> Result<ToolDecision> {
    let free = desk.free_slots(date, bookings);
    let mut answer = desk.about(date);
    answer.insert("booked".to_owned(), json!(false));
    answer.insert("reason".to_owned(), json!(reason));
    answer.insert("message".to_owned(), json!(message));
    answer.insert(
        "alternatives".to_owned(),
        times(&nearest(&free, wanted, ALTERNATIVES)),
    );
    if free.is_empty()
        && let Some(next) = desk.next_date(date)?
    {
        answer.insert("next_date".to_owned(), json!(next.to_string()));
    }
    ToolDecision::answer(answer)
}

/// Six letters and digits that can be told on the phone: nothing that sounds or
/// looks like something else. Made of the call, which strangers do not know.
fn reference(call: &Call, date: Date, time: Time) -> String {
    const LETTERS: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
    let call = if call.call_id.is_empty() {
        context::event_id()
    } else {
        call.call_id.clone()
    };
    let mut hash = fnv1a(&format!("{call} {date} {time}"));
    let letter = || {
        let letter = LETTERS[(hash % 32) as usize];
        hash /= 32;
        char::from(letter)
    };
    std::iter::repeat_with(letter).take(6).collect()
}

/// FNV-1a, 64 bits: spreads similar texts well, keeps no secret.
fn fnv1a(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}
