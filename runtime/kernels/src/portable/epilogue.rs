//! What becomes of the integer sums of a linear layer's tile: scale, zero point, bias and residual.

use super::math::fma;

/// What a tile's columns need on their way out.
pub(super) struct Channels<'a> {
    pub(super) w_sums: &'a [i32],
    /// One a column: how many there are.
    pub(super) w_scale: &'a [f32],
    pub(super) bias: &'a [f32],
}

/// A tile of sums on its way out.
pub(super) struct Rows<'a> {
    pub(super) acc: &'a [i32],
    /// One a row: how many there are.
    pub(super) scales: &'a [f32],
    pub(super) shifts: &'a [i32],
    pub(super) out: &'a mut [f32],
    pub(super) ldo: usize,
    /// Whether some shift is not zero.
    pub(super) shifted: bool,
    pub(super) add: bool,
}

impl Rows<'_> {
    /// The columns of a panel of `nr` that the matrix has, by the fastest way for so many.
    #[inline(always)]
    pub(super) fn finish(self, nr: usize, channels: &Channels<'_>) {
        // A width known when this is compiled is worth a fifth of a layer with a short k.
        match (channels.w_scale.len(), nr) {
            (32, 32) => self.finish_all::<32>(channels),
            (16, 16) => self.finish_all::<16>(channels),
            // All rows of a small tile: then the loop over them costs nothing either.
            (8, 8) if self.scales.len() == 8 => Rows {
                scales: array::<8, _>(self.scales),
                ..self
            }
            .finish_all::<8>(channels),
            (8, 8) => self.finish_all::<8>(channels),
            (4, 4) => self.finish_all::<4>(channels),
            _ => self.finish_some(nr, channels),
        }
    }

    /// All `NR` columns of a panel.
    #[inline(always)]
    fn finish_all<const NR: usize>(self, channels: &Channels<'_>) {
        match (self.shifted, self.add) {
            (false, false) => self.finish_as::<NR, false, false>(channels),
            (false, true) => self.finish_as::<NR, false, true>(channels),
            (true, false) => self.finish_as::<NR, true, false>(channels),
            (true, true) => self.finish_as::<NR, true, true>(channels),
        }
    }

    #[inline(always)]
    fn finish_as<const NR: usize, const SHIFTED: bool, const ADD: bool>(
        self,
        channels: &Channels<'_>,
    ) {
        let (w_scale, bias) = (
            array::<NR, _>(channels.w_scale),
            array::<NR, _>(channels.bias),
        );
        let w_sums = array::<NR, _>(channels.w_sums);
        let last = (self.scales.len() - 1) * self.ldo;
        assert!(
            self.out.len() >= NR && self.out.len() - NR >= last,
            "rows of output"
        );
        let mut at = self.out.as_mut_ptr();
        let rows = self.acc.as_chunks::<NR>().0.iter().zip(self.scales);
        for ((acc, scale), shift) in rows.zip(self.shifts) {
            // SAFETY: `NR` values from `at` on are within `self.out`, for the last row too, as was checked just above.
            let out = unsafe { &mut *at.cast::<[f32; NR]>() };
            let mut y = [0.0; NR];
            for j in 0..NR {
                let acc = if SHIFTED {
                    acc[j] + shift * w_sums[j]
                } else {
                    acc[j]
                };
                y[j] = fma(acc as f32, scale * w_scale[j], bias[j]);
            }
            if ADD {
                for j in 0..NR {
                    out[j] += y[j];
                }
            } else {
                *out = y;
            }
            // Past the last row it points nowhere, and nothing reads it.
            at = at.wrapping_add(self.ldo);
        }
    }

    /// The columns of a panel of `nr` that the matrix has.
    #[inline(always)]
    fn finish_some(self, nr: usize, channels: &Channels<'_>) {
        let n = channels.w_scale.len();
        let rows = self.acc.chunks_exact(nr).zip(self.scales).zip(self.shifts);
        for (((acc, scale), shift), out) in rows.zip(self.out.chunks_mut(self.ldo)) {
            for j in 0..n {
                let acc = acc[j] + shift * channels.w_sums[j];
                let y = fma(acc as f32, scale * channels.w_scale[j], channels.bias[j]);
                out[j] = if self.add { out[j] + y } else { y };
            }
        }
    }
}

#[inline(always)]
fn array<const N: usize, T>(slice: &[T]) -> &[T; N] {
    slice.first_chunk().expect("a panel's worth")
}
