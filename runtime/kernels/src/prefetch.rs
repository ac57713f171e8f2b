//! Asking for memory before it is read.

/// Asks for the cache line at `at`, which may be any address: nothing is read. Where the hardware's own guesses do as well, it does
/// nothing.
#[inline(always)]
pub(crate) fn prefetch<T>(at: *const T) {
    // SAFETY: part of the architecture's baseline, and it takes any address.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}
