//! One tensor as it lies in a file: element type, shape, bytes; and its conversion to f32.

use std::borrow::Cow;
use std::fmt;

use half::{bf16, f16};

/// The element types a checkpoint's weights may have. All are little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dtype {
    /// IEEE double precision.
    F64,
    /// IEEE single precision.
    F32,
    /// IEEE half precision.
    F16,
    /// The upper half of an IEEE single.
    BF16,
}

impl Dtype {
    /// Bytes per element.
    pub fn size(self) -> usize {
        match self {
            Dtype::F64 => 8,
            Dtype::F32 => 4,
            Dtype::F16 | Dtype::BF16 => 2,
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Dtype::F64 => "f64",
            Dtype::F32 => "f32",
            Dtype::F16 => "f16",
            Dtype::BF16 => "bf16",
        })
    }
}

/// A tensor's bytes in row-major order, borrowed from the mapped file wherever the file has them so.
#[derive(Clone, Debug)]
pub struct TensorView<'a> {
    /// Element type of `bytes`.
    pub dtype: Dtype,
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
    /// `shape` product times `dtype.size()` bytes, little-endian.
    pub bytes: Cow<'a, [u8]>,
}

impl TensorView<'_> {
    /// The elements as f32: exact, but for f64, which goes to the nearest.
    pub fn to_f32(&self) -> Vec<f32> {
        match self.dtype {
            Dtype::F64 => self.elements(|b| f64::from_le_bytes(b) as f32),
            Dtype::F32 => self.elements(f32::from_le_bytes),
            Dtype::F16 => self.elements(|b| f16::from_le_bytes(b).to_f32()),
            Dtype::BF16 => self.elements(|b| bf16::from_le_bytes(b).to_f32()),
        }
    }

    /// An element as it is stored.
    pub(super) fn stored(&self, index: usize) -> Option<f64> {
        match self.dtype {
            Dtype::F64 => self
                .bytes
                .as_chunks()
                .0
                .get(index)
                .map(|b| f64::from_le_bytes(*b)),
            _ => self.to_f32().get(index).map(|value| f64::from(*value)),
        }
    }

    fn elements<const N: usize>(&self, decode: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        self.bytes
            .as_chunks::<N>()
            .0
            .iter()
            .map(|b| decode(*b))
            .collect()
    }
}

/// Number of elements of `shape`, or `None` when it does not fit in a `usize`.
pub(crate) fn element_count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dtype_decodes() {
        let view = |dtype, bytes: Vec<u8>| TensorView {
            dtype,
            shape: vec![2],
            bytes: bytes.into(),
        };
        let f32s = [1.5f32, -0.25]
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect();
        assert_eq!(view(Dtype::F32, f32s).to_f32(), [1.5, -0.25]);
        let f64s = [0.1f64, 1e300]
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect();
        assert_eq!(view(Dtype::F64, f64s).to_f32(), [0.1, f32::INFINITY]);
        assert_eq!(
            view(Dtype::F16, vec![0x00, 0x3c, 0x01, 0x00]).to_f32(),
            [1.0, 2f32.powi(-24)]
        );
        assert_eq!(
            view(Dtype::BF16, vec![0x80, 0x3f, 0x40, 0xc0]).to_f32(),
            [1.0, -3.0]
        );
    }

    #[test]
    fn element_count_refuses_overflow() {
        assert_eq!(element_count(&[3, 4]), Some(12));
        assert_eq!(element_count(&[]), Some(1));
        assert_eq!(element_count(&[usize::MAX, 2]), None);
    }
}
