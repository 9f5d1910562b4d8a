//! Revisions: which state of something somebody has read.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Counts the changes of one thing, from 1 on. Whoever changes it says which revision
/// they read, and is refused if it has changed since.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Revision(u32);

impl Revision {
    pub const FIRST: Self = Self(1);

    pub fn get(self) -> u32 {
        self.0
    }
}

impl From<u32> for Revision {
    fn from(number: u32) -> Self {
        Self(number)
    }
}

impl std::fmt::Display for Revision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
