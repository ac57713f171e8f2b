//! What becomes of the integer sums of a linear layer's tile: scale, zero point, bias and residual.

use super::math::fma;

/// What a tile's columns need on their way out.
#[derive(Clone, Copy)]
pub(crate) struct Channels<'a> {
    pub(crate) w_sums: &'a [i32],
    /// One a column: how many there are.
    pub(crate) w_scale: &'a [f32],
    pub(crate) bias: &'a [f32],
}

/// Where a tile's rows go.
pub(crate) struct Output<'a> {
    /// One a row: how many there are.
    pub(crate) scales: &'a [f32],
    /// Zero points, negated: one a row at least.
    pub(crate) zero_points: &'a [i32],
    pub(crate) out: &'a mut [f32],
    pub(crate) ldo: usize,
    /// Whether some zero point is not 0.
    pub(crate) asymmetric: bool,
    pub(crate) add: bool,
}

impl Output<'_> {
    /// The columns of a panel of `nr` that the matrix has, out of rows of `nr` sums, by the fastest way for so many.
    #[inline(always)]
    pub(crate) fn finish(self, acc: &[i32], nr: usize, channels: &Channels<'_>) {
        // A width known when this is compiled is worth a fifth of a layer with a short k.
        match (channels.w_scale.len(), nr) {
            (32, 32) => self.finish_all::<32>(acc, channels),
            (16, 16) => self.finish_all::<16>(acc, channels),
            // All rows of a small tile: then the loop over them costs nothing either.
            (8, 8) if self.scales.len() == 8 => Output {
                scales: array::<8, _>(self.scales),
                ..self
            }
            .finish_all::<8>(acc, channels),
            (8, 8) => self.finish_all::<8>(acc, channels),
            (4, 4) => self.finish_all::<4>(acc, channels),
            _ => self.finish_some(acc, nr, channels),
        }
    }

    /// All `NR` columns of a panel.
    #[inline(always)]
    fn finish_all<const NR: usize>(self, acc: &[i32], channels: &Channels<'_>) {
        match (self.asymmetric, self.add) {
            (false, false) => self.finish_as::<NR, false, false>(acc, channels),
            (false, true) => self.finish_as::<NR, false, true>(acc, channels),
            (true, false) => self.finish_as::<NR, true, false>(acc, channels),
            (true, true) => self.finish_as::<NR, true, true>(acc, channels),
        }
    }

    #[inline(always)]
    fn finish_as<const NR: usize, const ASYMMETRIC: bool, const ADD: bool>(
        self,
        acc: &[i32],
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
        let rows = acc.as_chunks::<NR>().0.iter().zip(self.scales);
        for ((acc, scale), zero_point) in rows.zip(self.zero_points) {
            // SAFETY: `NR` values from `at` on are within `self.out`, for the last row too, as was checked just above.
            let out = unsafe { &mut *at.cast::<[f32; NR]>() };
            let mut y = [0.0; NR];
            for j in 0..NR {
                let acc = if ASYMMETRIC {
                    acc[j] + zero_point * w_sums[j]
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
    fn finish_some(self, acc: &[i32], nr: usize, channels: &Channels<'_>) {
        let n = channels.w_scale.len();
        let rows = acc.chunks_exact(nr).zip(self.scales).zip(self.zero_points);
        for (((acc, scale), zero_point), out) in rows.zip(self.out.chunks_mut(self.ldo)) {
            for j in 0..n {
                let acc = acc[j] + zero_point * channels.w_sums[j];
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
