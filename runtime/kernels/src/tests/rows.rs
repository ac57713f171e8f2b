//! What is written out gives the bits of the portable formulas, whatever the length and the numbers.

use std::vec;
use std::vec::Vec;

use super::{Pieces, all};
use crate::arithmetic::activation::Activation;
use crate::arithmetic::lanes::{Range, amax_bits};
use crate::arithmetic::layer_norm::Affine;
use crate::layout::GROUP;

/// Numbers of all sizes, among them those at which rounding and clamping turn.
fn numbers(len: usize, spread: f32, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    (0..len)
        .map(|i| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let x = (state >> 8) as f32 / (1 << 23) as f32 - 1.0;
            match i % 23 {
                7 => (x * 20.0).round() * 0.5,
                11 => -0.0,
                13 => x * spread * 1e-6,
                17 => x * spread * 50.0,
                _ => x * spread,
            }
        })
        .collect()
}

const LENGTHS: [usize; 9] = [1, 3, 15, 16, 17, 64, 65, 100, 512];

#[test]
fn rows_are_quantised_and_normalised_to_the_same_bits() {
    for len in LENGTHS {
        let spreads = [0.0, 1e-33, 1e-30, 1e-3, 1.0, 90.0, 1e30];
        for (seed, spread) in spreads.into_iter().enumerate() {
            let x = numbers(len, spread, seed as u32);
            let gain = numbers(len, 2.0, 77);
            let run = |set: &Pieces| {
                let mut bytes = vec![0x55; len.next_multiple_of(16)];
                // SAFETY: this machine has the instruction set.
                let scale = unsafe { (set.quantize)(&x, &mut bytes, 0) }.map(f32::to_bits);
                let mut y = vec![0.0f32; len];
                // SAFETY: this machine has the instruction set.
                let amax = unsafe { (set.norm_amax)(&x, &gain, 1e-5, &mut y) };
                assert_eq!(amax, amax_bits(&y));
                let y: Vec<u32> = y.iter().map(|y| y.to_bits()).collect();
                (scale.map_err(f32::to_bits), bytes, y)
            };
            let want = run(&Pieces::scalar());
            for set in all() {
                assert_eq!(
                    run(&set),
                    want,
                    "{len} numbers around {spread}, {}",
                    set.isa
                );
            }
        }
    }
}

#[test]
fn layer_norm_gives_the_same_bits_and_finds_the_largest_magnitude() {
    for len in [1, 3, 8, 15, 16, 17, 31, 32, 33, 64, 100, 147, 160, 512] {
        for (seed, spread) in [0.0, 1e-30, 1.0, 1e15].into_iter().enumerate() {
            let x = numbers(GROUP * len, spread, seed as u32);
            // A row of one number, of which nothing is left but rounding.
            let x: Vec<f32> = [&x[..3 * len], &vec![0.1; len]].concat();
            let (gain, bias) = (numbers(len, 2.0, 7), numbers(len, 0.5, 9));
            let affine = Affine {
                gain: &gain,
                bias: &bias,
                eps: 1e-5,
            };
            let run = |set: &Pieces| {
                let mut y = vec![f32::NAN; GROUP * len];
                let rows = core::array::from_fn(|r| &x[r * len..][..len]);
                // SAFETY: this machine has the instruction set.
                let tops = unsafe { (set.layer_norm)(rows, affine, &mut y) };
                for (y, top) in y.chunks_exact(len).zip(tops) {
                    assert_eq!(top, amax_bits(y));
                }
                y.into_iter().map(f32::to_bits).collect::<Vec<_>>()
            };
            let want = run(&Pieces::scalar());
            for set in all() {
                assert_eq!(run(&set), want, "{len} around {spread}, {}", set.isa);
            }
        }
    }
}

#[test]
fn rows_that_are_no_numbers_are_refused_alike() {
    for len in LENGTHS {
        for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -f32::NAN] {
            let mut x = numbers(len, 1.0, 5);
            x[len / 3] = odd;
            let run = |set: &Pieces| {
                let mut bytes = vec![0; len.next_multiple_of(16)];
                // SAFETY: this machine has the instruction set.
                unsafe { (set.quantize)(&x, &mut bytes, 0) }.map_err(f32::to_bits)
            };
            let want = run(&Pieces::scalar());
            assert!(want.is_err());
            for set in all() {
                assert_eq!(run(&set), want, "{len} numbers and {odd}, {}", set.isa);
            }
        }
    }
}

#[test]
fn steps_that_leave_the_range_by_one_are_clamped() {
    // Of a range of 255 steps both ends are halves, which round away from each other.
    let mut x = vec![0.0f32; 64];
    (x[0], x[1]) = (-101.5, 153.5);
    for set in all() {
        let range = Range {
            low: -101.5,
            high: 153.5,
            amax: 153.5,
        };
        let mut bytes = vec![0; 64];
        // SAFETY: this machine has the instruction set.
        let (_, shift) =
            unsafe { (set.quantize_skewed)(&x, range, &mut bytes, 0) }.expect("numbers");
        assert_eq!((shift, bytes[0], bytes[1]), (26, 0x80, 0x7f), "{}", set.isa);
    }
}

#[test]
fn activated_rows_are_the_same_bits_and_the_same_refusals() {
    let odd = [
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::MAX,
        -f32::MAX,
        -f32::NAN,
    ];
    for len in LENGTHS {
        for spread in [1e-6, 1.0, 60.0, 1e6, 1e33] {
            // Of each odd number one row, and one row without.
            for odd in odd.into_iter().map(Some).chain([None]) {
                let mut x = numbers(len, spread, len as u32);
                if let Some(odd) = odd {
                    x[len / 2] = odd;
                }
                for kind in [Activation::QuickGelu, Activation::Gelu, Activation::Silu] {
                    let run = |set: &Pieces| {
                        let mut values = vec![0.0f32; len];
                        // SAFETY: this machine has the instruction set.
                        let range = unsafe { (set.activate_range)(kind, &x, &mut values) };
                        let mut bytes = vec![0x55; len.next_multiple_of(16)];
                        // SAFETY: this machine has the instruction set.
                        let found = unsafe { (set.quantize_skewed)(&values, range, &mut bytes, 0) };
                        let found = found.map(|(scale, shift)| (scale.to_bits(), shift));
                        let values: Vec<u32> = values.iter().map(|v| v.to_bits()).collect();
                        (found.map_err(f32::to_bits), bytes, values)
                    };
                    let want = run(&Pieces::scalar());
                    for set in all() {
                        assert_eq!(
                            run(&set),
                            want,
                            "{len} around {spread}, {odd:?}, {}",
                            set.isa
                        );
                    }
                }
            }
        }
    }
}
