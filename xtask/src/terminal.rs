//! Lines for the person at the terminal.

use std::fmt::Display;
use std::io::{self, Write as _};

/// Writes a line; when nobody reads it any more, that is no reason to stop.
pub(crate) fn say(line: impl Display) {
    let _ = writeln!(io::stdout(), "{line}");
}
