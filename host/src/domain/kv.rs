//! The key-value store a plugin sees: operations, outcomes and their limits.
//!
//! `runtime` turns a guest's call into an [`Operation`], the store executes it.

use serde::{Deserialize, Serialize};

use super::id::{OrganizationId, PluginId};

/// Whose keys: every plugin of an organization has its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Space {
    pub organization: OrganizationId,
    pub plugin: PluginId,
}

/// Longest key, in bytes.
pub const MAX_KEY_BYTES: usize = 512;
/// Largest value, in bytes.
pub const MAX_VALUE_BYTES: usize = 256 * 1024;

/// How much one space may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    pub entries: u64,
    /// Keys and values together.
    pub bytes: u64,
}

impl Default for Quota {
    fn default() -> Self {
        Self {
            entries: 100_000,
            bytes: 64 * 1024 * 1024,
        }
    }
}

/// One atomic operation. Times to live are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    Get,
    Set {
        value: Vec<u8>,
        ttl_ms: Option<u64>,
    },
    Delete,
    /// The time to live counts only when the key comes into being.
    Increment {
        delta: i64,
        ttl_ms: Option<u64>,
    },
    /// None stands for "no value", on both sides.
    CompareAndSwap {
        expected: Option<Vec<u8>>,
        new: Option<Vec<u8>>,
        ttl_ms: Option<u64>,
    },
}

/// What an operation gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Of a get.
    Value(Option<Vec<u8>>),
    /// Of a set.
    Stored,
    /// Of a delete or a swap: whether it did anything.
    Changed(bool),
    /// Of an increment: the sum.
    Sum(i64),
}

/// Why an operation was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Fault {
    #[error("a key has 1 to {MAX_KEY_BYTES} bytes, this one has {0}")]
    InvalidKey(usize),
    #[error("a value has at most {MAX_VALUE_BYTES} bytes, this one has {0}")]
    ValueTooLarge(usize),
    #[error("the plugin's key-value space is full ({} entries, {} bytes)", .0.entries, .0.bytes)]
    QuotaExceeded(Quota),
    #[error("the value is not a decimal integer of 64 bits, or the sum leaves its range")]
    NotAnInteger,
    #[error("the call has used up its key-value operations or bytes")]
    LimitExceeded,
    #[error("the binding grants the plugin no key-value space: it needs grants.kv")]
    Denied,
    #[error("the store cannot answer now")]
    Unavailable,
}

impl Fault {
    /// The stable code the contract promises.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidKey(_) => "invalid-key",
            Self::ValueTooLarge(_) => "value-too-large",
            Self::QuotaExceeded(_) => "quota-exceeded",
            Self::NotAnInteger => "not-an-integer",
            Self::LimitExceeded => "limit-exceeded",
            Self::Denied => "denied",
            Self::Unavailable => "unavailable",
        }
    }
}

impl Operation {
    /// Bytes of the values it brings along.
    pub fn size(&self) -> usize {
        match self {
            Self::Get | Self::Delete | Self::Increment { .. } => 0,
            Self::Set { value, .. } => value.len(),
            Self::CompareAndSwap { expected, new, .. } => {
                expected.as_ref().map_or(0, Vec::len) + new.as_ref().map_or(0, Vec::len)
            }
        }
    }

    /// Whether what comes of it depends on the value that is there, not only on there
    /// being one.
    pub fn looks_at_the_value(&self) -> bool {
        match self {
            Self::Get | Self::Increment { .. } | Self::CompareAndSwap { .. } => true,
            Self::Set { .. } | Self::Delete => false,
        }
    }

    /// Checks what needs no store: key and value sizes.
    pub fn check(&self, key: &str) -> Result<(), Fault> {
        if key.is_empty() || key.len() > MAX_KEY_BYTES {
            return Err(Fault::InvalidKey(key.len()));
        }
        let value = match self {
            Self::Set { value, .. } => Some(value),
            Self::CompareAndSwap { new, .. } => new.as_ref(),
            _ => None,
        };
        match value {
            Some(value) if value.len() > MAX_VALUE_BYTES => Err(Fault::ValueTooLarge(value.len())),
            _ => Ok(()),
        }
    }
}

/// The state of one key: its value and when it expires (milliseconds since 1970).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub value: Vec<u8>,
    pub expires_at: Option<i64>,
}

/// What a key holds after an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Keep,
    Put(Entry),
    Remove,
}

impl Operation {
    /// The whole rule of the store: from what a key holds `now` (an expired entry
    /// must have been left out by the caller) to what it holds next.
    pub fn apply(self, current: Option<&Entry>, now: i64) -> Result<(Change, Outcome), Fault> {
        let expiry = |ttl_ms: Option<u64>| {
            ttl_ms.map(|ttl| now.saturating_add(i64::try_from(ttl).unwrap_or(i64::MAX)))
        };
        Ok(match self {
            Self::Get => (
                Change::Keep,
                Outcome::Value(current.map(|entry| entry.value.clone())),
            ),
            Self::Set { value, ttl_ms } => (
                Change::Put(Entry {
                    value,
                    expires_at: expiry(ttl_ms),
                }),
                Outcome::Stored,
            ),
            Self::Delete => match current {
                Some(_) => (Change::Remove, Outcome::Changed(true)),
                None => (Change::Keep, Outcome::Changed(false)),
            },
            Self::Increment { delta, ttl_ms } => {
                let start = current.map_or(Ok(0), |entry| integer(&entry.value))?;
                let sum = start.checked_add(delta).ok_or(Fault::NotAnInteger)?;
                let expires_at = current.map_or(expiry(ttl_ms), |entry| entry.expires_at);
                let entry = Entry {
                    value: sum.to_string().into_bytes(),
                    expires_at,
                };
                (Change::Put(entry), Outcome::Sum(sum))
            }
            Self::CompareAndSwap {
                expected,
                new,
                ttl_ms,
            } => {
                if current.map(|entry| entry.value.as_slice()) != expected.as_deref() {
                    return Ok((Change::Keep, Outcome::Changed(false)));
                }
                let change = match new {
                    Some(value) => Change::Put(Entry {
                        value,
                        expires_at: expiry(ttl_ms),
                    }),
                    None => Change::Remove,
                };
                (change, Outcome::Changed(true))
            }
        })
    }
}

fn integer(value: &[u8]) -> Result<i64, Fault> {
    std::str::from_utf8(value)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or(Fault::NotAnInteger)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(value: &str, expires_at: Option<i64>) -> Entry {
        Entry {
            value: value.into(),
            expires_at,
        }
    }

    #[test]
    fn a_counter_keeps_the_expiry_it_was_born_with() {
        let born = Operation::Increment {
            delta: 1,
            ttl_ms: Some(1_000),
        };
        let (change, sum) = born.apply(None, 5_000).unwrap();
        assert_eq!(change, Change::Put(entry("1", Some(6_000))));
        assert_eq!(sum, Outcome::Sum(1));

        let grown = Operation::Increment {
            delta: 2,
            ttl_ms: Some(9_000),
        };
        let (change, sum) = grown.apply(Some(&entry("1", Some(6_000))), 5_500).unwrap();
        assert_eq!(change, Change::Put(entry("3", Some(6_000))));
        assert_eq!(sum, Outcome::Sum(3));
    }

    #[test]
    fn only_integers_in_range_count() {
        for value in ["x", "", "1.5", "9223372036854775807"] {
            let increment = Operation::Increment {
                delta: 1,
                ttl_ms: None,
            };
            assert_eq!(
                increment.apply(Some(&entry(value, None)), 0),
                Err(Fault::NotAnInteger)
            );
        }
    }

    #[test]
    fn a_swap_happens_only_on_the_expected_value() {
        let swap = |expected: Option<&str>, new: Option<&str>| Operation::CompareAndSwap {
            expected: expected.map(Into::into),
            new: new.map(Into::into),
            ttl_ms: None,
        };
        let held = entry("a", None);
        let cases = [
            (
                swap(None, Some("b")),
                None,
                Change::Put(entry("b", None)),
                true,
            ),
            (swap(None, Some("b")), Some(&held), Change::Keep, false),
            (
                swap(Some("a"), Some("b")),
                Some(&held),
                Change::Put(entry("b", None)),
                true,
            ),
            (swap(Some("x"), Some("b")), Some(&held), Change::Keep, false),
            (swap(Some("a"), None), Some(&held), Change::Remove, true),
            (swap(Some("a"), None), None, Change::Keep, false),
        ];
        for (operation, current, change, changed) in cases {
            let label = format!("{operation:?} on {current:?}");
            let (got, outcome) = operation.apply(current, 0).unwrap();
            assert_eq!(
                (got, outcome),
                (change, Outcome::Changed(changed)),
                "{label}"
            );
        }
    }

    #[test]
    fn keys_and_values_have_a_largest_size() {
        let set = |size| Operation::Set {
            value: vec![0; size],
            ttl_ms: None,
        };
        assert_eq!(Operation::Get.check(""), Err(Fault::InvalidKey(0)));
        assert_eq!(
            Operation::Get.check(&"k".repeat(513)),
            Err(Fault::InvalidKey(513))
        );
        assert_eq!(set(MAX_VALUE_BYTES).check("k"), Ok(()));
        let over = MAX_VALUE_BYTES + 1;
        assert_eq!(set(over).check("k"), Err(Fault::ValueTooLarge(over)));
    }

    #[test]
    fn an_endless_time_to_live_does_not_overflow() {
        let set = Operation::Set {
            value: vec![],
            ttl_ms: Some(u64::MAX),
        };
        let (change, _) = set.apply(None, 1).unwrap();
        assert_eq!(
            change,
            Change::Put(Entry {
                value: vec![],
                expires_at: Some(i64::MAX)
            })
        );
    }
}
