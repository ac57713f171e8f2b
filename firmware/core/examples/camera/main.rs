//! The core at work where there is no operating system: frames come in, wait in the queue, are classified by an int8
//! layer of `igpt-kernels`, smoothed and drawn; the camera fails and comes back; log points leave by a serial port.
//!
//! The same program runs on a PC and, under QEMU, on a Cortex-M4 (`mps2-an386`) and a Cortex-A53 (`virt`). It prints
//! what it decided, with checksums of what it computed and drew, and logs with defmt. Its clock is the scene's, so
//! every machine must print and log the same, bit for bit: `tests/arm/nostd.sh` runs all three and compares.
//!
//! ```text
//! cargo run --release -p igpt-firmware-core --example camera LOG    on this PC; defmt's frames go to the file LOG
//! tests/arm/nostd.sh                                               on the boards too
//! ```
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

mod app;
mod classifier;
mod log;
mod notes;
mod port;
mod scene;
mod screen;

#[cfg(all(target_os = "none", target_arch = "aarch64"))]
mod cortex_a;
#[cfg(all(target_os = "none", target_arch = "arm"))]
mod cortex_m;
#[cfg(not(target_os = "none"))]
mod pc;
#[cfg(target_os = "none")]
mod semihosted;

#[cfg(not(target_os = "none"))]
fn main() -> std::process::ExitCode {
    pc::main()
}
