//! How an error grows from layer to layer.

use std::path::Path;

use anyhow::{Context, anyhow};
use plotters::prelude::{
    ChartBuilder, Circle, Color as _, IntoDrawingArea as _, LineSeries, RGBColor, SVGBackend, WHITE,
};

const LINE: RGBColor = RGBColor(0, 114, 178);

/// Writes relative errors, shares of one, of layers 0, 1, 2 and so on as SVG.
///
/// # Errors
/// It cannot be drawn or written.
pub fn draw(path: &Path, title: &str, errors: &[f64]) -> anyhow::Result<()> {
    let svg = svg(title, errors).map_err(|error| anyhow!("{}: {error}", path.display()))?;
    std::fs::write(path, svg).with_context(|| path.display().to_string())
}

fn svg(title: &str, errors: &[f64]) -> Result<String, Box<dyn std::error::Error>> {
    let last = errors.len().saturating_sub(1).max(1);
    let most = errors
        .iter()
        .fold(0.0, |most: f64, error| most.max(100.0 * error));
    // Enough digits to tell the ticks apart.
    let digits = (1.0 - most.max(1e-12).log10().floor()).clamp(0.0, 9.0) as usize;
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (720, 440)).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .margin(16)
            .caption(title, ("sans-serif", 19))
            .x_label_area_size(44)
            .y_label_area_size(72)
            .build_cartesian_2d(0.0..last as f64, 0.0..(1.1 * most).max(1e-9))?;
        chart
            .configure_mesh()
            .x_desc("layer (0: the embeddings)")
            .y_desc("relative error of the hidden states, %")
            .x_labels((last + 1).min(25))
            .x_label_formatter(&|x| format!("{x:.0}"))
            .y_label_formatter(&|y| format!("{y:.digits$}"))
            .light_line_style(WHITE)
            .label_style(("sans-serif", 15))
            .draw()?;
        let points = || {
            errors
                .iter()
                .enumerate()
                .map(|(x, y)| (x as f64, 100.0 * y))
        };
        chart.draw_series(LineSeries::new(points(), LINE.stroke_width(2)))?;
        chart.draw_series(points().map(|point| Circle::new(point, 4, LINE.filled())))?;
        area.present()?;
    }
    Ok(svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layer_is_a_point_whatever_the_scale() {
        for errors in [&[0.0, 0.01, 0.4][..], &[1e-7; 3], &[0.0; 3]] {
            let svg = svg("a & b", errors).unwrap();
            assert_eq!(svg.matches("<circle").count(), 3);
            assert!(svg.contains("a &amp; b"));
        }
        svg("nothing", &[]).unwrap();
    }
}
