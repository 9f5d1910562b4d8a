//! `log`, and standard output and error beside it: lines kept with the decision.

use std::sync::{Arc, Mutex, PoisonError};

use super::CallState;
use crate::domain::limits::CallLimits;
use crate::domain::log::{Level, LogLine};
use crate::runtime::v1::hookswitch::plugin::log;

/// Longest line, in bytes.
const MAX_LINE_BYTES: usize = 4 << 10;

/// The lines of one call, shared by the call's store and its output streams.
#[derive(Debug, Clone)]
pub struct LogBook {
    pages: Arc<Mutex<Pages>>,
    most_lines: usize,
    most_bytes: usize,
}

#[derive(Debug, Default)]
struct Pages {
    lines: Vec<LogLine>,
    bytes: usize,
    dropped: usize,
}

impl LogBook {
    pub(super) fn new(limits: &CallLimits) -> Self {
        Self {
            pages: Arc::default(),
            most_lines: limits.log_lines as usize,
            most_bytes: usize::try_from(limits.log_bytes).unwrap_or(usize::MAX),
        }
    }

    /// Adds a line, cut to size; past the limits it is only counted.
    pub(super) fn write(&self, level: Level, mut message: String) {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        if pages.lines.len() >= self.most_lines || pages.bytes >= self.most_bytes {
            pages.dropped += 1;
            return;
        }
        let room = MAX_LINE_BYTES.min(self.most_bytes - pages.bytes);
        if message.len() > room {
            let end = (0..=room)
                .rev()
                .find(|&at| message.is_char_boundary(at))
                .unwrap_or(0);
            message.truncate(end);
            message.push('…');
            // What was cut off may be megabytes, two hundred times.
            message.shrink_to_fit();
        }
        pages.bytes += message.len();
        pages.lines.push(LogLine { level, message });
    }

    /// All lines, the last of them saying how many were dropped.
    pub(crate) fn take(&self) -> Vec<LogLine> {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        let Pages {
            mut lines, dropped, ..
        } = std::mem::take(&mut *pages);
        if dropped > 0 {
            let message = format!("{dropped} more lines were dropped");
            lines.push(LogLine {
                level: Level::Warn,
                message,
            });
        }
        lines
    }
}

impl log::Host for CallState {
    fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            log::Level::Trace => Level::Trace,
            log::Level::Debug => Level::Debug,
            log::Level::Info => Level::Info,
            log::Level::Warn => Level::Warn,
            log::Level::Error => Level::Error,
        };
        self.log.write(level, message);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_LINES: usize = 200;
    const MAX_BYTES: usize = 64 << 10;

    fn book() -> LogBook {
        LogBook::new(&CallLimits::default())
    }

    #[test]
    fn too_many_lines_are_counted_not_kept() {
        let book = book();
        for n in 0..MAX_LINES + 7 {
            book.write(Level::Info, n.to_string());
        }
        let lines = book.take();
        assert_eq!(lines.len(), MAX_LINES + 1);
        assert_eq!(lines[MAX_LINES].message, "7 more lines were dropped");
        assert_eq!(lines[MAX_LINES].level, Level::Warn);
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let book = book();
        book.write(Level::Info, "ä".repeat(MAX_LINE_BYTES));
        let line = book.take().remove(0).message;
        assert!(line.len() <= MAX_LINE_BYTES + '…'.len_utf8());
        assert!(line.ends_with('…'));
    }

    #[test]
    fn all_lines_together_have_a_largest_size() {
        let book = book();
        for _ in 0..100 {
            book.write(Level::Info, "x".repeat(MAX_LINE_BYTES));
        }
        let bytes: usize = book.take().iter().map(|line| line.message.len()).sum();
        assert!(bytes <= MAX_BYTES + 100, "{bytes} bytes were kept");
    }
}
