//! Type: Helvetica in the sizes the panel uses, fitted into the room there is.

use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::Point;
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::primitives::Rectangle;
use heapless::String;
use u8g2_fonts::types::{FontColor, HorizontalAlignment, VerticalPosition};
use u8g2_fonts::{Error, FontRenderer, fonts};

/// Most bytes of a line that are drawn. A label comes from a model file and may be of any length.
const LINE: usize = 96;

const TINY: FontRenderer =
    FontRenderer::new::<fonts::u8g2_font_helvR08_tf>().with_ignore_unknown_chars(true);
const SMALL: FontRenderer =
    FontRenderer::new::<fonts::u8g2_font_helvR10_tf>().with_ignore_unknown_chars(true);
const BODY: FontRenderer =
    FontRenderer::new::<fonts::u8g2_font_helvR12_tf>().with_ignore_unknown_chars(true);
const BODY_BOLD: FontRenderer =
    FontRenderer::new::<fonts::u8g2_font_helvB12_tf>().with_ignore_unknown_chars(true);
const TITLE: FontRenderer =
    FontRenderer::new::<fonts::u8g2_font_helvB18_tf>().with_ignore_unknown_chars(true);
const HEADLINE: FontRenderer =
    FontRenderer::new::<fonts::u8g2_font_helvB24_tf>().with_ignore_unknown_chars(true);

/// A size of type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    /// 8 points.
    Tiny,
    /// 10 points.
    Small,
    /// 12 points.
    Body,
    /// 12 points, bold.
    BodyBold,
    /// 18 points, bold.
    Title,
    /// 24 points, bold.
    Headline,
}

impl Size {
    fn font(self) -> FontRenderer {
        match self {
            Self::Tiny => TINY,
            Self::Small => SMALL,
            Self::Body => BODY,
            Self::BodyBold => BODY_BOLD,
            Self::Title => TITLE,
            Self::Headline => HEADLINE,
        }
    }

    /// The next smaller bold size, for a label that is too long.
    fn smaller(self) -> Option<Self> {
        match self {
            Self::Headline => Some(Self::Title),
            Self::Title => Some(Self::BodyBold),
            _ => None,
        }
    }

    /// Height of a line in pixels.
    pub(super) fn line(self) -> i32 {
        self.font().get_default_line_height() as i32
    }
}

/// Where a line stands relative to its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    /// It begins there.
    Left,
    /// It ends there.
    Right,
}

/// Width in pixels that `text` takes.
pub(super) fn width(text: &str, size: Size) -> i32 {
    size.font()
        .get_rendered_dimensions(text, Point::zero(), VerticalPosition::Top)
        .map_or(0, |dimensions| dimensions.advance.x)
}

/// The type of a line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    pub(super) size: Size,
    pub(super) align: Align,
    pub(super) color: Rgb888,
}

impl Style {
    /// A line that begins at its point.
    pub(super) fn left(size: Size, color: Rgb888) -> Self {
        let align = Align::Left;
        Self { size, align, color }
    }

    /// One that ends there.
    pub(super) fn right(size: Size, color: Rgb888) -> Self {
        let align = Align::Right;
        Self { size, align, color }
    }
}

/// One line of type.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) text: &'a str,
    /// Where its top begins or ends.
    pub(super) at: Point,
    /// The width in pixels that it may take.
    pub(super) room: i32,
    pub(super) style: Style,
}

impl Line<'_> {
    /// Draws it: a bold one in a smaller size if need be, then cut short with dots.
    pub(super) fn draw<D>(&self, target: &mut D) -> Result<(), D::Error>
    where
        D: DrawTarget,
        D::Color: From<Rgb888>,
    {
        let Style { size, align, color } = self.style;
        let text = printable(self.text);
        let mut fitted = size;
        while width(&text, fitted) > self.room {
            let Some(smaller) = fitted.smaller() else {
                break;
            };
            fitted = smaller;
        }
        let text = shorten(text, fitted, self.room);
        // A smaller size stands on the middle of the line it was meant to fill.
        let at = self.at + Point::new(0, (size.line() - fitted.line()) / 2);
        let align = match align {
            Align::Left => HorizontalAlignment::Left,
            Align::Right => HorizontalAlignment::Right,
        };
        let drawn: Result<Option<Rectangle>, _> = fitted.font().render_aligned(
            text.as_str(),
            at,
            VerticalPosition::Top,
            align,
            FontColor::Transparent(color.into()),
            target,
        );
        match drawn {
            Err(Error::DisplayError(error)) => Err(error),
            // The other errors are about characters and backgrounds: unknown ones are ignored, and
            // the background is transparent.
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

/// The text without control characters, at most [`LINE`] bytes of it.
fn printable(text: &str) -> String<LINE> {
    let mut out = String::new();
    for character in text.chars() {
        let shown = if character.is_control() {
            ' '
        } else {
            character
        };
        if out.push(shown).is_err() {
            break;
        }
    }
    out
}

fn shorten(text: String<LINE>, size: Size, room: i32) -> String<LINE> {
    if width(&text, size) <= room {
        return text;
    }
    let mut kept = text;
    while kept.pop().is_some() {
        let mut dotted: String<LINE> = String::new();
        // Room for the dots: on overflow, shorten further.
        if dotted.push_str(kept.trim_end()).is_ok()
            && dotted.push_str("...").is_ok()
            && width(&dotted, size) <= room
        {
            return dotted;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::{LINE, Size, printable, shorten, width};

    #[test]
    fn a_long_label_is_cut_to_the_room_there_is() {
        let label = printable("a label far too long for any panel that we draw");
        let short = shorten(label.clone(), Size::Title, 120);
        assert!(width(&short, Size::Title) <= 120);
        assert!(
            short.ends_with("...") && label.starts_with(short.trim_end_matches('.')),
            "{short}"
        );
    }

    #[test]
    fn a_label_that_fits_is_left_alone() {
        assert_eq!(shorten(printable("bag"), Size::Title, 120), "bag");
        assert_eq!(
            shorten(printable("bag"), Size::Title, 0),
            "",
            "no room, no text"
        );
    }

    #[test]
    fn control_characters_and_endless_text_do_no_harm() {
        assert_eq!(printable("a\nb\u{1b}[31m"), "a b [31m");
        assert!(printable(&"\u{20ac}".repeat(1000)).len() <= LINE);
        assert_eq!(
            width("\u{4f60}", Size::Body),
            0,
            "a character that the face lacks takes no room"
        );
    }
}
