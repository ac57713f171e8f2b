//! LayerNorm: its constants, and the one that ends a stage.

use igpt_kernels::{NonFinite, Prepare};

use crate::ops::constants::Constants;
use crate::ops::engine::Engine;
use crate::ops::kind::Attributes;
use crate::ops::layer::{Apply, LayerError, finite};
use crate::ops::state::LayerState;
use crate::ops::team::try_each;
use crate::profile::Operator;
use tract_onnx::prelude::TractResult;

/// Gain and bias of a LayerNorm, and its epsilon.
#[derive(Debug)]
pub(super) struct LayerNorm {
    pub(super) gain: Vec<f32>,
    pub(super) bias: Vec<f32>,
    pub(super) eps: f32,
}

impl LayerNorm {
    pub(super) fn new(attributes: &Attributes, constants: &mut Constants<'_>) -> TractResult<Self> {
        Ok(Self {
            gain: constants.f32s()?,
            bias: constants.f32s()?,
            eps: attributes.float("epsilon")?,
        })
    }

    /// Channels of a row.
    pub(super) fn width(&self) -> usize {
        self.gain.len()
    }

    /// Rows to be quantised are normed on the way.
    pub(super) fn prepare(&self) -> Prepare<'_> {
        Prepare::LayerNorm {
            gain: &self.gain,
            bias: &self.bias,
            eps: self.eps,
        }
    }

    /// Normed rows.
    pub(super) fn apply(&self, engine: &Engine, x: &[f32], out: &mut [f32]) {
        engine
            .kernels
            .layer_norm(x, &self.gain, &self.bias, self.eps, out);
    }
}

/// The norm after the last block of a stage.
#[derive(Debug)]
pub(super) struct StageNorm(LayerNorm);

impl StageNorm {
    pub(super) fn new(attributes: &Attributes, constants: &mut Constants<'_>) -> TractResult<Self> {
        Ok(Self(LayerNorm::new(attributes, constants)?))
    }
}

impl Apply for StageNorm {
    fn apply(
        &self,
        engine: &Engine,
        _: &mut LayerState,
        _: &[usize],
        x: &[f32],
        out: &mut [f32],
    ) -> Result<(), LayerError> {
        let width = self.0.width();
        let shares = engine.share(x.len() / width);
        let tasks = shares
            .ranges()
            .zip(shares.cut(x, width))
            .zip(shares.cut_mut(out, width));
        try_each(tasks, |_, ((rows, x), out)| {
            let mut laps = engine.profile.laps();
            self.0.apply(engine, x, out);
            laps.end(Operator::StageNorm);
            // Here the last block's overflow shows: no quantiser follows.
            finite(out, width).map_err(|e: NonFinite| e.within(rows.start))
        })?;
        Ok(())
    }
}
