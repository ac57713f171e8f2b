//! The line of text that a Y4M stream begins with: size, layout of the planes, range of the samples.

use super::super::error::SourceError;
use super::super::yuv::Matrix;

pub(super) const STREAM_MAGIC: &[u8] = b"YUV4MPEG2";

/// How the planes share chroma.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    Mono,
    /// Cb and Cr planes, subsampled by these factors across and down.
    Planar {
        across: usize,
        down: usize,
    },
}

impl Layout {
    /// Reads the value of the C parameter, or of XYSCSS in small letters. The 4:2:0 variants differ in
    /// where chroma is sited, which repeating it does not see.
    fn from_tag(tag: &[u8]) -> Option<Self> {
        Some(match tag {
            b"420jpeg" | b"420mpeg2" | b"420paldv" | b"420" => Self::Planar { across: 2, down: 2 },
            b"411" => Self::Planar { across: 4, down: 1 },
            b"422" => Self::Planar { across: 2, down: 1 },
            b"444" => Self::Planar { across: 1, down: 1 },
            b"mono" => Self::Mono,
            _ => return None,
        })
    }
}

/// What the stream header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) layout: Layout,
    pub(super) interlaced: bool,
    pub(super) matrix: Matrix,
}

impl Header {
    pub(super) fn parse(line: &[u8], name: &str, max_pixels: u32) -> Result<Self, SourceError> {
        let wrong = |reason: String| SourceError::Format {
            name: name.to_owned(),
            reason: format!("Y4M header: {reason}"),
        };
        let mut words = line.split(|&b| b == b' ');
        if words.next() != Some(STREAM_MAGIC) {
            return Err(wrong(format!(
                "starts with {}, expected YUV4MPEG2",
                quote(line)
            )));
        }
        let (mut width, mut height) = (None, None);
        // C wins over XYSCSS, which older mjpegtools wrote and ffmpeg writes still.
        let (mut layout, mut xyscss) = (None, None);
        let mut full = None;
        let mut interlaced = false;
        for word in words {
            let Some((tag, value)) = word.split_first() else {
                continue; // two spaces in a row
            };
            match tag {
                b'W' => width = Some(side(value).ok_or_else(|| wrong(bad_side("width", word)))?),
                b'H' => height = Some(side(value).ok_or_else(|| wrong(bad_side("height", word)))?),
                b'C' => layout = Some(layout_of(value, word).map_err(wrong)?),
                b'I' => interlaced = matches!(value, b"t" | b"b" | b"m"),
                b'X' => match split_private(value) {
                    Some((b"YSCSS", value)) => xyscss = Some((value.to_ascii_lowercase(), word)),
                    Some((b"COLORRANGE", b"FULL")) => full = Some(true),
                    Some((b"COLORRANGE", b"LIMITED")) => full = Some(false),
                    Some((b"COLORRANGE", _)) => {
                        return Err(wrong(format!(
                            "range {} is not known, expected XCOLORRANGE=FULL or XCOLORRANGE=LIMITED",
                            quote(word)
                        )));
                    }
                    _ => {}
                },
                // Frame rate, aspect and others' private parameters change no pixel.
                _ => {}
            }
        }
        let (Some(width), Some(height)) = (width, height) else {
            let what = if width.is_none() {
                "width (W)"
            } else {
                "height (H)"
            };
            return Err(wrong(format!("no {what} in {}", quote(line))));
        };
        let layout = match (layout, xyscss) {
            (Some(layout), _) => layout,
            (None, Some((value, word))) => layout_of(&value, word).map_err(wrong)?,
            (None, None) => Layout::Planar { across: 2, down: 2 },
        };
        // Grey fills the byte unless it says otherwise: so ffmpeg, whose `gray` has no other range.
        let full = full.unwrap_or(layout == Layout::Mono);
        let too_big = || SourceError::Size {
            name: name.to_owned(),
            width,
            height,
            max_pixels,
        };
        let pixels = width.checked_mul(height).ok_or_else(too_big)?;
        if pixels == 0 || pixels > u64::from(max_pixels) {
            return Err(too_big());
        }
        Ok(Self {
            // Neither side exceeds max_pixels, a u32, as neither is zero.
            width: u32::try_from(width).map_err(|_| too_big())?,
            height: u32::try_from(height).map_err(|_| too_big())?,
            layout,
            interlaced,
            matrix: match full {
                true => Matrix::BT601_FULL,
                false => Matrix::BT601_LIMITED,
            },
        })
    }
}

fn layout_of(value: &[u8], word: &[u8]) -> Result<Layout, String> {
    Layout::from_tag(value).ok_or_else(|| {
        format!(
            "layout {} is not supported, expected C420jpeg, C420mpeg2, C420paldv, C420, C411, C422, C444 \
             or Cmono (8 bits, no alpha); `ffmpeg -i IN -pix_fmt yuv420p -f yuv4mpegpipe OUT` converts it",
            quote(word)
        )
    })
}

/// The name and value of a private parameter, whose X is off already.
fn split_private(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = value.iter().position(|&byte| byte == b'=')?;
    Some((value.get(..equals)?, value.get(equals + 1..)?))
}

/// Digits only: no sign, no blanks, and small enough for a `u64`.
fn side(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn bad_side(what: &str, word: &[u8]) -> String {
    format!("{what} {}: expected a number of pixels", quote(word))
}

/// Input bytes for a message: escaped, and not too many.
pub(super) fn quote(bytes: &[u8]) -> String {
    let head = bytes.get(..40).unwrap_or(bytes);
    let dots = if head.len() < bytes.len() { "..." } else { "" };
    format!("\"{}{dots}\"", head.escape_ascii())
}
