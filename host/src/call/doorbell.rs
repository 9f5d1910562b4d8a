//! Tells the delivery worker, at once, that something came to be owed, or that there is
//! a job to do.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::domain::id::{EndpointId, OrganizationId};

/// An endpoint and whose it is.
pub type Addressee = (OrganizationId, EndpointId);

/// Rung after the commit. What is rung before anybody listens is kept.
#[derive(Debug, Default)]
pub struct Doorbell {
    rung: Mutex<HashSet<Addressee>>,
    notify: Notify,
    job: Notify,
}

impl Doorbell {
    pub fn ring(&self, addressees: impl IntoIterator<Item = Addressee>) {
        let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        rung.extend(addressees);
        if !rung.is_empty() {
            self.notify.notify_one();
        }
    }

    /// Waits until it rings, and says for whom.
    pub async fn heard(&self) -> HashSet<Addressee> {
        loop {
            let rung = {
                let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
                std::mem::take(&mut *rung)
            };
            if !rung.is_empty() {
                return rung;
            }
            self.notify.notified().await;
        }
    }

    /// Rung after a job was stored.
    pub fn ring_for_job(&self) {
        self.job.notify_one();
    }

    /// Waits until there is a job to do.
    pub async fn heard_of_job(&self) {
        self.job.notified().await;
    }
}
