//! The panel drawn into memory: colours where they belong, the same picture every time.

use embedded_graphics::Pixel;
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{OriginDimensions, Size};
use embedded_graphics::pixelcolor::{Rgb565, Rgb888, RgbColor};

use super::colors::{BACKGROUND, PANEL, SURE, TRACK, UNSURE};
use super::{Bar, Mood, Panel, Picture, Saved, canvas_for, draw};
use crate::verdict::Score;

/// A canvas that refuses pixels outside of it, to catch what is drawn over the edge.
struct Canvas<C> {
    width: u32,
    height: u32,
    pixels: Vec<C>,
    outside: usize,
}

impl<C: RgbColor> Canvas<C> {
    fn new(width: u32, height: u32) -> Self {
        Self {
            width,
            height,
            pixels: vec![C::BLACK; (width * height) as usize],
            outside: 0,
        }
    }

    fn count(&self, color: C) -> usize {
        self.pixels.iter().filter(|&&pixel| pixel == color).count()
    }
}

impl<C> OriginDimensions for Canvas<C> {
    fn size(&self) -> Size {
        Size::new(self.width, self.height)
    }
}

impl<C: RgbColor> DrawTarget for Canvas<C> {
    type Color = C;
    type Error = core::convert::Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<C>>>(
        &mut self,
        pixels: I,
    ) -> Result<(), Self::Error> {
        for Pixel(at, color) in pixels {
            let inside =
                at.x >= 0 && at.y >= 0 && at.x < self.width as i32 && at.y < self.height as i32;
            if inside {
                self.pixels[at.y as usize * self.width as usize + at.x as usize] = color;
            } else {
                self.outside += 1;
            }
        }
        Ok(())
    }
}

const BARS: [Bar<'static>; 3] = [
    Bar {
        label: "ankle boot",
        score: Score::Probability(0.93),
        marked: true,
    },
    Bar {
        label: "sneaker",
        score: Score::Probability(0.05),
        marked: false,
    },
    Bar {
        label: "bag",
        score: Score::Probability(0.02),
        marked: false,
    },
];

fn panel() -> Panel<'static> {
    Panel {
        headline: "ankle boot",
        mood: Mood::Sure,
        score: Some(Score::Probability(0.93)),
        bars: &BARS,
        milliseconds: 12.3,
        frames_per_second: 81.0,
        dropped: 4,
        saved: Saved::default(),
        model: "igpt-fashion-mnist-int8",
    }
}

/// A picture of one colour that occurs nowhere on the panel.
const MAGENTA: Rgb888 = Rgb888::new(200, 0, 200);

fn magenta(width: u32, height: u32) -> Vec<u8> {
    [200, 0, 200].repeat((width * height) as usize)
}

fn drawn(canvas: (u32, u32), picture: (u32, u32), panel: &Panel<'_>) -> Canvas<Rgb888> {
    let rgb = magenta(picture.0, picture.1);
    let picture = Picture::new(&rgb, picture.0, picture.1).unwrap();
    let mut canvas = Canvas::new(canvas.0, canvas.1);
    draw(&mut canvas, Some(&picture), panel).unwrap();
    canvas
}

#[test]
fn the_picture_is_shown_in_full_and_the_panel_does_not_cover_it() {
    for size in [(28, 28), (320, 240), (640, 480)] {
        let canvas = drawn(canvas_for(size.0, size.1), size, &panel());
        let scale = if size.0 == 28 { 12 * 12 } else { 1 };
        assert_eq!(
            canvas.count(MAGENTA),
            (size.0 * size.1 * scale) as usize,
            "{size:?}"
        );
        assert_eq!(canvas.outside, 0, "{size:?}");
    }
}

#[test]
fn every_part_is_there_on_small_and_large_screens() {
    for screen in [
        (320, 240),
        (240, 320),
        (640, 480),
        (480, 360),
        (1280, 800),
        (1920, 1080),
    ] {
        for picture in [(28, 28), (640, 480)] {
            let canvas = drawn(screen, picture, &panel());
            let share = |color| canvas.count(color) * 1000 / canvas.pixels.len();
            assert!(
                share(MAGENTA) > 150,
                "{screen:?} {picture:?}: the picture is too small"
            );
            assert!(share(SURE) >= 5, "{screen:?} {picture:?}: headline and bar");
            assert!(share(PANEL) > 60, "{screen:?} {picture:?}: the panel");
            assert_eq!(canvas.outside, 0, "{screen:?} {picture:?}");
        }
    }
}

#[test]
fn the_bar_is_as_long_as_the_probability() {
    let with = |probability| {
        let bars = [Bar {
            label: "",
            score: Score::Probability(probability),
            marked: true,
        }];
        let panel = Panel {
            headline: "",
            bars: &bars,
            ..panel()
        };
        drawn((640, 480), (640, 480), &panel).count(SURE)
    };
    let (none, half, full) = (with(0.0), with(0.5), with(1.0));
    let step = full - none;
    assert!(step > 500, "a full bar is visible: {step}");
    assert!(
        (half - none).abs_diff(step / 2) <= 20,
        "half of it is half: {none} {half} {full}"
    );
    assert_eq!(with(f32::NAN), none, "no number, no bar");
    assert_eq!(with(7.0), full);
}

#[test]
fn every_label_of_the_verdict_has_its_colour() {
    let with = |marks: [bool; 3]| {
        let mut bars = BARS;
        for (bar, marked) in bars.iter_mut().zip(marks) {
            (bar.marked, bar.score) = (marked, Score::Probability(0.8));
        }
        let panel = Panel {
            bars: &bars,
            ..panel()
        };
        drawn((640, 480), (640, 480), &panel).count(SURE)
    };
    let (none, one, all) = (
        with([false; 3]),
        with([true, false, false]),
        with([true; 3]),
    );
    assert!(none < one, "{none} {one}");
    assert_eq!(all - none, 3 * (one - none));
}

#[test]
fn values_are_written_without_bars() {
    for screen in [(640, 480), (320, 240), (1280, 800)] {
        let bars = BARS.map(|bar| Bar {
            score: Score::Value(-123.456),
            ..bar
        });
        let panel = Panel {
            score: Some(Score::Value(-123.456)),
            bars: &bars,
            ..panel()
        };
        let canvas = drawn(screen, (28, 28), &panel);
        assert_eq!((canvas.count(TRACK), canvas.outside), (0, 0), "{screen:?}");
        let other = Panel { bars: &[], ..panel };
        assert!(canvas.pixels != drawn(screen, (28, 28), &other).pixels);
    }
}

#[test]
fn unsure_has_another_colour_and_other_words() {
    let unsure = Panel {
        headline: "unsure",
        mood: Mood::Unsure,
        ..panel()
    };
    let canvas = drawn((640, 360), (28, 28), &unsure);
    assert_eq!(canvas.count(SURE), 0);
    assert!(canvas.count(UNSURE) > 1000);
}

#[test]
fn words_are_drawn_and_change_the_picture() {
    let a = drawn((640, 360), (28, 28), &panel()).pixels;
    for other in [
        Panel {
            headline: "sneaker",
            ..panel()
        },
        Panel {
            milliseconds: 99.9,
            ..panel()
        },
        Panel {
            frames_per_second: 1.5,
            ..panel()
        },
        Panel {
            dropped: 5,
            ..panel()
        },
        Panel {
            model: "another",
            ..panel()
        },
        Panel {
            score: None,
            ..panel()
        },
    ] {
        assert!(a != drawn((640, 360), (28, 28), &other).pixels, "{other:?}");
    }
    assert!(
        a == drawn((640, 360), (28, 28), &panel()).pixels,
        "the same input gives the same picture"
    );
}

#[test]
fn sixteen_bit_screens_get_the_same_layout() {
    let rgb = magenta(28, 28);
    let picture = Picture::new(&rgb, 28, 28).unwrap();
    let mut canvas = Canvas::<Rgb565>::new(320, 240);
    draw(&mut canvas, Some(&picture), &panel()).unwrap();
    let deep = drawn((320, 240), (28, 28), &panel());
    assert_eq!(canvas.count(MAGENTA.into()), deep.count(MAGENTA));
    assert!(canvas.count(SURE.into()) > 400);
}

#[test]
fn any_label_and_any_canvas_is_survived() {
    let label = "\u{0}\u{1b}[2J na\u{ef}ve \u{4f60}\u{597d} ".repeat(40);
    let bars = [Bar {
        label: &label,
        score: Score::Probability(f32::INFINITY),
        marked: true,
    }; 9];
    let wild = Panel {
        headline: &label,
        bars: &bars,
        model: &label,
        milliseconds: f32::MAX,
        frames_per_second: f32::NAN,
        dropped: u64::MAX,
        ..panel()
    };
    for screen in [
        (1, 1),
        (1, 400),
        (400, 1),
        (7, 5),
        (64, 64),
        (320, 240),
        (2000, 300),
    ] {
        for picture in [(1, 1), (28, 28), (900, 2), (2, 900)] {
            drawn(screen, picture, &wild);
        }
    }
}

#[test]
fn without_a_picture_there_is_still_a_panel() {
    let mut canvas = Canvas::<Rgb888>::new(640, 480);
    draw(
        &mut canvas,
        None,
        &Panel {
            headline: "waiting",
            bars: &[],
            ..panel()
        },
    )
    .unwrap();
    assert!(canvas.count(SURE) > 100 && canvas.count(BACKGROUND) > 100_000);
}

#[test]
fn bytes_that_make_no_picture_are_refused() {
    for (bytes, width, height) in [
        (0, 0, 0),
        (11, 2, 2),
        (13, 2, 2),
        (0, 5, 5),
        (3, u32::MAX, u32::MAX),
    ] {
        let error = Picture::new(&vec![0; bytes], width, height).expect_err("refused");
        assert_eq!(
            (error.width, error.height, error.bytes),
            (width, height, bytes)
        );
    }
    assert!(Picture::new(&[0; 12], 2, 2).is_ok());
}

#[test]
fn what_was_left_out_is_told_where_there_is_room_and_only_if_something_was() {
    for canvas in [(320, 240), (480, 320), (800, 480), (640, 480)] {
        let ink = |saved| {
            let drawn = drawn(canvas, (640, 480), &Panel { saved, ..panel() });
            assert_eq!(drawn.outside, 0, "{canvas:?}");
            drawn.pixels
        };
        let none = ink(Saved::default());
        let reused = ink(Saved {
            reused: Some(0.94),
            exit: None,
        });
        let both = ink(Saved {
            reused: Some(1.0),
            exit: Some(12),
        });
        assert_eq!(none, ink(Saved::default()), "{canvas:?}");
        assert!(none != reused && reused != both, "{canvas:?}");
    }
}
