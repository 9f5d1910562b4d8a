//! What is owed to endpoints, and what came of it.
//!
//! `queue` gives deliveries to workers, `log` shows them to people, `retry` owes one once
//! more, `health` is what an endpoint's latest attempts say of it. What a worker says came
//! of an attempt is written by `journal::Settlement`.

mod health;
mod log;
mod queue;
mod retry;

pub use self::health::Health;
pub use self::log::{DeliveryFilter, DeliverySummary, StoredAttempt};
pub use self::queue::{Claim, Claimed, ClaimedBody};
use super::StoreError;
use crate::domain::id::DeliveryId;

fn missing(id: DeliveryId) -> StoreError {
    StoreError::NotFound {
        what: "delivery",
        id: id.to_string(),
    }
}

#[cfg(test)]
mod tests;
