//! The panel's content: headline, bars and figures, in the type that fits.

use core::fmt::Write;

use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{Point, Size};
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::primitives::Rectangle;
use heapless::String;

use super::colors::{BRIGHT, LOST, MUTED, QUIET_BAR, SURE, TRACK, UNSURE};
use super::content::{Mood, Panel, Saved};
use super::text::{self, Line, Size as TextSize, Style};
use crate::verdict::Score;

/// Sizes of type for a panel.
struct Type {
    headline: TextSize,
    number: TextSize,
    bar: TextSize,
    foot: TextSize,
    margin: i32,
}

impl Type {
    const LARGE: Self = Self {
        headline: TextSize::Headline,
        number: TextSize::Title,
        bar: TextSize::Body,
        foot: TextSize::Small,
        margin: 16,
    };
    const SMALL: Self = Self {
        headline: TextSize::Title,
        number: TextSize::BodyBold,
        bar: TextSize::Small,
        foot: TextSize::Tiny,
        margin: 8,
    };
}

/// An upright panel: headline, bars and figures under one another.
pub(super) fn draw_beside<D>(
    target: &mut D,
    area: Rectangle,
    panel: &Panel<'_>,
) -> Result<(), D::Error>
where
    D: DrawTarget,
    D::Color: From<Rgb888>,
{
    let large = area.size.width >= 200 && area.size.height >= 280;
    let kind = if large { Type::LARGE } else { Type::SMALL };
    let left = area.top_left.x + kind.margin;
    let right = area.top_left.x + area.size.width as i32 - kind.margin;
    let bottom = area.top_left.y + area.size.height as i32;
    let mut y = area.top_left.y;
    accent(
        target,
        Rectangle::new(area.top_left, Size::new(area.size.width, 4)),
        panel,
    )?;
    y += kind.margin + 4;
    let headline = Style::left(kind.headline, mood_color(panel.mood));
    Line {
        text: panel.headline,
        at: Point::new(left, y),
        room: right - left,
        style: headline,
    }
    .draw(target)?;
    y += kind.headline.line() + 2;
    let number = panel.score.map_or_else(String::new, written);
    Line {
        text: &number,
        at: Point::new(left, y),
        room: right - left,
        style: Style::left(kind.number, BRIGHT),
    }
    .draw(target)?;
    y += kind.number.line() + kind.margin;

    let figures = Figures::new(panel);
    let rows = figures.rows().count() as i32;
    let foot = rows * (kind.foot.line() + 3) + kind.margin;
    let room = bottom - foot - y;
    let columns = Rectangle::new(
        Point::new(left, y),
        Size::new((right - left) as u32, room.max(0) as u32),
    );
    draw_bars(target, columns, panel, &kind)?;

    let mut y = bottom - foot;
    for (name, value) in figures.rows() {
        Line {
            text: name,
            at: Point::new(left, y),
            room: right - left,
            style: Style::left(kind.foot, MUTED),
        }
        .draw(target)?;
        let room = right - left - text::width(name, kind.foot) - 8;
        Line {
            text: value,
            at: Point::new(right, y),
            room,
            style: Style::right(kind.foot, BRIGHT),
        }
        .draw(target)?;
        y += kind.foot.line() + 3;
    }
    Ok(())
}

/// A strip: headline and number on the left, bars on the right, the figures in one line below.
pub(super) fn draw_below<D>(
    target: &mut D,
    area: Rectangle,
    panel: &Panel<'_>,
) -> Result<(), D::Error>
where
    D: DrawTarget,
    D::Color: From<Rgb888>,
{
    let large = area.size.width >= 480 && area.size.height >= 108;
    let kind = if large { Type::LARGE } else { Type::SMALL };
    let left = area.top_left.x + kind.margin;
    let right = area.top_left.x + area.size.width as i32 - kind.margin;
    let bottom = area.top_left.y + area.size.height as i32;
    accent(
        target,
        Rectangle::new(area.top_left, Size::new(area.size.width, 3)),
        panel,
    )?;

    let foot = bottom - kind.foot.line() - kind.margin / 2;
    let middle = left + (right - left) / 2 - kind.margin;
    let mut y = area.top_left.y + 3 + kind.margin / 2;
    let headline = Style::left(kind.headline, mood_color(panel.mood));
    Line {
        text: panel.headline,
        at: Point::new(left, y),
        room: middle - left,
        style: headline,
    }
    .draw(target)?;
    y += kind.headline.line() + 1;
    let number = panel.score.map_or_else(String::new, written);
    Line {
        text: &number,
        at: Point::new(left, y),
        room: middle - left,
        style: Style::left(kind.number, BRIGHT),
    }
    .draw(target)?;

    let top = area.top_left.y + 3 + kind.margin / 2;
    let start = middle + 2 * kind.margin;
    let room = Size::new((right - start).max(0) as u32, (foot - top).max(0) as u32);
    draw_bars(
        target,
        Rectangle::new(Point::new(start, top), room),
        panel,
        &kind,
    )?;

    let figures = Figures::new(panel);
    let mut line: String<96> = String::new();
    // Fits: each part is at most 24 bytes.
    let _ = write!(
        line,
        "{}   {}   {} dropped",
        figures.time, figures.rate, figures.dropped
    );
    // On a narrow screen the figures matter more than the model's name.
    let narrow = area.size.width < 300;
    let room = if narrow { right - left } else { start - left };
    let ink = Style::left(kind.foot, MUTED);
    Line {
        text: &line,
        at: Point::new(left, foot),
        room,
        style: ink,
    }
    .draw(target)?;
    if !narrow {
        let ink = Style::right(kind.foot, MUTED);
        // What changes from frame to frame is worth more than the name.
        let text = match figures.saved.as_str() {
            "" => panel.model,
            saved => saved,
        };
        Line {
            text,
            at: Point::new(right, foot),
            room: right - start,
            style: ink,
        }
        .draw(target)?;
    }
    Ok(())
}

/// The coloured edge that can be told from across the room.
fn accent<D>(target: &mut D, edge: Rectangle, panel: &Panel<'_>) -> Result<(), D::Error>
where
    D: DrawTarget,
    D::Color: From<Rgb888>,
{
    target.fill_solid(&edge, mood_color(panel.mood).into())
}

/// As many bars as the room holds: the bar between name and number, or below them where it is narrow.
fn draw_bars<D>(
    target: &mut D,
    room: Rectangle,
    panel: &Panel<'_>,
    kind: &Type,
) -> Result<(), D::Error>
where
    D: DrawTarget,
    D::Color: From<Rgb888>,
{
    let line = kind.bar.line();
    let left = room.top_left.x;
    let right = left + room.size.width as i32;
    // As wide as any probability, so that bars keep their length; values may be wider.
    let widest = panel.bars.iter().map(|bar| written(bar.score));
    let widest = widest.map(|number| text::width(&number, kind.bar)).max();
    let full = text::width(&written(Score::Probability(1.0)), kind.bar);
    let numbers = widest.unwrap_or(0).max(full) + 4;
    let values = panel
        .bars
        .iter()
        .any(|bar| matches!(bar.score, Score::Value(_)));
    let stacked = right - left < 220;
    let (row, names) = match (stacked, values) {
        (_, true) => (line + line / 3, right - left - numbers),
        (true, false) => (line + 11, right - left - numbers),
        (false, false) => (line + line / 3, (right - left) * 2 / 5),
    };
    let rows = (room.size.height as i32 / row).max(0);
    for (index, bar) in panel.bars.iter().take(rows as usize).enumerate() {
        let y = room.top_left.y + index as i32 * row;
        let (ink, color) = match (bar.marked, panel.mood) {
            (true, Mood::Sure | Mood::Unsure) => (BRIGHT, mood_color(panel.mood)),
            _ => (MUTED, QUIET_BAR),
        };
        let name = Style::left(kind.bar, ink);
        Line {
            text: bar.label,
            at: Point::new(left, y),
            room: names,
            style: name,
        }
        .draw(target)?;
        let number = Style::right(kind.bar, ink);
        let score = written(bar.score);
        Line {
            text: &score,
            at: Point::new(right, y),
            room: numbers,
            style: number,
        }
        .draw(target)?;
        let Score::Probability(probability) = bar.score else {
            continue;
        };
        let (start, end, top, thick) = if stacked {
            (left, right, y + line + 2, 4)
        } else {
            let thick = (line / 2).max(3);
            (
                left + names + 6,
                right - numbers - 4,
                y + (line - thick) / 2 + 1,
                thick,
            )
        };
        let width = (end - start).max(0);
        let track = Rectangle::new(
            Point::new(start, top),
            Size::new(width as u32, thick as u32),
        );
        target.fill_solid(&track, TRACK.into())?;
        let filled = (probability.clamp(0.0, 1.0) * width as f32 + 0.5) as u32;
        if filled > 0 {
            let filled = Rectangle::new(track.top_left, Size::new(filled, thick as u32));
            target.fill_solid(&filled, color.into())?;
        }
    }
    Ok(())
}

fn mood_color(mood: Mood) -> Rgb888 {
    match mood {
        Mood::Sure => SURE,
        Mood::Unsure => UNSURE,
        Mood::Lost => LOST,
    }
}

/// A score as it is written everywhere.
fn written(score: Score) -> String<24> {
    let mut out = String::new();
    // 24 bytes hold every score.
    let _ = write!(out, "{score}");
    out
}

/// The figures at the foot, written out.
struct Figures<'a> {
    time: String<24>,
    rate: String<24>,
    dropped: String<24>,
    saved: String<32>,
    model: &'a str,
}

impl<'a> Figures<'a> {
    fn new(panel: &Panel<'a>) -> Self {
        let mut figures = Self {
            time: String::new(),
            rate: String::new(),
            dropped: String::new(),
            saved: String::new(),
            model: panel.model,
        };
        // 24 bytes hold every u64 and every time below 10^15; a longer one is cut.
        let _ = write!(figures.time, "{:.1} ms", panel.milliseconds);
        let _ = match panel.frames_per_second {
            // Not measured yet.
            0.0 => write!(figures.rate, "- fps"),
            rate => write!(figures.rate, "{rate:.1} fps"),
        };
        let _ = write!(figures.dropped, "{}", panel.dropped);
        // At most 28 bytes.
        let Saved { reused, exit } = panel.saved;
        if let Some(reused) = reused {
            let percent = (100.0 * reused.clamp(0.0, 1.0) + 0.5) as u32;
            let _ = write!(figures.saved, "{percent}% reused");
        }
        if let Some(exit) = exit {
            let comma = if reused.is_some() { ", " } else { "" };
            let _ = write!(figures.saved, "{comma}to block {exit}");
        }
        figures
    }

    /// The last only if there is something to say.
    fn rows(&self) -> impl Iterator<Item = (&str, &str)> {
        [
            ("time", self.time.as_str()),
            ("rate", self.rate.as_str()),
            ("dropped", self.dropped.as_str()),
            ("model", self.model),
            ("work", self.saved.as_str()),
        ]
        .into_iter()
        .filter(|(name, value)| *name != "work" || !value.is_empty())
    }
}
