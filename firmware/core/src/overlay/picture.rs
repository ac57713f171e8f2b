//! What the camera sees, at any size.

use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::Size;
use embedded_graphics::pixelcolor::{Rgb888, RgbColor};
use embedded_graphics::primitives::Rectangle;

/// A picture to show: `height * width * 3` bytes of RGB, rows from the top.
#[derive(Debug, Clone, Copy)]
pub struct Picture<'a> {
    rgb: &'a [u8],
    pub(super) size: Size,
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
    pub(super) fn draw<D>(&self, target: &mut D, area: Rectangle) -> Result<(), D::Error>
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
