//! Organizations: tenants, and how much of the server each may use.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::id::OrganizationId;
use super::plugin::Name;
use super::rate::PerSecond;
use super::revision::Revision;

#[derive(Debug, Clone)]
pub struct Organization {
    pub id: OrganizationId,
    pub name: Name,
    pub quotas: Quotas,
    pub revision: Revision,
    pub created_at: Timestamp,
}

/// How much an organization may have and do. What is absent is the server's, which has
/// quotas for everybody too; what is absent there as well is not limited.
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
    pub calls_per_second: Option<PerSecond>,
    /// Most events that are kept; the oldest go first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events_kept: Option<u64>,
}

impl Quotas {
    /// These, and others where there is none.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self {
            plugins: self.plugins.or(others.plugins),
            plugin_bytes: self.plugin_bytes.or(others.plugin_bytes),
            calls_per_second: self.calls_per_second.or(others.calls_per_second),
            events_kept: self.events_kept.or(others.events_kept),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_of_its_own_goes_before_everybodys() {
        let own: Quotas = serde_json::from_str(r#"{"plugins": 3, "events_kept": 0}"#).unwrap();
        let all = r#"{"plugins": 1, "plugin_bytes": 2, "calls_per_second": 4, "events_kept": 5}"#;
        let all: Quotas = serde_json::from_str(all).unwrap();
        let both = own.or(all);
        assert_eq!((both.plugins, both.plugin_bytes), (Some(3), Some(2)));
        assert_eq!(both.calls_per_second, all.calls_per_second);
        assert_eq!(both.events_kept, Some(0));
    }
}
