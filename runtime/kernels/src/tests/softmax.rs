//! Every softmax against the portable one, and that against the definition in f64.

use std::vec;
use std::vec::Vec;

use super::{Pieces, all};
use crate::arithmetic::softmax::{
    Keys, NEVER, QueryRows, RowStats, Scores, UNITS, mul_high, split_scale,
};
use crate::arithmetic::softmax_portable as portable;
use crate::layout::{GROUP, KV_TILE, Layout, MAX_MR};

struct Random(u32);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    /// -1 to 1.
    fn unit(&mut self) -> f32 {
        (self.next() % 20_001) as f32 / 10_000.0 - 1.0
    }
}

/// The bytes of each row, and what was found of it.
type Weighed = (Vec<Vec<u8>>, Vec<[u32; 4]>);

/// A tile's inputs: scores of MAX_MR rows, scales of keys and of values.
struct Case {
    scores: Vec<[i32; KV_TILE]>,
    k_scale: [f32; KV_TILE],
    v_scale: [f32; KV_TILE],
    c: [f32; MAX_MR],
}

impl Case {
    /// Scores of up to `acc`; c so large that the usual distance of two is some `bits` powers of two.
    fn random(seed: u32, acc: i32, bits: f32) -> Self {
        let mut random = Random(seed);
        let mut score = || (random.unit() * acc as f32) as i32;
        let scores = (0..MAX_MR)
            .map(|_| core::array::from_fn(|_| score()))
            .collect();
        let mut scale = || 0.02 + 0.01 * random.unit();
        let k_scale = core::array::from_fn(|_| scale());
        let v_scale = core::array::from_fn(|_| scale());
        Self {
            scores,
            k_scale,
            v_scale,
            c: [(bits * UNITS / (acc as f32 * 0.02)).clamp(f32::MIN_POSITIVE, f32::MAX); MAX_MR],
        }
    }

    /// What the softmax of a set makes of the first `rows` rows: the panel and the statistics, in comparable form.
    fn run(&self, set: &Pieces, signed: bool, rows: usize, valid: &[usize; MAX_MR]) -> Weighed {
        self.run_by(set.layout, signed, rows, valid, |of, stats, p| {
            // SAFETY: this machine has the instruction set; MAX_MR rows of scores are more than enough.
            unsafe { (set.softmax)(of, stats, p) }
        })
    }

    /// The same by the portable one, for panels of this layout.
    fn portable(
        &self,
        layout: Layout,
        signed: bool,
        rows: usize,
        valid: &[usize; MAX_MR],
    ) -> Weighed {
        self.run_by(layout, signed, rows, valid, |of, stats, p| {
            portable::softmax(layout, of, stats, p);
        })
    }

    fn run_by(
        &self,
        layout: Layout,
        signed: bool,
        rows: usize,
        valid: &[usize; MAX_MR],
        softmax: impl FnOnce(&Scores<'_>, &mut RowStats, &mut [u8]),
    ) -> Weighed {
        let split = self.v_scale.map(split_scale);
        let (v_mantissa, v_shift) = (split.map(|v| v.0), split.map(|v| v.1));
        let keys = Keys {
            k_scale: &self.k_scale,
            v_mantissa: &v_mantissa,
            v_shift: &v_shift,
            spread: &spread(&v_shift),
        };
        let query_rows = QueryRows {
            c: self.c,
            valid: *valid,
        };
        let Layout { mr, kr, .. } = layout;
        let mut p = vec![0u8; mr * KV_TILE];
        let mut stats = RowStats::EMPTY;
        let of = Scores {
            rows,
            whole: valid[..rows].iter().all(|valid| *valid == KV_TILE),
            signed,
            scores: &self.scores,
            keys,
            query_rows: &query_rows,
        };
        softmax(&of, &mut stats, &mut p);
        let flip = if signed { 0x80 } else { 0 };
        let byte = |row: usize, j: usize| p[j / kr * mr * kr + row * kr + j % kr] ^ flip;
        (0..rows)
            .map(|row| {
                let bytes = (0..KV_TILE).map(|j| byte(row, j)).collect();
                let stats = [
                    stats.top[row].to_bits() << 1, // the sign of a zero is anybody's
                    stats.sum[row] as u32,
                    stats.e[row] as u32,
                    stats.inverse[row] as u32,
                ];
                (bytes, stats)
            })
            .unzip()
    }
}

/// The smallest and the largest shift of a value that is not zero.
fn spread(shifts: &[i16]) -> [i16; 2] {
    let some = || shifts.iter().filter(|shift| **shift != NEVER);
    match (some().min(), some().max()) {
        (Some(least), Some(most)) => [*least, *most],
        _ => [NEVER, 0],
    }
}

/// Every softmax, with bytes as its product wants them; those of 64-bit ARM also with the other kind.
fn sets() -> impl Iterator<Item = (Pieces, bool)> {
    all().flat_map(|set| {
        let signed = set.layout.offset == 0;
        let other = cfg!(target_arch = "aarch64").then_some((set, !signed));
        [Some((set, signed)), other].into_iter().flatten()
    })
}

fn cases() -> Vec<(&'static str, Case)> {
    let mut cases = vec![
        ("ordinary", Case::random(1, 20_000, 6.0)),
        ("flat", Case::random(2, 20_000, 0.01)),
        ("peaked", Case::random(3, 20_000, 300.0)),
        ("enormous", Case::random(4, 1_000_000, 1e9)),
        ("overflowing", Case::random(5, 1_000_000, 1e35)),
        ("equal", Case::random(6, 1, 0.0)),
    ];
    let mut zeros = Case::random(7, 20_000, 6.0);
    zeros.c = [f32::MIN_POSITIVE; MAX_MR];
    zeros.scores = vec![[0; KV_TILE]; MAX_MR];
    cases.push(("a query of zeros", zeros));
    let mut some = Case::random(8, 20_000, 6.0);
    for j in [0, 5, 17, 63] {
        some.v_scale[j] = 0.0;
    }
    cases.push(("some values zero", some));
    let mut all = Case::random(9, 20_000, 6.0);
    all.v_scale = [0.0; KV_TILE];
    cases.push(("all values zero", all));
    let mut wide = Case::random(10, 20_000, 6.0);
    for (j, scale) in wide.v_scale.iter_mut().enumerate() {
        *scale = 2.0f32.powi(j as i32 * 3 - 100) * 1.999_999_9;
    }
    cases.push(("values of every size", wide));
    for (what, widest) in [("values just near", 95), ("values just not near", 96)] {
        let mut spread = Case::random(13, 2_000, 60.0);
        for (j, scale) in spread.v_scale.iter_mut().enumerate() {
            *scale = 2.0f32.powi(j as i32 * widest / 63 - 60) * 1.3;
        }
        cases.push((what, spread));
    }
    let mut keys = Case::random(11, 20_000, 6.0);
    keys.k_scale[30] = 1e4;
    keys.k_scale[31] = 0.0;
    cases.push(("a huge key and a key of zeros", keys));
    cases
}

#[test]
fn every_instruction_set_weighs_alike_with_any_number_of_rows_and_keys() {
    let mut random = Random(12);
    for (what, case) in cases() {
        for (set, signed) in sets() {
            for rows in 1..=set.layout.mr {
                for limit in [1, 2, 7, 8, 15, 16, 17, 33, 63, 64, 0, 101, 129, 153] {
                    // 0: rows that see different numbers of keys; from 100 on: each sees one more than the one before.
                    let valid = core::array::from_fn(|row| match limit {
                        0 => 1 + random.next() as usize % KV_TILE,
                        100.. => (limit - 100 + row).min(KV_TILE),
                        limit => limit,
                    });
                    assert_eq!(
                        case.run(&set, signed, rows, &valid),
                        case.portable(set.layout, signed, rows, &valid),
                        "{what}: {rows} rows of {valid:?} keys on {}",
                        set.isa
                    );
                }
            }
        }
    }
}

/// The output of one channel, as attention would compute it from the bytes, against the softmax in f64.
#[test]
fn weights_are_as_close_to_the_softmax_as_bytes_can_be() {
    for (what, case) in cases() {
        if matches!(what, "overflowing" | "enormous" | "all values zero") {
            continue;
        }
        let valid = [50; MAX_MR];
        let (bytes, stats) = case.run(&Pieces::scalar(), true, GROUP, &valid);
        for row in 0..GROUP {
            let score = |j: usize| f64::from(case.scores[row][j]) * f64::from(case.k_scale[j]);
            let top = (0..50).map(score).fold(f64::NEG_INFINITY, f64::max);
            let p = |j: usize| (f64::from(case.c[row] / UNITS) * (score(j) - top)).exp2();
            let l: f64 = (0..50).map(p).sum();
            assert!(
                (f64::from(stats[row][1]) / 16384.0 / l - 1.0).abs() < 4e-3,
                "{what}: the sum of the weights, {} for {l}",
                f64::from(stats[row][1]) / 16384.0
            );
            let w = |j: usize| p(j) * f64::from(case.v_scale[j]);
            let largest = (0..50).map(w).fold(0.0, f64::max);
            let [_, _, e, inverse] = stats[row];
            let step = 2.0 / f64::from(inverse) * (128.0 - f64::from(e)).exp2();
            for (j, byte) in bytes[row].iter().enumerate() {
                let want = if j < 50 { w(j) } else { 0.0 };
                let got = f64::from(*byte) * step;
                // Half a step of 1/255 of the largest; what shifting w right cuts off, at most one in 5792, is 0.045 of a step.
                assert!(
                    (got - want).abs() < 0.55 / 255.0 * largest + 9e-4 * want,
                    "{what}: key {j} weighs {got}, want {want} beside {largest}"
                );
            }
        }
    }
}

#[test]
fn powers_of_two_are_close_and_rise_with_z() {
    let mut last = 0;
    for z in i16::MIN..=0 {
        let (n, b) = (-((i32::from(z) + 512) >> 10), portable::exp2(z));
        let want = f64::from(n) + f64::from(z) / 1024.0;
        let want = want.exp2() * 16384.0;
        assert!((f64::from(b) / want - 1.0).abs() < 1.72e-4, "2^{z}/1024");
        assert!(b >= last || z & 1023 == 512, "falls at {z}");
        last = b;
    }
    assert_eq!(portable::exp2(0), 1 << 14);
}

#[test]
fn scales_split_into_mantissa_and_shift() {
    assert_eq!(split_scale(0.0), (0, NEVER));
    let mut scale = 1e-37f32;
    while scale < 1e37 {
        let (mantissa, shift) = split_scale(scale);
        let whole = f64::from(mantissa) / 32768.0 * (128.0 - f64::from(shift)).exp2();
        assert!((whole / f64::from(scale) - 1.0).abs() < 6.2e-5, "{scale}");
        assert!(mantissa >= 1 << 14 && (0..NEVER).contains(&shift));
        scale *= 1.003;
    }
}

#[test]
fn a_high_product_rounds_half_up() {
    assert_eq!(mul_high(1 << 14, 1), 1);
    assert_eq!(mul_high(1 << 14, -1), 0);
    assert_eq!(mul_high(i16::MIN, i16::MAX), -32767);
}
