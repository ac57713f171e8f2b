//! Charts that verbs write, as SVG: it needs no font of ours and is sharp at any size.

pub mod confusion;
pub mod reliability;
mod words;

use std::path::Path;

use anyhow::anyhow;
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

/// The vertical axis, in percent.
struct Axis {
    name: &'static str,
    low: f64,
    high: f64,
    /// After the point.
    digits: usize,
}

/// Writes accuracies in percent over the layer as SVG.
///
/// # Errors
/// It cannot be drawn or written.
pub fn by_layer(path: &Path, title: &str, curves: &[Curve<'_>]) -> anyhow::Result<()> {
    let (least, most) = range(curves, 1.0);
    let low = (least - 2.0).max(0.0);
    let axis = Axis {
        name: "accuracy, %",
        low,
        high: (most + 2.0).clamp(low + 1.0, 100.5),
        digits: 0,
    };
    save(path, draw(title, &axis, curves))
}

/// Writes relative errors of hidden states in percent over the layer as SVG.
///
/// # Errors
/// It cannot be drawn or written.
pub fn errors_by_layer(path: &Path, title: &str, errors: &[f64]) -> anyhow::Result<()> {
    let curve = Curve {
        name: "",
        values: errors.to_vec(),
    };
    save(path, draw(title, &error_axis(&curve), &[curve]))
}

fn error_axis(curve: &Curve<'_>) -> Axis {
    let (_, most) = range(std::slice::from_ref(curve), 0.0);
    // Two files of the same bits: any axis shows that.
    let most = if most < 1e-9 { 1.0 } else { most };
    Axis {
        name: "relative error of the hidden states, %",
        low: 0.0,
        high: 1.1 * most,
        // Enough to tell the ticks apart.
        digits: (1.0 - most.log10().floor()).clamp(0.0, 9.0) as usize,
    }
}

/// The least and the largest value in percent; the least is at most `least`.
fn range(curves: &[Curve<'_>], least: f64) -> (f64, f64) {
    let values = || curves.iter().flat_map(|curve| &curve.values).copied();
    let (low, high) = (values().fold(least, f64::min), values().fold(0.0, f64::max));
    (100.0 * low, 100.0 * high)
}

fn save(path: &Path, svg: Result<String, Box<dyn std::error::Error>>) -> anyhow::Result<()> {
    let svg = svg.map_err(|error| anyhow!("{}: {error}", path.display()))?;
    crate::output::write(path, svg.as_bytes())
}

/// A line for each curve; a legend if they have names.
fn draw(
    title: &str,
    axis: &Axis,
    curves: &[Curve<'_>],
) -> Result<String, Box<dyn std::error::Error>> {
    let mut svg = String::new();
    let longest = curves.iter().map(|curve| curve.values.len()).max();
    let last = longest.unwrap_or_default().saturating_sub(1).max(1);
    let digits = axis.digits;
    {
        let area = SVGBackend::with_string(&mut svg, (720, 440)).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .margin(16)
            .caption(title, ("sans-serif", 19))
            .x_label_area_size(44)
            .y_label_area_size(72)
            .build_cartesian_2d(0.0..last as f64, axis.low..axis.high)?;
        chart
            .configure_mesh()
            .x_desc("layer (0: the embeddings)")
            .y_desc(axis.name)
            .x_labels((last + 1).min(25))
            .x_label_formatter(&|x| format!("{x:.0}"))
            .y_label_formatter(&|y| format!("{y:.digits$}"))
            .light_line_style(WHITE)
            .label_style(("sans-serif", 15))
            .draw()?;
        for (curve, color) in curves.iter().zip(COLORS.iter().cycle()) {
            let percent = curve.values.iter().map(|value| 100.0 * value).enumerate();
            let points = || percent.clone().map(|(x, y)| (x as f64, y));
            chart
                .draw_series(LineSeries::new(points(), color.stroke_width(2)))?
                .label(curve.name)
                .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
            chart.draw_series(points().map(|point| Circle::new(point, 3, color.filled())))?;
        }
        if curves.iter().any(|curve| !curve.name.is_empty()) {
            chart
                .configure_series_labels()
                .position(plotters::chart::SeriesLabelPosition::LowerRight)
                .background_style(WHITE)
                .border_style(BLACK)
                .label_font(("sans-serif", 15))
                .draw()?;
        }
        area.present()?;
    }
    Ok(svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AXIS: Axis = Axis {
        name: "y",
        low: 0.0,
        high: 100.0,
        digits: 0,
    };

    #[test]
    fn every_point_is_drawn_and_names_are_escaped() {
        let curve = |name, values: &[f64]| Curve {
            name,
            values: values.to_vec(),
        };
        let curves = [
            curve("one", &[0.2, 0.5, 1.0]),
            curve("two", &[0.3, 0.3, 0.3]),
        ];
        let svg = draw("a < b", &AXIS, &curves).unwrap();
        assert_eq!(svg.matches("<circle").count(), 6);
        assert!(svg.contains("a &lt; b") && svg.contains("two"), "{svg}");
        draw("nothing", &AXIS, &[]).unwrap();
        draw("one layer", &AXIS, &[curve("x", &[0.0])]).unwrap();
    }

    #[test]
    fn errors_of_any_scale_have_ticks_that_differ() {
        for largest in [0.3, 0.015, 0.0099, 1e-6, 0.0] {
            let curve = Curve {
                name: "",
                values: vec![0.0, largest / 2.0, largest],
            };
            let svg = draw("t", &error_axis(&curve), &[curve]).unwrap();
            assert_eq!(svg.matches("<circle").count(), 3);
            let texts = svg.split("<text ").filter(|text| text.contains("\"end\""));
            let ticks = texts.filter_map(|text| text.split(['>', '<']).nth(1));
            let mut ticks: Vec<&str> = ticks.map(str::trim).collect();
            let count = ticks.len();
            ticks.sort_unstable();
            ticks.dedup();
            assert!(count >= 3 && ticks.len() == count, "{largest}: {ticks:?}");
        }
    }
}
