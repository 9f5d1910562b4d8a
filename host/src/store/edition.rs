//! Editions: whether a copy of what an organization has set up is still good.
//!
//! Every change of a set-up ([`super::setup`]) begins a new edition of its organization
//! alone, so that one customer who changes much makes nobody else's copies stale.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::domain::id::OrganizationId;

/// What an organization had set up at some time.
#[derive(Debug, Clone)]
pub struct Edition {
    number: u64,
    newest: Arc<AtomicU64>,
}

impl Edition {
    /// Whether nothing was changed since.
    pub fn is_current(&self) -> bool {
        self.newest.load(Ordering::Acquire) == self.number
    }

    /// Each edition of the organization has another.
    pub fn number(&self) -> u64 {
        self.number
    }
}

/// The newest of each organization, as far as anybody has asked.
#[derive(Debug, Default)]
pub(super) struct Editions(RwLock<HashMap<OrganizationId, Arc<AtomicU64>>>);

impl Editions {
    pub(super) fn of(&self, organization: OrganizationId) -> Edition {
        let newest = self.newest(organization);
        Edition {
            number: newest.load(Ordering::Acquire),
            newest,
        }
    }

    /// To be called after the commit of a change.
    pub(super) fn changed(&self, organization: OrganizationId) {
        self.newest(organization).fetch_add(1, Ordering::AcqRel);
    }

    fn newest(&self, organization: OrganizationId) -> Arc<AtomicU64> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(newest) = known.get(&organization) {
            return Arc::clone(newest);
        }
        drop(known);
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(organization).or_default())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_change_ends_the_edition_of_its_organization_only() {
        let editions = Editions::default();
        let [ours, theirs] = [1, 2].map(|n| OrganizationId::from(Uuid::from_u128(n)));
        let (before, others) = (editions.of(ours), editions.of(theirs));
        assert!(before.is_current());
        editions.changed(ours);
        assert!(!before.is_current());
        assert!(others.is_current());
        let after = editions.of(ours);
        assert!(after.is_current());
        assert_ne!(after.number(), before.number());
    }
}
