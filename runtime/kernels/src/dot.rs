//! The hand-written primitives of an instruction set: its integer dot-product tile, the memory layout that wants, its row by int4
//! weights, and its softmax.
//!
//! A tile multiplies a panel of `mr` packed rows by a panel of `nr` packed columns:
//!
//! ```text
//! A panel  [k/kr][mr][kr]   bytes, each the int8 value XOR `offset`
//! W panel  [k/kr][nr][kr]   int8
//! acc      [mr][ldc]        int32, columns 0..nr written
//! acc[i][j] = sum over k of a[i][k] * w[k][j]       (exact)
//! ```
//!
//! `vpdpbusd` multiplies unsigned by signed bytes, so that kernel wants `offset` = 0x80 (value + 128) and starts each
//! column from `comp[j] = -128 * sum over k of w[k][j]`. The others have `offset` = 0 and ignore `comp`.

mod layout;
mod scalar;
#[cfg(target_arch = "x86_64")]
pub(crate) mod x86;

#[cfg(target_arch = "aarch64")]
pub(crate) mod aarch64;

use crate::interleave::{self, GROUP, Interleave};
use crate::isa::Isa;
use crate::kv::KV_TILE;
use crate::nibbles::{self, ByNibbles};
#[cfg(target_arch = "aarch64")]
use crate::softmax::neon;
use crate::softmax::{Softmax, portable};
#[cfg(target_arch = "x86_64")]
use crate::softmax::{avx2, avx512};

/// How operands are laid out for a tile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Rows of a tile.
    pub mr: usize,
    /// Columns of a tile; divides the kv tile.
    pub nr: usize,
    /// Consecutive k kept together; divides the kv tile.
    pub kr: usize,
    /// What packed activations are XORed with: 0 or 0x80.
    pub offset: u8,
}

/// The largest tile of any instruction set, which sizes the accumulator on the stack.
pub(crate) const MAX_TILE: usize = MAX_MR * KV_TILE;

/// The most rows of any tile.
pub(crate) const MAX_MR: usize = 16;

/// Computes rows `0..rows` (it may write up to `mr`) and columns `0..nr` of one tile.
///
/// Arguments: `rows`, `k_groups` (= k / kr, padded up), `a`, `w`, `comp`, `acc`, `ldc` (in i32), `ahead`: where the bytes begin that are
/// wanted next. A tile of all rows may prefetch a quarter as many of them as it reads of `w`, spread over its loop, one of fewer rows as many;
/// it never reads them. If that is `w` itself, what follows `w` is wanted next, and nobody else asks for it.
///
/// # Safety
/// The instruction set must be available. `a` must hold `k_groups * mr * kr` bytes, `w` `k_groups * nr * kr`, `comp` `nr` i32,
/// and `acc` `(mr - 1) * ldc + nr` i32; `1 <= rows <= mr`. `w` must not contain -128 (the NEON kernel's 16-bit sums rely on it).
pub(crate) type Tile = unsafe fn(
    rows: usize,
    k_groups: usize,
    a: *const u8,
    w: *const i8,
    comp: *const i32,
    acc: *mut i32,
    ldc: usize,
    ahead: *const u8,
);

/// An instruction set's layout and tile. Constants, so that code compiled for one instruction set knows both.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dot {
    pub(crate) isa: Isa,
    pub(crate) layout: Layout,
    pub(crate) tile: Tile,
    pub(crate) nibbles: ByNibbles,
    pub(crate) softmax: Softmax,
    pub(crate) interleave: Interleave,
}

impl Dot {
    pub(crate) const SCALAR: Self = Self::new(
        Isa::Scalar,
        scalar::LAYOUT,
        scalar::tile,
        nibbles::scalar::NIBBLES,
        portable::softmax,
        interleave::portable,
    );
    #[cfg(target_arch = "x86_64")]
    pub(crate) const AVX2: Self = Self::new(
        Isa::Avx2,
        x86::avx2::LAYOUT,
        x86::avx2::tile,
        nibbles::avx2::NIBBLES,
        avx2::softmax,
        interleave::portable,
    );
    #[cfg(target_arch = "x86_64")]
    pub(crate) const AVX512VNNI: Self = Self::new(
        Isa::Avx512Vnni,
        x86::avx512vnni::LAYOUT,
        x86::avx512vnni::tile,
        nibbles::avx512::NIBBLES,
        avx512::softmax,
        interleave::avx512::interleave,
    );
    #[cfg(target_arch = "aarch64")]
    pub(crate) const NEON: Self = Self::new(
        Isa::Neon,
        aarch64::neon::LAYOUT,
        aarch64::neon::tile,
        nibbles::neon::NIBBLES,
        neon::v8::softmax,
        interleave::neon::interleave,
    );
    #[cfg(target_arch = "aarch64")]
    pub(crate) const DOTPROD: Self = Self::new(
        Isa::Dotprod,
        aarch64::dotprod::LAYOUT,
        aarch64::dotprod::tile,
        nibbles::sdot::DOTPROD,
        neon::dotprod::softmax,
        interleave::neon::interleave,
    );
    #[cfg(target_arch = "aarch64")]
    pub(crate) const I8MM: Self = Self::new(
        Isa::I8mm,
        aarch64::i8mm::LAYOUT,
        aarch64::i8mm::tile,
        nibbles::sdot::I8MM,
        neon::i8mm::softmax,
        interleave::neon::interleave,
    );

    /// The tile of `isa`, or `None` if this machine has no such instructions.
    pub(crate) fn for_isa(isa: Isa) -> Option<Self> {
        if !isa.is_available() {
            return None;
        }
        let dot = match isa {
            Isa::Scalar => Self::SCALAR,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => Self::AVX2,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni => Self::AVX512VNNI,
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => Self::NEON,
            #[cfg(target_arch = "aarch64")]
            Isa::Dotprod => Self::DOTPROD,
            #[cfg(target_arch = "aarch64")]
            Isa::I8mm => Self::I8MM,
            #[allow(
                unreachable_patterns,
                reason = "the other architecture's instruction sets"
            )]
            _ => return None,
        };
        Some(dot)
    }

    const fn new(
        isa: Isa,
        layout: Layout,
        tile: Tile,
        nibbles: ByNibbles,
        softmax: Softmax,
        interleave: Interleave,
    ) -> Self {
        assert!(layout.mr * layout.nr <= MAX_TILE && layout.mr * KV_TILE <= MAX_TILE);
        assert!(layout.mr <= MAX_MR);
        assert!(layout.mr.is_multiple_of(GROUP) && layout.nr.is_multiple_of(GROUP));
        assert!(KV_TILE.is_multiple_of(layout.nr) && KV_TILE.is_multiple_of(layout.kr));
        Self {
            isa,
            layout,
            tile,
            nibbles,
            softmax,
            interleave,
        }
    }

    /// One tile, bounds checked.
    ///
    /// # Safety
    /// This machine must have the instruction set.
    #[inline(always)]
    #[allow(clippy::too_many_arguments, reason = "the tile's own")]
    pub(crate) unsafe fn run(
        &self,
        rows: usize,
        k_groups: usize,
        a: &[u8],
        w: &[u8],
        comp: &[i32],
        acc: &mut [i32],
        ldc: usize,
        ahead: &[u8],
    ) {
        let Layout { mr, nr, kr, .. } = self.layout;
        assert!((1..=mr).contains(&rows) && ldc >= nr);
        assert!(a.len() >= k_groups * mr * kr && w.len() >= k_groups * nr * kr);
        assert!(comp.len() >= nr && acc.len() >= (mr - 1) * ldc + nr);
        // SAFETY: the lengths were checked just above; the caller vouches for the instruction set; packing never writes -128.
        unsafe {
            (self.tile)(
                rows,
                k_groups,
                a.as_ptr(),
                w.as_ptr().cast(),
                comp.as_ptr(),
                acc.as_mut_ptr(),
                ldc,
                ahead.as_ptr(),
            )
        }
    }
}

/// Runs the tile of `isa` `tiles` times on operands that stay in the nearest cache (k = 512), and gives the number of
/// multiply-accumulates: timed, the most that a layer on these kernels can reach.
///
/// # Errors
/// If this machine has no such instructions.
pub fn tile_benchmark(isa: Isa, tiles: u64) -> Result<u64, crate::isa::IsaError> {
    const K: usize = 512;
    let dot = Dot::for_isa(isa).ok_or(crate::isa::IsaError::Missing(isa))?;
    let Layout { mr, nr, kr, .. } = dot.layout;
    let (a, w) = (alloc::vec![1u8; K * mr], alloc::vec![1u8; K * nr]);
    // As in a layer of many rows, where every tile asks for its share of the next panel.
    let next = w.clone();
    let comp = alloc::vec![0i32; nr];
    let mut acc = [0i32; MAX_TILE];
    for _ in 0..tiles {
        // SAFETY: `for_isa` found the instruction set.
        unsafe { dot.run(mr, K / kr, &a, &w, &comp, &mut acc, nr, &next) };
        core::hint::black_box(&mut acc);
    }
    Ok(tiles * (mr * nr * K) as u64)
}

#[cfg(test)]
mod tests;
