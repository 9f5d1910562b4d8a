//! Grants: what a binding lets its plugin reach beyond the event itself.
//!
//! Denied by default: an absent grant is a normal error inside the guest.

pub mod http;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::http::HttpGrant;
use super::kv::Quota;

/// Everything a binding grants.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Granted {
    /// The plugin's key-value space.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kv: Option<KvGrant>,
    /// The hosts it may send HTTP requests to; the first that covers a request
    /// counts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub http: Vec<HttpGrant>,
}

impl Granted {
    /// Most hosts of one binding: they are gone through at every request.
    pub const MAX_HTTP: usize = 64;
}

/// The plugin's own space, and how much it may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KvGrant {
    pub entries: u64,
    /// Keys and values together.
    pub bytes: u64,
}

impl Default for KvGrant {
    fn default() -> Self {
        let Quota { entries, bytes } = Quota::default();
        Self { entries, bytes }
    }
}

impl From<KvGrant> for Quota {
    fn from(grant: KvGrant) -> Self {
        let KvGrant { entries, bytes } = grant;
        Self { entries, bytes }
    }
}
