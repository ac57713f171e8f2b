//! The loop of split weights against three loops over unpacked operands, where 16 bits are full and where they would overflow.

use std::vec;
use std::vec::Vec;

use super::Neon;
use super::split_scratch::BLOCK;
use crate::isa::Isa;
use crate::jobs::{Linear, LinearScratch};
use crate::kernels::Kernels;
use crate::operands::rows::PackedRows;
use crate::operands::split_weights::{CHAIN, NR, SplitWeights, TURN};

/// A layer of `rows` rows on NEON, every scale 1, checked; how many panels of columns took the loop.
fn check(
    what: &str,
    a: &[i8],
    zero_point: i32,
    w: &[i8],
    rows: usize,
    scratch: &mut LinearScratch,
) -> usize {
    let k = a.len() / rows;
    let n = w.len() / k;
    let kernels = Kernels::for_isa(Isa::Neon).expect("the architecture's baseline");
    let mut packed = PackedRows::from_int8::<Neon>(a, rows, k);
    packed.scales.fill(1.0);
    packed.zero_points.fill(zero_point);
    let matrix = kernels.pack(w, k, n);
    for add in [false, true] {
        let mut out = vec![1.0; rows * n];
        kernels.linear(Linear {
            a: &packed,
            w: &matrix,
            w_scale: &vec![1.0; n],
            bias: &vec![2.0; n],
            out: &mut out,
            ldo: n,
            add,
            panels: 0..matrix.panels(),
            scratch,
        });
        for (i, (a, out)) in a.chunks_exact(k).zip(out.chunks_exact(n)).enumerate() {
            for (j, out) in out.iter().enumerate() {
                let products = a.iter().zip(w[j..].iter().step_by(n));
                let sum: i32 = products
                    .map(|(a, w)| (i32::from(*a) + zero_point) * i32::from(*w))
                    .sum();
                let want = sum as f32 + 2.0 + if add { 1.0 } else { 0.0 };
                assert_eq!(
                    *out, want,
                    "{what}: row {i}, column {j}, zero point {zero_point}, add {add}"
                );
            }
        }
    }
    let split = matrix.split();
    let taken = |split: &SplitWeights| (0..n / NR).filter(|p| split.panel(*p).is_some()).count();
    split.map_or(0, taken)
}

/// A small deterministic generator, near enough to normal.
struct Normal(u64);

impl Normal {
    fn next(&mut self, deviation: f32) -> i8 {
        let mut sum = -6.0;
        for _ in 0..12 {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            sum += (self.0 >> 40) as f32 / (1 << 24) as f32;
        }
        (sum * deviation).round().clamp(-127.0, 127.0) as i8
    }
}

#[test]
fn lanes_that_are_full_or_too_full_are_exact_at_every_place() {
    let (k, n, rows) = (TURN, 2 * NR, BLOCK);
    let mut scratch = LinearScratch::default();
    // What meets in a lane: 255, 256, and weights at their largest.
    let fills = [
        [64i8, 64, 64, 63],
        [64, 64, 64, 64],
        [-64, -64, -64, -64],
        [127, 127, 1, 1],
        [127; 4],
        [-127; 4],
    ];
    for a in [-128i8, 127] {
        for fill in fills {
            for lane in (0..k).filter(|row| row % CHAIN < 8) {
                let mut w = vec![0; k * n];
                for column in 0..n {
                    // Each column's in another lane, some of another group.
                    let lane =
                        (lane + column % NR * CHAIN) % k / CHAIN * CHAIN + (lane + column) % 8;
                    for (i, value) in fill.into_iter().enumerate() {
                        w[(lane + i * 8) * n + column] = value;
                    }
                }
                let taken = check("a full lane", &vec![a; rows * k], 0, &w, rows, &mut scratch);
                assert_eq!(taken, n / NR, "lane {lane} of {fill:?}");
            }
        }
        // Every lane full.
        let w: Vec<i8> = (0..k * n)
            .map(|i| if i / n % CHAIN < 8 { -63 } else { -64 })
            .collect();
        assert_eq!(
            check("all full", &vec![a; rows * k], 0, &w, rows, &mut scratch),
            n / NR
        );
    }
}

#[test]
fn layers_are_exact_for_any_weights_and_shape() {
    let mut random = Normal(3);
    let mut scratch = LinearScratch::default();
    // One buffer for all, larger and smaller; k and rows that the loop takes and that it does not.
    for (rows, k, n) in [
        (32, 128, 4),
        (64, 512, 24),
        (32, 2048, 8),
        (96, 256, 12),
        (64, 192, 8),
        (48, 128, 8),
        (31, 128, 8),
        (64, 128, 7),
        (64, 160, 8),
    ] {
        for deviation in [25.0, 41.0, 90.0] {
            let what = format!("{rows} x {k} x {n}, deviation {deviation}");
            let w: Vec<i8> = (0..k * n).map(|_| random.next(deviation)).collect();
            let a: Vec<i8> = (0..rows * k).map(|_| random.next(60.0)).collect();
            for zero_point in [0, 100] {
                let taken = check(&what, &a, zero_point, &w, rows, &mut scratch);
                if k % TURN == 0 && n % NR == 0 && deviation < 50.0 {
                    assert!(taken > 0, "{what}: no panel took the loop");
                }
            }
            // The largest activations of either sign against weights of one sign.
            let w: Vec<i8> = w.iter().map(|w| w.saturating_abs()).collect();
            for a in [-128, 127] {
                check(&what, &vec![a; rows * k], 0, &w, rows, &mut scratch);
            }
        }
    }
}
