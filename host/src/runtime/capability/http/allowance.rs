//! What is left of a call's requests and body bytes. Bodies go on in tasks of their
//! own, so the counters are shared.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::domain::limits::CallLimits;

#[derive(Debug, Clone)]
pub(super) struct Allowance {
    left: Arc<Left>,
}

#[derive(Debug)]
struct Left {
    requests: AtomicU32,
    bytes: AtomicU64,
}

/// There is not as much left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exhausted;

impl Allowance {
    pub(super) fn new(limits: &CallLimits) -> Self {
        Self {
            left: Arc::new(Left {
                requests: limits.http_requests.into(),
                bytes: limits.http_bytes.into(),
            }),
        }
    }

    pub(super) fn take_request(&self) -> Result<(), Exhausted> {
        let take = |left: u32| left.checked_sub(1);
        let taken = self
            .left
            .requests
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        taken.map(drop).map_err(|_| Exhausted)
    }

    pub(super) fn take_bytes(&self, bytes: usize) -> Result<(), Exhausted> {
        let take = |left: u64| left.checked_sub(bytes as u64);
        let taken = self
            .left
            .bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        taken.map(drop).map_err(|_| Exhausted)
    }

    /// Whether a body of that size can be taken at all.
    pub(super) fn has_room(&self, bytes: u64) -> bool {
        bytes <= self.left.bytes.load(Ordering::Relaxed)
    }
}
