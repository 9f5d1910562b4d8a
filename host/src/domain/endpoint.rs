//! Endpoints: where events are sent, which events, and how.
//!
//! `call` asks [`Filter`] who is owed an event; `dispatch` makes requests of
//! [`Settings`]; `delivery` keeps to the limits. How often a delivery is tried is
//! in [`super::delivery`].

mod filter;
mod path;
mod signing;
mod template;
mod url;

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::filter::{Filter, InvalidPattern, KindPattern, Subject, Test};
pub use self::path::{InvalidPath, Path};
pub use self::signing::{InvalidSigningSecret, Signing, SigningSecret};
pub use self::template::{BodyTemplate, InvalidTemplate, TooLarge};
pub use self::url::{EndpointUrl, InvalidUrl};
use super::delivery::Schedule;
use super::grant::http::{AddedHeader, HeaderTemplate, MethodName, Scheme};
use super::id::{EndpointId, OrganizationId};
use super::plugin::Name;
use super::proof::Credential;
use super::revision::Revision;

/// An outbound destination.
#[derive(Debug, Clone)]
pub struct Endpoint {
    pub id: EndpointId,
    pub organization: OrganizationId,
    /// By which plugins name it.
    pub name: Name,
    pub settings: Settings,
    /// How a receiver that was written for a platform knows its sender.
    pub proof: Vec<Credential>,
    pub signing: Signing,
    pub standing: Standing,
    pub revision: Revision,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Whether anything is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Enabled {
        /// Since when every attempt has failed, if the last one did.
        failing_since: Option<Timestamp>,
    },
    Disabled {
        why: Disabled,
        since: Timestamp,
    },
}

/// Why nothing is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Disabled {
    /// Somebody chose so.
    ByHand,
    /// It answered 410.
    Gone,
    /// It failed for as long as it may.
    Failing,
}

impl Disabled {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ByHand => "by_hand",
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }
}

/// What a customer sets, in the form of the API and of the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub url: EndpointUrl,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub filter: Filter,
    #[serde(default = "post")]
    pub method: MethodName,
    /// Added to the URL's own.
    #[serde(default)]
    pub query: BTreeMap<String, String>,
    #[serde(default)]
    pub headers: BTreeMap<AddedHeader, HeaderTemplate>,
    /// The payload as it is unless there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<BodyTemplate>,
    /// Attempts in a second, questions among them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_per_second: Option<u32>,
    /// Attempts at once.
    #[serde(default = "default_concurrency")]
    pub concurrency: u16,
    /// One attempt, to the end of the reply.
    #[serde(default = "default_timeout")]
    pub timeout_ms: u32,
    /// Whether the events of one call are sent one after the other.
    #[serde(default)]
    pub ordered: bool,
    #[serde(default)]
    pub schedule: Schedule,
    /// After so long without a success the endpoint is disabled; 0 never does.
    #[serde(default = "default_disable_after")]
    pub disable_after_seconds: u32,
}

/// A setting out of its range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be {range}")]
pub struct OutOfRange {
    pub field: &'static str,
    pub range: &'static str,
}

fn post() -> MethodName {
    MethodName::POST
}

fn default_concurrency() -> u16 {
    16
}

fn default_timeout() -> u32 {
    30_000
}

/// Five days.
fn default_disable_after() -> u32 {
    5 * 24 * 3600
}

impl Settings {
    pub const MAX_DESCRIPTION: usize = 1024;
    pub const MAX_QUERY: usize = 32;
    pub const MAX_HEADERS: usize = 32;
    pub const MAX_CONCURRENCY: u16 = 256;
    pub const MAX_TIMEOUT_MS: u32 = 120_000;

    /// All settings as they are unless told.
    pub fn at(url: EndpointUrl) -> Self {
        Self {
            url,
            description: String::new(),
            filter: Filter::default(),
            method: post(),
            query: BTreeMap::new(),
            headers: BTreeMap::new(),
            body: None,
            rate_per_second: None,
            concurrency: default_concurrency(),
            timeout_ms: default_timeout(),
            ordered: false,
            schedule: Schedule::default(),
            disable_after_seconds: default_disable_after(),
        }
    }

    /// The first setting that is out of its range.
    pub fn check(&self) -> Result<(), OutOfRange> {
        let short = |(name, value): (&String, &String)| {
            (1..=256).contains(&name.len()) && value.len() <= 2048
        };
        let rules = [
            (
                self.description.len() <= Self::MAX_DESCRIPTION,
                "description",
                "at most 1024 bytes long",
            ),
            (
                self.query.len() <= Self::MAX_QUERY && self.query.iter().all(short),
                "query",
                "at most 32 parameters, with names of 1 to 256 and values of up to 2048 bytes",
            ),
            (
                self.headers.len() <= Self::MAX_HEADERS,
                "headers",
                "at most 32 headers",
            ),
            (
                self.rate_per_second
                    .is_none_or(|rate| (1..=100_000).contains(&rate)),
                "rate_per_second",
                "1 to 100000; leave it out for no limit",
            ),
            (
                (1..=Self::MAX_CONCURRENCY).contains(&self.concurrency),
                "concurrency",
                "1 to 256",
            ),
            (
                (100..=Self::MAX_TIMEOUT_MS).contains(&self.timeout_ms),
                "timeout_ms",
                "100 to 120000 milliseconds",
            ),
            (
                self.disable_after_seconds == 0
                    || (60..=30 * 24 * 3600).contains(&self.disable_after_seconds),
                "disable_after_seconds",
                "60 to 2592000 (30 days), or 0 for never",
            ),
            (
                self.filter.kinds.len() <= Filter::MAX_ITEMS,
                "filter.kinds",
                "at most 64 patterns",
            ),
            (
                self.filter.agents.len() <= Filter::MAX_ITEMS,
                "filter.agents",
                "at most 64 agents",
            ),
            (
                self.filter.fields.len() <= Filter::MAX_ITEMS,
                "filter.where",
                "at most 64 fields",
            ),
        ];
        let broken = rules.into_iter().find(|(holds, ..)| !holds);
        broken.map_or(Ok(()), |(_, field, range)| Err(OutOfRange { field, range }))
    }

    /// The scheme of the URL; operators may demand `https`.
    pub fn scheme(&self) -> Scheme {
        self.url.scheme()
    }
}

impl Endpoint {
    pub fn is_enabled(&self) -> bool {
        matches!(self.standing, Standing::Enabled { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Settings {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn only_a_url_is_required() {
        let plain = settings(r#"{"url":"https://example.com/hook"}"#);
        assert_eq!(plain.check(), Ok(()));
        assert_eq!(plain.timeout_ms, 30_000);
        assert_eq!(plain.schedule.delays_s(), [0, 5, 25, 125, 625, 3125]);
        let again = settings(&serde_json::to_string(&plain).unwrap());
        assert_eq!(again, plain);
        assert_eq!(Settings::at(plain.url.clone()), plain);
    }

    #[test]
    fn a_setting_out_of_its_range_is_named() {
        for (setting, field) in [
            (r#""concurrency":0"#, "concurrency"),
            (r#""timeout_ms":99"#, "timeout_ms"),
            (r#""rate_per_second":0"#, "rate_per_second"),
            (r#""disable_after_seconds":1"#, "disable_after_seconds"),
            (r#""query":{"":"x"}"#, "query"),
        ] {
            let text = format!(r#"{{"url":"https://example.com/",{setting}}}"#);
            assert_eq!(settings(&text).check().unwrap_err().field, field);
        }
    }
}
