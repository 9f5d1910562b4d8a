//! The worker that takes accepted notices to their event handlers.
//!
//! It claims under a lease and handles at least once: if the process dies, the
//! notices it held come up again. Handlers run beside each other, a bounded number
//! of them, so that questions always find room.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::call::Switch;
use crate::store::Store;
use crate::store::event::ClaimedNotice;

/// How long a claim holds: far longer than a handler may run.
const LEASE: SignedDuration = SignedDuration::from_mins(5);
/// How often pending notices are looked for without having been woken: for those
/// whose lease ended or that could not be recorded.
const SWEEP: Duration = Duration::from_secs(1);

/// Runs until cancelled; then finishes what it has begun.
pub async fn run(switch: Arc<Switch>, store: Store, at_once: u16, stop: CancellationToken) {
    if let Err(error) = store.release_notices().await {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "pending notices wait for their leases"
        );
    }
    let mut running = JoinSet::new();
    while !stop.is_cancelled() {
        while running.try_join_next().is_some() {}
        let taken = u16::try_from(running.len()).unwrap_or(at_once);
        let free = at_once.saturating_sub(taken);
        let claimed = if free == 0 {
            Vec::new()
        } else {
            claim(&store, free).await
        };
        let all_taken = claimed.len() < usize::from(free);
        for notice in claimed {
            let switch = Arc::clone(&switch);
            running.spawn(async move { handle(&switch, &notice).await });
        }
        if free == 0 {
            // Full: wait for one to end.
            tokio::select! {
                _ = running.join_next() => {}
                () = stop.cancelled() => {}
            }
        } else if all_taken {
            tokio::select! {
                () = switch.notice_accepted() => {}
                () = tokio::time::sleep(SWEEP) => {}
                () = stop.cancelled() => {}
            }
        }
    }
    while running.join_next().await.is_some() {}
}

async fn claim(store: &Store, limit: u16) -> Vec<ClaimedNotice> {
    let now = Timestamp::now();
    let claimed = match now.checked_add(LEASE) {
        Ok(until) => store.claim_notices(now, until, limit).await,
        Err(_) => Ok(Vec::new()),
    };
    claimed.unwrap_or_else(|error| {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "pending notices cannot be claimed"
        );
        Vec::new()
    })
}

async fn handle(switch: &Switch, notice: &ClaimedNotice) {
    // It stays pending, and its lease ends.
    if let Err(error) = switch.handle(notice).await {
        tracing::error!(event = %notice.event.id, error = &error as &dyn std::error::Error, "a notice could not be handled, it will be tried again");
    }
}
