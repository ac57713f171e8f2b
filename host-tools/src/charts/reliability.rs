//! A reliability plot: how often a model is right when it says how sure it is.

use std::path::Path;

use anyhow::anyhow;
use plotters::prelude::{
    ChartBuilder, Circle, Color as _, IntoDrawingArea as _, LineSeries, PathElement, RGBColor,
    Rectangle, SVGBackend, WHITE,
};
use plotters::style::text_anchor::HPos;

use super::ticks::Ticks;
use super::words::{Area, Drawn, font, write};

/// Fills of this model's bars, and their edges; the other model's line.
const BAR: RGBColor = RGBColor(86, 180, 233);
const EDGE: RGBColor = RGBColor(0, 114, 178);
const OTHER: RGBColor = RGBColor(213, 94, 0);
const PERFECT: RGBColor = RGBColor(120, 120, 120);

/// Predictions of about the same confidence; shares of one.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// Confidences from here,
    pub from: f64,
    /// to here.
    pub to: f64,
    /// Their mean.
    pub confidence: f64,
    /// The share that is right.
    pub accuracy: f64,
    /// How many; a point without any is not drawn.
    pub predictions: u64,
}

/// One model.
#[derive(Clone, Debug)]
pub struct Curve {
    /// For the legend.
    pub name: String,
    /// In order of their confidence.
    pub points: Vec<Point>,
}

impl Curve {
    fn drawn(&self) -> impl Iterator<Item = &Point> {
        self.points.iter().filter(|point| point.predictions > 0)
    }
}

/// Writes accuracy over confidence as SVG, of `this` as bars and of `other` as a line, and below it how many
/// predictions there are.
///
/// # Errors
/// It cannot be drawn or written.
pub fn draw(path: &Path, title: &str, this: &Curve, other: Option<&Curve>) -> anyhow::Result<()> {
    let svg = svg(title, this, other).map_err(|error| anyhow!("{}: {error}", path.display()))?;
    crate::output::write(path, svg.as_bytes())
}

fn svg(
    title: &str,
    this: &Curve,
    other: Option<&Curve>,
) -> Result<String, Box<dyn std::error::Error>> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (640, 792)).into_drawing_area();
        area.fill(&WHITE)?;
        // A legend within the plot would hide bars: they may be anywhere.
        let (header, plots) = area.split_vertically(112);
        let (upper, lower) = plots.split_vertically(480);
        legend(&header, title, this, other)?;
        let mut chart = ChartBuilder::on(&upper)
            .margin(16)
            .x_label_area_size(44)
            .y_label_area_size(56)
            .build_cartesian_2d(0.0..100.0, 0.0..100.0)?;
        chart
            .configure_mesh()
            .x_desc("confidence, %")
            .y_desc("right, %")
            .x_label_formatter(&|x| format!("{x:.0}"))
            .y_label_formatter(&|y| format!("{y:.0}"))
            .light_line_style(WHITE)
            .label_style(("sans-serif", 15))
            .draw()?;
        let bar =
            |point: &Point, height: f64| [(100.0 * point.from, 0.0), (100.0 * point.to, height)];
        for style in [BAR.filled(), EDGE.stroke_width(1)] {
            chart.draw_series(
                this.drawn()
                    .map(|p| Rectangle::new(bar(p, 100.0 * p.accuracy), style)),
            )?;
        }
        chart.draw_series(LineSeries::new(
            [(0.0, 0.0), (100.0, 100.0)],
            PERFECT.stroke_width(1),
        ))?;
        if let Some(other) = other {
            let points = || {
                other
                    .drawn()
                    .map(|p| (100.0 * p.confidence, 100.0 * p.accuracy))
            };
            chart.draw_series(LineSeries::new(points(), OTHER.stroke_width(2)))?;
            chart.draw_series(points().map(|point| Circle::new(point, 3, OTHER.filled())))?;
        }
        let all: u64 = this.points.iter().map(|point| point.predictions).sum();
        let share = |point: &Point| 100.0 * point.predictions as f64 / all.max(1) as f64;
        let high = 1.05 * this.points.iter().map(share).fold(1.0, f64::max);
        let mut chart = ChartBuilder::on(&lower)
            .margin(16)
            .margin_top(0)
            .x_label_area_size(44)
            .y_label_area_size(56)
            .build_cartesian_2d(0.0..100.0, Ticks::between(0.0, high, 4))?;
        chart
            .configure_mesh()
            .x_desc("confidence, %")
            .y_desc("of all, %")
            .x_label_formatter(&|x| format!("{x:.0}"))
            .light_line_style(WHITE)
            .label_style(("sans-serif", 15))
            .draw()?;
        for style in [BAR.filled(), EDGE.stroke_width(1)] {
            chart.draw_series(
                this.drawn()
                    .map(|p| Rectangle::new(bar(p, share(p)), style)),
            )?;
        }
        area.present()?;
    }
    Ok(svg)
}

/// The title, and what is drawn how.
fn legend(area: &Area<'_>, title: &str, this: &Curve, other: Option<&Curve>) -> Drawn {
    let line =
        |y, color: RGBColor, width| PathElement::new([(16, y), (34, y)], color.stroke_width(width));
    write(area, title, (16, 24), font(15), HPos::Left)?;
    area.draw(&Rectangle::new([(16, 45), (34, 57)], BAR.filled()))?;
    write(area, &this.name, (42, 51), font(13), HPos::Left)?;
    area.draw(&line(73, PERFECT, 1))?;
    let diagonal = "on this line a model is right as often as it is sure";
    write(area, diagonal, (42, 73), font(13), HPos::Left)?;
    if let Some(other) = other {
        area.draw(&line(95, OTHER, 2))?;
        area.draw(&Circle::new((25, 95), 3, OTHER.filled()))?;
        write(area, &other.name, (42, 95), font(13), HPos::Left)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_with_predictions_are_bars_and_the_other_model_is_a_line() {
        let point = |from: f64, predictions| Point {
            from,
            to: from + 0.1,
            confidence: from + 0.05,
            accuracy: 0.5,
            predictions,
        };
        let curve = |name: &str| Curve {
            name: name.into(),
            points: vec![point(0.0, 0), point(0.4, 3), point(0.9, 7)],
        };
        let bars = |svg: &str| svg.matches("#56B4E9").count();
        let alone = svg("t", &curve("one"), None).unwrap();
        // Two above, two below, one in the legend.
        assert_eq!(bars(&alone), 5, "{alone}");
        let both = svg("t", &curve("one"), Some(&curve("two"))).unwrap();
        assert_eq!((bars(&both), both.matches("<circle").count()), (5, 3));
        assert!(both.contains("two"));
        let nothing = Curve {
            name: String::new(),
            points: Vec::new(),
        };
        svg("nothing", &nothing, None).unwrap();
    }
}
