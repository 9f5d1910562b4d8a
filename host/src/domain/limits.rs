//! What one call may use.
//!
//! A binding asks for [`Limits`], field by field; the operator has defaults for
//! what it leaves out and ceilings for what it may ask for. Together they give the
//! [`CallLimits`] that `runtime` enforces.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! limits {
    ($( $(#[$doc:meta])* $field:ident : $type:ty = $default:expr, $least:expr; )*) => {
        /// What a binding asks for; also an operator's ceilings. Absent fields are
        /// left to the defaults.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        pub struct Limits {
            $( $(#[$doc])* #[serde(skip_serializing_if = "Option::is_none")] pub $field: Option<$type>, )*
        }

        /// What one call may use, every value known.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
        pub struct CallLimits {
            $( $(#[$doc])* pub $field: $type, )*
        }

        impl Default for CallLimits {
            /// Fits ordinary plugins of Rust, JavaScript and Python.
            fn default() -> Self {
                Self { $( $field: $default, )* }
            }
        }

        impl CallLimits {
            /// These, where a ceiling does not allow less.
            #[must_use]
            pub fn under(self, ceilings: &Self) -> Self {
                Self { $( $field: self.$field.min(ceilings.$field), )* }
            }

            /// What `asked` says, and these values for the rest.
            #[must_use]
            pub fn with(self, asked: &Limits) -> Self {
                Self { $( $field: asked.$field.unwrap_or(self.$field), )* }
            }
        }

        impl Limits {
            /// Checks what is asked for against least values and the ceilings.
            pub fn check(&self, ceilings: &CallLimits) -> Result<(), OutOfBounds> {
                $(
                    if let Some(asked) = self.$field
                        && !($least..=ceilings.$field).contains(&asked)
                    {
                        return Err(OutOfBounds {
                            field: stringify!($field),
                            least: u64::from($least),
                            most: u64::from(ceilings.$field),
                        });
                    }
                )*
                Ok(())
            }
        }
    };
}

limits! {
    /// Wall time in milliseconds; the time left for a question cuts it further.
    time_ms: u32 = 30_000, 1_u32;
    /// Time on a processor, in milliseconds: waiting for the host is free.
    cpu_ms: u32 = 1_000, 1_u32;
    /// All linear memories together.
    memory_bytes: u64 = 64 << 20, 1_u64 << 20;
    /// Core instances a component is made of.
    core_instances: u32 = 40, 1_u32;
    /// All JSON and text of one answer.
    reply_bytes: u64 = 4 << 20, 64_u64;
    log_lines: u32 = 200, 0_u32;
    log_bytes: u64 = 64 << 10, 0_u64;
    /// Data a guest passes to the host in one host call; an answer is one too.
    host_call_bytes: u64 = 16 << 20, 1_u64 << 10;
    /// Resources (streams, requests, …) held at once.
    handles: u32 = 1_000, 16_u32;
    /// Key-value operations.
    kv_operations: u32 = 1_000, 0_u32;
    /// Keys and values read and written.
    kv_bytes: u64 = 16 << 20, 0_u64;
    /// Outbound HTTP requests; a redirect that is followed counts as one.
    http_requests: u32 = 10, 0_u32;
    /// Bodies of requests and responses, all together.
    http_bytes: u64 = 16 << 20, 0_u64;
    /// One request from its start to the end of its response, in milliseconds.
    http_time_ms: u32 = 10_000, 1_u32;
    /// Outbound HTTP requests of all calls of the binding, on one server.
    http_requests_per_minute: u32 = 600, 1_u32;
}

impl CallLimits {
    /// The most an operator allows without having said anything.
    pub const CEILINGS: Self = Self {
        time_ms: 120_000,
        cpu_ms: 30_000,
        memory_bytes: 64 << 20,
        core_instances: 40,
        reply_bytes: 16 << 20,
        log_lines: 10_000,
        log_bytes: 4 << 20,
        host_call_bytes: 64 << 20,
        handles: 10_000,
        kv_operations: 100_000,
        kv_bytes: 256 << 20,
        http_requests: 1_000,
        http_bytes: 256 << 20,
        http_time_ms: 120_000,
        http_requests_per_minute: 60_000,
    };

    pub fn time(&self) -> Duration {
        Duration::from_millis(self.time_ms.into())
    }
}

/// A limit that cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be {least} to {most}, the operator's ceiling")]
pub struct OutOfBounds {
    pub field: &'static str,
    pub least: u64,
    pub most: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_stands_and_the_rest_is_default() {
        let asked = Limits {
            cpu_ms: Some(50),
            ..Limits::default()
        };
        let limits = CallLimits::default().with(&asked);
        assert_eq!(limits.cpu_ms, 50);
        assert_eq!(limits.memory_bytes, 64 << 20);
    }

    #[test]
    fn a_ceiling_below_a_default_lowers_it() {
        let ceilings = CallLimits {
            cpu_ms: 10,
            ..CallLimits::CEILINGS
        };
        assert_eq!(CallLimits::default().under(&ceilings).cpu_ms, 10);
        assert_eq!(CallLimits::default().under(&ceilings).log_lines, 200);
    }

    #[test]
    fn what_is_out_of_bounds_is_named() {
        let check = |asked: Limits| asked.check(&CallLimits::CEILINGS);
        let over = Limits {
            memory_bytes: Some(65 << 20),
            ..Limits::default()
        };
        let refused = check(over).unwrap_err();
        assert_eq!(refused.field, "memory_bytes");
        assert_eq!(
            refused.to_string(),
            "must be 1048576 to 67108864, the operator's ceiling"
        );
        let under = Limits {
            time_ms: Some(0),
            ..Limits::default()
        };
        assert_eq!(check(under).unwrap_err().field, "time_ms");
        assert_eq!(check(Limits::default()), Ok(()));
    }

    #[test]
    fn defaults_are_within_the_ceilings() {
        let defaults = CallLimits::default();
        assert_eq!(defaults.under(&CallLimits::CEILINGS), defaults);
    }
}
