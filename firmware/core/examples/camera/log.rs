//! defmt's global logger: frames its bytes and hands them to the machine's serial port, or to a PC's file.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;

use critical_section::RestoreState;

use crate::port::send;

/// Milliseconds of the scene's clock: the log's times are the same on every machine.
static NOW: AtomicU32 = AtomicU32::new(0);

defmt::timestamp!("{=u32:ms}", NOW.load(Ordering::Relaxed));

/// Sets the log's clock.
pub(crate) fn set_time(now: Duration) {
    NOW.store(now.as_millis() as u32, Ordering::Relaxed);
}

#[defmt::global_logger]
struct Log;

/// What there is between the beginning and the end of a log point.
struct Open {
    encoder: defmt::Encoder,
    section: RestoreState,
}

struct Shared(UnsafeCell<Open>);

// SAFETY: `Log` looks into it between `acquire` and `release` only, which is inside a critical section.
unsafe impl Sync for Shared {}

static OPEN: Shared = Shared(UnsafeCell::new(Open {
    encoder: defmt::Encoder::new(),
    section: RestoreState::invalid(),
}));

// SAFETY: a critical section lasts from `acquire` to `release`, so that log points never interleave; defmt calls the
// other functions between these two.
unsafe impl defmt::Logger for Log {
    fn acquire() {
        // SAFETY: released in `release`, which defmt calls after every `acquire`.
        let section = unsafe { critical_section::acquire() };
        // SAFETY: nobody else is in here, and no reference outlives this function.
        let open = unsafe { &mut *OPEN.0.get() };
        open.section = section;
        open.encoder.start_frame(send);
    }

    unsafe fn flush() {}

    unsafe fn release() {
        // SAFETY: as in `acquire`, whose critical section is still open.
        let open = unsafe { &mut *OPEN.0.get() };
        open.encoder.end_frame(send);
        let section = open.section;
        // SAFETY: what `acquire` was given, once.
        unsafe { critical_section::release(section) };
    }

    unsafe fn write(bytes: &[u8]) {
        // SAFETY: as in `acquire`, whose critical section is still open.
        let open = unsafe { &mut *OPEN.0.get() };
        open.encoder.write(bytes, send);
    }
}
