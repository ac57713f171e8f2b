//! int4 weight matrices as a model file has them, and the int8 matrix that each one is.
//!
//! Rows of a matrix `[k, n]` are in groups of [`INT4_GROUP`]. A weight is `q * m`, q in [-7, 7] its own and m in 1..=16 its group's
//! and column's: an int8 in [-112, 112]. Both are stored in four bits, m less one, two to a byte, the first in the lower bits, as
//! ONNX stores INT4 and UINT4. Whatever is computed from such a matrix is defined as what the int8 matrix gives.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

/// Rows that share a multiplier in each column.
pub const INT4_GROUP: usize = 32;

/// The largest magnitude of an int4 weight: -8 is never used, or -8 * 16 would be the -128 that no kernel may meet.
pub const INT4_LIMIT: i8 = 7;

/// The largest multiplier.
pub const INT4_MULTIPLIER: u8 = 16;

/// An int4 weight matrix `[k, n]`, row-major.
#[derive(Clone, Copy, Debug)]
pub struct Int4Matrix<'a> {
    values: &'a [u8],
    multipliers: &'a [u8],
    k: usize,
    n: usize,
}

/// Why bytes are not an int4 matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Int4Error {
    /// More or fewer bytes than the shape asks for.
    Length {
        /// How many there are, of values and of multipliers.
        found: [usize; 2],
        /// How many the shape asks for.
        expected: [usize; 2],
    },
    /// A value of -8 in this byte.
    Value(usize),
}

impl<'a> Int4Matrix<'a> {
    /// Bytes of the values and of the multipliers of a matrix `[k, n]`.
    pub const fn bytes(k: usize, n: usize) -> [usize; 2] {
        [
            (k * n).div_ceil(2),
            (k.div_ceil(INT4_GROUP) * n).div_ceil(2),
        ]
    }

    /// `values` are those of `[k, n]`, `multipliers` those of `[k / 32, n]`, rounded up, both row-major.
    ///
    /// # Errors
    /// If one has another length or a value is -8.
    pub fn new(
        values: &'a [u8],
        multipliers: &'a [u8],
        k: usize,
        n: usize,
    ) -> Result<Self, Int4Error> {
        let found = [values.len(), multipliers.len()];
        let expected = Self::bytes(k, n);
        if found != expected {
            return Err(Int4Error::Length { found, expected });
        }
        let bad = |byte: &u8| byte & 0x0f == 8 || byte >> 4 == 8;
        if let Some(at) = values.iter().position(bad) {
            return Err(Int4Error::Value(at));
        }
        Ok(Self {
            values,
            multipliers,
            k,
            n,
        })
    }

    /// Rows.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Columns.
    pub fn n(&self) -> usize {
        self.n
    }

    /// The four bits of a weight, [-7, 7].
    pub fn value(&self, row: usize, column: usize) -> i8 {
        // Sign extended from the upper half of a byte.
        ((nibble(self.values, row * self.n + column) << 4) as i8) >> 4
    }

    /// What the weights of a group are multiplied by, 1..=16.
    pub fn multiplier(&self, group: usize, column: usize) -> i8 {
        nibble(self.multipliers, group * self.n + column) as i8 + 1
    }

    /// The values of part of a row, from `column` on, as nibbles.
    pub(crate) fn values_of(&self, row: usize, column: usize, out: &mut [u8]) {
        nibbles(self.values, row * self.n + column, out);
    }

    /// The multipliers of part of a group, less one each, from `column` on.
    pub(crate) fn multipliers_of(&self, group: usize, column: usize, out: &mut [u8]) {
        nibbles(self.multipliers, group * self.n + column, out);
    }

    /// The int8 matrix that this is, row-major `[k, n]`.
    pub fn to_int8(&self) -> Vec<i8> {
        let mut w = vec![0; self.k * self.n];
        for (row, w) in w.chunks_exact_mut(self.n.max(1)).enumerate() {
            for (column, w) in w.iter_mut().enumerate() {
                *w = self.value(row, column) * self.multiplier(row / INT4_GROUP, column);
            }
        }
        w
    }
}

/// Four bits of each of these, two to a byte, the first in the lower bits; an odd one out is followed by zeros.
pub fn pack_nibbles(values: &[i8]) -> Vec<u8> {
    let pair = |pair: &[i8]| {
        let [low, high] = [pair[0], pair.get(1).copied().unwrap_or(0)].map(|v| v as u8 & 0x0f);
        low | high << 4
    };
    values.chunks(2).map(pair).collect()
}

/// Nibbles from `first` on, one a byte: whole bytes at a time where they begin with one.
fn nibbles(bytes: &[u8], first: usize, out: &mut [u8]) {
    let whole = if first.is_multiple_of(2) {
        out.len() / 2
    } else {
        0
    };
    let (pairs, _) = out.as_chunks_mut::<2>();
    for (pair, byte) in pairs.iter_mut().zip(&bytes[first / 2..]).take(whole) {
        *pair = [byte & 0x0f, byte >> 4];
    }
    for (i, out) in out.iter_mut().enumerate().skip(2 * whole) {
        *out = nibble(bytes, first + i);
    }
}

fn nibble(bytes: &[u8], index: usize) -> u8 {
    bytes[index / 2] >> (index % 2 * 4) & 0x0f
}

impl fmt::Display for Int4Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { found, expected } => write!(
                f,
                "{} bytes of values and {} of multipliers, expected {} and {}",
                found[0], found[1], expected[0], expected[1]
            ),
            Self::Value(at) => write!(f, "byte {at} holds a value that is not -7 to 7"),
        }
    }
}

impl core::error::Error for Int4Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_times_every_multiplier_is_an_int8() {
        // Columns: all 15 values; rows: two groups, the second of one row; multipliers 1 to 15 and then 16 to 2.
        let (k, n) = (INT4_GROUP + 1, 15);
        let q: Vec<i8> = (0..k * n).map(|i| (i % n) as i8 - 7).collect();
        let m: Vec<i8> = (0..n).chain((1..=n).rev()).map(|m| m as i8).collect();
        let (values, multipliers) = (pack_nibbles(&q), pack_nibbles(&m));
        let matrix = Int4Matrix::new(&values, &multipliers, k, n).expect("a matrix");
        let w = matrix.to_int8();
        for (i, w) in w.into_iter().enumerate() {
            let (group, column) = (i / n / INT4_GROUP, i % n);
            let m = if group == 0 {
                column + 1
            } else {
                n + 1 - column
            };
            assert_eq!(i32::from(w), (column as i32 - 7) * m as i32, "weight {i}");
        }
    }

    #[test]
    fn what_is_not_a_matrix_is_refused() {
        let new = |values, multipliers: &[u8]| Int4Matrix::new(values, multipliers, 3, 3).err();
        assert_eq!(new(&[0; 5], &[0; 2]), None);
        let length = |found| {
            Some(Int4Error::Length {
                found,
                expected: [5, 2],
            })
        };
        assert_eq!(new(&[0; 4], &[0; 2]), length([4, 2]));
        assert_eq!(new(&[0; 5], &[0; 3]), length([5, 3]));
        assert_eq!(new(&[0, 0, 0x80, 0, 0], &[0; 2]), Some(Int4Error::Value(2)));
        assert_eq!(new(&[0, 8, 0, 0, 0], &[0; 2]), Some(Int4Error::Value(1)));
        assert!(Int4Matrix::new(&[], &[], 0, 5).is_ok());
    }
}
