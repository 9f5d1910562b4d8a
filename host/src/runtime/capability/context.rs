//! `context`: the event at hand.

use tokio::time::Instant;

use super::CallState;
use super::recorder::Import;
use crate::runtime::v1::hookswitch::plugin::context::Host;

impl Host for CallState {
    fn event_id(&mut self) -> wasmtime::Result<String> {
        Ok(self.event_id.to_string())
    }

    fn payload(&mut self) -> wasmtime::Result<Vec<u8>> {
        Ok(self.payload.to_vec())
    }

    fn received_at(&mut self) -> wasmtime::Result<u64> {
        Ok(u64::try_from(self.received_at.as_millisecond()).unwrap_or(0))
    }

    fn remaining_ms(&mut self) -> wasmtime::Result<u64> {
        let live = || {
            let left = self.deadline.saturating_duration_since(Instant::now());
            u64::try_from(left.as_millis()).unwrap_or(u64::MAX)
        };
        Ok(self.recorder.ask(Import::Remaining, &(), live)?)
    }
}
