//! Repeats: by what a request is known again when a platform sends it once more, and
//! for how long.
//!
//! `ingest` makes a [`Fingerprint`] of a request, `call` looks for the earlier event
//! that has the same one, `store` keeps it with the event.

use std::time::Duration;

/// What makes two requests the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Basis {
    /// The platform has named the delivery, in a header.
    Identified,
    /// It has not, and the body is the same.
    SameBody,
}

/// Equal for a request and its repeats. The basis is part of what the digest is of, so
/// that a name and a body never give the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    pub basis: Basis,
    pub digest: [u8; Self::BYTES],
}

impl Fingerprint {
    pub const BYTES: usize = 16;

    /// How long a named delivery is known again: longer than platforms go on trying.
    pub const IDENTIFIED: Duration = Duration::from_hours(24);

    /// Whether the platform has named the delivery.
    pub fn is_identified(self) -> bool {
        self.basis == Basis::Identified
    }

    /// For how long the request is known again.
    pub fn known_for(self, window: RepeatWindow) -> Duration {
        match self.basis {
            Basis::Identified => Self::IDENTIFIED,
            Basis::SameBody => window.duration(),
        }
    }
}

/// For how long a source takes the same body for the same request. Zero: never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RepeatWindow {
    ms: u32,
}

impl RepeatWindow {
    pub const MAX_MS: u32 = 3_600_000;

    /// None if it is longer than [`RepeatWindow::MAX_MS`].
    pub fn from_ms(ms: u32) -> Option<Self> {
        (ms <= Self::MAX_MS).then_some(Self { ms })
    }

    pub fn ms(self) -> u32 {
        self.ms
    }

    pub fn is_off(self) -> bool {
        self.ms == 0
    }

    pub fn duration(self) -> Duration {
        Duration::from_millis(self.ms.into())
    }
}

impl Default for RepeatWindow {
    /// Covers the first repetitions of a platform that tries again after 5 and 30 s.
    fn default() -> Self {
        Self { ms: 60_000 }
    }
}
