//! The ids of calls, which say when they were made: who sends a notice and who is
//! delivered it are two processes, and this is how the second knows how long it took.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// Hexadecimal digits of the nanoseconds since 1970.
pub const DIGITS: usize = 16;

/// What stands in a payload where the digits go.
pub const MARK: &[u8; DIGITS] = b"0000000000000000";

/// The last one that was given away.
static LAST: AtomicU64 = AtomicU64::new(0);

/// Nanoseconds since 1970.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    u64::try_from(since.unwrap_or(Duration::ZERO).as_nanos()).unwrap_or(u64::MAX)
}

/// The time, or a little later: no two callers get the same.
pub fn unique() -> u64 {
    let now = now();
    let later = |last: u64| now.max(last + 1);
    let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
        Some(later(last))
    });
    later(last.unwrap_or_else(|last| last))
}

/// Writes a time's digits.
pub fn write(time: u64, digits: &mut [u8]) {
    // As long as the digits are, which is always right for a time.
    let _ = hex::encode_to_slice(time.to_be_bytes(), digits);
}

/// Reads a time's digits.
pub fn read(digits: &[u8]) -> Option<u64> {
    let mut bytes = [0; DIGITS / 2];
    hex::decode_to_slice(digits, &mut bytes).ok()?;
    Some(u64::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_it_was_written_and_never_comes_twice() {
        let (one, other) = (unique(), unique());
        assert!(one < other);
        let mut digits = *MARK;
        write(one, &mut digits);
        assert_eq!(read(&digits), Some(one));
    }
}
