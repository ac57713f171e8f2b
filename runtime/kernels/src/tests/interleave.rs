//! Interleaving against one row after the other.

use std::vec;
use std::vec::Vec;

use super::all;
use crate::arithmetic::interleave::portable;
use crate::layout::{GROUP, Layout};

#[test]
fn every_instruction_set_interleaves_alike_and_touches_nothing_else() {
    for set in all() {
        let Layout { mr, nr, kr, .. } = set.layout;
        for len in [0, kr, 15, 16, 17, 63, 64, 65, 128, 200].map(|k: usize| k.next_multiple_of(kr))
        {
            let rows: Vec<u8> = (0..GROUP * len).map(|i| (i * 7 + i / 256) as u8).collect();
            for slots in [mr, nr] {
                for slot in (0..slots).step_by(GROUP) {
                    let mut want = vec![0xa5; slots * len];
                    portable(&rows, &mut want, slots, slot, kr);
                    let mut got = vec![0xa5; slots * len];
                    // SAFETY: this machine has the instruction set.
                    unsafe { (set.interleave)(&rows, &mut got, slots, slot) };
                    assert_eq!(
                        got, want,
                        "{len} bytes to slot {slot} of {slots} on {}",
                        set.isa
                    );
                }
            }
        }
    }
}
