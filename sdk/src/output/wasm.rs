//! The C library's functions that `std` prints with, and the one that it asks for
//! variables.
#![allow(unsafe_code, reason = "C's functions take pointers")]

use std::{
    cell::RefCell,
    ffi::{c_char, c_int, c_void},
    ptr, slice,
};

use super::Lines;
use crate::{host, log::Level};

const STDOUT: c_int = 1;
const STDERR: c_int = 2;

/// C's `struct iovec`.
#[repr(C)]
struct Piece {
    start: *const c_void,
    size: usize,
}

struct Streams {
    out: Lines,
    err: Lines,
}

thread_local! {
    static STREAMS: RefCell<Streams> = const {
        RefCell::new(Streams {
            out: Lines::new(Level::Info),
            err: Lines::new(Level::Error),
        })
    };
}

fn log(level: Level, line: &str) {
    host::log_write(level, line);
}

/// Tells whether there is such a stream. There are no files.
fn take(stream: c_int, bytes: &[u8]) -> bool {
    STREAMS.with(|streams| {
        // A panic in the middle of a line has its message written from there.
        let Ok(mut streams) = streams.try_borrow_mut() else {
            return false;
        };
        match stream {
            STDOUT => streams.out.take(bytes, &mut log),
            STDERR => streams.err.take(bytes, &mut log),
            _ => return false,
        }
        true
    })
}

/// Writes what has no end of line yet; the handler is at its end.
pub(crate) fn flush() {
    STREAMS.with(|streams| {
        if let Ok(mut streams) = streams.try_borrow_mut() {
            streams.out.end_line(&mut log);
            streams.err.end_line(&mut log);
        }
    });
}

#[unsafe(no_mangle)]
unsafe extern "C" fn write(stream: c_int, start: *const c_void, size: usize) -> isize {
    // SAFETY: who calls `write` vouches that so many bytes can be read there.
    let bytes = unsafe { slice::from_raw_parts(start.cast::<u8>(), size) };
    if take(stream, bytes) {
        size.cast_signed()
    } else {
        -1
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn writev(stream: c_int, pieces: *const c_void, count: c_int) -> isize {
    let count = usize::try_from(count).unwrap_or(0);
    // SAFETY: who calls `writev` vouches that there are so many.
    let pieces = unsafe { slice::from_raw_parts(pieces.cast::<Piece>(), count) };
    let mut written = 0;
    for piece in pieces {
        if piece.size == 0 {
            continue;
        }
        // SAFETY: as above.
        match unsafe { write(stream, piece.start, piece.size) } {
            -1 => return -1,
            size => written += size,
        }
    }
    written
}

/// There are no variables.
#[unsafe(no_mangle)]
extern "C" fn getenv(_name: *const c_char) -> *const c_char {
    ptr::null()
}
