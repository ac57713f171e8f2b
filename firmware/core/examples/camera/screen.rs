//! A screen of 320x240 pixels and 16 bits, as boards have them, in memory.

use alloc::boxed::Box;
use core::convert::Infallible;

use embedded_graphics::framebuffer::{Framebuffer, buffer_size};
use embedded_graphics::pixelcolor::Rgb565;
use embedded_graphics::pixelcolor::raw::{LittleEndian, RawU16};
use igpt_firmware_core::overlay::{self, Panel, Picture};

const WIDTH: usize = 320;
const HEIGHT: usize = 240;
const BYTES: usize = buffer_size::<Rgb565>(WIDTH, HEIGHT);

/// The screen.
pub(crate) struct Screen {
    pixels: Box<Framebuffer<Rgb565, RawU16, LittleEndian, WIDTH, HEIGHT, BYTES>>,
}

impl Screen {
    /// A black one.
    pub(crate) fn new() -> Self {
        Self {
            pixels: Box::new(Framebuffer::new()),
        }
    }

    /// Draws the overlay and returns the picture's checksum.
    pub(crate) fn show(&mut self, picture: Option<&Picture<'_>>, panel: &Panel<'_>) -> u32 {
        let drawn: Result<(), Infallible> = overlay::draw(&mut *self.pixels, picture, panel);
        match drawn {
            Ok(()) => crc32fast::hash(self.pixels.data()),
        }
    }
}
