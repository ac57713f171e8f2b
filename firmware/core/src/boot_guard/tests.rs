//! Crash loops, forgiveness, damaged records.

use core::time::Duration;
use std::cell::RefCell;
use std::rc::Rc;

use super::{BootGuard, Decision, ModelId, Policy, RECORD_BYTES, Storage};

/// Memory that outlives the guard, as flash outlives a crash.
#[derive(Clone, Default)]
struct Flash(Rc<RefCell<Vec<u8>>>);

impl Storage for Flash {
    type Error = &'static str;

    fn load(&mut self, bytes: &mut [u8; RECORD_BYTES]) -> Result<usize, Self::Error> {
        let stored = self.0.borrow();
        let length = stored.len().min(RECORD_BYTES);
        bytes[..length].copy_from_slice(&stored[..length]);
        Ok(stored.len())
    }

    fn store(&mut self, bytes: &[u8; RECORD_BYTES]) -> Result<(), Self::Error> {
        *self.0.borrow_mut() = bytes.to_vec();
        Ok(())
    }
}

const NEW: ModelId = ModelId(0xBAD);
const OLD: ModelId = ModelId(0x600D);
const POLICY: Policy = Policy {
    crashes: 3,
    within: Duration::from_secs(60),
};

/// A start that nothing ends: the guard is dropped as a crash drops it.
fn crash(flash: &Flash, model: ModelId, now: u64) -> Decision {
    BootGuard::start(flash.clone(), POLICY, model, now)
        .unwrap()
        .1
}

fn run_well(flash: &Flash, model: ModelId, now: u64) {
    let (mut guard, decision) = BootGuard::start(flash.clone(), POLICY, model, now).unwrap();
    assert_eq!(decision, Decision::Run);
    guard.proven(model).unwrap();
    guard.stopped().unwrap();
}

#[test]
fn three_crashes_in_a_row_fall_back_to_the_last_good_model() {
    let flash = Flash::default();
    run_well(&flash, OLD, 0);
    for now in [100, 110, 120] {
        assert_eq!(crash(&flash, NEW, now), Decision::Run);
    }
    let fall_back = Decision::FallBack {
        last_good: Some(OLD),
    };
    assert_eq!(crash(&flash, NEW, 130), fall_back);
    assert_eq!(
        crash(&flash, NEW, 100_000),
        fall_back,
        "a condemned model stays condemned"
    );
    assert_eq!(
        crash(&flash, OLD, 100_001),
        Decision::Run,
        "another model gets its own chance"
    );
}

#[test]
fn without_a_good_model_the_fall_back_says_so() {
    let flash = Flash::default();
    for now in [1, 2, 3] {
        crash(&flash, NEW, now);
    }
    assert_eq!(
        crash(&flash, NEW, 4),
        Decision::FallBack { last_good: None }
    );
}

#[test]
fn crashes_far_apart_do_not_add_up() {
    let flash = Flash::default();
    for start in 0..10 {
        assert_eq!(
            crash(&flash, NEW, start * 50),
            Decision::Run,
            "start {start}"
        );
    }
}

#[test]
fn orderly_ends_are_not_crashes() {
    let flash = Flash::default();
    for now in 0..10 {
        let (mut guard, decision) = BootGuard::start(flash.clone(), POLICY, NEW, now).unwrap();
        assert_eq!((decision, guard.crashes()), (Decision::Run, 0));
        guard.stopped().unwrap();
    }
}

#[test]
fn a_proven_model_is_forgiven_its_crashes() {
    let flash = Flash::default();
    crash(&flash, NEW, 1);
    crash(&flash, NEW, 2);
    let (mut guard, _) = BootGuard::start(flash.clone(), POLICY, NEW, 3).unwrap();
    assert_eq!(guard.crashes(), 2);
    guard.proven(NEW).unwrap();
    drop(guard);
    assert_eq!(crash(&flash, NEW, 4), Decision::Run);
}

#[test]
fn a_clock_that_ran_backwards_still_counts_the_crashes() {
    // A board without a battery clock starts in 1970 after each power cut.
    let flash = Flash::default();
    for now in [5000, 10, 10] {
        assert_eq!(crash(&flash, NEW, now), Decision::Run);
    }
    assert!(matches!(crash(&flash, NEW, 10), Decision::FallBack { .. }));
}

#[test]
fn every_truncated_or_flipped_record_counts_as_none() {
    let flash = Flash::default();
    for now in [1, 2, 3, 4] {
        crash(&flash, NEW, now);
    }
    let good = flash.0.borrow().clone();
    assert!(
        matches!(crash(&flash, NEW, 5), Decision::FallBack { .. }),
        "undamaged, it condemns"
    );
    for length in 0..RECORD_BYTES {
        *flash.0.borrow_mut() = good[..length].to_vec();
        assert_eq!(crash(&flash, NEW, 5), Decision::Run, "{length} bytes");
    }
    for bit in 0..RECORD_BYTES * 8 {
        let mut damaged = good.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        *flash.0.borrow_mut() = damaged;
        assert_eq!(crash(&flash, NEW, 5), Decision::Run, "bit {bit}");
    }
    *flash.0.borrow_mut() = [good, vec![0]].concat();
    assert_eq!(crash(&flash, NEW, 5), Decision::Run, "one byte too many");
}
