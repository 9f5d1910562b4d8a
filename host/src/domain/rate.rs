//! Rates: how much may come in a second.

use std::borrow::Cow;
use std::num::NonZeroU32;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// So many a second, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct PerSecond(NonZeroU32);

impl JsonSchema for PerSecond {
    fn schema_name() -> Cow<'static, str> {
        "PerSecond".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "integer", "minimum": 1, "maximum": Self::MAX})
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {}", PerSecond::MAX)]
pub struct InvalidRate;

impl PerSecond {
    /// More than one server does.
    pub const MAX: u32 = 1_000_000;

    /// A rate that is known to be one when this is compiled.
    pub const fn of<const COUNT: u32>() -> Self {
        const { assert!(COUNT >= 1 && COUNT <= Self::MAX) }
        match NonZeroU32::new(COUNT) {
            Some(count) => Self(count),
            None => Self(NonZeroU32::MIN),
        }
    }

    pub fn count(self) -> NonZeroU32 {
        self.0
    }
}

impl TryFrom<u32> for PerSecond {
    type Error = InvalidRate;

    fn try_from(count: u32) -> Result<Self, InvalidRate> {
        let count = NonZeroU32::new(count).filter(|count| count.get() <= Self::MAX);
        count.map(Self).ok_or(InvalidRate)
    }
}

impl From<PerSecond> for u32 {
    fn from(rate: PerSecond) -> Self {
        rate.0.get()
    }
}

impl std::fmt::Display for PerSecond {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_and_more_than_anybody_does_are_no_rates() {
        for wrong in ["0", "1000001", "-1", "1.5"] {
            assert!(serde_json::from_str::<PerSecond>(wrong).is_err(), "{wrong}");
        }
        let most: PerSecond = serde_json::from_str("1000000").unwrap();
        assert_eq!(serde_json::to_string(&most).unwrap(), "1000000");
    }
}
