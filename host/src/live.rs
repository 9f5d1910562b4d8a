//! What is recorded, as it happens, for those who listen.
//!
//! `call` and `delivery` tell what they have stored, after the commit, so what is heard
//! can be read back; `http` listens. Each organization has a channel of its own, made for
//! its first listener and gone with its last: none hears or times another's, and where
//! nobody listens, telling costs the look at one number.
//!
//! A channel holds a bounded number of entries. Who reads too slowly loses the oldest and
//! is told how many; nobody waits for a reader.

mod feed;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::broadcast;

pub use self::feed::{Feed, Heard};
use crate::domain::id::OrganizationId;
use crate::domain::timeline::Entry;

/// Entries that the slowest listener may be behind.
const BEHIND: usize = 4_096;

/// Nobody more can listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error(
        "this organization has {most} streams open, which is the most: end one of them first",
        most = Live::PER_ORGANIZATION
    )]
    Organization,
    #[error("this server has as many streams open as it can; try again later")]
    Server,
    #[error("this server is stopping; try again once it is up")]
    Stopping,
}

/// Who listens. One for the process.
#[derive(Debug, Default)]
pub struct Live {
    /// Of all organizations.
    listeners: AtomicUsize,
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    closed: bool,
    channels: HashMap<OrganizationId, Channel>,
}

#[derive(Debug)]
struct Channel {
    sender: broadcast::Sender<Arc<Entry>>,
    listeners: usize,
}

/// Those of one organization who listen now.
#[derive(Debug)]
pub struct Audience(broadcast::Sender<Arc<Entry>>);

impl Audience {
    pub fn tell(&self, entries: impl IntoIterator<Item = Entry>) {
        for entry in entries {
            // An error says that the last listener has just left.
            let _ = self.0.send(Arc::new(entry));
        }
    }
}

impl Live {
    /// Listeners of one organization.
    pub const PER_ORGANIZATION: usize = 16;
    /// Listeners of all organizations.
    pub const PER_SERVER: usize = 256;

    /// Whom to tell of what was stored; none where nobody listens. To be asked after the
    /// commit: who listens from now on reads it from the store.
    pub fn audience(&self, organization: OrganizationId) -> Option<Audience> {
        if self.listeners.load(Ordering::SeqCst) == 0 {
            return None;
        }
        let state = self.read();
        let channel = state.channels.get(&organization)?;
        Some(Audience(channel.sender.clone()))
    }

    /// Listens to an organization from now on.
    pub fn listen(self: &Arc<Self>, organization: OrganizationId) -> Result<Listening, Refused> {
        let mut state = self.write();
        if state.closed {
            return Err(Refused::Stopping);
        }
        if self.listeners.load(Ordering::SeqCst) >= Self::PER_SERVER {
            return Err(Refused::Server);
        }
        let channel = state.channels.entry(organization);
        let channel = channel.or_insert_with(|| Channel {
            sender: broadcast::Sender::new(BEHIND),
            listeners: 0,
        });
        if channel.listeners >= Self::PER_ORGANIZATION {
            return Err(Refused::Organization);
        }
        channel.listeners += 1;
        self.listeners.fetch_add(1, Ordering::SeqCst);
        Ok(Listening {
            heard: channel.sender.subscribe(),
            _place: Place {
                live: Arc::clone(self),
                organization,
            },
        })
    }

    /// Ends every listening, and lets nobody listen any more: a server that stops does
    /// not wait for streams, which have no end of their own.
    pub fn close(&self) {
        let mut state = self.write();
        state.closed = true;
        state.channels.clear();
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who listens, until it is dropped.
#[derive(Debug)]
pub struct Listening {
    heard: broadcast::Receiver<Arc<Entry>>,
    _place: Place,
}

/// A listener's place, given back when it is dropped.
#[derive(Debug)]
struct Place {
    live: Arc<Live>,
    organization: OrganizationId,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.live.write();
        self.live.listeners.fetch_sub(1, Ordering::SeqCst);
        if let Some(channel) = state.channels.get_mut(&self.organization) {
            channel.listeners -= 1;
            if channel.listeners == 0 {
                state.channels.remove(&self.organization);
            }
        }
    }
}

#[cfg(test)]
mod tests;
