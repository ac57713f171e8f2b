//! The picture that people look at: what the camera sees, and beside or below it what the model
//! makes of it. Drawn with embedded-graphics on any target of RGB colours.

mod layout;
mod scaled;
mod text;

use core::fmt::Write;

use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{Point, Size};
use embedded_graphics::pixelcolor::{Rgb888, RgbColor};
use embedded_graphics::primitives::Rectangle;
use heapless::String;

use layout::Layout;
pub use layout::canvas_for;
use scaled::Scaled;
use text::{Align, Size as TextSize};

const BACKGROUND: Rgb888 = Rgb888::new(11, 13, 18);
const PANEL: Rgb888 = Rgb888::new(22, 26, 35);
const TRACK: Rgb888 = Rgb888::new(42, 48, 62);
const BRIGHT: Rgb888 = Rgb888::new(240, 244, 250);
const MUTED: Rgb888 = Rgb888::new(146, 156, 174);
const QUIET_BAR: Rgb888 = Rgb888::new(92, 104, 128);
const SURE: Rgb888 = Rgb888::new(64, 212, 168);
const UNSURE: Rgb888 = Rgb888::new(245, 178, 66);
const LOST: Rgb888 = Rgb888::new(244, 96, 90);

/// A picture to show: `height * width * 3` bytes of RGB, rows from the top.
#[derive(Debug, Clone, Copy)]
pub struct Picture<'a> {
    rgb: &'a [u8],
    size: Size,
}

/// A picture whose bytes do not make up its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a picture of {width}x{height} came with {bytes} bytes of RGB; expected width x height x 3, not empty"
)]
pub struct PictureError {
    /// Width given.
    pub width: u32,
    /// Height given.
    pub height: u32,
    /// Bytes given.
    pub bytes: usize,
}

impl<'a> Picture<'a> {
    /// Checks the length.
    ///
    /// # Errors
    /// When it is not `height * width * 3`, or that is 0.
    pub fn new(rgb: &'a [u8], width: u32, height: u32) -> Result<Self, PictureError> {
        let expected = u64::from(width) * u64::from(height) * 3;
        if expected == 0 || rgb.len() as u64 != expected {
            return Err(PictureError {
                width,
                height,
                bytes: rgb.len(),
            });
        }
        Ok(Self {
            rgb,
            size: Size::new(width, height),
        })
    }

    /// The colour at a place; black outside.
    fn pixel(&self, x: usize, y: usize) -> Rgb888 {
        let at = (y * self.size.width as usize + x) * 3;
        match self.rgb.get(at..at + 3) {
            Some(&[r, g, b]) => Rgb888::new(r, g, b),
            _ => Rgb888::BLACK,
        }
    }

    /// Draws it into `area`, each pixel of the area taking the nearest one of the picture.
    fn draw<D>(&self, target: &mut D, area: Rectangle) -> Result<(), D::Error>
    where
        D: DrawTarget,
        D::Color: From<Rgb888>,
    {
        let (wide, high) = (area.size.width as usize, area.size.height as usize);
        let (from_wide, from_high) = (self.size.width as usize, self.size.height as usize);
        let colors = (0..high)
            .flat_map(move |y| (0..wide).map(move |x| (x * from_wide / wide, y * from_high / high)))
            .map(|(x, y)| self.pixel(x, y).into());
        target.fill_contiguous(&area, colors)
    }
}

/// How sure the headline is, which is also its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// A verdict above the threshold.
    Sure,
    /// One below.
    Unsure,
    /// The source is lost: the picture is an old one.
    Lost,
}

/// One class and its probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bar<'a> {
    /// The class's name.
    pub label: &'a str,
    /// 0 to 1.
    pub probability: f32,
}

/// What stands on the panel.
#[derive(Debug, Clone, Copy)]
pub struct Panel<'a> {
    /// In large type: the class, "unsure", or what is wrong.
    pub headline: &'a str,
    /// Its colour.
    pub mood: Mood,
    /// Beside the headline, 0 to 1.
    pub probability: Option<f32>,
    /// The likeliest classes, likeliest first; as many are drawn as there is room for.
    pub bars: &'a [Bar<'a>],
    /// Time that the model took for this frame, in milliseconds.
    pub milliseconds: f32,
    /// Frames classified per second.
    pub frames_per_second: f32,
    /// Frames dropped so far.
    pub dropped: u64,
    /// The model's name.
    pub model: &'a str,
}

/// Draws the picture and the panel, filling the target. `picture` is `None` before the first frame.
///
/// # Errors
/// The target's own.
pub fn draw<D>(
    target: &mut D,
    picture: Option<&Picture<'_>>,
    panel: &Panel<'_>,
) -> Result<(), D::Error>
where
    D: DrawTarget,
    D::Color: From<Rgb888>,
{
    let canvas = target.bounding_box();
    // From a screen of 1280x720 on the panel doubles, and so on.
    let factor = (canvas.size.width / 640)
        .min(canvas.size.height / 360)
        .max(1);
    let shape = picture.map_or(Size::new(4, 3), |picture| picture.size);
    let layout = Layout::new(canvas.size / factor, shape);
    target.fill_solid(&canvas, BACKGROUND.into())?;
    if let Some(picture) = picture {
        // Not through the magnifying glass: the picture keeps its detail where the panel doubles.
        let area = Rectangle::new(
            layout.picture.top_left * factor as i32,
            layout.picture.size * factor,
        );
        picture.draw(target, area)?;
    }
    let mut target = Scaled::new(target, factor);
    target.fill_solid(&layout.panel, PANEL.into())?;
    if layout.beside {
        draw_beside(&mut target, layout.panel, panel)
    } else {
        draw_below(&mut target, layout.panel, panel)
    }
}

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
fn draw_beside<D>(target: &mut D, area: Rectangle, panel: &Panel<'_>) -> Result<(), D::Error>
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
    let headline = (kind.headline, Align::Left, mood_color(panel.mood));
    text::line(
        target,
        panel.headline,
        Point::new(left, y),
        right - left,
        headline,
    )?;
    y += kind.headline.line() + 2;
    let number = percent(panel.probability);
    text::line(
        target,
        &number,
        Point::new(left, y),
        right - left,
        (kind.number, Align::Left, BRIGHT),
    )?;
    y += kind.number.line() + kind.margin;

    let figures = Figures::new(panel);
    let foot = 4 * (kind.foot.line() + 3) + kind.margin;
    let room = bottom - foot - y;
    let columns = Rectangle::new(
        Point::new(left, y),
        Size::new((right - left) as u32, room.max(0) as u32),
    );
    draw_bars(target, columns, panel, &kind)?;

    let mut y = bottom - foot;
    for (name, value) in figures.rows() {
        text::line(
            target,
            name,
            Point::new(left, y),
            right - left,
            (kind.foot, Align::Left, MUTED),
        )?;
        let room = right - left - text::width(name, kind.foot) - 8;
        text::line(
            target,
            value,
            Point::new(right, y),
            room,
            (kind.foot, Align::Right, BRIGHT),
        )?;
        y += kind.foot.line() + 3;
    }
    Ok(())
}

/// A strip: headline and number on the left, bars on the right, the figures in one line below.
fn draw_below<D>(target: &mut D, area: Rectangle, panel: &Panel<'_>) -> Result<(), D::Error>
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
    let headline = (kind.headline, Align::Left, mood_color(panel.mood));
    text::line(
        target,
        panel.headline,
        Point::new(left, y),
        middle - left,
        headline,
    )?;
    y += kind.headline.line() + 1;
    let number = percent(panel.probability);
    text::line(
        target,
        &number,
        Point::new(left, y),
        middle - left,
        (kind.number, Align::Left, BRIGHT),
    )?;

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
    text::line(
        target,
        &line,
        Point::new(left, foot),
        start - left,
        (kind.foot, Align::Left, MUTED),
    )?;
    text::line(
        target,
        panel.model,
        Point::new(right, foot),
        right - start,
        (kind.foot, Align::Right, MUTED),
    )
}

/// The coloured edge that can be told from across the room.
fn accent<D>(target: &mut D, edge: Rectangle, panel: &Panel<'_>) -> Result<(), D::Error>
where
    D: DrawTarget,
    D::Color: From<Rgb888>,
{
    target.fill_solid(&edge, mood_color(panel.mood).into())
}

/// As many bars as the room holds: name, bar, number.
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
    let row = kind.bar.line() + kind.bar.line() / 3;
    let rows = room.size.height as i32 / row;
    let left = room.top_left.x;
    let right = left + room.size.width as i32;
    let names = (right - left) * 2 / 5;
    let numbers = text::width("100%", kind.bar) + 4;
    let bar_left = left + names + 6;
    let bar_width = (right - numbers - bar_left - 4).max(0);
    for (index, bar) in panel.bars.iter().take(rows.max(0) as usize).enumerate() {
        let y = room.top_left.y + index as i32 * row;
        let (ink, color) = match (index, panel.mood) {
            (0, Mood::Sure) => (BRIGHT, SURE),
            (0, _) => (BRIGHT, mood_color(panel.mood)),
            _ => (MUTED, QUIET_BAR),
        };
        text::line(
            target,
            bar.label,
            Point::new(left, y),
            names,
            (kind.bar, Align::Left, ink),
        )?;
        let number = whole_percent(bar.probability);
        text::line(
            target,
            &number,
            Point::new(right, y),
            numbers,
            (kind.bar, Align::Right, ink),
        )?;
        let thick = (kind.bar.line() / 2).max(3);
        let top = y + (kind.bar.line() - thick) / 2 + 1;
        let track = Rectangle::new(
            Point::new(bar_left, top),
            Size::new(bar_width as u32, thick as u32),
        );
        target.fill_solid(&track, TRACK.into())?;
        let filled = (bar.probability.clamp(0.0, 1.0) * bar_width as f32 + 0.5) as u32;
        if filled > 0 {
            target.fill_solid(
                &Rectangle::new(track.top_left, Size::new(filled, thick as u32)),
                color.into(),
            )?;
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

fn percent(probability: Option<f32>) -> String<16> {
    let mut out = String::new();
    if let Some(probability) = probability {
        // 16 bytes hold any percentage of a number between 0 and 1.
        let _ = write!(out, "{:.1}%", probability.clamp(0.0, 1.0) * 100.0);
    }
    out
}

fn whole_percent(probability: f32) -> String<16> {
    let mut out = String::new();
    // As above.
    let _ = write!(out, "{:.0}%", probability.clamp(0.0, 1.0) * 100.0);
    out
}

/// The figures at the foot, written out.
struct Figures<'a> {
    time: String<24>,
    rate: String<24>,
    dropped: String<24>,
    model: &'a str,
}

impl<'a> Figures<'a> {
    fn new(panel: &Panel<'a>) -> Self {
        let mut figures = Self {
            time: String::new(),
            rate: String::new(),
            dropped: String::new(),
            model: panel.model,
        };
        // 24 bytes hold every u64 and every time below 10^15; a longer one is cut.
        let _ = write!(figures.time, "{:.1} ms", panel.milliseconds);
        let _ = write!(figures.rate, "{:.1} fps", panel.frames_per_second);
        let _ = write!(figures.dropped, "{}", panel.dropped);
        figures
    }

    fn rows(&self) -> [(&str, &str); 4] {
        [
            ("time", &self.time),
            ("rate", &self.rate),
            ("dropped", &self.dropped),
            ("model", self.model),
        ]
    }
}

#[cfg(test)]
mod tests;
