//! Charts that verbs write, as SVG: it needs no font of ours and is sharp at any size.

pub mod confusion;
pub mod layer_errors;
pub mod reliability;
mod words;

use std::path::Path;

use anyhow::{Context, anyhow};
use plotters::prelude::{
    BLACK, ChartBuilder, Circle, Color as _, IntoDrawingArea as _, LineSeries, PathElement,
    RGBColor, SVGBackend, WHITE,
};

/// One curve: the values at 0, 1, 2 and so on.
#[derive(Clone, Debug)]
pub struct Curve<'a> {
    /// For the legend.
    pub name: &'a str,
    /// Shares of one.
    pub values: Vec<f64>,
}

/// Told apart by anyone (Okabe and Ito).
const COLORS: [RGBColor; 3] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
];

/// Writes curves in percent over the layer as SVG.
///
/// # Errors
/// It cannot be drawn or written.
pub fn by_layer(path: &Path, title: &str, curves: &[Curve<'_>]) -> anyhow::Result<()> {
    let svg = draw(title, curves).map_err(|error| anyhow!("{}: {error}", path.display()))?;
    std::fs::write(path, svg).with_context(|| path.display().to_string())
}

fn draw(title: &str, curves: &[Curve<'_>]) -> Result<String, Box<dyn std::error::Error>> {
    let mut svg = String::new();
    let last = curves
        .iter()
        .map(|curve| curve.values.len())
        .max()
        .unwrap_or_default()
        .saturating_sub(1)
        .max(1);
    let percent = || {
        curves
            .iter()
            .flat_map(|curve| &curve.values)
            .map(|value| 100.0 * value)
    };
    let low = (percent().fold(100.0, f64::min) - 2.0).max(0.0);
    let high = (percent().fold(0.0, f64::max) + 2.0).clamp(low + 1.0, 100.5);
    {
        let area = SVGBackend::with_string(&mut svg, (720, 440)).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .margin(16)
            .caption(title, ("sans-serif", 18))
            .x_label_area_size(44)
            .y_label_area_size(56)
            .build_cartesian_2d(0.0..last as f64, low..high)?;
        chart
            .configure_mesh()
            .x_desc("layer (0: the embeddings)")
            .y_desc("accuracy, %")
            .x_labels((last + 1).min(25))
            .x_label_formatter(&|x| format!("{x:.0}"))
            .y_label_formatter(&|y| format!("{y:.0}"))
            .light_line_style(WHITE)
            .label_style(("sans-serif", 13))
            .draw()?;
        for (curve, color) in curves.iter().zip(COLORS.iter().cycle()) {
            let points = || {
                curve
                    .values
                    .iter()
                    .enumerate()
                    .map(|(x, y)| (x as f64, 100.0 * y))
            };
            chart
                .draw_series(LineSeries::new(points(), color.stroke_width(2)))?
                .label(curve.name)
                .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
            chart.draw_series(points().map(|point| Circle::new(point, 3, color.filled())))?;
        }
        chart
            .configure_series_labels()
            .position(plotters::chart::SeriesLabelPosition::LowerRight)
            .background_style(WHITE)
            .border_style(BLACK)
            .label_font(("sans-serif", 13))
            .draw()?;
        area.present()?;
    }
    Ok(svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_is_drawn_and_names_are_escaped() {
        let curve = |name, values: &[f64]| Curve {
            name,
            values: values.to_vec(),
        };
        let svg = draw(
            "a < b",
            &[
                curve("one", &[0.2, 0.5, 1.0]),
                curve("two", &[0.3, 0.3, 0.3]),
            ],
        )
        .unwrap();
        assert_eq!(svg.matches("<circle").count(), 6);
        assert!(svg.contains("a &lt; b") && svg.contains("two"), "{svg}");
        draw("nothing", &[]).unwrap();
        draw("one layer", &[curve("x", &[0.0])]).unwrap();
    }
}
