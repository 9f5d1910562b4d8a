//! [`Bump`] as the component's global allocator.
#![allow(unsafe_code, reason = "an allocator hands out raw memory")]

use std::{
    alloc::{GlobalAlloc, Layout},
    arch::wasm32,
    cell::UnsafeCell,
    ptr,
};

use super::bump::Bump;

/// How much an ordinary call may use before memory has to grow.
const ARENA_BYTES: usize = 1024 * 1024;

/// What memory grows by at least, so that it grows seldom.
const GROWTH_BYTES: usize = 1024 * 1024;

const PAGE_BYTES: usize = 64 * 1024;

#[repr(C, align(16))]
struct Arena(UnsafeCell<[u8; ARENA_BYTES]>);

struct Allocator(UnsafeCell<Bump>);

// SAFETY: a component of this contract has one thread.
unsafe impl Sync for Arena {}
// SAFETY: a component of this contract has one thread.
unsafe impl Sync for Allocator {}

/// Zeroes, so the arena takes no room in the component, only in its memory.
static ARENA: Arena = Arena(UnsafeCell::new([0; ARENA_BYTES]));

#[global_allocator]
static ALLOCATOR: Allocator = Allocator(UnsafeCell::new(Bump::empty()));

impl Allocator {
    /// Runs `work` on the one state there is.
    fn with<T>(&self, work: impl FnOnce(&mut Bump) -> T) -> T {
        // SAFETY: there is one thread, and no `work` in this module allocates,
        // so no second reference to the state can come into being.
        work(unsafe { &mut *self.0.get() })
    }
}

// SAFETY: `Bump` gives out blocks that are aligned, inside memory that belongs
// to this allocator alone, and do not overlap while they are in use.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        let block = self.with(|bump| {
            bump.allocate(size, align)
                .or_else(|| allocate_in_more_room(bump, size, align))
        });
        block.map_or(ptr::null_mut(), ptr::with_exposed_provenance_mut)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        self.with(|bump| bump.free(block.addr(), layout.size()));
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if self.with(|bump| bump.resize(block.addr(), layout.size(), new_size)) {
            return block;
        }
        // SAFETY: the caller vouches that the new size is valid for the layout.
        let layout_now = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        // SAFETY: as above; a new size of zero is the caller's breach.
        let new_block = unsafe { self.alloc(layout_now) };
        if !new_block.is_null() {
            // SAFETY: both blocks are valid for the smaller of the sizes, and a
            // new block never overlaps one that is in use.
            unsafe { ptr::copy_nonoverlapping(block, new_block, layout.size().min(new_size)) };
        }
        new_block
    }
}

/// The way of a block for which there is no room: the first one opens the arena,
/// later ones grow memory.
///
/// Out of line, because the way of every other block is inlined all over.
#[cold]
#[inline(never)]
fn allocate_in_more_room(bump: &mut Bump, size: usize, align: usize) -> Option<usize> {
    if bump.is_empty() {
        bump.add(ARENA.0.get().expose_provenance(), ARENA_BYTES);
        if let Some(block) = bump.allocate(size, align) {
            return Some(block);
        }
    }
    let wanted = size.checked_add(align)?;
    grow(bump, wanted.max(GROWTH_BYTES)).or_else(|| grow(bump, wanted))?;
    bump.allocate(size, align)
}

/// Grows memory by at least so many bytes, unless the host's cap is reached.
fn grow(bump: &mut Bump, bytes: usize) -> Option<()> {
    let pages = bytes.div_ceil(PAGE_BYTES);
    let before = wasm32::memory_grow::<0>(pages);
    if before == usize::MAX {
        return None;
    }
    bump.add(before * PAGE_BYTES, pages * PAGE_BYTES);
    Some(())
}
