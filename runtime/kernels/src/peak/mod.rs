//! The most multiply-accumulates that an instruction set can do: its dot-product instructions on registers alone.
//!
//! No loads, no stores, and enough independent chains to hide the latency. Whatever a kernel reaches is a fraction of this; the rest
//! is what packing, the memory and the other instructions cost.

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod read;
#[cfg(target_arch = "x86_64")]
mod x86;

use crate::isa::{Isa, IsaError};

pub use read::read_benchmark;

/// Runs the dot-product instructions of `isa` in `rounds` rounds and gives the number of multiply-accumulates, to be timed.
///
/// Scalar code has no such instruction: there its tile stands for it.
///
/// # Errors
/// If this machine has no such instructions.
pub fn peak_benchmark(isa: Isa, rounds: u64) -> Result<u64, IsaError> {
    if !isa.is_available() {
        return Err(IsaError::Missing(isa));
    }
    // On a machine with no vectors of ours no arm but the first is left.
    #[allow(unused_variables, reason = "counted by the vector instructions only")]
    let per_round = |macs: u64| Ok::<u64, IsaError>(rounds * macs);
    match isa {
        // A tile is 512 k deep; as much work as a round of the others takes about as long.
        Isa::Scalar => crate::dot::tile_benchmark(isa, rounds / 64 + 1),
        // SAFETY: the instruction set is available, as was just checked.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => per_round(unsafe { x86::vpmaddubsw(rounds) }),
        // SAFETY: the same.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Vnni => per_round(unsafe { x86::vpdpbusd(rounds) }),
        // SAFETY: the same.
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => per_round(unsafe { aarch64::smull(rounds) }),
        // SAFETY: the same.
        #[cfg(target_arch = "aarch64")]
        Isa::Dotprod => per_round(unsafe { aarch64::sdot(rounds) }),
        // SAFETY: the same.
        #[cfg(target_arch = "aarch64")]
        Isa::I8mm => per_round(unsafe { aarch64::smmla(rounds) }),
        #[allow(
            unreachable_patterns,
            reason = "the other architecture's instruction sets"
        )]
        _ => Err(IsaError::Missing(isa)),
    }
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

    #[test]
    fn every_instruction_set_here_counts_its_work_and_others_are_refused() {
        for isa in Isa::ALL {
            match peak_benchmark(isa, 256) {
                Ok(macs) => assert!(isa.is_available() && macs >= 256 * 64, "{isa}: {macs}"),
                Err(error) => assert!(!isa.is_available(), "{isa}: {error}"),
            }
        }
    }
}
