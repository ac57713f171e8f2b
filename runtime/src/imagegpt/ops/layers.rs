//! The operators of this family that are neither embeddings nor blocks: the last norm, and the heads.

use igpt_kernels::{NonFinite, Prepare, RowsF32};
use tract_onnx::prelude::TractResult;

use crate::ops::constants::Constants;
use crate::ops::engine::Engine;
use crate::ops::kind::Attributes;
use crate::ops::layer::{Apply, LayerError, finite};
use crate::ops::linear_f32::LinearF32;
use crate::ops::linear_int8::{LinearInt8, Memory, Product};
use crate::ops::pooled::PooledHead;
use crate::ops::state::LayerState;
use crate::ops::team::{each, try_each};
use crate::profile::Operator;

/// Rows of a task.
const ROWS: usize = 64;

/// The RMS norm after the last block.
#[derive(Debug)]
pub(super) struct Norm {
    gain: Vec<f32>,
    eps: f32,
}

impl Norm {
    pub(super) fn new(attributes: &Attributes, constants: &mut Constants<'_>) -> TractResult<Self> {
        Ok(Self {
            gain: constants.f32s()?,
            eps: attributes.float("epsilon")?,
        })
    }
}

impl Apply for Norm {
    fn apply(
        &self,
        engine: &Engine,
        _: &mut LayerState,
        _: &[usize],
        x: &[f32],
        out: &mut [f32],
    ) -> Result<(), LayerError> {
        let mut laps = engine.profile.laps();
        engine.kernels.norm(x, &self.gain, self.eps, out);
        laps.end(Operator::Head);
        // Only here, and in what follows, can the last block's overflow show: no quantiser follows.
        Ok(finite(out, self.gain.len())?)
    }
}

impl Apply for LinearInt8 {
    fn apply(
        &self,
        engine: &Engine,
        _: &mut LayerState,
        _: &[usize],
        x: &[f32],
        out: &mut [f32],
    ) -> Result<(), LayerError> {
        let kernels = engine.kernels;
        let (k, n) = (self.w.k(), self.w.n());
        let mut laps = engine.profile.laps();
        let tasks = x.chunks(ROWS * k).zip(out.chunks_mut(ROWS * n));
        try_each(tasks, |chunk, (x, out)| {
            engine.with_scratch(|scratch| {
                let rows = RowsF32::dense(x, x.len() / k, k);
                kernels
                    .prepare(rows, Prepare::Plain, &mut scratch.rows)
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
                self.run(engine, product, memory);
                Ok::<(), NonFinite>(())
            })
        })?;
        laps.end(Operator::Head);
        Ok(finite(out, n)?)
    }
}

impl Apply for LinearF32 {
    fn apply(
        &self,
        engine: &Engine,
        _: &mut LayerState,
        _: &[usize],
        x: &[f32],
        out: &mut [f32],
    ) -> Result<(), LayerError> {
        let (k, n) = (self.w.k(), self.w.n());
        let mut laps = engine.profile.laps();
        let tasks = x.chunks(ROWS * k).zip(out.chunks_mut(ROWS * n));
        each(tasks, |_, (x, out)| self.run(engine, x, out, false));
        laps.end(Operator::Head);
        Ok(finite(out, n)?)
    }
}

/// The classification head. A session's past is in its sums.
#[derive(Debug)]
pub(super) struct ClassificationHead(PooledHead);

impl ClassificationHead {
    pub(super) fn new(constants: &mut Constants<'_>) -> TractResult<Self> {
        Ok(Self(PooledHead::new(constants)?))
    }
}

impl Apply for ClassificationHead {
    fn apply(
        &self,
        engine: &Engine,
        state: &mut LayerState,
        _: &[usize],
        x: &[f32],
        out: &mut [f32],
    ) -> Result<(), LayerError> {
        let LayerState { past, pooled, .. } = state;
        let mut laps = engine.profile.laps();
        self.0.pool(engine.kernels, x, past, pooled);
        self.0.logits(engine, *past, pooled, out);
        laps.end(Operator::Head);
        // One row of logits.
        Ok(finite(out, usize::MAX)?)
    }
}
