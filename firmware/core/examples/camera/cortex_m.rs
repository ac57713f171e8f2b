//! The example on a Cortex-M4 with an FPU: QEMU's `mps2-an386`, whose memory is in `memory.x`.

// Its critical section masks interrupts.
use cortex_m as _;

use crate::semihosted;

#[cortex_m_rt::entry]
fn main() -> ! {
    semihosted::main()
}
