//! A draw target seen through a magnifying glass: on a large screen each pixel of the panel
//! becomes a square, so that it can be read from across a room.

use embedded_graphics::Pixel;
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{Dimensions, Size};
use embedded_graphics::primitives::Rectangle;

/// Draws on `target`, every pixel as a square of `factor` x `factor`.
pub(super) struct Scaled<'a, D> {
    target: &'a mut D,
    factor: u32,
}

impl<'a, D: DrawTarget> Scaled<'a, D> {
    /// `factor` is at least 1.
    pub(super) fn new(target: &'a mut D, factor: u32) -> Self {
        Self {
            target,
            factor: factor.max(1),
        }
    }

    fn scale(&self, area: &Rectangle) -> Rectangle {
        Rectangle::new(area.top_left * self.factor as i32, area.size * self.factor)
    }
}

impl<D: DrawTarget> Dimensions for Scaled<'_, D> {
    fn bounding_box(&self) -> Rectangle {
        let whole = self.target.bounding_box();
        Rectangle::new(
            whole.top_left / self.factor as i32,
            whole.size / self.factor,
        )
    }
}

impl<D: DrawTarget> DrawTarget for Scaled<'_, D> {
    type Color = D::Color;
    type Error = D::Error;

    fn draw_iter<I>(&mut self, pixels: I) -> Result<(), Self::Error>
    where
        I: IntoIterator<Item = Pixel<Self::Color>>,
    {
        if self.factor == 1 {
            return self.target.draw_iter(pixels);
        }
        for Pixel(at, color) in pixels {
            let square = self.scale(&Rectangle::new(at, Size::new_equal(1)));
            self.target.fill_solid(&square, color)?;
        }
        Ok(())
    }

    fn fill_solid(&mut self, area: &Rectangle, color: Self::Color) -> Result<(), Self::Error> {
        let area = self.scale(area);
        self.target.fill_solid(&area, color)
    }
}
