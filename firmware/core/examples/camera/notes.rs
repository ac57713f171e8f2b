//! The boot guard's notes, in memory that outlasts the three crashes this example tells of.

use core::convert::Infallible;
use core::fmt;

use igpt_firmware_core::boot_guard::{BootGuard, Decision, ModelId, Policy, RECORD_BYTES, Storage};

/// What would be a flash sector.
#[derive(Default)]
struct Notes {
    record: Option<[u8; RECORD_BYTES]>,
}

impl Storage for &mut Notes {
    type Error = Infallible;

    fn load(&mut self, bytes: &mut [u8; RECORD_BYTES]) -> Result<usize, Infallible> {
        Ok(self.record.map_or(0, |record| {
            *bytes = record;
            record.len()
        }))
    }

    fn store(&mut self, bytes: &[u8; RECORD_BYTES]) -> Result<(), Infallible> {
        self.record = Some(*bytes);
        Ok(())
    }
}

/// A model proves itself; a new one crashes at every start, a minute apart, until the old one is taken again.
pub(crate) fn crash_loop(print: &mut dyn FnMut(fmt::Arguments<'_>)) {
    const OLD: ModelId = ModelId(0x01d);
    const NEW: ModelId = ModelId(0x2e3);
    let mut notes = Notes::default();
    let Ok((mut guard, first)) = BootGuard::start(&mut notes, Policy::default(), OLD, 0);
    let (Ok(()), Ok(())) = (guard.proven(OLD), guard.stopped());
    print(format_args!("boot: the old model: {first:?}"));
    for minute in 1_u64..=4 {
        let Ok((_, decision)) = BootGuard::start(&mut notes, Policy::default(), NEW, 60 * minute);
        let last = decision
            == Decision::FallBack {
                last_good: Some(OLD),
            };
        print(format_args!(
            "boot: the new model, minute {minute}: {decision:?}{}",
            if last { ", the old one" } else { "" }
        ));
    }
}
