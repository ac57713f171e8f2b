//! YCbCr to RGB8 in integer arithmetic: the same bytes on every CPU, within one level of the
//! real-valued formula. Chroma is repeated, not interpolated, over the pixels that share it.

/// Fixed-point fraction bits of the coefficients.
const FRACTION: u32 = 16;

/// One conversion: luma offset, then gains in 1/65536.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Matrix {
    black: i32,
    luma: i32,
    cr_to_r: i32,
    cb_to_g: i32,
    cr_to_g: i32,
    cb_to_b: i32,
}

/// The luma weights of red and blue that Y'CbCr was made with. Primaries and transfer curves are another
/// matter: they say how bright a number is, not how to get red, green and blue out of Y'CbCr.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// ITU-R BT.601: JPEG, standard definition, and whatever does not say.
    Bt601,
    /// ITU-R BT.709: high definition.
    Bt709,
    /// ITU-R BT.2020 with non-constant luminance: ultra-high definition.
    Bt2020,
    /// SMPTE 240M: high definition before 1998.
    Smpte240m,
}

impl Matrix {
    /// ITU-R BT.601, luma 16..=235 and chroma 16..=240: what cameras and video files hold
    /// unless they say otherwise.
    pub(super) const BT601_LIMITED: Self = Self::of(Encoding::Bt601, false);
    /// BT.601 over the whole byte, as in JPEG.
    pub(super) const BT601_FULL: Self = Self::of(Encoding::Bt601, true);

    /// The matrix of `encoding`; `full` where samples fill the whole byte. Evaluated by the compiler.
    pub(super) const fn of(encoding: Encoding, full: bool) -> Self {
        match (encoding, full) {
            (Encoding::Bt601, true) => const { Self::new(0.299, 0.114, false) },
            (Encoding::Bt601, false) => const { Self::new(0.299, 0.114, true) },
            (Encoding::Bt709, true) => const { Self::new(0.2126, 0.0722, false) },
            (Encoding::Bt709, false) => const { Self::new(0.2126, 0.0722, true) },
            (Encoding::Bt2020, true) => const { Self::new(0.2627, 0.0593, false) },
            (Encoding::Bt2020, false) => const { Self::new(0.2627, 0.0593, true) },
            (Encoding::Smpte240m, true) => const { Self::new(0.212, 0.087, false) },
            (Encoding::Smpte240m, false) => const { Self::new(0.212, 0.087, true) },
        }
    }

    /// The matrix for luma weights `kr` and `kb` (of red and blue).
    const fn new(kr: f64, kb: f64, limited: bool) -> Self {
        const ONE: f64 = (1u32 << FRACTION) as f64;
        let kg = 1.0 - kr - kb;
        let (luma, chroma) = if limited {
            (255.0 / 219.0, 255.0 / 224.0)
        } else {
            (1.0, 1.0)
        };
        Self {
            black: if limited { 16 } else { 0 },
            luma: fixed(luma * ONE),
            cr_to_r: fixed(2.0 * (1.0 - kr) * chroma * ONE),
            cb_to_g: fixed(-2.0 * (1.0 - kb) * kb / kg * chroma * ONE),
            cr_to_g: fixed(-2.0 * (1.0 - kr) * kr / kg * chroma * ONE),
            cb_to_b: fixed(2.0 * (1.0 - kb) * chroma * ONE),
        }
    }

    /// One row. `luma` holds a byte a pixel, `chroma` gives (Cb, Cr) for every `share` pixels,
    /// `out` takes three bytes a pixel. The shortest of the three ends the row.
    pub(super) fn row(
        &self,
        out: &mut [u8],
        luma: &[u8],
        chroma: impl Iterator<Item = (u8, u8)>,
        share: usize,
    ) {
        let groups = out.chunks_mut(3 * share).zip(luma.chunks(share));
        for ((pixels, luma), (cb, cr)) in groups.zip(chroma) {
            let tint = self.tint(cb, cr);
            for (pixel, &y) in pixels.chunks_exact_mut(3).zip(luma) {
                pixel.copy_from_slice(&self.pixel(y, tint));
            }
        }
    }

    /// One row of packed 4:2:2, two pixels in four bytes. `order` says where in them
    /// the two lumas, Cb and Cr are: `[0, 2, 1, 3]` for YUYV.
    pub(super) fn packed_row(&self, out: &mut [u8], packed: &[u8], order: [usize; 4]) {
        for (pixels, group) in out.chunks_mut(6).zip(packed.chunks_exact(4)) {
            let [y0, y1, cb, cr] = order.map(|at| group.get(at).copied().unwrap_or_default());
            let tint = self.tint(cb, cr);
            for (pixel, y) in pixels.chunks_exact_mut(3).zip([y0, y1]) {
                pixel.copy_from_slice(&self.pixel(y, tint));
            }
        }
    }

    /// What chroma adds to red, green and blue, with the rounding term in it.
    #[inline]
    fn tint(&self, cb: u8, cr: u8) -> [i32; 3] {
        const HALF: i32 = 1 << (FRACTION - 1);
        let (cb, cr) = (i32::from(cb) - 128, i32::from(cr) - 128);
        [
            HALF + self.cr_to_r * cr,
            HALF + self.cb_to_g * cb + self.cr_to_g * cr,
            HALF + self.cb_to_b * cb,
        ]
    }

    /// One sample without colour, a grey or one of red, green and blue, on the scale 0..=255.
    #[inline]
    pub(super) fn level(&self, sample: u8) -> u8 {
        let [level, ..] = self.pixel(sample, self.tint(128, 128));
        level
    }

    #[inline]
    fn pixel(&self, y: u8, tint: [i32; 3]) -> [u8; 3] {
        let luma = (i32::from(y) - self.black) * self.luma;
        tint.map(|tint| ((luma + tint) >> FRACTION).clamp(0, 255) as u8)
    }
}

/// Rounds half away from zero; `f64::round` is not const yet.
const fn fixed(x: f64) -> i32 {
    (if x < 0.0 { x - 0.5 } else { x + 0.5 }) as i32
}

/// One row of grey as three equal channels. With `limited`, 16..=235 is stretched to the whole byte.
pub(super) fn grey_row(matrix: Matrix, out: &mut [u8], luma: &[u8]) {
    matrix.row(out, luma, std::iter::repeat((128, 128)), 1);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The textbook formula, in f64, from the luma weights.
    fn reference(y: u8, cb: u8, cr: u8, kr: f64, kb: f64, limited: bool) -> [f64; 3] {
        let (mut y, mut cb, mut cr) = (f64::from(y), f64::from(cb) - 128.0, f64::from(cr) - 128.0);
        if limited {
            y = (y - 16.0) * 255.0 / 219.0;
            cb *= 255.0 / 224.0;
            cr *= 255.0 / 224.0;
        }
        let r = y + 2.0 * (1.0 - kr) * cr;
        let b = y + 2.0 * (1.0 - kb) * cb;
        let g = (y - kr * r - kb * b) / (1.0 - kr - kb);
        [r, g, b].map(|c| c.clamp(0.0, 255.0))
    }

    #[test]
    fn every_colour_is_within_one_level_of_the_formula() {
        for (encoding, kr, kb) in [
            (Encoding::Bt601, 0.299, 0.114),
            (Encoding::Bt709, 0.2126, 0.0722),
            (Encoding::Bt2020, 0.2627, 0.0593),
            (Encoding::Smpte240m, 0.212, 0.087),
        ] {
            for limited in [true, false] {
                let matrix = Matrix::of(encoding, !limited);
                let mut worst = 0f64;
                for y in 0..=255u8 {
                    for cb in (0..=255u8).step_by(5) {
                        for cr in (0..=255u8).step_by(3) {
                            let got = matrix.pixel(y, matrix.tint(cb, cr));
                            let want = reference(y, cb, cr, kr, kb, limited);
                            for (got, want) in got.iter().zip(want) {
                                worst = worst.max((f64::from(*got) - want).abs());
                            }
                        }
                    }
                }
                assert!(worst < 0.51, "{encoding:?}, limited {limited}: {worst}");
            }
        }
    }

    #[test]
    fn black_white_and_primaries_land_where_they_should() {
        let m = Matrix::BT601_LIMITED;
        for (ycc, rgb) in [
            ((16, 128, 128), [0, 0, 0]),
            ((235, 128, 128), [255, 255, 255]),
            ((81, 90, 240), [254, 0, 0]),
            ((145, 54, 34), [0, 255, 1]),
            ((41, 240, 110), [0, 0, 255]),
            // Footroom and headroom clamp.
            ((0, 128, 128), [0, 0, 0]),
            ((255, 128, 128), [255, 255, 255]),
        ] {
            assert_eq!(m.pixel(ycc.0, m.tint(ycc.1, ycc.2)), rgb, "{ycc:?}");
        }
        let m = Matrix::BT601_FULL;
        assert_eq!(m.pixel(77, m.tint(128, 128)), [77, 77, 77]);
    }

    #[test]
    fn rows_share_chroma_and_odd_ends_are_filled() {
        let m = Matrix::BT601_FULL;
        let mut out = [0u8; 15];
        m.row(
            &mut out,
            &[10, 20, 30, 40, 50],
            [(128, 128), (0, 128), (128, 255)].into_iter(),
            2,
        );
        let want: Vec<u8> = [
            (10, 128, 128),
            (20, 128, 128),
            (30, 0, 128),
            (40, 0, 128),
            (50, 128, 255),
        ]
        .iter()
        .flat_map(|&(y, cb, cr)| m.pixel(y, m.tint(cb, cr)))
        .collect();
        assert_eq!(out.as_slice(), want);

        let mut packed = [0u8; 9];
        m.packed_row(
            &mut packed,
            &[10, 128, 20, 128, 30, 0, 40, 128],
            [0, 2, 1, 3],
        );
        assert_eq!(packed, out[..9]);
        m.packed_row(
            &mut packed,
            &[128, 10, 128, 20, 0, 30, 128, 40],
            [1, 3, 0, 2],
        );
        assert_eq!(packed, out[..9]);
    }
}
