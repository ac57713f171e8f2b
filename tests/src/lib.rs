//! What the end-to-end tests and the fuzzer share.

pub mod fuzz;
pub mod images;
pub mod noisy;
