//! What was acknowledged, held against what arrived.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Of one field. Events are known by their id.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    acknowledged: HashMap<String, Instant>,
    refused: usize,
    /// When each event first arrived.
    arrived: HashMap<String, Instant>,
    ids: HashSet<String>,
    duplicates: usize,
}

/// What they come to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Balance {
    pub(super) acknowledged: usize,
    pub(super) delivered: usize,
    pub(super) duplicates: usize,
    /// Notices that the server said it cannot take.
    pub(super) refused: usize,
}

impl Ledger {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The platform was told that an event is taken, which it sent at that time.
    pub(super) fn acknowledged(&self, event: String, sent: Instant) {
        self.books().acknowledged.insert(event, sent);
    }

    pub(super) fn refused(&self) {
        self.books().refused += 1;
    }

    /// The receiver took an event, and said so.
    pub(super) fn arrived(&self, event: String, id: String) {
        let mut books = self.books();
        books.arrived.entry(event).or_insert_with(Instant::now);
        if !books.ids.insert(id) {
            books.duplicates += 1;
        }
    }

    pub(super) fn balance(&self) -> Balance {
        let books = self.books();
        let delivered = books.acknowledged.keys();
        let delivered = delivered.filter(|event| books.arrived.contains_key(*event));
        Balance {
            acknowledged: books.acknowledged.len(),
            delivered: delivered.count(),
            duplicates: books.duplicates,
            refused: books.refused,
        }
    }

    /// From sending to arrival, sorted, in milliseconds: of what was sent since then.
    pub(super) fn latencies(&self, since: Instant) -> Vec<f64> {
        let books = self.books();
        let sent = books.acknowledged.iter().filter(|(_, at)| **at >= since);
        let mut latencies: Vec<f64> = sent
            .filter_map(|(event, sent)| {
                let arrived = books.arrived.get(event)?;
                Some(arrived.saturating_duration_since(*sent).as_secs_f64() * 1000.0)
            })
            .collect();
        latencies.sort_unstable_by(f64::total_cmp);
        latencies
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_acknowledged_and_not_there_is_missing_and_what_is_there_twice_is_a_duplicate() {
        let ledger = Ledger::default();
        let now = Instant::now();
        for event in ["a", "b"] {
            ledger.acknowledged(event.to_owned(), now);
        }
        for (event, id) in [("a", "1"), ("a", "1"), ("never acknowledged", "2")] {
            ledger.arrived(event.to_owned(), id.to_owned());
        }
        let balance = ledger.balance();
        assert_eq!((balance.acknowledged, balance.delivered), (2, 1));
        assert_eq!(balance.duplicates, 1);
        assert_eq!(ledger.latencies(now).len(), 1);
    }
}
