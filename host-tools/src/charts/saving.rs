//! What stopping early saves against how often the verdict stays: a curve, and the promises of a file on it.

use std::path::Path;

use plotters::prelude::{
    ChartBuilder, Circle, IntoDrawingArea as _, LineSeries, SVGBackend, WHITE,
};
use plotters::style::text_anchor::HPos;

use super::ticks::Ticks;
use super::words::{font, write};
use super::{DOT, MARKS, save, style};

/// One way of stopping; shares of one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Of all blocks those that were not computed.
    pub saved: f64,
    /// Of all images those with the whole model's verdict.
    pub agreement: f64,
}

/// Writes a curve, ascending by what it saves, and dots for what a file promises, as SVG.
///
/// # Errors
/// It cannot be drawn or written.
pub fn draw(path: &Path, title: &str, curve: &[Point], promises: &[Point]) -> anyhow::Result<()> {
    save(path, svg(title, curve, promises))
}

fn svg(
    title: &str,
    curve: &[Point],
    promises: &[Point],
) -> Result<String, Box<dyn std::error::Error>> {
    let percent = |point: &Point| (100.0 * point.saved, 100.0 * point.agreement);
    let all = || curve.iter().chain(promises).map(percent);
    let low = all().map(|(_, agreement)| agreement).fold(100.0, f64::min);
    let margin = (0.08 * (100.0 - low)).max(0.05);
    let most = all().map(|(saved, _)| saved).fold(10.0, f64::max);
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (720, 440)).into_drawing_area();
        area.fill(&WHITE)?;
        let (header, plot) = area.split_vertically(36);
        write(&header, title, (16, 22), font(15), HPos::Left)?;
        let mut chart = ChartBuilder::on(&plot)
            .margin(16)
            .margin_top(4)
            .x_label_area_size(44)
            .y_label_area_size(72)
            .build_cartesian_2d(
                Ticks::between(0.0, most, MARKS),
                Ticks::between(low - margin, 100.0 + margin, MARKS).up_to(100.0),
            )?;
        chart
            .configure_mesh()
            .x_desc("blocks saved, %  (dots: the file's promises)")
            .y_desc("the whole model's verdict, %")
            .light_line_style(WHITE)
            .label_style(("sans-serif", 15))
            .draw()?;
        chart.draw_series(LineSeries::new(curve.iter().map(percent), style(0)))?;
        let dot = |point| Circle::new(percent(point), DOT + 1, style(1).filled());
        chart.draw_series(promises.iter().map(dot))?;
        area.present()?;
    }
    Ok(svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promises_are_dots_and_a_curve_of_nothing_is_drawn_too() {
        let point = |saved, agreement| Point { saved, agreement };
        let curve = [point(0.0, 1.0), point(0.2, 0.999), point(0.5, 0.9)];
        let drawn = svg("a < b", &curve, &[point(0.3, 0.99), point(0.1, 1.0)]).unwrap();
        assert_eq!(drawn.matches("<circle").count(), 2);
        assert!(
            drawn.contains("a &lt; b") && drawn.contains("<polyline"),
            "{drawn}"
        );
        svg("none", &[], &[]).unwrap();
    }
}
