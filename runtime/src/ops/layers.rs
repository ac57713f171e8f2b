//! The operators as layers: constants in, a packed [`Layer`] out; rows in, rows out.

use igpt_kernels::{KV_TILE, NonFinite, RowsF32};
use rayon::prelude::*;

use super::block_f32::{BlockF32, LinearF32};
use super::block_int8::BlockInt8;
use super::embedding::Embedding;
use super::engine::Engine;
use super::linear_int8::{LinearInt8, Memory, Product};
use super::state::LayerState;
use crate::error::TokensError;

/// Rows of a task of the layers that are not blocks.
const ROWS: usize = 64;

/// Why a layer cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LayerError {
    #[error(transparent)]
    Tokens(#[from] TokensError),
    #[error(transparent)]
    NonFinite(#[from] NonFinite),
}

/// One operator of the graph with its constants packed for this machine.
#[derive(Debug)]
pub(crate) enum Layer {
    Embedding {
        wte: Embedding,
        wpe: Embedding,
        vocab_size: usize,
        n_positions: usize,
        width: usize,
    },
    BlockInt8(Box<BlockInt8>),
    BlockF32(Box<BlockF32>),
    Norm {
        gain: Vec<f32>,
        eps: f32,
    },
    LinearInt8(LinearInt8),
    LinearF32(LinearF32),
    ClassificationHead {
        weight: Vec<f32>,
        /// One a label; a linear probe's, transformers' head has none.
        bias: Option<Vec<f32>>,
        width: usize,
    },
}

impl Layer {
    /// Embeds the tokens after `state.past`.
    pub(crate) fn embed(
        &self,
        state: &mut LayerState,
        ids: &[i64],
        out: &mut [f32],
    ) -> Result<(), LayerError> {
        let Self::Embedding {
            wte,
            wpe,
            vocab_size,
            n_positions,
            width,
        } = self
        else {
            unreachable!("only an embedding takes token ids")
        };
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

    /// Blocks only: updates the rows in place.
    pub(crate) fn update(
        &self,
        engine: &Engine,
        state: &mut LayerState,
        x: &mut [f32],
    ) -> Result<(), LayerError> {
        match self {
            Self::BlockInt8(block) => Ok(block.run(engine, state, x)?),
            Self::BlockF32(block) => Ok(block.run(engine, state, x)?),
            _ => unreachable!("only a block works in place"),
        }
    }

    /// Width of a row that [`Layer::apply`] gives.
    fn output_width(&self) -> usize {
        match self {
            Self::Norm { gain, .. } => gain.len(),
            Self::LinearInt8(linear) => linear.w.n(),
            Self::LinearF32(linear) => linear.w.n(),
            // One row of logits.
            _ => usize::MAX,
        }
    }

    /// True for the layers of [`Layer::update`].
    pub(crate) fn is_in_place(&self) -> bool {
        matches!(self, Self::BlockInt8(_) | Self::BlockF32(_))
    }

    /// Every other layer: rows in, rows (or one row of logits) out.
    pub(crate) fn apply(
        &self,
        engine: &Engine,
        state: &mut LayerState,
        x: &[f32],
        out: &mut [f32],
    ) -> Result<(), LayerError> {
        let kernels = engine.kernels;
        match self {
            Self::Norm { gain, eps } => kernels.norm(x, gain, *eps, out),
            Self::LinearInt8(linear) => {
                let (k, n) = (linear.w.k(), linear.w.n());
                engine.pool.install(|| {
                    x.par_chunks(ROWS * k)
                        .zip(out.par_chunks_mut(ROWS * n))
                        .enumerate()
                        .try_for_each(|(chunk, (x, out))| {
                            engine.with_scratch(|scratch| {
                                let how = igpt_kernels::Prepare::Plain;
                                kernels
                                    .prepare(
                                        RowsF32::dense(x, x.len() / k, k),
                                        how,
                                        &mut scratch.rows,
                                    )
                                    .map_err(|e| e.within(chunk * ROWS))?;
                                let product = Product {
                                    rows: &scratch.rows,
                                    out,
                                    add: false,
                                };
                                let memory = Memory {
                                    shares: &mut scratch.shares,
                                    linear: &mut scratch.linear,
                                };
                                linear.run(engine, product, memory);
                                Ok::<(), NonFinite>(())
                            })
                        })
                })?;
            }
            Self::LinearF32(linear) => {
                let (k, n) = (linear.w.k(), linear.w.n());
                engine.pool.install(|| {
                    x.par_chunks(ROWS * k)
                        .zip(out.par_chunks_mut(ROWS * n))
                        .for_each(|(x, out)| linear.run(engine, x, out, false));
                });
            }
            Self::ClassificationHead {
                weight,
                bias,
                width,
            } => {
                for (i, row) in x.chunks_exact(*width).enumerate() {
                    let tile = (state.past + i) / KV_TILE;
                    if state.pooled.len() == tile {
                        state.pooled.push(vec![0.0; *width]);
                    }
                    kernels.add_rows(row, &mut state.pooled[tile]);
                }
                state.past += x.len() / width;
                let mut mean = vec![0.0; *width];
                for sums in &state.pooled {
                    kernels.add_rows(sums, &mut mean);
                }
                let tokens = state.past as f32;
                for x in &mut mean {
                    *x /= tokens;
                }
                for (out, w) in out.iter_mut().zip(weight.chunks_exact(*width)) {
                    *out = kernels.dot_f32(&mean, w);
                }
                for (out, bias) in out.iter_mut().zip(bias.iter().flatten()) {
                    *out += bias;
                }
            }
            Self::Embedding { .. } | Self::BlockInt8(_) | Self::BlockF32(_) => {
                unreachable!("embed and update run these")
            }
        }
        // Only here can the last block's overflow or an f32 file's show: no quantiser follows.
        if let Some(at) = out.iter().position(|x| !x.is_finite()) {
            let (row, found) = (at / self.output_width(), out[at]);
            return Err(NonFinite { row, found }.into());
        }
        Ok(())
    }
}
