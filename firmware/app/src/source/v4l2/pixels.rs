//! The pixel formats this app takes from a camera, and how their bytes become RGB8.

use super::super::yuv::{Matrix, grey_row};
use super::abi::PixFormat;
use super::colour::Samples;

/// A format's code: four letters, the first in the low byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PixelFormat {
    /// Packed 4:2:2, Y Cb Y Cr.
    Yuyv,
    /// One JPEG a frame.
    Mjpg,
    /// Red, green, blue.
    Rgb3,
    /// Blue, green, red.
    Bgr3,
    /// Planar luma, then Cb and Cr interleaved, 4:2:0.
    Nv12,
    /// Planar luma, Cb, Cr, 4:2:0.
    Yu12,
    /// Packed 4:2:2, Cb Y Cr Y.
    Uyvy,
    /// Luma alone.
    Grey,
}

impl PixelFormat {
    /// In the order of preference: what every USB camera has and is cheap to convert comes first.
    pub(super) const ALL: [Self; 8] = [
        Self::Yuyv,
        Self::Mjpg,
        Self::Rgb3,
        Self::Bgr3,
        Self::Nv12,
        Self::Yu12,
        Self::Uyvy,
        Self::Grey,
    ];

    pub(super) fn fourcc(self) -> u32 {
        u32::from_le_bytes(*match self {
            Self::Yuyv => b"YUYV",
            Self::Mjpg => b"MJPG",
            Self::Rgb3 => b"RGB3",
            Self::Bgr3 => b"BGR3",
            Self::Nv12 => b"NV12",
            Self::Yu12 => b"YU12",
            Self::Uyvy => b"UYVY",
            Self::Grey => b"GREY",
        })
    }

    /// What its samples are; a JPEG's are those of JFIF.
    pub(super) fn samples(self) -> Samples {
        match self {
            Self::Rgb3 | Self::Bgr3 => Samples::Rgb,
            Self::Grey => Samples::Grey,
            Self::Yuyv | Self::Mjpg | Self::Nv12 | Self::Yu12 | Self::Uyvy => Samples::YCbCr,
        }
    }

    /// Bytes of a row of `width` pixels, of luma where the format is planar. 0 for JPEG.
    fn row_bytes(self, width: usize) -> usize {
        match self {
            Self::Yuyv | Self::Uyvy => width.div_ceil(2) * 4,
            Self::Rgb3 | Self::Bgr3 => width * 3,
            Self::Nv12 | Self::Yu12 | Self::Grey => width,
            Self::Mjpg => 0,
        }
    }
}

/// A code as a person reads it.
pub(super) fn fourcc_name(fourcc: u32) -> String {
    fourcc.to_le_bytes().escape_ascii().to_string()
}

/// The bytes one frame of `pix` must have, and the stride of its rows.
///
/// # Errors
/// Rows that the camera declares shorter than their pixels.
pub(super) fn layout(format: PixelFormat, pix: &PixFormat) -> Result<(usize, usize), String> {
    let (width, height) = (pix.width as usize, pix.height as usize);
    let tight = format.row_bytes(width);
    let stride = match pix.bytesperline as usize {
        0 => tight,
        stride if stride >= tight => stride,
        stride => {
            return Err(format!(
                "declares rows of {stride} bytes for {width} pixels of {format:?}, expected at least {tight}"
            ));
        }
    };
    let chroma_rows = height.div_ceil(2);
    let bytes = match format {
        PixelFormat::Mjpg => 0,
        PixelFormat::Nv12 => stride * (height + chroma_rows),
        PixelFormat::Yu12 => stride * height + 2 * stride.div_ceil(2) * chroma_rows,
        // The padding behind the last row need not be there.
        _ => stride * (height - 1) + tight,
    };
    Ok((bytes, stride))
}

/// Converts one frame, which is not a JPEG, into `rgb` (`width * height * 3` bytes) by `matrix`.
///
/// # Errors
/// Fewer bytes than the format demands.
pub(super) fn convert(
    format: PixelFormat,
    pix: &PixFormat,
    matrix: Matrix,
    bytes: &[u8],
    rgb: &mut [u8],
) -> Result<(), String> {
    let (expected, stride) = layout(format, pix)?;
    if bytes.len() < expected {
        return Err(format!(
            "short frame: {} bytes, expected {expected}",
            bytes.len()
        ));
    }
    let (width, height) = (pix.width as usize, pix.height as usize);
    let out = rgb.chunks_exact_mut(3 * width);
    let (first, second) = bytes
        .split_at_checked(stride * height)
        .unwrap_or((bytes, &[]));
    let rows = out.zip(first.chunks(stride));
    match format {
        PixelFormat::Yuyv => rows.for_each(|(out, row)| matrix.packed_row(out, row, [0, 2, 1, 3])),
        PixelFormat::Uyvy => rows.for_each(|(out, row)| matrix.packed_row(out, row, [1, 3, 0, 2])),
        PixelFormat::Grey => rows.for_each(|(out, row)| grey_row(matrix, out, row)),
        PixelFormat::Rgb3 => rows.for_each(|(out, row)| {
            out.iter_mut()
                .zip(row)
                .for_each(|(out, byte)| *out = matrix.level(*byte));
        }),
        PixelFormat::Bgr3 => rows.for_each(|(out, row)| {
            for (out, bgr) in out.chunks_exact_mut(3).zip(row.chunks_exact(3)) {
                out.iter_mut()
                    .zip(bgr.iter().rev())
                    .for_each(|(out, byte)| *out = matrix.level(*byte));
            }
        }),
        PixelFormat::Nv12 => {
            let chroma = second.chunks(stride).flat_map(|row| [row, row]);
            for ((out, luma), chroma) in rows.zip(chroma) {
                let pairs = chroma.chunks_exact(2).map(|pair| match *pair {
                    [cb, cr] => (cb, cr),
                    _ => (128, 128),
                });
                matrix.row(out, luma, pairs, 2);
            }
        }
        PixelFormat::Yu12 => {
            let stride = stride.div_ceil(2);
            let (cb, cr) = second
                .split_at_checked(stride * height.div_ceil(2))
                .unwrap_or_default();
            let chroma = cb
                .chunks(stride)
                .zip(cr.chunks(stride))
                .flat_map(|pair| [pair, pair]);
            for ((out, luma), (cb, cr)) in rows.zip(chroma) {
                matrix.row(out, luma, cb.iter().copied().zip(cr.iter().copied()), 2);
            }
        }
        PixelFormat::Mjpg => return Err("a JPEG where pixels were expected".to_owned()),
    }
    Ok(())
}

#[cfg(test)]
mod tests;
