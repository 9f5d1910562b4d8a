//! Rows put together to a page's entries, and where the page ends.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::rows::{AttemptRow, DecisionRow, DeliveryRow, EventRow, LineRow};
use crate::domain::id::BindingId;
use crate::domain::log::Level;
use crate::domain::plugin::Name;
use crate::domain::timeline::{About, Entry, Said, What, shortened};
use crate::store::{StoreError, row};

/// Where what was read ends.
pub(super) struct Cut {
    first: Uuid,
    /// The first event of which not all is there.
    at: Option<Uuid>,
}

impl Cut {
    /// Nothing is cut yet of what begins with that event.
    pub(super) fn none_of(first: Uuid) -> Self {
        Self { first, at: None }
    }

    /// Takes away what is more than was to be read.
    pub(super) fn limit<R>(&mut self, rows: &mut Vec<R>, most: usize, event: impl Fn(&R) -> Uuid) {
        if let Some(incomplete) = rows.get(most).map(event) {
            self.at = Some(self.at.map_or(incomplete, |at| at.min(incomplete)));
        }
        rows.truncate(most);
    }

    pub(super) fn within_first(&self) -> bool {
        self.at == Some(self.first)
    }

    /// Whether all of an event is there, or it is the one that has too much for any page.
    pub(super) fn covers(&self, event: Uuid) -> bool {
        self.at.is_none_or(|at| event < at) || event == self.first
    }
}

/// Entries that are being put together. What belongs to no event of it is left out.
pub(super) struct Page {
    abouts: HashMap<Uuid, Arc<About>>,
    /// Who was asked, to name who said a line.
    plugins: HashMap<(Uuid, BindingId), Name>,
    decided_at: HashMap<Uuid, Timestamp>,
    entries: Vec<Entry>,
}

impl Page {
    pub(super) fn new(events: &[EventRow]) -> Result<Self, StoreError> {
        let mut page = Self {
            abouts: HashMap::new(),
            plugins: HashMap::new(),
            decided_at: HashMap::new(),
            entries: Vec::new(),
        };
        for event in events {
            page.abouts.insert(event.id, event.about()?);
            let platform_type = event.platform_type.clone();
            let at = row::timestamp(event.received_at, "event.received_at")?;
            page.push(event.id, at, What::Event { platform_type });
        }
        Ok(page)
    }

    fn push(&mut self, event: Uuid, at: Timestamp, what: What) {
        if let Some(about) = self.abouts.get(&event).cloned() {
            self.entries.push(Entry { at, about, what });
        }
    }

    pub(super) fn decisions(&mut self, rows: Vec<DecisionRow>) -> Result<(), StoreError> {
        for decision in rows {
            let event = decision.event_id;
            let at = row::timestamp(decision.decided_at, "decision.decided_at")?;
            let decided = decision.read()?;
            for asked in &decided.invocations {
                let plugin = asked.plugin.clone();
                self.plugins.insert((event, asked.binding), plugin);
            }
            self.decided_at.insert(event, at);
            self.push(event, at, What::Decision(decided));
        }
        Ok(())
    }

    /// Lines are kept with the decision, whose time is theirs.
    pub(super) fn lines(&mut self, rows: Vec<LineRow>) -> Result<(), StoreError> {
        for line in rows {
            let Some(&at) = self.decided_at.get(&line.event_id) else {
                continue;
            };
            let binding = line.binding_id.into();
            let level: Result<Level, _> = serde_json::from_value(line.level.into());
            let said = Said {
                number: line.number,
                binding,
                plugin: self.plugins.get(&(line.event_id, binding)).cloned(),
                level: level.map_err(|e| StoreError::corrupt("log_line.level", e))?,
                message: shortened(&line.message),
            };
            self.push(line.event_id, at, What::Log(said));
        }
        Ok(())
    }

    pub(super) fn deliveries(
        &mut self,
        rows: Vec<DeliveryRow>,
        attempts: Vec<AttemptRow>,
    ) -> Result<(), StoreError> {
        let mut known = HashMap::new();
        for delivery in rows {
            let owed = delivery.read()?;
            if !delivery.forwarded {
                let at = row::timestamp(delivery.created_at, "delivery.created_at")?;
                self.push(delivery.event_id, at, What::Delivery(owed.clone()));
            }
            known.insert(delivery.id, (delivery, owed));
        }
        for attempt in attempts {
            if let Some((delivery, owed)) = known.get(&attempt.delivery_id) {
                let at = row::timestamp(attempt.started_at, "attempt.started_at")?;
                let tried = attempt.read(owed);
                let what = if delivery.forwarded {
                    What::Forward(tried)
                } else {
                    What::Attempt(tried)
                };
                self.push(delivery.event_id, at, what);
            }
        }
        Ok(())
    }

    /// Says at the end that an event has more than is read.
    pub(super) fn left_out(&mut self, event: Uuid) {
        let last = self.entries.iter().map(|entry| entry.at).max();
        let at = last.unwrap_or(Timestamp::UNIX_EPOCH);
        self.push(event, at, What::LeftOut { lines: None });
    }

    /// In the order in which it happened.
    pub(super) fn entries(mut self) -> Vec<Entry> {
        self.entries.sort_by_key(Entry::order);
        self.entries
    }
}
