//! The softmax as it is defined, one row at a time; for the scalar kernels, and what the others are tested against.
#![allow(
    clippy::needless_range_loop,
    reason = "keys are counted, so that each loop reads as the one vector operation it becomes"
)]

use super::interleave::scatter;
use super::lanes::LANES;
use super::math::max;
use super::softmax::{C, FRACTION, FULL, INTEGER, Keys, RowStats, Scores, mul_high};
use crate::layout::{KV_TILE, Layout};

/// See [`InstructionSet::softmax`](crate::set::InstructionSet::softmax).
#[inline(always)]
pub(crate) fn softmax(layout: Layout, of: &Scores<'_>, stats: &mut RowStats, p: &mut [u8]) {
    let Scores {
        rows,
        whole,
        signed,
        scores,
        keys,
        query_rows,
    } = *of;
    let flip = if signed { 0x80 } else { 0 };
    for row in 0..rows {
        let valid = if whole {
            KV_TILE
        } else {
            query_rows.valid[row]
        };
        let mut bytes = weigh(&scores[row], keys, query_rows.c[row], valid, stats, row);
        for byte in &mut bytes {
            *byte ^= flip;
        }
        scatter(&bytes, p, layout.mr, row, layout.kr);
    }
}

#[inline(always)]
fn weigh(
    acc: &[i32; KV_TILE],
    keys: Keys<'_>,
    c: f32,
    valid: usize,
    stats: &mut RowStats,
    row: usize,
) -> [u8; KV_TILE] {
    let mut a = [0.0f32; KV_TILE];
    for j in 0..KV_TILE {
        let score = acc[j] as f32 * keys.k_scale[j];
        a[j] = if j < valid { score } else { f32::NEG_INFINITY };
    }
    let mut tops = [f32::NEG_INFINITY; LANES];
    for a in a.as_chunks::<LANES>().0 {
        for i in 0..LANES {
            tops[i] = max(a[i], tops[i]);
        }
    }
    let top = tops.into_iter().fold(f32::NEG_INFINITY, max);

    let (mut sum, mut e) = (0i32, i16::MAX);
    let (mut y, mut shifts) = ([0i16; KV_TILE], [0i16; KV_TILE]);
    for j in 0..KV_TILE {
        let seen = j < valid;
        let z = (((a[j] - top) * c) as i32 >> 16) as i16;
        let n = -((z + (1 << (FRACTION - 1))) >> FRACTION);
        let b = exp2(z);
        let p = if seen { i32::from(b) >> n.min(15) } else { 0 };
        sum += p;
        y[j] = mul_high(b, keys.v_mantissa[j]);
        shifts[j] = if seen { n + keys.v_shift[j] } else { i16::MAX };
        e = e.min(shifts[j]);
    }
    let mut w = [0i16; KV_TILE];
    let mut peak = 0i16;
    for j in 0..KV_TILE {
        w[j] = (i32::from(y[j]) >> (shifts[j] - e).min(15)) as i16;
        peak = peak.max(w[j]);
    }
    let inverse = if peak > 0 {
        (FULL / f32::from(peak)) as i16
    } else {
        0
    };
    let mut bytes = [0u8; KV_TILE];
    for j in 0..KV_TILE {
        bytes[j] = mul_high(w[j], inverse) as u8;
    }
    stats.top[row] = top;
    stats.sum[row] = sum;
    stats.e[row] = i32::from(e);
    stats.inverse[row] = i32::from(inverse);
    bytes
}

/// `2^(z mod 1)`, the fraction of z taken from -1/2 to 1/2, with 14 fraction bits.
#[inline(always)]
pub(crate) fn exp2(z: i16) -> i16 {
    let s = z << INTEGER;
    let b = mul_high(s, C[3]) + C[2];
    let b = mul_high(s, b) + C[1];
    mul_high(s, b) + C[0]
}
