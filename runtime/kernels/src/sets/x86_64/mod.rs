//! Sets of x86-64.

pub(crate) mod avx2;
pub(crate) mod avx512vnni;
pub(crate) mod avxvnni;
mod resample;
mod softmax;
