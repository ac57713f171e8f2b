//! Every tile that this machine offers against three loops over unpacked operands.

use std::vec;
use std::vec::Vec;

use super::{Dot, Layout};
use crate::aligned::AlignedBytes;
use crate::isa::Isa;
use crate::kernels::Kernels;
use crate::pack::{PackedInt8, PackedRows};

fn pack(dot: &Dot, w: &[i8], k: usize, n: usize) -> PackedInt8 {
    Kernels::for_isa(dot.isa)
        .expect("its instruction set")
        .pack(w, k, n)
}

/// A small deterministic generator of bytes; the seed is in every failure message.
struct Bytes(u64);

impl Bytes {
    fn next(&mut self, extremes: bool) -> i8 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let bits = (self.0 >> 33) as u32;
        if extremes {
            // Only the values that overflow a narrow accumulator.
            return [127, -127, 127, -128, 0, 126][bits as usize % 6];
        }
        bits as i8
    }

    /// Activations: any int8.
    fn activations(&mut self, len: usize, extremes: bool) -> Vec<i8> {
        (0..len).map(|_| self.next(extremes)).collect()
    }

    /// Weights: never -128.
    fn weights(&mut self, len: usize, extremes: bool) -> Vec<i8> {
        (0..len).map(|_| self.next(extremes).max(-127)).collect()
    }
}

fn reference(a: &[i8], w: &[i8], rows: usize, k: usize, n: usize) -> Vec<i32> {
    let mut out = vec![0; rows * n];
    for i in 0..rows {
        for j in 0..n {
            out[i * n + j] = (0..k)
                .map(|x| i32::from(a[i * k + x]) * i32::from(w[x * n + j]))
                .sum();
        }
    }
    out
}

fn check(dot: &Dot, rows: usize, k: usize, n: usize, seed: u64, extremes: bool) {
    let Layout { mr, nr, .. } = dot.layout;
    let mut bytes = Bytes(seed);
    let (a, w) = (
        bytes.activations(rows * k, extremes),
        bytes.weights(k * n, extremes),
    );
    let packed_w = pack(dot, &w, k, n);
    let packed_a = PackedRows::from_int8(dot, &a, rows, k);
    let want = reference(&a, &w, rows, k, n);
    let mut buffer = AlignedBytes::default();
    for row_panel in 0..rows.div_ceil(mr) {
        let here = mr.min(rows - row_panel * mr);
        for panel in 0..n.div_ceil(nr) {
            let mut acc = vec![i32::MIN; mr * nr];
            // SAFETY: `for_isa` found the instruction set.
            let weights = unsafe { packed_w.panel(panel).int8(dot, &mut buffer) };
            let (a, w, comp) = (packed_a.panel(row_panel), weights, packed_w.comp(panel));
            // SAFETY: `for_isa` found the instruction set.
            unsafe { dot.run(here, packed_w.k_groups(), a, w, comp, &mut acc, nr, w) };
            for i in 0..here {
                for j in 0..nr.min(n - panel * nr) {
                    let (row, column) = (row_panel * mr + i, panel * nr + j);
                    assert_eq!(
                        acc[i * nr + j],
                        want[row * n + column],
                        "{} m={rows} k={k} n={n} seed={seed} extremes={extremes} at ({row}, {column})",
                        dot.isa
                    );
                }
            }
        }
    }
}

#[test]
fn every_tile_is_exact_at_every_edge() {
    for isa in Isa::available() {
        let dot = Dot::for_isa(isa).expect("an available instruction set has a tile");
        let Layout { mr, nr, kr, .. } = dot.layout;
        let around = |tile: usize| {
            [1, tile - 1, tile, tile + 1, 2 * tile + 3]
                .into_iter()
                .filter(|x| *x > 0)
                .collect::<Vec<_>>()
        };
        // Every number of rows: a tile may have a path of its own for any of them.
        for rows in (1..=mr).chain([mr + 1, 2 * mr + 3]) {
            for n in around(nr) {
                for k in around(kr).into_iter().chain([0, 64, 130, 512]) {
                    check(&dot, rows, k, n, (rows * 1009 + n * 31 + k) as u64, false);
                }
            }
        }
    }
}

#[test]
fn no_tile_saturates_on_the_largest_values() {
    for isa in Isa::available() {
        let dot = Dot::for_isa(isa).expect("an available instruction set has a tile");
        for k in [64, 2048, 6144] {
            check(&dot, dot.layout.mr, k, dot.layout.nr, k as u64, true);
        }
        // All products at their extreme, both signs.
        for (x, y) in [(127i8, 127i8), (-128, 127), (127, -127), (-128, -127)] {
            let (k, n, rows) = (8192, dot.layout.nr, dot.layout.mr);
            let w = pack(&dot, &vec![y; k * n], k, n);
            let a = PackedRows::from_int8(&dot, &vec![x; rows * k], rows, k);
            let mut acc = vec![0; rows * n];
            let mut buffer = AlignedBytes::default();
            // SAFETY: `for_isa` found the instruction set.
            let bytes = unsafe { w.panel(0).int8(&dot, &mut buffer) };
            // SAFETY: `for_isa` found the instruction set.
            unsafe {
                dot.run(
                    rows,
                    w.k_groups(),
                    a.panel(0),
                    bytes,
                    w.comp(0),
                    &mut acc,
                    n,
                    bytes,
                )
            };
            assert!(
                acc.iter()
                    .all(|v| *v == i32::from(x) * i32::from(y) * k as i32),
                "{isa} saturates on {x} * {y}"
            );
        }
    }
}

#[test]
fn one_row_alone_equals_the_same_row_in_a_full_tile() {
    for isa in Isa::available() {
        let dot = Dot::for_isa(isa).expect("an available instruction set has a tile");
        for k in [4, 64, 512, 2048] {
            check(&dot, 1, k, 3 * dot.layout.nr, 7 + k as u64, false);
        }
    }
}
