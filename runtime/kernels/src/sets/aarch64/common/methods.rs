//! The methods of the three traits that all sets of this architecture share. What differs is in each set's files of the same names.

/// Those of [`Packing`](crate::operands::packing::Packing) for a set with groups of `$kr`.
macro_rules! arm_packing {
    ($kr:literal) => {
        #[inline(always)]
        unsafe fn interleave(rows: &[u8], panel: &mut [u8], slots: usize, slot: usize) {
            // SAFETY: the caller's.
            unsafe { common::interleave::interleave::<$kr>(rows, panel, slots, slot) };
        }

        #[inline(always)]
        unsafe fn store_values(values: &mut StoreValues<'_>) -> bool {
            // SAFETY: the caller's.
            unsafe { common::kv::store_values::<$kr>(Self::LAYOUT.nr, values) }
        }
    };
}

/// Those of [`InstructionSet`](crate::set::InstructionSet).
macro_rules! arm_set {
    () => {
        #[inline(always)]
        unsafe fn tile(tile: &Tile<'_>, acc: &mut [i32], ldc: usize) {
            // SAFETY: the caller's.
            unsafe { tile::tile(tile, acc, ldc) };
        }

        #[inline(always)]
        unsafe fn softmax(scores: &Scores<'_>, stats: &mut RowStats, p: &mut [u8]) {
            // SAFETY: the caller's.
            unsafe { softmax::softmax(scores, stats, p) };
        }

        #[inline(always)]
        unsafe fn norm_amax(x: &[f32], gain: &[f32], eps: f32, out: &mut [f32]) -> u32 {
            // SAFETY: the caller's.
            unsafe { common::rows::norm_amax(x, gain, eps, out) }
        }

        #[inline(always)]
        unsafe fn quantize(x: &[f32], bytes: &mut [u8], offset: u8) -> Result<f32, f32> {
            // SAFETY: the caller's.
            unsafe { common::rows::quantize(x, bytes, offset) }
        }

        #[inline(always)]
        unsafe fn layer_norm(
            rows: [&[f32]; GROUP],
            affine: Affine<'_>,
            out: &mut [f32],
        ) -> [u32; GROUP] {
            // SAFETY: the caller's.
            unsafe { common::layer_norm::layer_norm(rows, affine, out) }
        }

        #[inline(always)]
        unsafe fn amax_bits(x: &[f32]) -> u32 {
            // SAFETY: the caller's.
            unsafe { common::quantize::amax_bits(x) }
        }

        #[inline(always)]
        unsafe fn round(x: &[f32], inverse: f32, bytes: &mut [u8], _offset: u8) {
            // SAFETY: the caller's.
            unsafe { common::quantize::round(x, inverse, 0, bytes) };
        }

        #[inline(always)]
        unsafe fn quantize_skewed(
            x: &[f32],
            range: Range,
            bytes: &mut [u8],
            offset: u8,
        ) -> Result<(f32, i32), f32> {
            // SAFETY: the caller's.
            unsafe { common::rows::quantize_skewed(x, range, bytes, offset) }
        }

        #[inline(always)]
        unsafe fn activate_range(kind: Activation, from: &[f32], to: &mut [f32]) -> Range {
            // SAFETY: the caller's.
            unsafe { common::rows::activate_range(kind, from, to) }
        }

        #[inline(always)]
        unsafe fn linear_panels(job: &mut Linear<'_>, asymmetric: bool) -> usize {
            // SAFETY: the caller's.
            unsafe { common::linear::layer::<Self>(job, asymmetric) }
        }

        #[inline(always)]
        unsafe fn attend_panel(
            panel: &QueryPanel<'_>,
            scratch: &mut AttentionScratch,
            out: &mut [f32],
            ldo: usize,
        ) -> Option<Result<(), NonFinite>> {
            // SAFETY: the caller's.
            unsafe { common::attend::attend_panel::<Self>(panel, scratch, out, ldo) }
        }
    };
}

/// Those of [`Arm`](crate::sets::aarch64::common::arm::Arm).
macro_rules! arm_products {
    () => {
        const TURN: usize = linear::TURN;

        #[inline(always)]
        unsafe fn panels(k: usize, job: &mut Job<'_>) {
            // SAFETY: the caller's.
            unsafe { linear::panels(k, job) };
        }

        #[inline(always)]
        unsafe fn scores(dim: usize, panels: usize, q: *const u8, k: *const u8, out: *mut i32) {
            // SAFETY: the caller's.
            unsafe { attention::scores(dim, panels, q, k, out) };
        }

        #[inline(always)]
        unsafe fn values(panels: usize, update: &Update<'_>, o: *mut f32) {
            // SAFETY: the caller's.
            unsafe { attention::values(panels, update, o) };
        }

        #[inline(always)]
        unsafe fn finish(
            panels: usize,
            o: *const f32,
            l: &[f32; MAX_MR],
            out: *mut f32,
            ldo: usize,
        ) {
            // SAFETY: the caller's.
            unsafe { attention::finish(panels, o, l, out, ldo) };
        }
    };
}
