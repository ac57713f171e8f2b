//! Reading memory and nothing else, for the rate at which it comes.

use crate::memory::prefetch::{AHEAD, prefetch_far};

/// Reads all of `bytes`, in order and as kernels read weights, and gives a number that depends on every line, to be timed.
pub fn read_benchmark(bytes: &[u8]) -> u64 {
    let (lines, rest) = bytes.as_chunks::<64>();
    let mut lanes = [0u64; 8];
    for line in lines {
        prefetch_far(line.as_ptr().wrapping_add(AHEAD));
        for (lane, word) in lanes.iter_mut().zip(line.as_chunks::<8>().0) {
            *lane = lane.wrapping_add(u64::from_ne_bytes(*word));
        }
    }
    let rest = rest.iter().map(|byte| u64::from(*byte));
    lanes.into_iter().chain(rest).fold(0, u64::wrapping_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_read() {
        for len in [0, 1, 63, 64, 65, 5000] {
            let mut bytes = std::vec![1u8; len];
            let before = read_benchmark(&bytes);
            for at in 0..len {
                bytes[at] = 2;
                assert_ne!(read_benchmark(&bytes), before, "byte {at} of {len}");
                bytes[at] = 1;
            }
        }
    }
}
