//! The instruction sets, a folder each, in folders of their architectures. What a set is, says its trait
//! ([`InstructionSet`](crate::set::InstructionSet)); `docs/adding-an-instruction-set.md` says how to add one.

#[cfg(target_arch = "aarch64")]
pub(crate) mod aarch64;
pub(crate) mod scalar;
#[cfg(target_arch = "x86_64")]
pub(crate) mod x86_64;
