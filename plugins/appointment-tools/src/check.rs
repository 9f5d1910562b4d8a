//! `check_availability`: what is free on a day.

use hookswitch_sdk::{Call, Result, Tool, ToolDecision, json};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    arguments::Day,
    bookings::Bookings,
    desk::{Desk, Obstacle, times},
};

/// Tells which appointment slots are free on a day. Use it before booking.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct CheckAvailability {
    /// The day, written as YYYY-MM-DD.
    date: Day,
    /// What the appointment is for.
    service: Option<String>,
}

impl Tool for CheckAvailability {
    const NAME: &'static str = "check_availability";

    fn call(self, _call: &Call) -> Result<ToolDecision> {
        let desk = Desk::open()?;
        let Day(date) = self.date;
        let service = match desk.service(self.service) {
            Ok(service) => service,
            Err(problem) => return ToolDecision::invalid_argument("service", &problem),
        };
        let mut free = Vec::new();
        let mut obstacle = desk.obstacle(date);
        if obstacle.is_none() {
            free = desk.free_slots(date, &Bookings::of(date)?);
            obstacle = free.is_empty().then(|| Obstacle::fully_booked(date));
        }

        let mut answer = desk.about(date);
        if let Some(service) = service {
            answer.insert("service".to_owned(), json!(service));
        }
        answer.insert("available".to_owned(), json!(!free.is_empty()));
        answer.insert("slots".to_owned(), times(&free));
        if let Some(obstacle) = obstacle {
            obstacle.explain(&mut answer, desk.next_date(date)?);
        }
        ToolDecision::answer(answer)
    }
}
