//! What both boards have by semihosting: standard output and an exit code, through the debugger or emulator. And a heap.

use core::panic::PanicInfo;

use embedded_alloc::LlffHeap;
use semihosting::process::exit;
use semihosting::{eprintln, println};

use crate::app;

#[global_allocator]
static HEAP: LlffHeap = LlffHeap::empty();

/// Runs the example and ends the machine.
pub(crate) fn main() -> ! {
    // SAFETY: called once, before anything is allocated.
    unsafe {
        embedded_alloc::init!(HEAP, 1 << 20);
    }
    match app::run(&mut |line| println!("{line}")) {
        Ok(()) => exit(0),
        Err(trouble) => {
            eprintln!("camera: {trouble}");
            exit(1)
        }
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    eprintln!("camera: {info}");
    exit(1)
}
