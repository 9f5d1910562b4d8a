//! Three tools for an agent that makes appointments: `check_availability`,
//! `book_appointment` and `cancel_appointment`. Bookings are kept in the
//! plugin's key-value store, and no slot is ever booked twice.
//!
//! # Settings
//!
//! All are optional.
//!
//! | setting | what it is | default |
//! |---|---|---|
//! | `hours`, `closed_on`, `time_zone` | when appointments are: see the crate `opening-hours`; hours must not run past midnight | Monday to Friday 09:00-17:00, UTC |
//! | `slot_minutes` | how long an appointment is, 5 to 480 | `30` |
//! | `services` | what can be booked; empty: anything | `[]` |
//! | `book_ahead_days` | how far ahead, 1 to 730 | `90` |
//! | `past_dates` | `"refuse"` or `"allow"`, see below | `"refuse"` |
//!
//! ```json
//! {
//!   "time_zone": "America/Los_Angeles",
//!   "hours": {"monday": ["09:00-12:00", "13:00-17:00"], "saturday": ["10:00-14:00"]},
//!   "closed_on": ["2025-12-25"],
//!   "slot_minutes": 60,
//!   "services": ["consultation", "cleaning"]
//! }
//! ```
//!
//! # What the model is told
//!
//! Answers are JSON a language model can speak from. When something cannot be
//! had, `reason` says why in one word, `message` in a sentence, and the answer
//! offers what can be had instead.
//!
//! ```json
//! {"date": "2025-10-25", "weekday": "Saturday", "service": "consultation", "available": true,
//!  "slots": ["10:00", "11:00"], "slot_minutes": 60, "time_zone": "America/Los_Angeles"}
//! {"date": "2025-10-26", "weekday": "Sunday", "available": false, "slots": [], "reason": "closed",
//!  "message": "We are closed on Sunday, 2025-10-26.", "next_date": "2025-10-27"}
//! {"booked": true, "reference": "K7M2QD", "date": "2025-10-25", "weekday": "Saturday", "time": "10:00",
//!  "service": "consultation", "slot_minutes": 60, "time_zone": "America/Los_Angeles"}
//! {"booked": false, "reason": "taken", "message": "…", "alternatives": ["11:00", "12:00"]}
//! {"cancelled": true, "reference": "K7M2QD", "date": "2025-10-25", "weekday": "Saturday", "time": "10:00"}
//! ```
//!
//! Reasons: `date_is_past`, `too_far_ahead`, `closed`, `fully_booked`, `taken`,
//! `no_such_slot`, `not_found`, `which_one`, `busy`. Arguments that are no date,
//! time or service are answered with `{"error": …, "field": …}`.
//!
//! # Rules
//!
//! - "Now" is when the host received the tool call. A day before today, and
//!   today's slots that have begun, are `date_is_past` or no longer offered.
//!   With `past_dates` `"allow"`, time is ignored: for demonstrations and
//!   replays, whose payloads have dates of long ago.
//! - A call that books a slot it has booked already gets the same booking again:
//!   models repeat themselves when a connection is slow.
//! - An appointment can be cancelled by who names its reference, and by who calls
//!   from the number that booked it, or in the same call.
//! - Bookings are forgotten 30 days after their day.
//!
//! # In here
//!
//! One file per tool (`check.rs`, `book.rs`, `cancel.rs`); `desk.rs` is what
//! they share, settings and the time; `slots.rs` divides a day into slots,
//! `bookings.rs` keeps a day's bookings, `arguments.rs` reads dates and times.

mod arguments;
mod book;
mod bookings;
mod cancel;
mod check;
mod desk;
mod settings;
mod slots;

use self::{book::BookAppointment, cancel::CancelAppointment, check::CheckAvailability};

struct AppointmentTools;

hookswitch_sdk::toolbox!(AppointmentTools: CheckAvailability, BookAppointment, CancelAppointment);
hookswitch_sdk::export!(AppointmentTools: tools);

#[cfg(test)]
mod tests;
