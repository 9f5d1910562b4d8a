//! Organizations: tenants, and how much of the server each may use.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::id::OrganizationId;
use super::plugin::Name;
use super::revision::Revision;

#[derive(Debug, Clone)]
pub struct Organization {
    pub id: OrganizationId,
    pub name: Name,
    pub quotas: Quotas,
    pub revision: Revision,
    pub created_at: Timestamp,
}

/// How much an organization may have and do. What is absent is not limited beyond what
/// the server limits for everybody.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Quotas {
    /// Most plugins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugins: Option<u32>,
    /// Most bytes of all its plugins' versions together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin_bytes: Option<u64>,
    /// Most webhooks a second, over all sources.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls_per_second: Option<u32>,
    /// Most events that are kept; the oldest go first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events_kept: Option<u64>,
}
