//! How cost grows with what there is: a row each for payloads, transcripts, bindings,
//! events, endpoints, connections; and a plot of each in `docs/performance/`.
//!
//! What should not grow is compared with itself: the last of a line over its first.
//! Neighbour: `figures`, which measures at one size.

mod bindings;
mod connections;
mod endpoints;
mod events;
mod payloads;
mod plot;

use anyhow::Result;

use super::report::Report;
use super::rounds::Samples;
use super::stage::Stage;

/// All their names begin like that.
pub(super) const PREFIX: &str = "growth";

/// What grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Row {
    Payload,
    Transcript,
    Bindings,
    Events,
    Endpoints,
    Connections,
}

/// What came of a row.
#[derive(Debug)]
struct Curve {
    name: &'static str,
    title: &'static str,
    /// What grows, and what is measured, with its unit.
    axes: [&'static str; 2],
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    name: &'static str,
    points: Vec<(f64, f64)>,
}

impl Line {
    fn new(name: &'static str) -> Self {
        let points = Vec::new();
        Self { name, points }
    }

    fn push(&mut self, size: u64, value: f64) {
        self.points.push((size as f64, value));
    }
}

impl Row {
    const ALL: [Self; 6] = [
        Self::Payload,
        Self::Transcript,
        Self::Bindings,
        Self::Events,
        Self::Endpoints,
        Self::Connections,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Payload => "growth_payload",
            Self::Transcript => "growth_transcript",
            Self::Bindings => "growth_bindings",
            Self::Events => "growth_events",
            Self::Endpoints => "growth_endpoints",
            Self::Connections => "growth_connections",
        }
    }

    fn measure(self, stage: &Stage) -> Result<Curve> {
        match self {
            Self::Payload => payloads::of_starts(stage),
            Self::Transcript => payloads::of_transcripts(stage),
            Self::Bindings => bindings::measure(stage),
            Self::Events => events::measure(stage),
            Self::Endpoints => endpoints::measure(stage),
            Self::Connections => connections::measure(stage),
        }
    }
}

/// Measures the rows of these names, or all of them.
pub(super) fn measure(stage: &Stage, report: &mut Report) -> Result<()> {
    let wanted = |row: &Row| {
        let mut only = stage.only.iter().filter(|it| it.starts_with(PREFIX));
        only.any(|it| row.name().starts_with(it.as_str()))
    };
    for row in Row::ALL.into_iter().filter(wanted) {
        match row.measure(stage) {
            Ok(curve) => {
                add(report, &curve);
                let path = plot::draw(stage, &curve)?;
                report.note(format!("{} is drawn in {}", curve.name, path.display()));
            }
            Err(error) => report.failed(row.name(), &error),
        }
    }
    Ok(())
}

/// Every point, and how much larger the last of a line is than its first.
fn add(report: &mut Report, curve: &Curve) {
    for line in &curve.lines {
        let name = format!("{}_{}", curve.name, line.name.replace(' ', "_"));
        for (size, value) in &line.points {
            report.add(format!("{name}_at_{size:.0}"), Samples::one(*value));
        }
        if let (Some((_, first)), Some((_, last))) = (line.points.first(), line.points.last()) {
            report.add(format!("{name}_last_vs_first"), Samples::one(last / first));
        }
    }
}

/// From that power of ten to that one.
fn decades(from: u32, to: u32) -> impl Iterator<Item = u64> {
    (from..=to).map(|power| 10_u64.pow(power))
}
