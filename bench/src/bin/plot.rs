//! Draws a curve as SVG, both axes logarithmic: reads from standard input what, and says
//! `{}` when it is done.

use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow, ensure};
use plotters::prelude::*;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    path: PathBuf,
    title: String,
    axes: [String; 2],
    lines: Vec<Line>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    name: String,
    points: Vec<(f64, f64)>,
}

const SIZE: (u32, u32) = (760, 420);

/// Told apart by those who see no colours too: they differ in lightness.
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 90, 181),
    RGBColor(220, 50, 32),
    RGBColor(64, 176, 166),
    RGBColor(225, 190, 106),
    RGBColor(93, 58, 155),
    RGBColor(40, 40, 40),
];

fn main() -> Result<()> {
    let order: Order = serde_json::from_reader(io::stdin().lock()).context("no order")?;
    draw(&order).map_err(|error| anyhow!("it cannot be drawn: {error}"))?;
    writeln!(io::stdout(), "{{}}")?;
    Ok(())
}

fn draw(order: &Order) -> Result<()> {
    let points = || order.lines.iter().flat_map(|line| &line.points);
    ensure!(points().count() > 0, "there are no points");
    let root = SVGBackend::new(&order.path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let across = span(points().map(|(size, _)| *size), 1.0);
    // Whole decades, so that what is flat looks flat.
    let up = span(points().map(|(_, value)| *value), 10.0);
    let mut chart = ChartBuilder::on(&root)
        .caption(&order.title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(64)
        .build_cartesian_2d((across.0..across.1).log_scale(), (up.0..up.1).log_scale())?;
    let [x, y] = &order.axes;
    chart
        .configure_mesh()
        .x_desc(x)
        .y_desc(y)
        .x_label_formatter(&|value| value.to_string())
        .y_label_formatter(&|value| value.to_string())
        .draw()?;
    for (line, colour) in order.lines.iter().zip(COLOURS.iter().cycle()) {
        let style = colour.stroke_width(2);
        chart
            .draw_series(LineSeries::new(line.points.iter().copied(), style))?
            .label(&line.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
        let dots = line.points.iter();
        chart.draw_series(dots.map(|point| Circle::new(*point, 3, colour.filled())))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    root.present()?;
    Ok(())
}

/// From the least to the most, each moved outwards to a multiple of a power of ten if
/// that is wanted.
fn span(values: impl Iterator<Item = f64>, widen: f64) -> (f64, f64) {
    let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in values {
        least = least.min(value);
        most = most.max(value);
    }
    if widen > 1.0 {
        return (
            10_f64.powf(least.log10().floor()),
            10_f64.powf(most.log10().floor() + 1.0),
        );
    }
    // A line of one point has no width of its own.
    (least, if most > least { most } else { least * 10.0 })
}
