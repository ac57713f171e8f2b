//! What a camera's word on its colours means: from `colorspace`, `ycbcr_enc` and `quantization` to a matrix.
//!
//! A zero in the last two means what the one before says, by the macros V4L2_MAP_..._DEFAULT of
//! linux/videodev2.h; the tests hold this file to a table that a C program made with those macros.

use super::super::yuv::{Encoding, Matrix};
use super::abi::{self, PixFormat};

/// What the samples of a pixel format are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Samples {
    /// Luma and two chroma.
    YCbCr,
    /// Red, green and blue.
    Rgb,
    /// Luma alone. The kernel counts it with RGB (its test pattern generator passes `is_rgb_or_hsv` for
    /// it), and grey sensors do fill the byte.
    Grey,
}

/// The matrix for the samples that `pix` describes. For RGB and grey only its range matters
/// ([`Matrix::level`]).
///
/// # Errors
/// A value that this app does not know or cannot convert, by its name.
pub(super) fn matrix(samples: Samples, pix: &PixFormat) -> Result<Matrix, String> {
    // A kernel from before 3.16 does not know the fields behind `private`.
    let (ycbcr_enc, quantization) = match pix.private {
        abi::PIX_FMT_PRIV_MAGIC => (pix.ycbcr_enc, pix.quantization),
        _ => (abi::YCBCR_ENC_DEFAULT, abi::QUANTIZATION_DEFAULT),
    };
    let colorspace = match pix.colorspace {
        // V4L2_MAP_COLORSPACE_DEFAULT for what is neither a television signal nor one in high definition.
        abi::COLORSPACE_DEFAULT => abi::COLORSPACE_SRGB,
        known if known <= abi::COLORSPACE_DCI_P3 => known,
        other => {
            return Err(format!(
                "declares colours that this app does not know (colorspace {other}; videodev2.h's \
                 enum v4l2_colorspace to {} is known)",
                abi::COLORSPACE_DCI_P3
            ));
        }
    };
    let ycbcr_enc = match ycbcr_enc {
        abi::YCBCR_ENC_DEFAULT => default_ycbcr_enc(colorspace),
        given => given,
    };
    let quantization = match quantization {
        abi::QUANTIZATION_DEFAULT => default_quantization(samples != Samples::YCbCr, colorspace),
        given => given,
    };
    let full = match quantization {
        abi::QUANTIZATION_FULL_RANGE => true,
        abi::QUANTIZATION_LIM_RANGE => false,
        other => {
            return Err(format!(
                "declares a range that this app does not know (quantization {other}; expected 0, 1 or 2)"
            ));
        }
    };
    if samples != Samples::YCbCr {
        return Ok(Matrix::of(Encoding::Bt601, full));
    }
    Ok(match ycbcr_enc {
        abi::YCBCR_ENC_601 | abi::YCBCR_ENC_SYCC => Matrix::of(Encoding::Bt601, full),
        abi::YCBCR_ENC_709 => Matrix::of(Encoding::Bt709, full),
        // xvYCC uses the margins of the limited range for colours beyond it and has no full range:
        // the kernel's generator ignores `quantization` here too.
        abi::YCBCR_ENC_XV601 => Matrix::of(Encoding::Bt601, false),
        abi::YCBCR_ENC_XV709 => Matrix::of(Encoding::Bt709, false),
        abi::YCBCR_ENC_BT2020 => Matrix::of(Encoding::Bt2020, full),
        abi::YCBCR_ENC_SMPTE240M => Matrix::of(Encoding::Smpte240m, full),
        abi::YCBCR_ENC_BT2020_CONST_LUM => {
            return Err(
                "declares BT.2020 with constant luminance (ycbcr_enc 7), which no matrix converts; \
                 set the camera to another encoding, or let ffmpeg convert: `ffmpeg -f v4l2 -i DEVICE -f \
                 yuv4mpegpipe -vf scale=out_color_matrix=bt601,format=yuv420p - | igpt-cam --source -`"
                    .to_owned(),
            );
        }
        other => {
            return Err(format!(
                "declares an encoding that this app does not know (ycbcr_enc {other}; videodev2.h's \
                 enum v4l2_ycbcr_encoding to {} is known)",
                abi::YCBCR_ENC_SMPTE240M
            ));
        }
    })
}

/// V4L2_MAP_YCBCR_ENC_DEFAULT.
fn default_ycbcr_enc(colorspace: u32) -> u32 {
    match colorspace {
        abi::COLORSPACE_REC709 | abi::COLORSPACE_DCI_P3 => abi::YCBCR_ENC_709,
        abi::COLORSPACE_BT2020 => abi::YCBCR_ENC_BT2020,
        abi::COLORSPACE_SMPTE240M => abi::YCBCR_ENC_SMPTE240M,
        _ => abi::YCBCR_ENC_601,
    }
}

/// V4L2_MAP_QUANTIZATION_DEFAULT.
fn default_quantization(is_rgb_or_hsv: bool, colorspace: u32) -> u32 {
    match is_rgb_or_hsv || colorspace == abi::COLORSPACE_JPEG {
        true => abi::QUANTIZATION_FULL_RANGE,
        false => abi::QUANTIZATION_LIM_RANGE,
    }
}

#[cfg(test)]
mod tests;
