//! int4 weights: four bits each, and four more for every 32 of a column.
//!
//! A weight is `s * m * q`: s the column's f32 scale, m in 1..=16 the group's multiplier, q in [-7, 7] its
//! own. `m * q` is an int8, which makes an int4 matrix an int8 matrix of few values: every kernel computes
//! with it as with any other.

use igpt_runtime::tools::{INT4_GROUP, INT4_LIMIT, INT4_MULTIPLIER};

/// A column on its grid.
pub(super) struct Column {
    pub(super) scale: f32,
    /// `m * q`, one a row.
    pub(super) values: Vec<i8>,
    /// One a group.
    pub(super) multipliers: Vec<u8>,
}

/// Candidates for the range of a column's widest group, relative to its largest magnitude, in percent.
const SHRINKS: std::ops::RangeInclusive<u8> = 64..=100;
const STRIDE: usize = 3;

/// A group's step is sought between this fraction of the one that clips nothing, and that.
const LEAST: f32 = 0.6;

/// The scale and multipliers of least squared error, among those of [`SHRINKS`] and, in every group, all
/// multipliers from
/// [`LEAST`] of its range on. Then the scale is fitted to the integers.
pub(super) fn quantize_column(column: &[f32]) -> Column {
    let largest = column.iter().fold(0f32, |largest, w| largest.max(w.abs()));
    let whole = largest / f32::from(INT4_LIMIT) / f32::from(INT4_MULTIPLIER);
    // A scale that underflows to zero stands for a column of zeros.
    if whole == 0.0 {
        return Column {
            scale: 0.0,
            values: vec![0; column.len()],
            multipliers: vec![1; column.len().div_ceil(INT4_GROUP)],
        };
    }
    let mut best = (f32::INFINITY, whole);
    // From the whole range down, so that a tie clips nothing.
    for percent in SHRINKS.rev().step_by(STRIDE) {
        let scale = whole * (f32::from(percent) / 100.0);
        let groups = column.chunks(INT4_GROUP);
        let error = groups.map(|group| best_multiplier(group, scale).1).sum();
        if error < best.0 && scale > 0.0 {
            best = (error, scale);
        }
    }
    let (_, scale) = best;
    let (mut values, mut multipliers) = (Vec::with_capacity(column.len()), Vec::new());
    for group in column.chunks(INT4_GROUP) {
        let (m, _) = best_multiplier(group, scale);
        let step = scale * f32::from(m);
        let limit = f32::from(INT4_LIMIT);
        values.extend(group.iter().map(|w| {
            let q = (w / step).round_ties_even().clamp(-limit, limit);
            q as i8 * m as i8
        }));
        multipliers.push(m);
    }
    Column {
        scale: fitted(column, &values).unwrap_or(scale),
        values,
        multipliers,
    }
}

/// The multiplier of least squared error for a group, and that error.
fn best_multiplier(group: &[f32], scale: f32) -> (u8, f32) {
    let largest = group.iter().fold(0f32, |largest, w| largest.max(w.abs()));
    let most = largest / (f32::from(INT4_LIMIT) * scale);
    // Saturating: a group beyond the widest step is clipped.
    let most_m = (most.ceil() as u8).clamp(1, INT4_MULTIPLIER);
    let least = ((most * LEAST) as u8).clamp(1, most_m);
    let mut best = (most_m, f32::INFINITY);
    for m in (least..=most_m).rev() {
        let error = squared_error(group, scale * f32::from(m));
        if error < best.1 {
            best = (m, error);
        }
    }
    best
}

/// What a step loses of a group, written so that the compiler can vectorise it.
fn squared_error(group: &[f32], step: f32) -> f32 {
    // Adding and subtracting 1.5 * 2^23 rounds to the nearest integer, ties to even.
    const ROUND: f32 = 12_582_912.0;
    const LANES: usize = 16;
    let (inverse, limit) = (1.0 / step, f32::from(INT4_LIMIT));
    let error = |w: f32| {
        let q = ((w * inverse).clamp(-limit, limit) + ROUND) - ROUND;
        let error = w - q * step;
        error * error
    };
    let mut lanes = [0f32; LANES];
    let (whole, rest) = group.as_chunks::<LANES>();
    for chunk in whole {
        for (lane, w) in lanes.iter_mut().zip(chunk) {
            *lane += error(*w);
        }
    }
    lanes.iter().sum::<f32>() + rest.iter().map(|w| error(*w)).sum::<f32>()
}

/// The scale at which `values` are closest to `column`, if there is one.
fn fitted(column: &[f32], values: &[i8]) -> Option<f32> {
    let (mut along, mut size) = (0f64, 0f64);
    for (w, v) in column.iter().zip(values) {
        along += f64::from(*w) * f64::from(*v);
        size += f64::from(*v) * f64::from(*v);
    }
    let scale = (along / size) as f32;
    (scale.is_finite() && scale > 0.0).then_some(scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_on_a_grid_is_found_again() {
        // Groups with steps of 16, 9 and 1 sixteenths of the widest, the last of three rows.
        let mut column = Vec::new();
        for (m, rows) in [(16, 32), (9, 32), (1, 3)] {
            column.extend((0..rows).map(|row| 0.25 * (m * ((row * 5) % 15 - 7)) as f32));
        }
        let found = quantize_column(&column);
        assert_eq!(found.multipliers, [16, 9, 1]);
        let stored = found.values.iter().map(|v| f32::from(*v) * found.scale);
        assert_eq!(stored.collect::<Vec<_>>(), column);
    }

    #[test]
    fn groups_of_one_column_have_steps_of_their_own() {
        // The second half is a tenth of the first: with one step it would be three levels.
        let wave = |i: usize| ((i * 7919) % 1000) as f32 / 500.0 - 1.0;
        let column: Vec<f32> = (0..128)
            .map(|i| wave(i) * if i < 64 { 1.0 } else { 0.1 })
            .collect();
        let found = quantize_column(&column);
        let error = |range: std::ops::Range<usize>| {
            let (mut noise, mut signal) = (0.0, 0.0);
            for (w, v) in column[range.clone()].iter().zip(&found.values[range]) {
                noise += (w - f32::from(*v) * found.scale).powi(2);
                signal += w * w;
            }
            noise / signal
        };
        assert!(error(0..64) < 0.01, "{}", error(0..64));
        assert!(error(64..128) < 0.015, "{}", error(64..128));
    }

    #[test]
    fn zeros_and_extremes_stay_in_range() {
        let found = quantize_column(&[0.0; 40]);
        assert_eq!((found.scale, &found.multipliers), (0.0, &vec![1, 1]));
        for column in [[f32::MAX, -f32::MAX, 0.0], [f32::from_bits(1), 1.0, -1e-30]] {
            let found = quantize_column(&column);
            assert!(found.scale.is_finite() && found.scale > 0.0);
            for (v, m) in found.values.iter().zip([found.multipliers[0]; 3]) {
                assert!(m <= 16 && i32::from(*v).abs() <= 7 * i32::from(m));
            }
        }
    }
}
