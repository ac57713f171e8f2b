//! The resampling filters, by Pillow's numbers and in Pillow's order of operations.
//!
//! torch's filters are the same functions: its cubic is written otherwise, but only by factors of a power of
//! two, which change no rounding.

use std::f64::consts::PI;

/// The resampling filters, by the numbers `preprocessor_config.json` uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resample {
    /// 0: the source pixel under the centre of the target pixel.
    Nearest,
    /// 1: a windowed sinc, six target pixels wide.
    Lanczos,
    /// 2: a triangle as wide as two target pixels (ImageGPT's own).
    Bilinear,
    /// 3: Keys' cubic with a = -1/2, four target pixels wide.
    Bicubic,
    /// 4: the mean of the source pixels. PIL's processor only.
    Box,
    /// 5: a windowed sinc as wide as the triangle. PIL's processor only.
    Hamming,
}

impl Resample {
    /// The filter Pillow numbers `code`.
    #[must_use]
    pub fn from_code(code: u64) -> Option<Self> {
        Some(match code {
            0 => Self::Nearest,
            1 => Self::Lanczos,
            2 => Self::Bilinear,
            3 => Self::Bicubic,
            4 => Self::Box,
            5 => Self::Hamming,
            _ => return None,
        })
    }

    /// Pillow's number.
    #[must_use]
    pub fn code(self) -> u64 {
        match self {
            Self::Nearest => 0,
            Self::Lanczos => 1,
            Self::Bilinear => 2,
            Self::Bicubic => 3,
            Self::Box => 4,
            Self::Hamming => 5,
        }
    }

    /// Half the filter's width, in target pixels.
    pub(super) fn support(self) -> f64 {
        match self {
            Self::Nearest => 0.0,
            Self::Box => 0.5,
            Self::Bilinear | Self::Hamming => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos => 3.0,
        }
    }

    /// The filter at `x` target pixels from its centre.
    pub(super) fn at(self, x: f64) -> f64 {
        if self == Self::Box {
            // The one filter that is not even: a pixel on the edge counts once.
            return f64::from(u8::from(x > -0.5 && x <= 0.5));
        }
        let x = x.abs();
        match self {
            Self::Bilinear if x < 1.0 => 1.0 - x,
            Self::Bicubic if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
            Self::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5,
            Self::Lanczos if x < 3.0 => sinc(x) * sinc(x / 3.0),
            // Pillow's constants are f32.
            Self::Hamming if x > 0.0 && x < 1.0 => {
                sinc(x) * (f64::from(0.54f32) + f64::from(0.46f32) * libm::cos(x * PI))
            }
            Self::Hamming if x == 0.0 => 1.0,
            _ => 0.0,
        }
    }
}

/// libm's sine rather than the platform's, which may be another one elsewhere. Where the two differ, it is by
/// a unit in the last place of a weight that keeps 22 bits at most.
fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    let x = x * PI;
    libm::sin(x) / x
}
