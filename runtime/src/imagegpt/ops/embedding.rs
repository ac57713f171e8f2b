//! Token and position embeddings, added up where they lie in the file.

use bytes::Bytes;
use half::f16;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::prelude::TractResult;

use crate::error::TokensError;
use crate::onnx::weights::Constant;
use crate::ops::constants::{Constants, f32s};
use crate::ops::layer::{Embed, LayerError};
use crate::ops::state::LayerState;

/// Token or position embeddings, `[n, width]`, little-endian, where they lie in the file.
#[derive(Debug)]
enum Table {
    F16(Bytes),
    F32(Bytes),
}

impl Table {
    /// The next constant, and its rows and width.
    fn take(constants: &mut Constants<'_>) -> TractResult<(Self, [usize; 2])> {
        let (_, Constant { bytes, kind, .. }, dims) = constants.take_matrix()?;
        let table = if *kind == DataType::Float16 {
            Self::F16(bytes.clone())
        } else {
            Self::F32(bytes.clone())
        };
        Ok((table, dims))
    }

    /// Adds row `row` to `out`.
    fn add(&self, row: usize, out: &mut [f32]) {
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

/// Both embeddings.
#[derive(Debug)]
pub(super) struct Embedding {
    wte: Table,
    wpe: Table,
    vocab_size: usize,
    n_positions: usize,
    width: usize,
}

impl Embedding {
    pub(super) fn new(constants: &mut Constants<'_>) -> TractResult<Self> {
        let (wte, [vocab_size, width]) = Table::take(constants)?;
        let (wpe, [n_positions, _]) = Table::take(constants)?;
        Ok(Self {
            wte,
            wpe,
            vocab_size,
            n_positions,
            width,
        })
    }
}

impl Embed for Embedding {
    fn embed(
        &self,
        state: &mut LayerState,
        ids: &[i64],
        out: &mut [f32],
    ) -> Result<(), LayerError> {
        let Self {
            wte,
            wpe,
            vocab_size,
            n_positions,
            width,
        } = self;
        let (vocab_size, n_positions) = (*vocab_size, *n_positions);
        if !state.lanes.is_empty() {
            let rows = ids.chunks(1).zip(out.chunks_exact_mut(*width));
            return rows
                .zip(&mut state.lanes)
                .try_for_each(|((id, out), lane)| self.embed(lane, id, out));
        }
        let end = state.past + ids.len();
        if end > n_positions {
            return Err(TokensError::Positions {
                found: ids.len(),
                past: state.past,
                n_positions,
            }
            .into());
        }
        for (i, (id, out)) in ids.iter().zip(out.chunks_exact_mut(*width)).enumerate() {
            let position = state.past + i;
            let token = usize::try_from(*id).ok().filter(|id| *id < vocab_size);
            let token = token.ok_or(TokensError::Vocabulary {
                position,
                found: *id,
                vocab_size,
            })?;
            out.fill(0.0);
            wte.add(token, out);
            wpe.add(position, out);
        }
        state.past = end;
        Ok(())
    }
}
