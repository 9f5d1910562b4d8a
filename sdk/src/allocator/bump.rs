//! Where the next block goes: arithmetic on addresses, which touches no memory.
#![cfg_attr(
    not(all(target_arch = "wasm32", feature = "allocator")),
    allow(dead_code, reason = "natively only its tests use it")
)]

/// A region of memory that fills from its start to its end.
#[derive(Debug)]
pub(super) struct Bump {
    /// The first free address.
    next: usize,
    /// The address after the last free one.
    end: usize,
}

impl Bump {
    /// No memory at all.
    pub(super) const fn empty() -> Self {
        Self { next: 0, end: 0 }
    }

    /// More memory. What was left of an old region is given up, unless the new
    /// one follows right after it.
    pub(super) fn add(&mut self, start: usize, size: usize) {
        if start != self.end {
            self.next = start;
        }
        self.end = start + size;
    }

    /// True before the first [`add`](Self::add).
    pub(super) fn is_empty(&self) -> bool {
        self.end == 0
    }

    /// The address of a new block; `align` is a power of two.
    pub(super) fn allocate(&mut self, size: usize, align: usize) -> Option<usize> {
        let start = self.next.checked_next_multiple_of(align)?;
        let end = start.checked_add(size)?;
        if end > self.end {
            return None;
        }
        self.next = end;
        Some(start)
    }

    /// Takes a block back if it is the newest; every other one stays used.
    pub(super) fn free(&mut self, start: usize, size: usize) {
        if start + size == self.next {
            self.next = start;
        }
    }

    /// Makes a block larger or smaller where it is. True when that worked:
    /// shrinking always does, growing only for the newest block.
    pub(super) fn resize(&mut self, start: usize, old: usize, new: usize) -> bool {
        let newest = start + old == self.next;
        if !newest {
            return new <= old;
        }
        match start.checked_add(new) {
            Some(end) if end <= self.end => {
                self.next = end;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn region() -> Bump {
        let mut bump = Bump::empty();
        bump.add(0x1000, 0x100);
        bump
    }

    #[test]
    fn without_memory_there_is_no_block() {
        assert!(Bump::empty().is_empty());
        assert_eq!(Bump::empty().allocate(1, 1), None);
    }

    #[test]
    fn blocks_are_aligned() {
        let mut bump = region();
        assert_eq!(bump.allocate(3, 1), Some(0x1000));
        assert_eq!(bump.allocate(8, 8), Some(0x1008));
    }

    #[test]
    fn a_full_region_has_no_block() {
        let mut bump = region();
        assert!(bump.allocate(0xF0, 1).is_some());
        assert_eq!(bump.allocate(0x11, 1), None);
        assert_eq!(bump.allocate(usize::MAX, 1), None);
        assert!(bump.allocate(0x10, 1).is_some());
    }

    #[test]
    fn the_newest_block_can_be_freed_and_grown() {
        let mut bump = region();
        let first = bump.allocate(8, 8).unwrap();
        let second = bump.allocate(8, 8).unwrap();
        assert!(!bump.resize(first, 8, 16));
        assert!(bump.resize(second, 8, 32));
        bump.free(second, 32);
        assert_eq!(bump.allocate(8, 8), Some(second));
    }

    #[test]
    fn an_older_block_stays_when_it_is_freed() {
        let mut bump = region();
        let first = bump.allocate(8, 8).unwrap();
        let second = bump.allocate(8, 8).unwrap();
        bump.free(first, 8);
        assert_eq!(bump.allocate(8, 8), Some(second + 8));
    }

    #[test]
    fn memory_right_after_the_region_makes_it_longer() {
        let mut bump = region();
        let block = bump.allocate(0x100, 1).unwrap();
        bump.add(0x1100, 0x100);
        assert!(bump.resize(block, 0x100, 0x180));
        bump.add(0x8000, 0x100);
        assert_eq!(bump.allocate(1, 1), Some(0x8000));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Allocate { size: usize, align: usize },
        Free { pick: usize },
        Resize { pick: usize, size: usize },
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (1_usize..40, 0_u32..5).prop_map(|(size, power)| Step::Allocate {
                size,
                align: 1 << power
            }),
            any::<usize>().prop_map(|pick| Step::Free { pick }),
            (any::<usize>(), 1_usize..60).prop_map(|(pick, size)| Step::Resize { pick, size }),
        ]
    }

    proptest! {
        #[test]
        fn live_blocks_never_overlap_and_stay_inside(steps in prop::collection::vec(step(), 0..80)) {
            let mut bump = region();
            let mut live: Vec<(usize, usize)> = Vec::new();
            for step in steps {
                match step {
                    Step::Allocate { size, align } => {
                        if let Some(start) = bump.allocate(size, align) {
                            prop_assert_eq!(start % align, 0);
                            live.push((start, size));
                        }
                    }
                    Step::Free { pick } if !live.is_empty() => {
                        let (start, size) = live.swap_remove(pick % live.len());
                        bump.free(start, size);
                    }
                    Step::Resize { pick, size } if !live.is_empty() => {
                        let index = pick % live.len();
                        let (start, old) = live[index];
                        if bump.resize(start, old, size) {
                            live[index].1 = size;
                        }
                    }
                    _ => {}
                }
                let mut sorted = live.clone();
                sorted.sort_unstable();
                for pair in sorted.windows(2) {
                    prop_assert!(pair[0].0 + pair[0].1 <= pair[1].0, "{sorted:?}");
                }
                for (start, size) in sorted {
                    prop_assert!(start >= 0x1000 && start + size <= 0x1100);
                }
            }
        }
    }
}
