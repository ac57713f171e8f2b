//! int4 panels against the int8 matrix that they stand for: the same bytes unpacked, the same sums of one row.

use std::vec;
use std::vec::Vec;

use super::{Pieces, all};
use crate::kernels::Kernels;
use crate::layout::Layout;
use crate::memory::aligned::AlignedBytes;
use crate::operands::int4::{INT4_GROUP, Int4Matrix, pack_nibbles};
use crate::operands::nibbles::{Memory, Nibbles};
use crate::operands::weights::Panel;
use crate::set::NibbleRow;

/// Numbers below a bound, the same everywhere; the seed is in every failure message.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32 % bound
    }
}

/// An int4 matrix as a file has it, and a row.
struct Case {
    k: usize,
    n: usize,
    values: Vec<u8>,
    multipliers: Vec<u8>,
    row: Vec<i8>,
}

impl Case {
    fn new(
        (k, n): (usize, usize),
        value: impl FnMut() -> i8,
        multiplier: impl FnMut() -> i8,
        activation: impl FnMut() -> i8,
    ) -> Self {
        fn fill(len: usize, next: impl FnMut() -> i8) -> Vec<i8> {
            core::iter::repeat_with(next).take(len).collect()
        }
        Self {
            k,
            n,
            values: pack_nibbles(&fill(k * n, value)),
            multipliers: pack_nibbles(&fill(k.div_ceil(INT4_GROUP) * n, multiplier)),
            row: fill(k, activation),
        }
    }

    /// With `extremes` only the values that overflow a narrow accumulator.
    fn random(shape: (usize, usize), seed: u64, extremes: bool) -> Self {
        let next = core::cell::RefCell::new(Random(seed));
        let below = |bound| next.borrow_mut().below(bound) as usize;
        let one_of = |all: &[i8]| all[below(all.len() as u32)];
        Self::new(
            shape,
            || {
                if extremes {
                    one_of(&[7, -7, 7, 6])
                } else {
                    below(15) as i8 - 7
                }
            },
            || {
                if extremes {
                    one_of(&[0, 15])
                } else {
                    below(16) as i8
                }
            },
            || {
                if extremes {
                    one_of(&[127, -128, -127])
                } else {
                    below(256) as u8 as i8
                }
            },
        )
    }

    fn check(&self, set: &Pieces, what: &str) {
        let Self { k, n, row, .. } = self;
        let (k, n) = (*k, *n);
        let Layout { nr, .. } = set.layout;
        let matrix = Int4Matrix::new(&self.values, &self.multipliers, k, n).expect("a matrix");
        let int8 = matrix.to_int8();
        let kernels = Kernels::for_isa(set.isa).expect("its instruction set");
        let (want, packed) = (kernels.pack(&int8, k, n), kernels.pack_int4(&matrix));
        let a = (set.rows)(row, 1, k);
        let mut unpacked = AlignedBytes::default();
        for panel in 0..n.div_ceil(nr) {
            let what = std::format!("{what} {k} x {n} on {}, panel {panel}", set.isa);
            assert_eq!(packed.sums(panel), want.sums(panel), "{what}");
            assert_eq!(packed.correction(panel), want.correction(panel), "{what}");
            let (Panel::Int4(nibbles), Panel::Int8(bytes)) =
                (packed.panel(panel), want.panel(panel))
            else {
                panic!("{what}: int4 stays int4")
            };
            unpacked.resize(2 * nibbles.values.len());
            // SAFETY: this machine has the instruction set.
            unsafe { (set.unpack)(nibbles, &mut unpacked) };
            assert!(&unpacked[..] == bytes, "{what}: unpacked");
            let mut acc = vec![i32::MIN; nr];
            let one = NibbleRow {
                k_groups: want.k_groups(),
                a: a.panel(0),
                w: nibbles,
                correction: packed.correction(panel),
            };
            // SAFETY: this machine has the instruction set.
            unsafe { (set.one_row)(&one, &mut acc) };
            for (j, sum) in acc.iter().enumerate().take(n - panel * nr) {
                let products = row
                    .iter()
                    .enumerate()
                    .map(|(r, a)| i32::from(*a) * i32::from(int8[r * n + panel * nr + j]));
                let exact: i32 = products.sum();
                assert_eq!(*sum, exact, "{what}, column {j}");
            }
        }
    }
}

#[test]
fn one_row_by_nibbles_is_the_row_by_the_int8_matrix_at_every_edge() {
    for set in all() {
        let Layout { nr, kr, .. } = set.layout;
        let ks = [0, 1, kr - 1, kr, kr + 1, 31, 32, 33, 47, 64, 130, 512];
        for k in ks {
            for n in [1, nr - 1, nr, nr + 1, 2 * nr + nr / 2] {
                let seed = (k * 31 + n) as u64;
                Case::random((k, n), seed, false).check(&set, "random");
                Case::random((k, n), seed, true).check(&set, "extreme");
            }
        }
    }
}

#[test]
fn no_sum_overflows_on_the_largest_values() {
    for set in all() {
        let shape = (8192, set.layout.nr);
        for a in [127, -128] {
            for q in [7, -7] {
                for m in [0, 15] {
                    let what = std::format!("{a} * {q} * {}", m + 1);
                    Case::new(shape, || q, || m, || a).check(&set, &what);
                }
            }
        }
    }
}

#[test]
fn a_matrix_takes_half_the_memory_and_an_eighth_of_a_bit_more() {
    for set in all() {
        let (k, n) = (512, 4 * set.layout.nr);
        let zeros = (vec![0; k * n / 2], vec![0; k / INT4_GROUP * n / 2]);
        let matrix = Int4Matrix::new(&zeros.0, &zeros.1, k, n).expect("a matrix");
        let memory = Memory::Own(AlignedBytes::zeroed(Nibbles::len(set.layout, k, n)));
        let packed = Nibbles::pack(set.layout, &matrix, memory);
        assert_eq!(packed.size_in_bytes() * 64, k * n * 33);
    }
}
