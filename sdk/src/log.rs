//! Lines for the plugin's log, which the host keeps with the decision.
//!
//! ```
//! use hookswitch_sdk::{log, testing};
//!
//! let host = testing::Host::new();
//! log::info!("caller {} is on the list", "+14155551234");
//! assert_eq!(host.logged()[0].message, "caller +14155551234 is on the list");
//! ```
//!
//! The host cuts what is too long and drops what is too many, and says so.
//! Standard output and standard error end up in the same log, as `info` and
//! `error`; so does the message of a panic.
//!
//! The macros are called by their path, `log::info!`, and have nothing to do
//! with those of the crate `log`.

use crate::host;

pub use crate::{
    __log_debug as debug, __log_error as error, __log_info as info, __log_trace as trace,
    __log_warn as warn,
};

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Every step.
    Trace,
    /// What helps to find a fault.
    Debug,
    /// What an operator wants to know.
    Info,
    /// What should not happen, but does no harm yet.
    Warn,
    /// What went wrong.
    Error,
}

/// Writes one line. The macros of this module read better.
pub fn write(level: Level, message: &str) {
    host::log_write(level, message);
}

/// Writes a line at [`Level::Trace`], formatted as [`format!`] does.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_trace {
    ($($format:tt)+) => { $crate::log::write($crate::log::Level::Trace, &::std::format!($($format)+)) };
}

/// Writes a line at [`Level::Debug`], formatted as [`format!`] does.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_debug {
    ($($format:tt)+) => { $crate::log::write($crate::log::Level::Debug, &::std::format!($($format)+)) };
}

/// Writes a line at [`Level::Info`], formatted as [`format!`] does.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_info {
    ($($format:tt)+) => { $crate::log::write($crate::log::Level::Info, &::std::format!($($format)+)) };
}

/// Writes a line at [`Level::Warn`], formatted as [`format!`] does.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_warn {
    ($($format:tt)+) => { $crate::log::write($crate::log::Level::Warn, &::std::format!($($format)+)) };
}

/// Writes a line at [`Level::Error`], formatted as [`format!`] does.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_error {
    ($($format:tt)+) => { $crate::log::write($crate::log::Level::Error, &::std::format!($($format)+)) };
}

#[cfg(test)]
mod tests {
    use super::{self as log, Level};
    use crate::testing::Host;

    #[test]
    fn every_macro_writes_at_its_level() {
        let host = Host::new();
        log::trace!("a");
        log::debug!("b");
        log::info!("c {}", 1);
        log::warn!("d");
        log::error!("e");
        let lines = host.logged();
        let levels: Vec<_> = lines.iter().map(|line| line.level).collect();
        assert_eq!(
            levels,
            [
                Level::Trace,
                Level::Debug,
                Level::Info,
                Level::Warn,
                Level::Error
            ]
        );
        assert_eq!(lines[2].message, "c 1");
    }
}
