//! Words on a chart, where they are to stand.

use plotters::coord::Shift;
use plotters::prelude::{BLACK, DrawingArea, IntoFont as _, SVGBackend, Text};
use plotters::style::TextStyle;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// What charts are drawn on.
pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// Drawing that went well, or plotters' error.
pub(super) type Drawn = Result<(), Box<dyn std::error::Error>>;

/// Black letters `pixels` high: plotters divides by 1.24.
pub(super) fn font(pixels: i32) -> TextStyle<'static> {
    TextStyle::from(("sans-serif", f64::from(pixels) * 1.24).into_font()).color(&BLACK)
}

/// Writes `words` so that `at` is their beginning, middle or end, half way up the letters.
pub(super) fn write(
    area: &Area<'_>,
    words: &str,
    at: (i32, i32),
    style: TextStyle<'_>,
    anchor: HPos,
) -> Drawn {
    let style = style.pos(Pos::new(anchor, VPos::Center));
    area.draw(&Text::new(words.to_owned(), at, style))?;
    Ok(())
}
