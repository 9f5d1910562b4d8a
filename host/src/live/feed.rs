//! What one listener hears: first what it has missed, out of the store, then what happens.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use tokio::sync::broadcast::error::RecvError;

use super::Listening;
use crate::domain::id::EventId;
use crate::domain::timeline::{Entry, Identity, Wanted};

/// One thing that is heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    Entry(Arc<Entry>),
    /// Entries are missing here: at most so many that were wanted, where that is known.
    Gap(Option<u64>),
}

/// What one listener hears, in order.
#[derive(Debug)]
pub struct Feed {
    listening: Listening,
    wanted: Wanted,
    missed: VecDeque<Heard>,
    /// What was read from the store may also be told.
    seen: HashSet<Identity>,
    newest: EventId,
}

impl Feed {
    /// Of somebody who has heard of that event, and of nothing newer.
    pub fn new(listening: Listening, wanted: Wanted, newest: EventId) -> Self {
        Self {
            listening,
            wanted,
            missed: VecDeque::new(),
            seen: HashSet::new(),
            newest,
        }
    }

    /// Puts first what was missed, read from the store after the listening began;
    /// `complete` says whether that is all of it.
    pub fn catch_up(&mut self, entries: Vec<Entry>, complete: bool) {
        if !complete {
            self.missed.push_back(Heard::Gap(None));
        }
        self.seen = entries.iter().map(Entry::identity).collect();
        let entries = entries.into_iter().map(Arc::new).map(Heard::Entry);
        self.missed.extend(entries);
    }

    /// Says that so much time has passed that nothing is told any more of what was stored
    /// before the catching up.
    pub fn caught_up(&mut self) {
        if self.missed.is_empty() {
            self.seen = HashSet::new();
        }
    }

    /// The newest event that was heard of, whether it was wanted or not: who comes again
    /// goes on from there.
    pub fn newest(&self) -> EventId {
        self.newest
    }

    /// Waits for what is next; none when there is no more. May be dropped while it waits.
    pub async fn next(&mut self) -> Option<Heard> {
        while let Some(missed) = self.missed.pop_front() {
            if let Some(heard) = self.if_wanted(missed) {
                return Some(heard);
            }
        }
        loop {
            let heard = match self.listening.heard.recv().await {
                Ok(entry) if self.seen.remove(&entry.identity()) => continue,
                Ok(entry) => Heard::Entry(entry),
                Err(RecvError::Lagged(entries)) => Heard::Gap(Some(entries)),
                Err(RecvError::Closed) => return None,
            };
            if let Some(heard) = self.if_wanted(heard) {
                return Some(heard);
            }
        }
    }

    fn if_wanted(&mut self, heard: Heard) -> Option<Heard> {
        if let Heard::Entry(entry) = &heard {
            self.newest = self.newest.max(entry.about.event);
            if !self.wanted.is(entry) {
                return None;
            }
        }
        Some(heard)
    }
}
