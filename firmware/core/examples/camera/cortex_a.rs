//! The example on a 64-bit core: QEMU's `virt`, whose memory is in `virt.ld`.

use core::arch::asm;

use aarch64_rt::{
    ExceptionHandlers, InitialPagetable, entry, exception_handlers, initial_pagetable,
};
use critical_section::RawRestoreState;

use crate::semihosted;

/// Pages of 4 KiB: a screen is made on the stack before it moves to the heap.
const STACK_PAGES: usize = 128;

/// A block of 1 GiB that may be used.
const BLOCK: usize = 1 | ACCESSED;
const ACCESSED: usize = 1 << 10;
/// Memory as such: cached, and unaligned accesses are allowed. Without a page table all memory is a device's.
const NORMAL: usize = BLOCK | 1 << 2 | INNER_SHAREABLE;
const INNER_SHAREABLE: usize = 3 << 8;
/// A device's registers: nothing is cached or executed.
const DEVICE: usize = BLOCK | NEVER_EXECUTE;
const NEVER_EXECUTE: usize = 1 << 54;

initial_pagetable!({
    let mut blocks = [0; 512];
    blocks[0] = DEVICE;
    blocks[1] = NORMAL | 1 << 30;
    InitialPagetable(blocks)
});

struct Exceptions;

// Each panics, which is what this example is to do then.
impl ExceptionHandlers for Exceptions {}

exception_handlers!(Exceptions);

entry!(main, STACK_PAGES);
fn main(_: u64, _: u64, _: u64, _: u64) -> ! {
    semihosted::main()
}

struct Masked;

critical_section::set_impl!(Masked);

// SAFETY: one core runs, and with every interrupt masked nothing else runs on it.
unsafe impl critical_section::Impl for Masked {
    unsafe fn acquire() -> RawRestoreState {
        let before: u64;
        // SAFETY: reads and sets the interrupt masks, no memory.
        unsafe { asm!("mrs {}, daif", "msr daifset, #0xf", out(reg) before) };
        before
    }

    unsafe fn release(before: RawRestoreState) {
        // SAFETY: puts the masks back as `acquire` found them.
        unsafe { asm!("msr daif, {}", in(reg) before) };
    }
}
