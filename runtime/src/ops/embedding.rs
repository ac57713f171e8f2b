//! Token and position embeddings, added up where they lie in the file.

use bytes::Bytes;
use half::f16;

/// Token or position embeddings, `[n, width]`, little-endian, where they lie in the file.
#[derive(Debug)]
pub(crate) enum Embedding {
    F16(Bytes),
    F32(Bytes),
}

impl Embedding {
    /// Adds row `row` to `out`.
    pub(super) fn add(&self, row: usize, out: &mut [f32]) {
        let width = out.len();
        match self {
            Self::F16(table) => {
                let (row, _) = table[row * width * 2..][..width * 2].as_chunks::<2>();
                for (out, x) in out.iter_mut().zip(row) {
                    *out += f16::from_le_bytes(*x).to_f32();
                }
            }
            Self::F32(table) => {
                let row = &table[row * width * 4..][..width * 4];
                for (out, x) in out.iter_mut().zip(f32s(row)) {
                    *out += x;
                }
            }
        }
    }
}

/// Little-endian numbers, wherever they lie.
pub(super) fn f32s(bytes: &[u8]) -> impl Iterator<Item = f32> {
    let (values, _) = bytes.as_chunks::<4>();
    values.iter().map(|bytes| f32::from_le_bytes(*bytes))
}
