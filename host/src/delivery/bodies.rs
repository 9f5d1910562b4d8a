//! Large bodies: read when their turn comes, shared by all who send the same, and no
//! more of them in memory than there is room for.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use moka::future::Cache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::id::{DeliveryId, EventId};
use crate::store::delivery::{Claimed, ClaimedBody};
use crate::store::{Store, StoreError};

/// Room for bodies that are read late, in KiB.
const ROOM: u32 = 64 << 10;
/// Kept for the next who sends the same.
const KEPT: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Bodies {
    store: Store,
    room: Arc<Semaphore>,
    /// By event: what is sent instead of a payload is seldom large, and is not shared.
    payloads: Cache<(EventId, Option<DeliveryId>), Bytes>,
}

/// A body, and the room it takes.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

impl Bodies {
    pub(super) fn new(store: Store) -> Self {
        let weigh = |_: &_, body: &Bytes| u32::try_from(body.len()).unwrap_or(u32::MAX);
        Self {
            store,
            room: Arc::new(Semaphore::new(ROOM as usize)),
            payloads: Cache::builder()
                .weigher(weigh)
                .max_capacity(u64::from(ROOM) << 10)
                .time_to_live(KEPT)
                .build(),
        }
    }

    pub(super) async fn of(&self, claimed: &Claimed) -> Result<Body, Arc<StoreError>> {
        let bytes = match &claimed.body {
            ClaimedBody::Here(bytes) => {
                return Ok(Body {
                    bytes: bytes.clone(),
                    _room: None,
                });
            }
            ClaimedBody::Stored { bytes } => *bytes,
        };
        let size = u32::try_from(bytes >> 10).unwrap_or(ROOM).clamp(1, ROOM);
        // It is never closed.
        let room = Arc::clone(&self.room).acquire_many_owned(size).await.ok();
        let own = claimed.own_body.then_some(claimed.id);
        let read = self.store.delivery_body(claimed.id, claimed.event);
        let body = self.payloads.try_get_with((claimed.event, own), read);
        Ok(Body {
            bytes: body.await?,
            _room: room,
        })
    }
}
