//! The geometry of a screen, and pictures as the bytes it shows. Knows no device.

use super::abi::{
    Bitfield, FixScreenInfo, TYPE_PACKED_PIXELS, VISUAL_DIRECTCOLOR, VISUAL_TRUECOLOR,
    VarScreenInfo,
};

/// Where a channel's bits are in a pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Channel {
    offset: u32,
    length: u32,
}

impl Channel {
    fn new(name: &str, field: Bitfield, bits: u32) -> Result<Self, String> {
        let fits = field
            .offset
            .checked_add(field.length)
            .is_some_and(|end| end <= bits);
        if field.msb_right != 0 || field.length > 8 || !fits {
            return Err(format!(
                "{name} is {} bits at {} of {bits} (msb_right {}), expected up to 8 within the pixel",
                field.length, field.offset, field.msb_right
            ));
        }
        Ok(Self {
            offset: field.offset,
            length: field.length,
        })
    }

    /// The upper bits of `value`, in place.
    fn put(self, value: u8) -> u32 {
        // A channel of no bits shifts all of them out.
        (u32::from(value) >> (8 - self.length))
            .checked_shl(self.offset)
            .unwrap_or(0)
    }
}

/// What a framebuffer's screen is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Screen {
    pub(super) width: usize,
    pub(super) height: usize,
    /// Bytes from a row to the next.
    pub(super) stride: usize,
    /// Bytes before the first visible pixel.
    pub(super) start: u64,
    pixel_bytes: usize,
    red: Channel,
    green: Channel,
    blue: Channel,
    /// Bits that make a pixel opaque.
    opaque: u32,
}

impl Screen {
    /// Reads the kernel's description.
    ///
    /// # Errors
    /// Which property is not one this sink can draw on.
    pub(super) fn new(var: &VarScreenInfo, fix: &FixScreenInfo) -> Result<Self, String> {
        if fix.kind != TYPE_PACKED_PIXELS {
            return Err(format!(
                "pixels of type {}, expected packed ones (0)",
                fix.kind
            ));
        }
        if !matches!(fix.visual, VISUAL_TRUECOLOR | VISUAL_DIRECTCOLOR) || var.grayscale != 0 {
            return Err(format!(
                "visual {} with grayscale {}, expected true colour (2)",
                fix.visual, var.grayscale
            ));
        }
        let bits = var.bits_per_pixel;
        if !matches!(bits, 16 | 24 | 32) {
            return Err(format!("{bits} bits a pixel, expected 16, 24 or 32"));
        }
        let transp = Channel::new("transparency", var.transp, bits)?;
        let pixel_bytes = bits as usize / 8;
        let screen = Self {
            width: var.xres as usize,
            height: var.yres as usize,
            stride: fix.line_length as usize,
            start: u64::from(var.yoffset) * u64::from(fix.line_length)
                + u64::from(var.xoffset) * u64::from(bits / 8),
            pixel_bytes,
            red: Channel::new("red", var.red, bits)?,
            green: Channel::new("green", var.green, bits)?,
            blue: Channel::new("blue", var.blue, bits)?,
            opaque: transp.put(0xff),
        };
        let needed = screen.start + u64::from(var.yres) * u64::from(fix.line_length);
        let row = u64::from(var.xres) * pixel_bytes as u64;
        if screen.width == 0 || screen.height == 0 || row > u64::from(fix.line_length) {
            return Err(format!(
                "{}x{} pixels in lines of {} bytes make no sense",
                var.xres, var.yres, fix.line_length
            ));
        }
        if needed > u64::from(fix.smem_len) {
            return Err(format!(
                "{needed} bytes of screen in {} bytes of memory",
                fix.smem_len
            ));
        }
        Ok(screen)
    }

    /// The bits of a pixel, in as many of the low bytes as it has.
    fn pack(&self, red: u8, green: u8, blue: u8) -> [u8; 4] {
        let bits = self.red.put(red) | self.green.put(green) | self.blue.put(blue) | self.opaque;
        bits.to_le_bytes()
    }

    /// The size at which a picture is shown: whole multiples where it is smaller than the screen,
    /// so that every pixel stays square and sharp; as large as fits where it is larger.
    fn fitted(&self, width: usize, height: usize) -> (usize, usize) {
        let factor = (self.width / width).min(self.height / height);
        if factor >= 1 {
            return (width * factor, height * factor);
        }
        // In 64 bits: a side of 32 bits times one of the screen's.
        let scale = |side: usize, by: usize, of: usize| {
            (side as u64 * by as u64 / of as u64).max(1) as usize
        };
        if self.width as u64 * height as u64 <= self.height as u64 * width as u64 {
            (
                self.width,
                scale(height, self.width, width).min(self.height),
            )
        } else {
            (
                scale(width, self.height, height).min(self.width),
                self.height,
            )
        }
    }

    /// Draws the picture (`width * height * 3` bytes, not empty) centred into rows of the screen,
    /// black beside it. `rows` then holds whole lines; the screen's row that the first of them
    /// belongs to is returned.
    pub(super) fn compose(
        &self,
        rgb: &[u8],
        width: usize,
        height: usize,
        rows: &mut Vec<u8>,
    ) -> usize {
        let (shown_width, shown_height) = self.fitted(width, height);
        let left = (self.width - shown_width) / 2;
        let first_row = (self.height - shown_height) / 2;
        let black = self.pack(0, 0, 0);
        rows.clear();
        rows.resize(shown_height * self.stride, 0);
        let mut drawn = None;
        for y in 0..shown_height {
            let source_row = y * height / shown_height;
            let (above, here) = rows.split_at_mut(y * self.stride);
            let here = here.get_mut(..self.stride).unwrap_or_default();
            if drawn == Some(source_row) {
                // An enlarged row again: as above.
                let above = above.get(above.len() - self.stride..).unwrap_or_default();
                here.copy_from_slice(above);
                continue;
            }
            drawn = Some(source_row);
            let start = source_row * width * 3;
            let source = rgb.get(start..start + width * 3).unwrap_or_default();
            let pixels = here.chunks_exact_mut(self.pixel_bytes).take(self.width);
            for (x, out) in pixels.enumerate() {
                let packed = match x.checked_sub(left) {
                    Some(x) if x < shown_width => {
                        let at = x * width / shown_width * 3;
                        match source.get(at..at + 3) {
                            Some(&[r, g, b]) => self.pack(r, g, b),
                            _ => black,
                        }
                    }
                    _ => black,
                };
                out.iter_mut()
                    .zip(packed)
                    .for_each(|(out, byte)| *out = byte);
            }
        }
        first_row
    }

    /// One black row.
    pub(super) fn black_row(&self) -> Vec<u8> {
        let black = self.pack(0, 0, 0);
        let mut row: Vec<u8> = (0..self.width)
            .flat_map(|_| black.into_iter().take(self.pixel_bytes))
            .collect();
        row.resize(self.stride, 0);
        row
    }
}

#[cfg(test)]
pub(super) mod tests;
