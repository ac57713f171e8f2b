//! The annotated picture: draws the overlay into memory and hands it to the sinks.

use std::convert::Infallible;

use embedded_graphics::Pixel;
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{OriginDimensions, Size};
use embedded_graphics::pixelcolor::{Rgb888, RgbColor};
use embedded_graphics::primitives::Rectangle;

use super::lines::Loss;
use super::log::{Event, Log};
use crate::sink::FrameSink;
use crate::source::FrameBuffer;
use igpt_firmware_core::overlay::{self, Panel, Picture};

/// RGB8 in memory.
#[derive(Debug, Default)]
struct Canvas {
    width: u32,
    height: u32,
    rgb: Vec<u8>,
}

impl Canvas {
    fn resize(&mut self, (width, height): (u32, u32)) {
        (self.width, self.height) = (width, height);
        self.rgb.resize(width as usize * height as usize * 3, 0);
    }

    fn set(&mut self, x: i32, y: i32, color: Rgb888) {
        let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else {
            return;
        };
        if x >= self.width || y >= self.height {
            return;
        }
        let at = (y as usize * self.width as usize + x as usize) * 3;
        if let Some(pixel) = self.rgb.get_mut(at..at + 3) {
            pixel.copy_from_slice(&[color.r(), color.g(), color.b()]);
        }
    }
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(self.width, self.height)
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I>(&mut self, pixels: I) -> Result<(), Infallible>
    where
        I: IntoIterator<Item = Pixel<Rgb888>>,
    {
        for Pixel(at, color) in pixels {
            self.set(at.x, at.y, color);
        }
        Ok(())
    }

    fn fill_solid(&mut self, area: &Rectangle, color: Rgb888) -> Result<(), Infallible> {
        let whole = Rectangle::new(Default::default(), self.size());
        let part = area.intersection(&whole);
        // Inside the canvas, so nothing here is negative.
        let (left, top) = (part.top_left.x as usize, part.top_left.y as usize);
        let (wide, stride) = (part.size.width as usize * 3, self.width as usize * 3);
        for row in self
            .rgb
            .chunks_exact_mut(stride.max(1))
            .skip(top)
            .take(part.size.height as usize)
        {
            if let Some(run) = row.get_mut(left * 3..left * 3 + wide) {
                for pixel in run.chunks_exact_mut(3) {
                    pixel.copy_from_slice(&[color.r(), color.g(), color.b()]);
                }
            }
        }
        Ok(())
    }
}

struct Sink {
    sink: Box<dyn FrameSink>,
    failures: u64,
    first_error: Option<String>,
}

/// Draws for every sink, and counts those that fail without letting them stop the app.
pub(super) struct Renderer {
    sinks: Vec<Sink>,
    canvas: Canvas,
    /// The canvas size asked for, if any.
    fixed: Option<(u32, u32)>,
}

impl Renderer {
    pub(super) fn new(sinks: Vec<Box<dyn FrameSink>>, fixed: Option<(u32, u32)>) -> Self {
        let sinks = sinks
            .into_iter()
            .map(|sink| Sink {
                sink,
                failures: 0,
                first_error: None,
            })
            .collect();
        Self {
            sinks,
            canvas: Canvas::default(),
            fixed,
        }
    }

    /// Whether nothing is drawn.
    pub(super) fn is_empty(&self) -> bool {
        self.sinks.is_empty()
    }

    /// What each sink did not take.
    pub(super) fn lost(&self) -> impl Iterator<Item = Loss> {
        self.sinks.iter().filter_map(|sink| {
            Some(Loss {
                output: sink.sink.describe(),
                what: "picture",
                count: sink.failures,
                first: sink.first_error.clone()?,
            })
        })
    }

    /// Shows `frame` with `panel` everywhere. Returns how many sinks failed.
    pub(super) fn show(
        &mut self,
        frame: &FrameBuffer,
        panel: &Panel<'_>,
        label: &str,
        log: &Log,
    ) -> u64 {
        // A source's frames are as long as they say; one that is not is shown as none.
        let picture = Picture::new(&frame.rgb, frame.width, frame.height).ok();
        let proposed = overlay::canvas_for(frame.width, frame.height);
        let mut drawn = None;
        let mut failed = 0;
        for Sink {
            sink,
            failures,
            first_error,
        } in &mut self.sinks
        {
            let size = self.fixed.or_else(|| sink.size()).unwrap_or(proposed);
            if drawn != Some(size) {
                self.canvas.resize(size);
                let Ok(()) = overlay::draw(&mut self.canvas, picture.as_ref(), panel);
                drawn = Some(size);
            }
            if let Err(error) = sink.show(&self.canvas.rgb, size.0, size.1, label) {
                failed += 1;
                *failures += 1;
                first_error.get_or_insert_with(|| error.to_string());
                // A full disk fails on every frame: the log gets the 1st, 2nd, 4th, 8th ...
                if failures.is_power_of_two() {
                    log.write(&Event::SinkFailed {
                        error: &error,
                        count: *failures,
                    });
                }
            }
        }
        failed
    }
}
