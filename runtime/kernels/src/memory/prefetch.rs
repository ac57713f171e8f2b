//! Asking for memory before it is read.

/// How far ahead of itself one row asks for weights, in bytes: it is as fast as they come. A hardware prefetcher stops at the end of a
/// page of this size, and starts anew behind it.
pub(crate) const AHEAD: usize = 4096;

/// How far ahead a tile does whose products take about as long as its weights: 8 KiB and more are alike, with 4 KiB twelve rows are a
/// fortieth slower and eight a sixth.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "read there"))]
pub(crate) const FAR_AHEAD: usize = 2 * AHEAD;

/// Asks for the cache line at `at`, which may be any address: nothing is read. Where the hardware's own guesses do as well, it does
/// nothing.
#[inline(always)]
pub(crate) fn prefetch<T>(at: *const T) {
    // SAFETY: part of the architecture's baseline, and it takes any address.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// [`prefetch`] of what is not wanted soon: into the second cache.
#[inline(always)]
pub(crate) fn prefetch_far<T>(at: *const T) {
    // SAFETY: as of `prefetch`.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        use core::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T1>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}
