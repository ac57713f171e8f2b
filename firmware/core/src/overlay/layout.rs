//! Where things go: the picture on one side, the panel beside or below it, whichever leaves the
//! picture larger.

use embedded_graphics::geometry::{Point, Size};
use embedded_graphics::primitives::Rectangle;

/// Places on a canvas. None of them overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    /// The picture, in its own proportions.
    pub(super) picture: Rectangle,
    /// The panel.
    pub(super) panel: Rectangle,
    /// Whether the panel stands beside the picture.
    pub(super) beside: bool,
}

/// Width of a panel beside the picture on a canvas so wide.
fn side_width(canvas: u32) -> u32 {
    (canvas * 2 / 5).clamp(144, 280).min(canvas)
}

/// Height of a panel below the picture on a canvas so high.
fn strip_height(canvas: u32) -> u32 {
    (canvas * 3 / 10).clamp(88, 132).min(canvas)
}

impl Layout {
    /// Divides a canvas for a picture of `picture` pixels.
    pub(super) fn new(canvas: Size, picture: Size) -> Self {
        let side = side_width(canvas.width);
        let strip = strip_height(canvas.height);
        let beside = fit(picture, Size::new(canvas.width - side, canvas.height));
        let above = fit(picture, Size::new(canvas.width, canvas.height - strip));
        if area(beside) > area(above) {
            let room = Rectangle::new(Point::zero(), Size::new(canvas.width - side, canvas.height));
            let corner = Point::new(room.size.width as i32, 0);
            let panel = Rectangle::new(corner, Size::new(side, canvas.height));
            Self {
                picture: centred(beside, room),
                panel,
                beside: true,
            }
        } else {
            let room = Rectangle::new(
                Point::zero(),
                Size::new(canvas.width, canvas.height - strip),
            );
            let corner = Point::new(0, room.size.height as i32);
            let panel = Rectangle::new(corner, Size::new(canvas.width, strip));
            Self {
                picture: centred(above, room),
                panel,
                beside: false,
            }
        }
    }
}

fn area(size: Size) -> u64 {
    u64::from(size.width) * u64::from(size.height)
}

/// The largest size of the picture's proportions in `room`. A small picture grows by a whole
/// factor, so that its pixels are all the same size.
fn fit(picture: Size, room: Size) -> Size {
    if picture.width == 0 || picture.height == 0 || room.width == 0 || room.height == 0 {
        return Size::zero();
    }
    let factor = (room.width / picture.width).min(room.height / picture.height);
    if factor >= 2 {
        return picture * factor;
    }
    let (pw, ph) = (u64::from(picture.width), u64::from(picture.height));
    let (rw, rh) = (u64::from(room.width), u64::from(room.height));
    // At least one pixel each way: a picture 10,000 wide and 1 high is still a picture.
    if pw * rh >= ph * rw {
        Size::new(room.width, (ph * rw / pw).max(1) as u32)
    } else {
        Size::new((pw * rh / ph).max(1) as u32, room.height)
    }
}

fn centred(size: Size, room: Rectangle) -> Rectangle {
    let left = (room.size.width - size.width) as i32 / 2;
    let top = (room.size.height - size.height) as i32 / 2;
    Rectangle::new(room.top_left + Point::new(left, top), size)
}

/// The canvas on which a picture of this size looks best: small ones grow, ordinary camera frames
/// keep their pixels, huge ones shrink to a screen's size.
pub fn canvas_for(width: u32, height: u32) -> (u32, u32) {
    /// A picture's longer side is brought near this.
    const GROWN: u32 = 360;
    /// And never beyond this.
    const LARGEST: u32 = 960;
    let (width, height) = (width.max(1), height.max(1));
    let longer = width.max(height);
    let (width, height) = if longer > LARGEST {
        let fitted = fit(Size::new(width, height), Size::new_equal(LARGEST));
        (fitted.width, fitted.height)
    } else {
        let factor = (GROWN / longer).max(1);
        (width * factor, height * factor)
    };
    if width * 4 <= height * 5 {
        // Square or upright: the panel stands beside it, at the full side width of the result.
        (width + 256, height.max(240))
    } else {
        let height = height + 132;
        (width.max(320), height)
    }
}

#[cfg(test)]
mod tests {
    use super::{Layout, canvas_for, fit};
    use embedded_graphics::geometry::Size;
    use embedded_graphics::primitives::Rectangle;

    fn inside(part: Rectangle, whole: Rectangle) -> bool {
        part.intersection(&whole) == part
    }

    #[test]
    fn picture_and_panel_lie_on_the_canvas_and_do_not_overlap() {
        for canvas in [
            (320, 240),
            (240, 320),
            (480, 360),
            (640, 480),
            (1280, 720),
            (128, 64),
            (1, 1),
        ] {
            for picture in [
                (28, 28),
                (640, 480),
                (32, 32),
                (1920, 1080),
                (480, 640),
                (10_000, 1),
                (1, 10_000),
            ] {
                let size = Size::new(canvas.0, canvas.1);
                let whole = Rectangle::new(Default::default(), size);
                let layout = Layout::new(size, Size::new(picture.0, picture.1));
                assert!(
                    inside(layout.picture, whole) && inside(layout.panel, whole),
                    "{canvas:?} {picture:?}"
                );
                assert!(
                    layout.picture.intersection(&layout.panel).is_zero_sized(),
                    "{canvas:?} {picture:?}"
                );
            }
        }
    }

    #[test]
    fn small_pictures_grow_by_whole_factors_and_large_ones_keep_their_proportions() {
        assert_eq!(
            fit(Size::new(28, 28), Size::new(288, 360)),
            Size::new(280, 280)
        );
        assert_eq!(
            fit(Size::new(1920, 1080), Size::new(640, 480)),
            Size::new(640, 360)
        );
        assert_eq!(
            fit(Size::new(480, 640), Size::new(600, 320)),
            Size::new(240, 320)
        );
        assert_eq!(fit(Size::new(10, 10), Size::new(0, 5)), Size::zero());
    }

    #[test]
    fn a_square_picture_has_its_panel_beside_it_and_a_wide_one_below() {
        assert!(Layout::new(Size::new(640, 360), Size::new(28, 28)).beside);
        assert!(!Layout::new(Size::new(640, 480), Size::new(640, 480)).beside);
        let upright = Layout::new(Size::new(240, 320), Size::new(640, 480));
        assert!(!upright.beside);
    }

    #[test]
    fn the_proposed_canvas_shows_small_and_camera_pictures_in_full() {
        let (width, height) = canvas_for(28, 28);
        let layout = Layout::new(Size::new(width, height), Size::new(28, 28));
        assert_eq!(layout.picture.size, Size::new(336, 336));
        let (width, height) = canvas_for(640, 480);
        let layout = Layout::new(Size::new(width, height), Size::new(640, 480));
        assert_eq!(
            layout.picture.size,
            Size::new(640, 480),
            "every pixel of the camera is there"
        );
        for picture in [(1, 1), (8000, 6000), (100_000, 2), (u32::MAX, u32::MAX)] {
            let (width, height) = canvas_for(picture.0, picture.1);
            assert!(
                (240..=1300).contains(&height.max(width)),
                "{picture:?}: {width}x{height}"
            );
        }
    }
}
