//! The head: the mean over all tokens, then a linear layer.

use tract_onnx::prelude::TractResult;

use crate::ops::constants::Constants;
use crate::ops::engine::Engine;
use crate::ops::layer::{Apply, LayerError, finite};
use crate::ops::pooled::PooledHead;
use crate::ops::state::LayerState;
use crate::profile::Operator;

/// A classification head.
#[derive(Debug)]
pub(super) struct Head(PooledHead);

impl Head {
    pub(super) fn new(constants: &mut Constants<'_>) -> TractResult<Self> {
        Ok(Self(PooledHead::new(constants)?))
    }
}

impl Apply for Head {
    fn apply(
        &self,
        engine: &Engine,
        _: &mut LayerState,
        _: &[usize],
        x: &[f32],
        out: &mut [f32],
    ) -> Result<(), LayerError> {
        let mut laps = engine.profile.laps();
        let (mut tokens, mut sums) = (0, Vec::new());
        self.0.pool(engine.kernels, x, &mut tokens, &mut sums);
        self.0.logits(engine, tokens, &sums, out);
        laps.end(Operator::Classifier);
        Ok(finite(out, usize::MAX)?)
    }
}
