//! Deliveries: one event owed to one endpoint, tried until it is taken or given up.
//!
//! The rules are here and pure: what a reply means ([`judge`]) and when the next
//! attempt is ([`Schedule`]). `dispatch` makes attempts, `delivery` keeps to the
//! rules, `store` keeps what is owed.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How far a delivery has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// An attempt is to come, or is being made.
    Owed,
    Delivered,
    /// All attempts failed.
    Exhausted,
    /// The endpoint said that it does not want it, so it was not tried again.
    Refused,
    /// The endpoint was deleted.
    Cancelled,
}

impl State {
    pub const ALL: [Self; 5] = [
        Self::Owed,
        Self::Delivered,
        Self::Exhausted,
        Self::Refused,
        Self::Cancelled,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owed => "owed",
            Self::Delivered => "delivered",
            Self::Exhausted => "exhausted",
            Self::Refused => "refused",
            Self::Cancelled => "cancelled",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// Why an attempt got no reply. The codes are public and stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SendFailure {
    /// No reply within the endpoint's timeout.
    Timeout,
    ConnectionRefused,
    ConnectTimeout,
    /// The host's name does not resolve.
    Unresolved,
    /// The address is not one that may be connected to.
    Prohibited,
    Certificate,
    Tls,
    /// No connection came about, for another reason.
    Unconnected,
    /// The connection broke, or what came over it was not HTTP.
    Broken,
    InvalidUrl,
    /// A header's secret is missing.
    SecretMissing,
    /// The body's template writes too much with this event.
    Template,
    /// The server stopped during the attempt.
    Interrupted,
}

impl SendFailure {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::ConnectionRefused => "connection_refused",
            Self::ConnectTimeout => "connect_timeout",
            Self::Unresolved => "unresolved",
            Self::Prohibited => "prohibited",
            Self::Certificate => "certificate",
            Self::Tls => "tls",
            Self::Unconnected => "unconnected",
            Self::Broken => "broken",
            Self::InvalidUrl => "invalid_url",
            Self::SecretMissing => "secret_missing",
            Self::Template => "template",
            Self::Interrupted => "interrupted",
        }
    }
}

/// What was heard of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    Reply {
        status: u16,
        /// What it asked to wait.
        retry_after: Option<Duration>,
    },
    Nothing(SendFailure),
}

/// What it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    Delivered,
    /// Try again, not before this time is over.
    Again {
        not_before: Duration,
    },
    /// Trying again would change nothing.
    Refused,
    /// The endpoint is gone: nothing more is to be sent there.
    Gone,
}

impl Heard {
    pub fn is_success(self) -> bool {
        matches!(
            self,
            Self::Reply {
                status: 200..=299,
                ..
            }
        )
    }
}

/// Reads a reply as the platforms' own senders do, and Standard Webhooks: 5xx, 429
/// and no reply at all are tried again, 410 says goodbye, other 4xx are final. So are
/// an invalid certificate and an invalid URL, which do not heal by themselves. A
/// redirect is a failure that may heal.
pub fn judge(heard: Heard) -> Judgement {
    let again = Judgement::Again {
        not_before: Duration::ZERO,
    };
    match heard {
        Heard::Reply {
            status: 200..=299, ..
        } => Judgement::Delivered,
        Heard::Reply { status: 410, .. } => Judgement::Gone,
        Heard::Reply {
            status: 429 | 500..,
            retry_after,
        } => Judgement::Again {
            not_before: retry_after.unwrap_or_default(),
        },
        Heard::Reply {
            status: 400..=499, ..
        }
        | Heard::Nothing(SendFailure::Certificate | SendFailure::InvalidUrl) => Judgement::Refused,
        Heard::Reply { .. } | Heard::Nothing(_) => again,
    }
}

/// When a delivery is tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "ScheduleForm", into = "ScheduleForm")]
pub struct Schedule {
    delays_s: Vec<u32>,
    jitter_percent: u8,
}

crate::domain::schema::of!(Schedule as ScheduleForm);

#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ScheduleForm {
    #[serde(default = "default_delays")]
    delays_seconds: Vec<u32>,
    #[serde(default = "default_jitter")]
    jitter_percent: u8,
}

fn default_delays() -> Vec<u32> {
    vec![0, 5, 25, 125, 625, 3125]
}

fn default_jitter() -> u8 {
    20
}

/// A schedule that cannot be kept to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a schedule has 1 to {} delays of at most {} seconds, and a jitter of at most 100 percent",
    Schedule::MAX_ATTEMPTS,
    Schedule::MAX_DELAY_S
)]
pub struct InvalidSchedule;

impl Default for Schedule {
    /// The platforms' own: attempts at 0, 5, 30, 155, 780 and 3905 seconds.
    fn default() -> Self {
        Self {
            delays_s: default_delays(),
            jitter_percent: default_jitter(),
        }
    }
}

impl Schedule {
    pub const MAX_ATTEMPTS: usize = 32;
    pub const MAX_DELAY_S: u32 = 7 * 24 * 3600;
    /// Longest wait that an endpoint can ask for.
    pub const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

    /// Before each attempt; the first counts from when the delivery came to be owed.
    pub fn delays_s(&self) -> &[u32] {
        &self.delays_s
    }

    /// The time until the next attempt after so many were made; none if that was the
    /// last. `random` is within 0 and 1. Jitter only lengthens, so that an endpoint
    /// that comes back is not hit by everybody at the same instant, and nobody is
    /// asked earlier than promised.
    pub fn next(&self, made: u32, not_before: Duration, random: f64) -> Option<Duration> {
        let delay = *self.delays_s.get(made as usize)?;
        let jitter = f64::from(delay) * f64::from(self.jitter_percent) / 100.0;
        let delay = Duration::from_secs_f64(f64::from(delay) + jitter * random.clamp(0.0, 1.0));
        Some(delay.max(not_before.min(Self::MAX_RETRY_AFTER)))
    }

    /// No attempt is further away than this.
    pub fn longest(&self) -> Duration {
        let longest = self.delays_s.iter().max().copied().unwrap_or_default();
        Duration::from_secs(u64::from(longest) * 2).max(Self::MAX_RETRY_AFTER)
    }
}

impl TryFrom<ScheduleForm> for Schedule {
    type Error = InvalidSchedule;
    fn try_from(form: ScheduleForm) -> Result<Self, InvalidSchedule> {
        let ScheduleForm {
            delays_seconds: delays_s,
            jitter_percent,
        } = form;
        let count = (1..=Self::MAX_ATTEMPTS).contains(&delays_s.len());
        let short = delays_s.iter().all(|&delay| delay <= Self::MAX_DELAY_S);
        if count && short && jitter_percent <= 100 {
            Ok(Self {
                delays_s,
                jitter_percent,
            })
        } else {
            Err(InvalidSchedule)
        }
    }
}

impl From<Schedule> for ScheduleForm {
    fn from(schedule: Schedule) -> Self {
        Self {
            delays_seconds: schedule.delays_s,
            jitter_percent: schedule.jitter_percent,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reply(status: u16) -> Heard {
        Heard::Reply {
            status,
            retry_after: None,
        }
    }

    #[test]
    fn replies_are_read_as_the_platforms_read_them() {
        let again = Judgement::Again {
            not_before: Duration::ZERO,
        };
        for (heard, judgement) in [
            (reply(200), Judgement::Delivered),
            (reply(204), Judgement::Delivered),
            (reply(299), Judgement::Delivered),
            (reply(301), again),
            (reply(304), again),
            (reply(400), Judgement::Refused),
            (reply(401), Judgement::Refused),
            (reply(404), Judgement::Refused),
            (reply(408), Judgement::Refused),
            (reply(410), Judgement::Gone),
            (reply(429), again),
            (reply(500), again),
            (reply(502), again),
            (reply(504), again),
            (reply(599), again),
            (reply(100), again),
            (Heard::Nothing(SendFailure::Timeout), again),
            (Heard::Nothing(SendFailure::ConnectionRefused), again),
            (Heard::Nothing(SendFailure::Unresolved), again),
            (Heard::Nothing(SendFailure::Prohibited), again),
            (Heard::Nothing(SendFailure::Broken), again),
            (Heard::Nothing(SendFailure::Certificate), Judgement::Refused),
            (Heard::Nothing(SendFailure::InvalidUrl), Judgement::Refused),
        ] {
            assert_eq!(judge(heard), judgement, "{heard:?}");
        }
    }

    #[test]
    fn a_wish_to_wait_is_heard_from_those_who_may_be_tried_again() {
        let wish = Some(Duration::from_secs(7));
        for (status, judgement) in [
            (
                503,
                Judgement::Again {
                    not_before: Duration::from_secs(7),
                },
            ),
            (
                429,
                Judgement::Again {
                    not_before: Duration::from_secs(7),
                },
            ),
            (400, Judgement::Refused),
        ] {
            let heard = Heard::Reply {
                status,
                retry_after: wish,
            };
            assert_eq!(judge(heard), judgement);
        }
    }

    #[test]
    fn the_default_schedule_is_the_platforms() {
        let schedule = Schedule::default();
        let delays: Vec<_> = (0..7)
            .map(|made| {
                schedule
                    .next(made, Duration::ZERO, 0.0)
                    .map(|it| it.as_secs())
            })
            .collect();
        let expected = [
            Some(0),
            Some(5),
            Some(25),
            Some(125),
            Some(625),
            Some(3125),
            None,
        ];
        assert_eq!(delays, expected);
    }

    #[test]
    fn schedules_without_attempts_or_end_are_refused() {
        for text in [
            r#"{"delays_seconds":[]}"#,
            r#"{"delays_seconds":[9999999]}"#,
            r#"{"jitter_percent":101}"#,
            r#"{"delay_seconds":[1]}"#,
        ] {
            assert!(serde_json::from_str::<Schedule>(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn jitter_and_wishes_only_lengthen_and_are_bounded(
            delays in prop::collection::vec(0..Schedule::MAX_DELAY_S, 1..Schedule::MAX_ATTEMPTS),
            jitter_percent in 0_u8..=100,
            made in 0_u32..40,
            wish in 0_u64..1_000_000,
            random in 0.0..1.0,
        ) {
            let schedule = Schedule { delays_s: delays, jitter_percent };
            let next = schedule.next(made, Duration::from_secs(wish), random);
            prop_assert_eq!(next.is_some(), (made as usize) < schedule.delays_s.len());
            if let Some(next) = next {
                let planned = Duration::from_secs(schedule.delays_s[made as usize].into());
                let wished = Duration::from_secs(wish).min(Schedule::MAX_RETRY_AFTER);
                prop_assert!(next >= planned && next >= wished);
                prop_assert!(next <= schedule.longest());
            }
        }
    }
}
