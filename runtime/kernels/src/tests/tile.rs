//! Every tile that this machine offers against three loops over unpacked operands.

use std::vec;
use std::vec::Vec;

use super::{Pieces, all};
use crate::kernels::Kernels;
use crate::layout::Layout;
use crate::operands::weights::{PackedInt8, Panel};
use crate::set::Tile;

fn pack(set: &Pieces, w: &[i8], k: usize, n: usize) -> PackedInt8 {
    Kernels::for_isa(set.isa)
        .expect("its instruction set")
        .pack(w, k, n)
}

/// A panel's bytes where they lie.
fn bytes(panel: Panel<'_>) -> &[u8] {
    match panel {
        Panel::Int8(bytes) => bytes,
        Panel::Int4(_) => panic!("int8 stays int8"),
    }
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

fn check(set: &Pieces, rows: usize, k: usize, n: usize, seed: u64, extremes: bool) {
    let Layout { mr, nr, .. } = set.layout;
    let mut random = Bytes(seed);
    let (a, w) = (
        random.activations(rows * k, extremes),
        random.weights(k * n, extremes),
    );
    let packed_w = pack(set, &w, k, n);
    let packed_a = (set.rows)(&a, rows, k);
    let want = reference(&a, &w, rows, k, n);
    for row_panel in 0..rows.div_ceil(mr) {
        let here = mr.min(rows - row_panel * mr);
        for panel in 0..n.div_ceil(nr) {
            let mut acc = vec![i32::MIN; mr * nr];
            let w = bytes(packed_w.panel(panel));
            let tile = Tile {
                rows: here,
                k_groups: packed_w.k_groups(),
                a: packed_a.panel(row_panel),
                w,
                correction: packed_w.correction(panel),
                ahead: w,
            };
            // SAFETY: this machine has the instruction set.
            unsafe { (set.tile)(&tile, &mut acc, nr) };
            for i in 0..here {
                for j in 0..nr.min(n - panel * nr) {
                    let (row, column) = (row_panel * mr + i, panel * nr + j);
                    assert_eq!(
                        acc[i * nr + j],
                        want[row * n + column],
                        "{} m={rows} k={k} n={n} seed={seed} extremes={extremes} at ({row}, {column})",
                        set.isa
                    );
                }
            }
        }
    }
}

#[test]
fn every_tile_is_exact_at_every_edge() {
    for set in all() {
        let Layout { mr, nr, kr, .. } = set.layout;
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
                    check(&set, rows, k, n, (rows * 1009 + n * 31 + k) as u64, false);
                }
            }
        }
    }
}

#[test]
fn no_tile_saturates_on_the_largest_values() {
    for set in all() {
        for k in [64, 2048, 6144] {
            check(&set, set.layout.mr, k, set.layout.nr, k as u64, true);
        }
        // All products at their extreme, both signs.
        for (x, y) in [(127i8, 127i8), (-128, 127), (127, -127), (-128, -127)] {
            let (k, n, rows) = (8192, set.layout.nr, set.layout.mr);
            let w = pack(&set, &vec![y; k * n], k, n);
            let a = (set.rows)(&vec![x; rows * k], rows, k);
            let mut acc = vec![0; rows * n];
            let panel = bytes(w.panel(0));
            let tile = Tile {
                rows,
                k_groups: w.k_groups(),
                a: a.panel(0),
                w: panel,
                correction: w.correction(0),
                ahead: panel,
            };
            // SAFETY: this machine has the instruction set.
            unsafe { (set.tile)(&tile, &mut acc, n) };
            assert!(
                acc.iter()
                    .all(|v| *v == i32::from(x) * i32::from(y) * k as i32),
                "{} saturates on {x} * {y}",
                set.isa
            );
        }
    }
}

#[test]
fn one_row_alone_equals_the_same_row_in_a_full_tile() {
    for set in all() {
        for k in [4, 64, 512, 2048] {
            check(&set, 1, k, 3 * set.layout.nr, 7 + k as u64, false);
        }
    }
}

#[test]
fn every_benchmark_counts_its_work_and_what_is_not_here_is_refused() {
    for isa in crate::Isa::ALL {
        match crate::peak_benchmark(isa, 256) {
            Ok(macs) => assert!(isa.is_available() && macs >= 256 * 64, "{isa}: {macs}"),
            Err(error) => assert!(!isa.is_available(), "{isa}: {error}"),
        }
        assert_eq!(crate::tile_benchmark(isa, 2).is_ok(), isa.is_available());
    }
}
