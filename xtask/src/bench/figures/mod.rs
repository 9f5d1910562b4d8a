//! What is measured, a file for each group of figures that share what they set up.

mod cold;
mod decisions;
mod deliveries;
mod invocations;
mod latency;
mod notices;
mod plugins;
mod questions;

use anyhow::Result;

pub(super) use self::decisions::{ACCEPTED, gate, settings};
pub(super) use self::deliveries::Field;
pub(super) use self::questions::of_transfers;
use super::growth;
use super::report::Report;
use super::stage::Stage;

/// Figures that are measured together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    Decisions,
    Latency,
    Invocations,
    Questions,
    Notices,
    Deliveries,
    Cold,
    Plugins,
    Growth,
}

impl Group {
    pub(super) const ALL: [Self; 9] = [
        Self::Decisions,
        Self::Latency,
        Self::Invocations,
        Self::Questions,
        Self::Notices,
        Self::Deliveries,
        Self::Cold,
        Self::Plugins,
        Self::Growth,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Decisions => "decisions",
            Self::Latency => "latency",
            Self::Invocations => "invocations",
            Self::Questions => "questions",
            Self::Notices => "notices",
            Self::Deliveries => "deliveries",
            Self::Cold => "cold",
            Self::Plugins => "plugins",
            Self::Growth => growth::PREFIX,
        }
    }

    pub(super) fn about(self) -> &'static str {
        match self {
            Self::Decisions => "starts decided per second, beside peers",
            Self::Latency => "how long answers take at half of peak load",
            Self::Invocations => "a fresh instance and a call, without HTTP and store",
            Self::Questions => "tool calls and transfers answered per second",
            Self::Notices => "notices accepted per second, safe from power loss",
            Self::Deliveries => "deliveries per second, and how soon they arrive",
            Self::Cold => "the first call after a restart",
            Self::Plugins => "a thousand plugins: memory, and calls spread over them",
            Self::Growth => "how cost grows with what there is",
        }
    }

    fn figures(self) -> &'static [&'static str] {
        match self {
            Self::Decisions => decisions::FIGURES,
            Self::Latency => latency::FIGURES,
            Self::Invocations => invocations::FIGURES,
            Self::Questions => questions::FIGURES,
            Self::Notices => notices::FIGURES,
            Self::Deliveries => deliveries::FIGURES,
            Self::Cold => cold::FIGURES,
            Self::Plugins => plugins::FIGURES,
            Self::Growth => &[],
        }
    }

    /// Whether it, or a figure of it, begins with one of these names.
    pub(super) fn is_wanted(self, only: &[String]) -> bool {
        if self == Self::Growth {
            // Its rows have names that begin with its own. It takes an hour, so nobody
            // gets it who has not asked for it.
            return only.iter().any(|it| it.starts_with(self.name()));
        }
        let mut names = self.figures().iter().copied().chain([self.name()]);
        only.is_empty() || names.any(|name| only.iter().any(|it| name.starts_with(it.as_str())))
    }

    pub(super) fn measure(self, stage: &Stage, report: &mut Report) -> Result<()> {
        match self {
            Self::Decisions => decisions::measure(stage, report),
            Self::Latency => latency::measure(stage, report),
            Self::Invocations => invocations::measure(stage, report),
            Self::Questions => questions::measure(stage, report),
            Self::Notices => notices::measure(stage, report),
            Self::Deliveries => deliveries::measure(stage, report),
            Self::Cold => cold::measure(stage, report),
            Self::Plugins => plugins::measure(stage, report),
            Self::Growth => growth::measure(stage, report),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_wanted_by_its_name_or_by_that_of_a_figure() {
        let wanted = |only: &[&str]| {
            let only: Vec<String> = only.iter().map(|&name| name.to_owned()).collect();
            let groups = Group::ALL.into_iter().filter(|it| it.is_wanted(&only));
            groups.map(Group::name).collect::<Vec<_>>()
        };
        assert_eq!(wanted(&["accept_eps"]), ["notices"]);
        assert_eq!(wanted(&["cold", "invoke"]), ["invocations", "cold"]);
        assert_eq!(wanted(&["growth_events"]), ["growth"]);
        assert_eq!(wanted(&[]).len(), Group::ALL.len() - 1);
        assert!(wanted(&["nothing"]).is_empty());
    }
}
