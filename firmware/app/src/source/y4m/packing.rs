//! Where a frame's samples lie in its bytes: row by row without padding, as the format has it, or padded as
//! GStreamer's `y4menc` writes it up to version 1.24.

use super::super::yuv::grey_row;
use super::header::{Header, Layout};

/// The planes of one frame, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packing {
    luma_stride: usize,
    chroma_stride: usize,
    /// Where Cb and Cr begin.
    cb: usize,
    cr: usize,
    /// All of the frame.
    pub(super) bytes: usize,
}

impl Packing {
    /// Rows one after another.
    pub(super) fn tight(header: &Header) -> Self {
        let (width, height) = (header.width as usize, header.height as usize);
        match header.layout {
            Layout::Mono => Self::planes(width, height, 0, 0),
            Layout::Planar { across, down } => {
                Self::planes(width, height, width.div_ceil(across), height.div_ceil(down))
            }
        }
    }

    /// GStreamer's own layout of raw video (gst-plugins-base, `gst_video_info_set_format`), which old
    /// versions of `y4menc` write as it is. `None` for what that encoder does not take.
    pub(super) fn gstreamer(header: &Header) -> Option<Self> {
        let (width, height) = (header.width as usize, header.height as usize);
        let luma_stride = width.next_multiple_of(4);
        Some(match header.layout {
            Layout::Planar { across: 2, down: 2 } => {
                let rows = height.next_multiple_of(2);
                // Each field has its own rows of chroma.
                let chroma_rows = match header.interlaced {
                    true => (rows / 2).next_multiple_of(2),
                    false => rows / 2,
                };
                let chroma_stride = (width.div_ceil(2)).next_multiple_of(4);
                Self::planes(luma_stride, rows, chroma_stride, chroma_rows)
            }
            Layout::Planar { across: 2, down: 1 } => {
                Self::planes(luma_stride, height, width.next_multiple_of(8) / 2, height)
            }
            Layout::Planar { across: 4, down: 1 } => {
                Self::planes(luma_stride, height, width.next_multiple_of(16) / 4, height)
            }
            Layout::Planar { across: 1, down: 1 } => {
                Self::planes(luma_stride, height, luma_stride, height)
            }
            _ => return None,
        })
    }

    fn planes(luma_stride: usize, rows: usize, chroma_stride: usize, chroma_rows: usize) -> Self {
        let (luma, chroma) = (luma_stride * rows, chroma_stride * chroma_rows);
        Self {
            luma_stride,
            chroma_stride,
            cb: luma,
            cr: luma + chroma,
            bytes: luma + 2 * chroma,
        }
    }

    /// Converts a frame, `self.bytes` long, into `rgb`, `width * height * 3` long.
    pub(super) fn convert(&self, header: &Header, frame: &[u8], rgb: &mut [u8]) {
        let width = header.width as usize;
        let plane = |from: usize, to: usize| frame.get(from..to).unwrap_or_default();
        let rows = rgb
            .chunks_exact_mut(3 * width)
            .zip(plane(0, self.cb).chunks(self.luma_stride));
        match header.layout {
            Layout::Mono => rows.for_each(|(out, luma)| grey_row(header.matrix, out, luma)),
            Layout::Planar { across, down } => {
                let chroma_rows = plane(self.cb, self.cr)
                    .chunks(self.chroma_stride)
                    .zip(plane(self.cr, self.bytes).chunks(self.chroma_stride));
                let repeated = chroma_rows.flat_map(|row| std::iter::repeat_n(row, down));
                for ((out, luma), (cb, cr)) in rows.zip(repeated) {
                    let pairs = cb.iter().copied().zip(cr.iter().copied());
                    header.matrix.row(out, luma, pairs, across);
                }
            }
        }
    }
}
