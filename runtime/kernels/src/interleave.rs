//! Finished rows of bytes into the panel of a tile, four at a time.
//!
//! A row alone is scattered: a store of `kr` bytes for every `kr` keys. Of four neighbouring rows a group is `4 * kr` bytes in a row, so
//! that a small transposition in registers makes whole vectors of them.

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;

use crate::pack::scatter;

/// Rows that are interleaved together; divides mr and nr of every layout.
pub(crate) const GROUP: usize = 4;

/// Copies four rows of bytes to lanes `lane..lane + 4` of a panel `[len / kr][lanes][kr]`: `rows` are `rows.len() / 4` bytes each, a
/// multiple of kr. Arguments: `rows`, `panel`, `lanes`, `lane`, `kr`.
///
/// # Safety
/// The instruction set must be available.
pub(crate) type Interleave =
    unsafe fn(rows: &[u8], panel: &mut [u8], lanes: usize, lane: usize, kr: usize);

/// One row after the other.
#[inline(always)]
pub(crate) fn portable(rows: &[u8], panel: &mut [u8], lanes: usize, lane: usize, kr: usize) {
    let len = rows.len() / GROUP;
    for (i, row) in rows.chunks_exact(len.max(1)).enumerate() {
        scatter(row, panel, lanes, lane + i, kr);
    }
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use super::{GROUP, portable};
    use crate::dot::{Dot, Layout};
    use crate::isa::Isa;

    #[test]
    fn every_instruction_set_interleaves_alike_and_touches_nothing_else() {
        for dot in Isa::available().filter_map(Dot::for_isa) {
            let Layout { mr, nr, kr, .. } = dot.layout;
            for len in
                [0, kr, 15, 16, 17, 63, 64, 65, 128, 200].map(|k: usize| k.next_multiple_of(kr))
            {
                let rows: Vec<u8> = (0..GROUP * len).map(|i| (i * 7 + i / 256) as u8).collect();
                for lanes in [mr, nr] {
                    for lane in (0..lanes).step_by(GROUP) {
                        let mut want = vec![0xa5; lanes * len];
                        portable(&rows, &mut want, lanes, lane, kr);
                        let mut got = vec![0xa5; lanes * len];
                        // SAFETY: this machine has the instruction set.
                        unsafe { (dot.interleave)(&rows, &mut got, lanes, lane, kr) };
                        assert_eq!(
                            got, want,
                            "{len} bytes to lane {lane} of {lanes} on {}",
                            dot.isa
                        );
                    }
                }
            }
        }
    }
}
