//! The worker that sends what is owed to endpoints.
//!
//! Every endpoint with something owed has a [`lane`] of its own, which claims,
//! attempts and settles; so an endpoint that is slow or dead holds up its own lane and
//! nobody else's. This page starts lanes: when the doorbell of `call` rings, which is
//! right after the commit, and now and then for what was due and rang for nobody (a
//! retry whose time has come after a restart, a lease that has ended).
//!
//! Deliveries are made at least once: see `store::delivery`. Beside the lanes, [`jobs`]
//! makes many deliveries owed again.

mod bodies;
pub mod jobs;
mod lane;
mod standing;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use self::bodies::Bodies;
use crate::call::{Addressee, Switch};
use crate::domain::delivery::Schedule;
use crate::store::Store;

/// How often deliveries are looked for that are due and rang for nobody.
const SWEEP: Duration = Duration::from_secs(10);

/// What all lanes share.
#[derive(Debug)]
struct Shared {
    switch: Arc<Switch>,
    store: Store,
    bodies: Bodies,
    stop: CancellationToken,
}

#[derive(Debug)]
struct Lane {
    bell: Arc<Notify>,
    task: JoinHandle<()>,
}

/// Runs until told to stop; then attempts that were begun are finished, if they end within
/// `drain`. Those that do not are made again after the next start.
pub async fn run(switch: Arc<Switch>, store: Store, stop: CancellationToken, drain: Duration) {
    let shared = Arc::new(Shared {
        bodies: Bodies::new(store.clone()),
        switch,
        store,
        stop,
    });
    release(&shared).await;
    let mut lanes: HashMap<Addressee, Lane> = HashMap::new();
    sweep(&shared, &mut lanes).await;
    loop {
        tokio::select! {
            rung = shared.switch.doorbell().heard() => {
                for addressee in rung {
                    ring(&shared, &mut lanes, addressee);
                }
            }
            () = tokio::time::sleep(SWEEP) => sweep(&shared, &mut lanes).await,
            () = shared.stop.cancelled() => break,
        }
    }
    finish(lanes, Instant::now() + drain).await;
}

async fn finish(lanes: HashMap<Addressee, Lane>, until: Instant) {
    for (_, mut lane) in lanes {
        match timeout_at(until, &mut lane.task).await {
            Ok(Ok(())) => {}
            Ok(Err(_panic)) => tracing::error!("a delivery lane has panicked"),
            // With the task go the attempts that it waits for.
            Err(_elapsed) => {
                lane.task.abort();
                let _ = lane.task.await;
            }
        }
    }
}

/// This server is the only one on its data folder, so leases of its predecessor hold
/// nobody.
async fn release(shared: &Shared) {
    let longest = Duration::from_secs(u64::from(Schedule::MAX_DELAY_S) * 2);
    let clock = shared.switch.clock();
    let (now, latest) = (clock.now(), clock.after(longest));
    if let Err(error) = shared.store.release_deliveries(now, latest).await {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "deliveries wait for their leases"
        );
    }
}

async fn sweep(shared: &Arc<Shared>, lanes: &mut HashMap<Addressee, Lane>) {
    // The lane itself knows what falls due until the next sweep.
    let by = shared.switch.clock().after(SWEEP);
    match shared.store.endpoints_with_work(by).await {
        Ok(found) => {
            for addressee in found {
                ring(shared, lanes, addressee);
            }
        }
        Err(error) => tracing::error!(
            error = &error as &dyn std::error::Error,
            "what is owed cannot be looked for"
        ),
    }
}

fn ring(shared: &Arc<Shared>, lanes: &mut HashMap<Addressee, Lane>, addressee: Addressee) {
    let start = || {
        let bell = Arc::new(Notify::new());
        let lane = lane::run(Arc::clone(shared), addressee, Arc::clone(&bell));
        Lane {
            bell,
            task: tokio::spawn(lane),
        }
    };
    let lane = lanes.entry(addressee).or_insert_with(start);
    if lane.task.is_finished() {
        *lane = start();
    }
    lane.bell.notify_one();
}
