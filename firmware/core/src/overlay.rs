//! The picture that people look at: what the camera sees, and beside or below it what the model
//! makes of it. Drawn with embedded-graphics on any target of RGB colours.

mod colors;
mod content;
mod layout;
mod panel;
mod picture;
mod scaled;
mod text;

use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::Size;
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::primitives::Rectangle;

use colors::{BACKGROUND, PANEL};
pub use content::{Bar, Mood, Panel, Saved};
use layout::Layout;
pub use layout::canvas_for;
pub use picture::{Picture, PictureError};
use scaled::Scaled;

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
