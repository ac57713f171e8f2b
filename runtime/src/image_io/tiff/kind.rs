//! What a TIFF's tags say its samples are; the kinds that Pillow knows, and no others.

use tiff::tags::{CompressionMethod, PlanarConfiguration, Tag};

use super::{ImageIoError, Reader};

/// What a pixel's first samples are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    Grey {
        white_is_zero: bool,
    },
    Palette,
    Rgb,
    Cmyk,
    /// Only behind JPEG compression, which gives RGB.
    YCbCr,
}

impl Colour {
    pub(super) fn samples(self) -> usize {
        match self {
            Self::Grey { .. } | Self::Palette => 1,
            Self::Rgb | Self::YCbCr => 3,
            Self::Cmyk => 4,
        }
    }
}

/// What the sample behind the colour is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alpha {
    /// There is none, or it means something else.
    None,
    /// The colour is what it is, whatever the alpha.
    Straight,
    /// The colour is multiplied by the alpha.
    Associated,
}

/// How the pixels are stored.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) colour: Colour,
    pub(super) alpha: Alpha,
    /// Of every sample: 1, 2, 4, 8 or 16.
    pub(super) bits: u8,
    /// Of a pixel.
    pub(super) samples: usize,
    pub(super) planar: bool,
    pub(super) compression: CompressionMethod,
    /// The bits of each byte are stored the other way round.
    pub(super) reversed: bool,
    /// For messages.
    photometric: u16,
}

impl Kind {
    pub(super) fn read(
        reader: &mut Reader<'_>,
        photometric: Option<u16>,
    ) -> Result<Self, ImageIoError> {
        let mut number = |tag, otherwise: u64| -> Result<u64, ImageIoError> {
            Ok(reader
                .find_tag_unsigned::<u64>(tag)
                .map_err(ImageIoError::of_tiff)?
                .unwrap_or(otherwise))
        };
        let samples = number(Tag::SamplesPerPixel, 1)?;
        let compression = number(Tag::Compression, 1)?;
        let planar = number(Tag::PlanarConfiguration, 1)?;
        let fill_order = number(Tag::FillOrder, 1)?;
        let mut numbers = |tag| -> Result<Vec<u64>, ImageIoError> {
            Ok(reader
                .find_tag_unsigned_vec::<u64>(tag)
                .map_err(ImageIoError::of_tiff)?
                .unwrap_or_default())
        };
        let mut bits = numbers(Tag::BitsPerSample)?;
        let formats = numbers(Tag::SampleFormat)?;
        let extra = numbers(Tag::ExtraSamples)?;

        let photometric = photometric.unwrap_or_default();
        if bits.is_empty() {
            bits.push(1);
        }
        let unknown = |what: String| ImageIoError::TiffKind { found: what };
        let colour = match photometric {
            0 | 1 => Colour::Grey {
                white_is_zero: photometric == 0,
            },
            2 => Colour::Rgb,
            3 => Colour::Palette,
            5 => Colour::Cmyk,
            6 => Colour::YCbCr,
            other => return Err(unknown(format!("PhotometricInterpretation {other}"))),
        };
        let kind = Self {
            colour,
            alpha: alpha(colour, samples as usize, &extra).ok_or_else(|| {
                unknown(format!(
                    "{samples} samples a pixel with PhotometricInterpretation {photometric} and ExtraSamples {extra:?}"
                ))
            })?,
            bits: u8::try_from(bits[0]).unwrap_or(0),
            samples: samples as usize,
            planar: planar == u64::from(PlanarConfiguration::Planar.to_u16()),
            compression: CompressionMethod::from_u16_exhaustive(
                u16::try_from(compression).unwrap_or(0),
            ),
            reversed: fill_order == 2,
            photometric,
        };
        let few = matches!(kind.bits, 1 | 2 | 4)
            && kind.samples == 1
            && matches!(colour, Colour::Grey { .. } | Colour::Palette);
        let deep = kind.bits == 16 && colour != Colour::Palette;
        if bits.iter().any(|&other| other != bits[0]) || !(kind.bits == 8 || few || deep) {
            return Err(kind.unknown(&format!("{bits:?} bits a sample")));
        }
        if formats.iter().any(|&format| format != 1) {
            return Err(kind.unknown(&format!("SampleFormat {formats:?}")));
        }
        if colour == Colour::YCbCr && kind.compression != CompressionMethod::ModernJPEG {
            return Err(kind.unknown("YCbCr pixels without JPEG compression"));
        }
        if kind.reversed && kind.compression != CompressionMethod::None {
            return Err(kind.unknown("FillOrder 2 and compressed"));
        }
        Ok(kind)
    }

    /// The error that says `what` and the colours it was found with.
    pub(super) fn unknown(&self, what: &str) -> ImageIoError {
        ImageIoError::TiffKind {
            found: format!("{what} (PhotometricInterpretation {})", self.photometric),
        }
    }
}

/// What the samples behind the colour mean; `None` if Pillow does not know either.
fn alpha(colour: Colour, samples: usize, extra: &[u64]) -> Option<Alpha> {
    let beyond = samples.checked_sub(colour.samples())?;
    let others = |rest: &[u64]| rest.iter().all(|&kind| kind == 0);
    match *extra {
        [] => match (colour, beyond) {
            (_, 0) => Some(Alpha::None),
            // Some writers leave the tag out.
            (Colour::Rgb, 1) => Some(Alpha::Straight),
            _ => None,
        },
        _ if extra.len() != beyond => None,
        _ if others(extra) => Some(Alpha::None),
        [1, ref rest @ ..] if others(rest) && colour != Colour::Cmyk => Some(Alpha::Associated),
        // 999 is Corel Draw's.
        [2 | 999, ref rest @ ..] if others(rest) && colour != Colour::Cmyk => Some(Alpha::Straight),
        _ => None,
    }
}
