//! The allocator for an instance that serves one call and is gone.
//!
//! It never gives memory back (except the newest block, which a growing `Vec`
//! or `String` profits from), and it starts inside a static arena, so that the
//! component's memory is large enough from the beginning. Calls that stay
//! inside the arena never grow memory, and growing is what costs: two
//! `mprotect` calls each, which every other thread of the host feels. Beyond
//! the arena it grows memory like any allocator.
//!
//! Memory for tables and caches that live across calls would leak, but there
//! is no across. An author who wants another allocator turns the default
//! feature `allocator` off.

mod bump;
#[cfg(all(target_arch = "wasm32", feature = "allocator"))]
mod wasm;
