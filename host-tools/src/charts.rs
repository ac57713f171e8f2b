//! Charts that verbs write, as SVG: it needs no font of ours and is sharp at any size.

pub mod confusion;
pub mod reliability;
pub mod saving;
mod ticks;
mod words;

use std::path::Path;

use anyhow::anyhow;
use plotters::element::EmptyElement;
use plotters::prelude::{
    ChartBuilder, Circle, Color as _, DashedLineSeries, IntoDrawingArea as _, LineSeries,
    PathElement, RGBColor, Rectangle, SVGBackend, ShapeStyle, WHITE,
};
use plotters::style::text_anchor::HPos;

use ticks::Ticks;
use words::{Area, Drawn, font, write};

/// One curve: the values at 0, 1, 2 and so on.
#[derive(Clone, Debug)]
pub struct Curve<'a> {
    /// For the legend.
    pub name: &'a str,
    /// Shares of one.
    pub values: Vec<f64>,
}

/// Told apart by anyone (Okabe and Ito).
const COLORS: [RGBColor; 2] = [RGBColor(0, 114, 178), RGBColor(213, 94, 0)];
/// Marks of an axis, about.
const MARKS: usize = 6;
/// Layers that are numbered at most.
const LAYERS: usize = 25;
/// Radius of a dot, and the square around it, in pixels.
const DOT: u32 = 3;
const SQUARE: [(i32, i32); 2] = [(-6, -6), (6, 6)];
/// A dash and what is between two.
const DASHES: [u32; 2] = [8, 5];

/// The vertical axis, in percent.
struct Axis {
    name: &'static str,
    low: f64,
    high: f64,
    /// Room above it is for the dots, and has no marks.
    most: f64,
}

/// Writes accuracies in percent over the layer as SVG.
///
/// # Errors
/// It cannot be drawn or written.
pub fn by_layer(path: &Path, title: &str, curves: &[Curve<'_>]) -> anyhow::Result<()> {
    save(path, draw(title, &accuracy_axis(curves), curves))
}

/// As much as the values need: where all are near 100 %, differences of a tenth are seen.
fn accuracy_axis(curves: &[Curve<'_>]) -> Axis {
    let (least, most) = range(curves, 1.0);
    let margin = (0.08 * (most - least)).max(0.25);
    Axis {
        name: "accuracy, %",
        low: (least - margin).max(0.0),
        high: most + margin,
        most: 100.0,
    }
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
        most: f64::INFINITY,
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

/// A line for each curve; a legend if they have names. The first is solid with dots, the second dashed with
/// hollow squares around the dots: where one lies on the other both are seen.
fn draw(
    title: &str,
    axis: &Axis,
    curves: &[Curve<'_>],
) -> Result<String, Box<dyn std::error::Error>> {
    let mut svg = String::new();
    let longest = curves.iter().map(|curve| curve.values.len()).max();
    let last = longest.unwrap_or_default().saturating_sub(1).max(1) as f64;
    let named = curves.iter().any(|curve| !curve.name.is_empty());
    {
        let area = SVGBackend::with_string(&mut svg, (720, 440)).into_drawing_area();
        area.fill(&WHITE)?;
        // A legend within the plot would hide what it is the legend of.
        let (header, plot) = area.split_vertically(if named { 64 } else { 36 });
        write(&header, title, (16, 22), font(15), HPos::Left)?;
        if named {
            legend(&header, curves)?;
        }
        let mut chart = ChartBuilder::on(&plot)
            .margin(16)
            .margin_top(4)
            .x_label_area_size(44)
            .y_label_area_size(72)
            .build_cartesian_2d(
                Ticks::whole(0.0, last, LAYERS),
                Ticks::between(axis.low, axis.high, MARKS).up_to(axis.most),
            )?;
        chart
            .configure_mesh()
            .x_desc("layer (0: the embeddings)")
            .y_desc(axis.name)
            .light_line_style(WHITE)
            .label_style(("sans-serif", 15))
            .draw()?;
        for (index, curve) in curves.iter().enumerate() {
            let style = style(index);
            let percent = curve.values.iter().map(|value| 100.0 * value).enumerate();
            let points = || percent.clone().map(|(x, y)| (x as f64, y));
            if is_solid(index) {
                chart.draw_series(LineSeries::new(points(), style))?;
                let dot = |point| Circle::new(point, DOT, style.filled());
                chart.draw_series(points().map(dot))?;
            } else {
                let [dash, gap] = DASHES;
                chart.draw_series(DashedLineSeries::new(points(), dash, gap, style))?;
                let square = |point| EmptyElement::at(point) + Rectangle::new(SQUARE, style);
                chart.draw_series(points().map(square))?;
            }
        }
        area.present()?;
    }
    Ok(svg)
}

/// Every other curve is: no more than two lie on one another.
fn is_solid(index: usize) -> bool {
    index.is_multiple_of(2)
}

fn style(index: usize) -> ShapeStyle {
    let color = COLORS.iter().cycle().nth(index).copied();
    color.unwrap_or(RGBColor(0, 0, 0)).stroke_width(2)
}

/// What the curves are called, side by side.
fn legend(area: &Area<'_>, curves: &[Curve<'_>]) -> Drawn {
    let (mut x, y) = (16, 48);
    for (index, curve) in curves.iter().enumerate() {
        let (style, middle) = (style(index), x + 20);
        if is_solid(index) {
            area.draw(&PathElement::new([(x, y), (x + 40, y)], style))?;
            area.draw(&Circle::new((middle, y), DOT, style.filled()))?;
        } else {
            for from in [x, middle - 4, x + 32] {
                area.draw(&PathElement::new([(from, y), (from + 8, y)], style))?;
            }
            let [(left, top), (right, bottom)] = SQUARE;
            let corners = [(middle + left, y + top), (middle + right, y + bottom)];
            area.draw(&Rectangle::new(corners, style))?;
        }
        write(area, curve.name, (x + 48, y), font(13), HPos::Left)?;
        x += 48 + 8 * curve.name.chars().count() as i32 + 32;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const AXIS: Axis = Axis {
        name: "y",
        low: 0.0,
        high: 100.0,
        most: 100.0,
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
        // A dot a value, and one in the legend.
        assert_eq!(svg.matches("<circle").count(), 3 + 1);
        let squares = svg.matches("<rect").count();
        assert!(
            squares >= 3 && svg.contains("a &lt; b") && svg.contains("two"),
            "{svg}"
        );
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
            told_apart(&svg, &largest.to_string());
        }
    }

    #[test]
    fn accuracies_near_one_hundred_have_ticks_that_differ() {
        for least in [0.1, 0.9, 0.98, 0.995, 0.9999, 1.0] {
            let curve = |name, values| Curve { name, values };
            let curves = [
                curve("measured", vec![least, 1.0, 1.0]),
                curve("fitted", vec![1.0; 3]),
            ];
            let svg = draw("t", &accuracy_axis(&curves), &curves).unwrap();
            told_apart(&svg, &least.to_string());
        }
    }

    /// The marks of the vertical axis differ.
    fn told_apart(svg: &str, what: &str) {
        let texts = svg.split("<text ").filter(|text| text.contains("\"end\""));
        let ticks = texts.filter_map(|text| text.split(['>', '<']).nth(1));
        let mut ticks: Vec<&str> = ticks.map(str::trim).collect();
        let count = ticks.len();
        ticks.sort_unstable();
        ticks.dedup();
        assert!(count >= 3 && ticks.len() == count, "{what}: {ticks:?}");
    }
}
