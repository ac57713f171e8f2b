//! The picture that people look at: what the camera sees, and beside or below it what the model
//! makes of it. Drawn with embedded-graphics on any target of RGB colours.

mod layout;
mod panel;
mod scaled;
mod text;

use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::Size;
use embedded_graphics::pixelcolor::{Rgb888, RgbColor};
use embedded_graphics::primitives::Rectangle;

use crate::verdict::Score;
use layout::Layout;
pub use layout::canvas_for;
use scaled::Scaled;

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

/// One class and what the model says of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bar<'a> {
    /// The class's name.
    pub label: &'a str,
    /// A probability is drawn as a bar; a value has no scale to draw it on, and is written only.
    pub score: Score,
    /// Whether it is, or is part of, the verdict: in the verdict's colour.
    pub marked: bool,
}

/// What stands on the panel.
#[derive(Debug, Clone, Copy)]
pub struct Panel<'a> {
    /// In large type: the class or classes, "unsure", or what is wrong.
    pub headline: &'a str,
    /// Its colour.
    pub mood: Mood,
    /// Beside the headline.
    pub score: Option<Score>,
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
        panel::draw_beside(&mut target, layout.panel, panel)
    } else {
        panel::draw_below(&mut target, layout.panel, panel)
    }
}

#[cfg(test)]
mod tests;
