//! A confusion matrix: a row for what images are, a column for what they were taken for.

use std::path::Path;

use anyhow::anyhow;
use plotters::prelude::{
    Color as _, FontTransform, IntoDrawingArea as _, PathElement, RGBColor, Rectangle, SVGBackend,
    WHITE,
};
use plotters::style::text_anchor::HPos;

use super::words::{Area, Drawn, font, write};

/// Most classes that are drawn.
pub const MOST: usize = 1000;
/// Around everything, in pixels.
const MARGIN: i32 = 16;
/// Characters of a label that are shown.
const LABEL: usize = 24;
/// What is right is blue and what is wrong orange, both light enough for black text (Okabe and Ito).
const RIGHT: RGBColor = RGBColor(86, 180, 233);
const WRONG: RGBColor = RGBColor(230, 159, 0);
const LINES: RGBColor = RGBColor(210, 210, 210);
/// Shares that the legend shows, in percent.
const SHARES: [u8; 5] = [1, 10, 25, 50, 100];

/// Images by what they are and what they were taken for.
#[derive(Clone, Debug)]
pub struct Confusion {
    /// The classes.
    pub labels: Vec<String>,
    /// (row, column, images), both indices of `labels`; what is not there is zero.
    pub cells: Vec<(usize, usize, u64)>,
}

/// Writes the matrix as SVG. A cell's shade is its share of the row; a row's share that is right stands at
/// its end.
///
/// # Errors
/// It cannot be drawn or written.
pub fn draw(path: &Path, title: &str, matrix: &Confusion) -> anyhow::Result<()> {
    let svg = svg(title, matrix).map_err(|error| anyhow!("{}: {error}", path.display()))?;
    crate::output::write(path, svg.as_bytes())
}

/// Where everything is, in pixels.
struct Layout {
    /// Side of a cell.
    cell: i32,
    /// Height of the labels' letters.
    font: i32,
    /// Width of the longest label.
    label: i32,
    left: i32,
    top: i32,
    /// Side of the matrix.
    side: i32,
}

impl Layout {
    fn of(labels: &[String]) -> Self {
        let classes = labels.len().clamp(1, MOST) as i32;
        let cell = match classes {
            ..=12 => 44,
            13..=20 => 34,
            21..=40 => 22,
            41..=60 => 16,
            61..=130 => 12,
            _ => (1300 / classes).max(2),
        };
        let font = (cell - 2).clamp(9, 13);
        let longest = labels
            .iter()
            .map(|label| shown(label).chars().count())
            .max();
        let label = width(longest.unwrap_or_default(), font);
        Self {
            cell,
            font,
            label,
            left: MARGIN + 24 + label,
            top: MARGIN + 58,
            side: classes * cell,
        }
    }

    /// Whether a cell has room for a number.
    fn has_numbers(&self) -> bool {
        self.cell >= 34
    }

    /// Whether a row has room for its share at its end.
    fn has_shares(&self) -> bool {
        self.cell >= 12
    }

    fn legend(&self) -> i32 {
        self.left + self.side + if self.has_shares() { 76 } else { 20 }
    }

    fn size(&self, title: &str) -> (u32, u32) {
        let right = self.legend() + 150;
        let right = right.max(2 * MARGIN + width(title.chars().count(), 15));
        let bottom = self.top + (self.side + self.label + 36).max(190);
        ((right + MARGIN) as u32, (bottom + MARGIN) as u32)
    }

    /// Corners of a cell.
    fn corners(&self, row: usize, column: usize) -> [(i32, i32); 2] {
        let x = self.left + column as i32 * self.cell;
        let y = self.top + row as i32 * self.cell;
        [(x, y), (x + self.cell, y + self.cell)]
    }
}

fn svg(title: &str, matrix: &Confusion) -> Result<String, Box<dyn std::error::Error>> {
    let layout = Layout::of(&matrix.labels);
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, layout.size(title)).into_drawing_area();
        area.fill(&WHITE)?;
        write(&area, title, (MARGIN, MARGIN + 8), font(15), HPos::Left)?;
        cells(&area, &layout, matrix)?;
        labels(&area, &layout, matrix)?;
        legend(&area, &layout)?;
        area.present()?;
    }
    Ok(svg)
}

/// Images of each row, and of these those on the diagonal.
fn rows(matrix: &Confusion) -> Vec<(u64, u64)> {
    let mut rows = vec![(0, 0); matrix.labels.len()];
    for (row, column, images) in &matrix.cells {
        if let Some((all, right)) = rows.get_mut(*row) {
            *all += images;
            *right += if row == column { *images } else { 0 };
        }
    }
    rows
}

fn cells(area: &Area<'_>, layout: &Layout, matrix: &Confusion) -> Drawn {
    let rows = rows(matrix);
    for (row, column, images) in &matrix.cells {
        let all = rows.get(*row).map_or(1, |(all, _)| *all).max(1);
        let color = shade(row == column, *images as f64 / all as f64);
        let [from, to] = layout.corners(*row, *column);
        area.draw(&Rectangle::new([from, to], color.filled()))?;
        if layout.has_numbers() {
            let middle = (from.0 + layout.cell / 2, from.1 + layout.cell / 2);
            let center = HPos::Center;
            write(area, &images.to_string(), middle, font(12), center)?;
        }
    }
    // Lines between all cells, or between tens of small ones.
    let step = if layout.cell >= 16 { 1 } else { 10 };
    let (left, top, side) = (layout.left, layout.top, layout.side);
    for at in (0..=side)
        .step_by((step * layout.cell) as usize)
        .chain([side])
    {
        let style = LINES.stroke_width(1);
        area.draw(&PathElement::new(
            [(left + at, top), (left + at, top + side)],
            style,
        ))?;
        area.draw(&PathElement::new(
            [(left, top + at), (left + side, top + at)],
            style,
        ))?;
    }
    Ok(())
}

fn labels(area: &Area<'_>, layout: &Layout, matrix: &Confusion) -> Drawn {
    let rows = rows(matrix);
    let letters = || font(layout.font);
    let upwards = || letters().transform(FontTransform::Rotate270);
    // A line of letters needs ten pixels: of narrower rows some have their names.
    let step = (10 / layout.cell).max(1) as usize;
    for (index, label) in matrix.labels.iter().enumerate().step_by(step) {
        let label = shown(label);
        let [(x, y), (_, _)] = layout.corners(index, index);
        let (x, y) = (x + layout.cell / 2, y + layout.cell / 2);
        let end = HPos::Right;
        write(area, &label, (layout.left - 6, y), letters(), end)?;
        write(
            area,
            &label,
            (x, layout.top + layout.side + 6),
            upwards(),
            end,
        )?;
        let (all, right) = rows.get(index).copied().unwrap_or_default();
        if layout.has_shares() && all > 0 {
            let share = format!("{:.1} %", 100.0 * right as f64 / all as f64);
            let at = (layout.left + layout.side + 58, y);
            write(area, &share, at, letters(), HPos::Right)?;
        }
    }
    let middle = layout.side / 2;
    let center = HPos::Center;
    let under = (
        layout.left + middle,
        layout.top + layout.side + layout.label + 24,
    );
    write(area, "was taken for", under, font(13), center)?;
    let beside = (MARGIN + 6, layout.top + middle);
    let upwards = font(13).transform(FontTransform::Rotate270);
    write(area, "image is", beside, upwards, center)?;
    if layout.has_shares() {
        let above = (layout.left + layout.side + 58, layout.top - 10);
        write(area, "right", above, font(13), HPos::Right)?;
    }
    Ok(())
}

fn legend(area: &Area<'_>, layout: &Layout) -> Drawn {
    let (left, top) = (layout.legend(), layout.top);
    let center = HPos::Left;
    write(area, "share of the row", (left, top - 10), font(13), center)?;
    for (index, percent) in SHARES.iter().enumerate() {
        let y = top + 8 + 24 * index as i32;
        for (column, right) in [true, false].into_iter().enumerate() {
            let x = left + 24 * column as i32;
            let color = shade(right, f64::from(*percent) / 100.0);
            let corners = [(x, y), (x + 20, y + 20)];
            area.draw(&Rectangle::new(corners, color.filled()))?;
            area.draw(&Rectangle::new(corners, LINES.stroke_width(1)))?;
        }
        write(
            area,
            &format!("{percent} %"),
            (left + 54, y + 10),
            font(13),
            center,
        )?;
    }
    let y = top + 8 + 24 * SHARES.len() as i32;
    write(area, "blue: right", (left, y + 12), font(13), center)?;
    write(area, "orange: wrong", (left, y + 30), font(13), center)
}

/// White for nothing to the full colour for all of the row; by the root, so that one in a hundred is seen.
fn shade(right: bool, share: f64) -> RGBColor {
    let full = if right { RIGHT } else { WRONG };
    let mix = |channel: u8| (255.0 - share.clamp(0.0, 1.0).sqrt() * f64::from(255 - channel)) as u8;
    RGBColor(mix(full.0), mix(full.1), mix(full.2))
}

/// About how wide so many letters are.
fn width(letters: usize, font: i32) -> i32 {
    (letters as f64 * f64::from(font) * 0.6).ceil() as i32
}

/// A label, cut if it is long.
fn shown(label: &str) -> String {
    if label.chars().count() <= LABEL {
        return label.to_owned();
    }
    let cut: String = label.chars().take(LABEL - 1).collect();
    format!("{}…", cut.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_label_and_share_is_drawn() {
        let matrix = Confusion {
            labels: ["a < b", "dog"].map(str::to_owned).to_vec(),
            cells: vec![(0, 0, 97), (0, 1, 3), (1, 1, 5)],
        };
        let svg = svg("the title", &matrix).unwrap();
        for words in [
            "the title",
            "a &lt; b",
            "97",
            "97.0 %",
            "100.0 %",
            "was taken for",
        ] {
            assert!(svg.contains(words), "{words}");
        }
        assert_eq!(svg.matches("dog").count(), 2, "once a row, once a column");
    }

    #[test]
    fn shades_run_from_white_to_the_colour() {
        assert_eq!(shade(true, 0.0), WHITE);
        assert_eq!(shade(true, 1.0), RIGHT);
        assert_eq!(shade(false, 1.0), WRONG);
        assert!(shade(false, 0.01).2 < 235, "one in a hundred is seen");
    }

    #[test]
    fn many_classes_and_long_names_stay_within_bounds() {
        for classes in [1, 10, 100, MOST] {
            let matrix = Confusion {
                labels: vec!["an animal whose name goes on and on".into(); classes],
                cells: vec![(classes - 1, 0, 1)],
            };
            let layout = Layout::of(&matrix.labels);
            assert!(
                layout.size("t").0 < 2400,
                "{classes}: {:?}",
                layout.size("t")
            );
            let svg = svg("t", &matrix).unwrap();
            assert!(svg.contains("an animal whose name go…"), "{classes}");
        }
    }
}
