//! What the figures should be (issue 7, "To reach").

/// A figure's goal.
#[derive(Debug, Clone, Copy)]
pub(super) enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

const GOALS: [(&str, Goal); 12] = [
    ("decision_vs_bare", Goal::AtLeast(0.45)),
    ("decision_nojournal_vs_bare", Goal::AtLeast(0.65)),
    ("decision_vs_express", Goal::AtLeast(7.0)),
    ("decision_vs_wasmtime_serve", Goal::AtLeast(5.0)),
    ("invoke_us", Goal::AtMost(8.0)),
    ("decision_p99_vs_bare", Goal::AtMost(3.0)),
    ("accept_eps", Goal::AtLeast(20_000.0)),
    ("deliver_eps", Goal::AtLeast(10_000.0)),
    // Beyond one disk sync, which is measured in the same run.
    ("delivery_latency_beyond_sync_ms", Goal::AtMost(10.0)),
    ("cold_ms", Goal::AtMost(2.0)),
    ("rss_kb_per_plugin", Goal::AtMost(100.0)),
    ("rps_1000_plugins_vs_1", Goal::AtLeast(0.8)),
];

impl Goal {
    /// The goal of a figure, if it has one.
    pub(super) fn of(figure: &str) -> Option<Self> {
        let goal = GOALS.iter().find(|(name, _)| *name == figure);
        goal.map(|(_, goal)| *goal)
    }

    pub(super) fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
        }
    }
}

impl std::fmt::Display for Goal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, "≥ {least}"),
            Self::AtMost(most) => write!(f, "≤ {most}"),
        }
    }
}
