//! Takes memory back from plugins that nobody calls.
//!
//! A compiled form is mapped from its file, and the kernel maps sixteen pages around
//! each one that is touched: who is called once has nearly all of it resident, 1.6 MB
//! of an ordinary plugin, and a thousand customers' plugins take more memory than all
//! else the server has. So whose last call is a while ago gives its pages back. They
//! stay in the system's file cache for as long as there is room; the next call maps again
//! what it touches of them, which costs it some tens of microseconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use moka::future::Cache;

use super::compiled;
use super::loaded::Loaded;
use crate::domain::plugin::Digest;

/// Who was not called for as long as this, or up to twice as long, gives its pages back.
const IDLE: Duration = Duration::from_millis(250);

const COLD: u8 = 0;
const LEFT: u8 = 1;
const CALLED: u8 = 2;

/// How long ago a plugin was called, in as few steps as there have to be.
#[derive(Debug)]
pub(super) struct Warmth(AtomicU8);

impl Default for Warmth {
    /// Loading touches pages as well.
    fn default() -> Self {
        Self(AtomicU8::new(LEFT))
    }
}

impl Warmth {
    /// Somebody calls it.
    pub(super) fn note(&self) {
        // Most often it is as it was; then nobody's cache is disturbed.
        if self.0.load(Ordering::Relaxed) != CALLED {
            self.0.store(CALLED, Ordering::Relaxed);
        }
    }

    /// A while has passed. True when it shall give its pages back.
    fn pass(&self) -> bool {
        let step = |state| match state {
            CALLED => Some(LEFT),
            LEFT => Some(COLD),
            _ => None,
        };
        let before = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, step);
        before == Ok(LEFT)
    }
}

/// Looks again and again at all plugins that are loaded.
pub(super) async fn take_back(loaded: Cache<Digest, Arc<Loaded>>) {
    loop {
        tokio::time::sleep(IDLE).await;
        for (_, plugin) in &loaded {
            if plugin.warmth.pass() {
                compiled::give_back(plugin.pre.component());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_called_is_left_alone_once() {
        let warmth = Warmth::default();
        warmth.note();
        assert!(!warmth.pass());
        warmth.note();
        assert!(!warmth.pass());
        assert!(warmth.pass());
        assert!(!warmth.pass(), "there is nothing more to give back");
    }

    #[test]
    fn who_was_only_loaded_gives_back() {
        assert!(Warmth::default().pass());
    }
}
