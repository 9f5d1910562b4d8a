//! Takes memory back from plugins that nobody calls.
//!
//! A compiled form is mapped from its file, and the kernel maps sixteen pages around
//! each one that is touched: who is called once has nearly all of it resident, 1.6 MB
//! of an ordinary plugin, and a thousand customers' plugins take more memory than all
//! else the server has. So whose last call is a while ago gives its pages back. They
//! stay in the system's file cache for as long as there is room; the next call maps again
//! what it touches of them, which costs it some tens of microseconds.
//!
//! What Wasmtime knows of a plugin (types, names, places of functions) is another 65 KB,
//! and its memories in the pool are more. Of those whose last call is long ago, only so
//! many keep that; the others are loaded again from their compiled form when they are
//! called.

use std::cmp::Reverse;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use moka::future::Cache;

use super::compiled;
use super::loaded::Loaded;
use crate::domain::plugin::Digest;

/// From one look at all plugins to the next.
const ROUND: Duration = Duration::from_millis(250);

/// The round after its last call in which a plugin gives its pages back.
const COLD: u32 = 2;

/// And from which on it is kept only if few are: for as long as this, loading it anew
/// for each call would be no work to speak of.
const LONG_IDLE: u32 = 40;

/// Plugins that are kept ready although their last call is long ago.
pub(super) const IDLE_KEPT: usize = 64;

/// Rounds since a plugin's last call.
#[derive(Debug)]
pub(super) struct Warmth(AtomicU32);

impl Default for Warmth {
    /// Loading touches pages as well.
    fn default() -> Self {
        Self(AtomicU32::new(COLD - 1))
    }
}

impl Warmth {
    /// Somebody calls it.
    pub(super) fn note(&self) {
        // Most often it is as it was; then nobody's cache is disturbed.
        if self.0.load(Ordering::Relaxed) != 0 {
            self.0.store(0, Ordering::Relaxed);
        }
    }

    /// A round has passed: which one it was since the last call.
    fn pass(&self) -> u32 {
        let before = self.0.load(Ordering::Relaxed);
        let round = before.saturating_add(1);
        // A call meanwhile counts.
        let passed = self
            .0
            .compare_exchange(before, round, Ordering::Relaxed, Ordering::Relaxed);
        passed.map_or(0, |_| round)
    }
}

/// Looks again and again at all plugins that are loaded.
pub(super) async fn take_back(loaded: Cache<Digest, Arc<Loaded>>) {
    loop {
        tokio::time::sleep(ROUND).await;
        let mut idle = Vec::new();
        for (digest, plugin) in &loaded {
            let round = plugin.warmth.pass();
            if round == COLD {
                compiled::give_back(plugin.pre.component());
            }
            if round >= LONG_IDLE {
                idle.push((round, *digest));
            }
        }
        unload(&loaded, surplus(idle)).await;
    }
}

/// Forgets plugins. Their memory comes back once their last call has ended.
async fn unload<P>(loaded: &Cache<Digest, Arc<P>>, gone: impl Iterator<Item = Digest>)
where
    P: Send + Sync + 'static,
{
    for digest in gone {
        loaded.invalidate(&digest).await;
    }
    // Or the cache holds them until somebody uses it.
    loaded.run_pending_tasks().await;
}

/// Those whose last call is the longest ago, beyond those that are kept.
fn surplus(mut idle: Vec<(u32, Digest)>) -> impl Iterator<Item = Digest> {
    idle.sort_unstable_by_key(|&(round, _)| Reverse(round));
    let more = idle.len().saturating_sub(IDLE_KEPT);
    idle.into_iter().take(more).map(|(_, digest)| digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_called_is_left_alone_for_a_round() {
        let warmth = Warmth::default();
        warmth.note();
        assert_eq!(warmth.pass(), 1);
        warmth.note();
        assert_eq!(warmth.pass(), 1);
        assert_eq!(warmth.pass(), COLD);
        assert_eq!(
            warmth.pass(),
            COLD + 1,
            "there is nothing more to give back"
        );
    }

    #[test]
    fn who_was_only_loaded_gives_back() {
        assert_eq!(Warmth::default().pass(), COLD);
    }

    #[tokio::test]
    async fn who_is_unloaded_is_gone_though_nobody_calls_anything() {
        let loaded = Cache::new(1_000);
        let digests: Vec<Digest> = (0..10_u8).map(|n| Digest::of(&[n])).collect();
        let mut plugins = Vec::new();
        for digest in &digests {
            let plugin = Arc::new(());
            plugins.push(Arc::downgrade(&plugin));
            loaded.insert(*digest, plugin).await;
        }
        unload(&loaded, digests.into_iter()).await;
        let there = plugins.iter().filter(|it| it.strong_count() > 0).count();
        assert_eq!(there, 0);
    }

    #[test]
    fn of_those_idle_for_long_the_longest_go() {
        let digest = |number: u32| Digest::of(&number.to_le_bytes());
        let idle = |count: u32| (0..count).map(|n| (LONG_IDLE + n, digest(n))).collect();
        let kept = u32::try_from(IDLE_KEPT).unwrap();
        assert_eq!(surplus(idle(kept)).count(), 0);
        let gone: Vec<Digest> = surplus(idle(kept + 2)).collect();
        assert_eq!(gone, [digest(kept + 1), digest(kept)]);
    }
}
