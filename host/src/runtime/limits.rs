//! What one call may take of the machine's memory.

use wasmtime::ResourceLimiter;

use crate::domain::limits::CallLimits;

/// Sums over all memories and tables of a component, because Wasmtime's own limits
/// count each memory alone, and a component can have many.
#[derive(Debug)]
pub(super) struct MemoryLimit {
    /// Largest sum of linear memories, in bytes.
    allowed: u64,
    core_instances: usize,
    held: u64,
    peak: u64,
    table_elements: u64,
    /// Whether the guest was told no: the likely cause of a trap that follows.
    refused: bool,
}

/// Over all tables of a component; Python's need 6,000, StarlingMonkey's 8,000.
const MAX_TABLE_ELEMENTS: u64 = 40_000;

impl MemoryLimit {
    pub(super) fn new(limits: &CallLimits) -> Self {
        Self {
            allowed: limits.memory_bytes,
            core_instances: limits.core_instances as usize,
            held: 0,
            peak: 0,
            table_elements: 0,
            refused: false,
        }
    }

    pub(super) fn allowed(&self) -> u64 {
        self.allowed
    }

    pub(super) fn peak(&self) -> u64 {
        self.peak
    }

    pub(super) fn refused(&self) -> bool {
        self.refused
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let held = self.held + desired.saturating_sub(current) as u64;
        if held > self.allowed {
            self.refused = true;
            return Ok(false);
        }
        self.held = held;
        self.peak = self.peak.max(held);
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let elements = self.table_elements + desired.saturating_sub(current) as u64;
        if elements > MAX_TABLE_ELEMENTS {
            self.refused = true;
            return Ok(false);
        }
        self.table_elements = elements;
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.core_instances
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(memory_bytes: u64) -> CallLimits {
        CallLimits {
            memory_bytes,
            ..CallLimits::default()
        }
    }

    #[test]
    fn memories_are_summed() {
        let mut limit = MemoryLimit::new(&memory(300));
        assert!(limit.memory_growing(0, 100, None).unwrap());
        assert!(limit.memory_growing(0, 150, None).unwrap());
        assert!(!limit.memory_growing(100, 200, None).unwrap());
        assert!(limit.refused());
        assert!(limit.memory_growing(100, 150, None).unwrap());
        assert_eq!(limit.peak(), 300);
    }

    #[test]
    fn table_elements_are_summed() {
        let mut limit = MemoryLimit::new(&memory(0));
        assert!(limit.table_growing(0, 30_000, None).unwrap());
        assert!(!limit.table_growing(0, 10_001, None).unwrap());
    }
}
