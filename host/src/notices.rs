//! The worker that takes accepted notices to their event handlers.
//!
//! It claims under a lease and handles at least once: if the process dies, the
//! notices it held come up again. Handlers run beside each other, a bounded number
//! of them, so that questions always find room.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::call::Switch;
use crate::store::Store;
use crate::store::notice::ClaimedNotice;

/// Notices claimed in one go.
const CLAIM: u16 = 256;
/// How long a claim holds: far longer than it takes to handle [`CLAIM`] notices, and
/// how long a notice waits whose handling could not be recorded.
const LEASE: SignedDuration = SignedDuration::from_mins(10);
/// How often pending notices are looked for without having been woken.
const SWEEP: Duration = Duration::from_secs(1);

/// Runs until told to stop; then finishes what it has begun.
pub async fn run(switch: Arc<Switch>, store: Store, at_once: u16, stop: CancellationToken) {
    // This server is the only one on its data folder, so leases of its predecessor
    // hold nobody.
    if let Err(error) = store.release_notices().await {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "pending notices wait for their leases"
        );
    }
    let mut claimed = VecDeque::new();
    let mut running = JoinSet::new();
    let mut may_be_more = true;
    while !stop.is_cancelled() {
        if claimed.is_empty() && may_be_more {
            claimed = claim(&store).await;
            may_be_more = claimed.len() == usize::from(CLAIM);
        }
        while running.len() < usize::from(at_once)
            && let Some(notice) = claimed.pop_front()
        {
            let switch = Arc::clone(&switch);
            running.spawn(async move { handle(&switch, &notice).await });
        }
        if claimed.is_empty() && may_be_more {
            continue;
        }
        tokio::select! {
            Some(_ended) = running.join_next() => {}
            () = switch.notice_accepted() => may_be_more = true,
            () = tokio::time::sleep(SWEEP) => may_be_more = true,
            () = stop.cancelled() => {}
        }
    }
    while running.join_next().await.is_some() {}
}

async fn claim(store: &Store) -> VecDeque<ClaimedNotice> {
    let now = Timestamp::now();
    let claimed = match now.checked_add(LEASE) {
        Ok(until) => store.claim_notices(now, until, CLAIM).await,
        Err(_) => Ok(Vec::new()),
    };
    match claimed {
        Ok(claimed) => claimed.into(),
        Err(error) => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "pending notices cannot be claimed"
            );
            VecDeque::new()
        }
    }
}

async fn handle(switch: &Switch, notice: &ClaimedNotice) {
    // It stays pending, and its lease ends.
    if let Err(error) = switch.handle(notice).await {
        tracing::error!(event = %notice.event.id, error = &error as &dyn std::error::Error, "a notice could not be handled, it will be tried again");
    }
}
