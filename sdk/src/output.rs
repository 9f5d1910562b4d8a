//! Standard output and standard error as lines of the plugin's log, without WASI.
//!
//! `std` writes through the C library, and that one's way to the host costs every
//! call of every plugin, whether it prints or not: three core modules instead of one,
//! and a score of imports (streams, files, the environment) that each instance is
//! linked with. The only thing that most plugins ever print is the message of a panic. So the
//! functions by which `std` prints are defined here, on the contract's `log`, and
//! the C library's own are not linked. There is no environment either.
//!
//! An author who brings other definitions turns the default feature `output` off.
#![cfg_attr(
    not(all(target_arch = "wasm32", feature = "output")),
    allow(dead_code, reason = "natively only its tests use it")
)]

use crate::log::Level;

#[cfg(all(target_arch = "wasm32", feature = "output"))]
mod wasm;
#[cfg(all(target_arch = "wasm32", feature = "output"))]
pub(crate) use self::wasm::flush;

/// Without this module the C library has nothing to be flushed.
#[cfg(all(target_arch = "wasm32", not(feature = "output")))]
pub(crate) fn flush() {}

/// A line without end is cut here.
const MAX_PENDING_BYTES: usize = 8 << 10;

/// Cuts what is written to one stream into lines.
#[derive(Debug)]
struct Lines {
    level: Level,
    pending: Vec<u8>,
}

impl Lines {
    const fn new(level: Level) -> Self {
        Self {
            level,
            pending: Vec::new(),
        }
    }

    fn take(&mut self, bytes: &[u8], write: &mut impl FnMut(Level, &str)) {
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            for piece in part.chunks(MAX_PENDING_BYTES) {
                if self.pending.len() + piece.len() > MAX_PENDING_BYTES {
                    self.end_line(write);
                }
                self.pending.extend_from_slice(piece);
            }
            if part.ends_with(b"\n") {
                self.end_line(write);
            }
        }
    }

    fn end_line(&mut self, write: &mut impl FnMut(Level, &str)) {
        let text = String::from_utf8_lossy(&self.pending);
        let text = text.trim_end_matches(['\r', '\n']);
        if !text.is_empty() {
            write(self.level, text);
        }
        self.pending.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(pieces: &[&str]) -> Vec<String> {
        let mut lines = Lines::new(Level::Info);
        let mut written = Vec::new();
        let mut write = |_: Level, line: &str| written.push(line.to_owned());
        for piece in pieces {
            lines.take(piece.as_bytes(), &mut write);
        }
        lines.end_line(&mut write);
        written
    }

    #[test]
    fn pieces_become_lines() {
        assert_eq!(written(&["a ", "b", "\nc\r\n\nd"]), ["a b", "c", "d"]);
        assert_eq!(written(&[]), [""; 0]);
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let long = "x".repeat(MAX_PENDING_BYTES + 10);
        let lines = written(&["y", &long]);
        let lengths: Vec<_> = lines.iter().map(String::len).collect();
        assert_eq!(lengths, [1, MAX_PENDING_BYTES, 10]);
    }
}
