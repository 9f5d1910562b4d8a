//! Sources: inbound hooks, and how long the platform behind them waits. How their
//! requests prove themselves is in [`super::proof`].

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Json;
use super::decision::Verdicts;
use super::id::{OrganizationId, SourceId};
use super::plugin::{Handler, Name};
use super::proof::Proof;
use super::rate::PerSecond;
use super::repeat::RepeatWindow;
use super::revision::Revision;

/// How long the platform waits for each answer, and what we keep back of it for
/// storing the decision and for the way home. In milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patience {
    pub start_ms: u32,
    pub transfer_ms: u32,
    pub tool_ms: u32,
    pub margin_ms: u32,
}

impl Default for Patience {
    /// Dasha's published defaults; for transfers none is published, and the
    /// shorter of its neighbours' is taken.
    fn default() -> Self {
        Self {
            start_ms: 10_000,
            transfer_ms: 10_000,
            tool_ms: 5_000,
            margin_ms: 500,
        }
    }
}

impl Patience {
    /// Longest time to wait that can be asked for, in milliseconds.
    pub const MAX_MS: u32 = 120_000;
    /// What an event handler may take: nobody waits for it.
    pub const EVENT: Duration = Duration::from_secs(30);

    /// The time a decision may take.
    pub fn budget(&self, handler: Handler) -> Duration {
        let timeout_ms = match handler {
            Handler::Start => self.start_ms,
            Handler::Transfer => self.transfer_ms,
            Handler::Tool => self.tool_ms,
            Handler::Event => return Self::EVENT,
        };
        Duration::from_millis(timeout_ms.saturating_sub(self.margin_ms).into())
    }

    /// The time until the platform has to have its reply.
    pub fn wait(&self, handler: Handler) -> Duration {
        self.budget(handler) + Duration::from_millis(self.margin_ms.into())
    }
}

#[derive(Debug, Clone)]
pub struct Source {
    pub id: SourceId,
    pub organization: OrganizationId,
    pub name: Name,
    /// The name of a dialect in `ingest`.
    pub dialect: String,
    /// All of them must hold.
    pub proof: Vec<Proof>,
    pub patience: Patience,
    pub repeat_window: RepeatWindow,
    /// What calls start with where the platform does not say it: an object in the
    /// platform's own form.
    pub agent_config: Option<Json>,
    /// None: no limit but the organization's.
    pub rate: Option<PerSecond>,
    pub verdicts: Verdicts,
    pub revision: Revision,
    pub created_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_the_timeout_less_the_margin() {
        let patience = Patience::default();
        assert_eq!(
            patience.budget(Handler::Start),
            Duration::from_millis(9_500)
        );
        assert_eq!(patience.budget(Handler::Tool), Duration::from_millis(4_500));
        let tight = Patience {
            tool_ms: 100,
            margin_ms: 500,
            ..patience
        };
        assert_eq!(tight.budget(Handler::Tool), Duration::ZERO);
    }
}
