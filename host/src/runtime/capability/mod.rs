//! What a guest can reach: one import each.
//!
//! [`CallState`] is the data of one call's store; the modules implement one
//! interface of the contract on it each. Nothing here outlives the call, apart
//! from what goes through [`kv`] and [`http`]. What a guest learns that is not the
//! same each time comes through the [`recorder`].

mod clock;
pub mod config;
pub mod context;
pub mod http;
pub mod kv;
pub mod log;
pub mod recorder;
pub mod wasi;

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::time::Instant;

use self::http::OutboundHttp;
use self::kv::KeyValue;
use self::log::LogBook;
use self::recorder::Recorder;
use self::wasi::{Ingredients, Wasi};
use super::invoke::{Context, Grants};
use super::limits::MemoryLimit;
use crate::domain::binding::Settings;
use crate::domain::id::EventId;

/// Everything the host knows about one running call.
pub struct CallState {
    pub(super) event_id: EventId,
    pub(super) payload: Bytes,
    pub(super) memory: MemoryLimit,
    pub(super) reply_bytes: u64,
    received_at: Timestamp,
    deadline: Instant,
    config: Arc<Settings>,
    kv: Arc<dyn KeyValue>,
    kv_allowance: kv::Allowance,
    log: LogBook,
    recorder: Recorder,
    http: OutboundHttp,
    wasi: Wasi,
}

impl std::fmt::Debug for CallState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallState")
            .field("event_id", &self.event_id)
            .finish_non_exhaustive()
    }
}

impl CallState {
    pub(super) fn new(context: Context, grants: Grants, memory: MemoryLimit) -> Self {
        let log = LogBook::new(&grants.limits);
        let recorder = context.recorder;
        let http = OutboundHttp::new(
            grants.http,
            &grants.limits,
            context.deadline,
            log.clone(),
            recorder.clone(),
        );
        let wasi = Wasi::new(Ingredients {
            log: log.clone(),
            handles: grants.limits.handles as usize,
            seed: context.seed,
            recorder: recorder.clone(),
            started: Instant::now(),
        });
        Self {
            event_id: context.event_id,
            payload: context.payload,
            memory,
            reply_bytes: grants.limits.reply_bytes,
            received_at: context.received_at,
            deadline: context.deadline,
            config: grants.config,
            kv: grants.kv,
            kv_allowance: kv::Allowance::new(&grants.limits),
            log,
            recorder,
            http,
            wasi,
        }
    }

    /// The call's log, which outlives the store.
    pub(super) fn log_book(&self) -> LogBook {
        self.log.clone()
    }
}
