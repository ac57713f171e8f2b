//! Overlapping patches: a strided convolution over a map, then a norm. What they give is the residual stream.

use igpt_kernels::{Map, Windows};
use tract_onnx::prelude::TractResult;

use super::Take;
use super::arithmetic::{Arithmetic, Source, Target, split};
use super::norm::LayerNorm;
use crate::ops::constants::Constants;
use crate::ops::engine::Engine;
use crate::ops::kind::Attributes;
use crate::ops::layer::{Apply, LayerError, dims};
use crate::ops::state::LayerState;
use crate::ops::team::try_each;
use crate::profile::Operator;

/// The patches before a stage.
#[derive(Debug)]
pub(super) struct Patches<L> {
    kernel: usize,
    stride: usize,
    proj: L,
    norm: LayerNorm,
}

impl<L: Arithmetic> Patches<L> {
    pub(super) fn new<'a>(
        attributes: &Attributes,
        constants: &mut Constants<'a>,
        linear: Take<'a, L>,
    ) -> TractResult<Self> {
        Ok(Self {
            kernel: attributes.int("kernel")?,
            stride: attributes.int("stride")?,
            proj: linear(constants)?,
            norm: LayerNorm::new(attributes, constants)?,
        })
    }

    /// Patches of a map, channels last.
    fn run(&self, engine: &Engine, map: Map<'_>, out: &mut [f32]) -> Result<(), LayerError> {
        let windows = Windows {
            map,
            kernel: self.kernel,
            stride: self.stride,
            padding: self.kernel / 2,
        };
        let width = self.norm.width();
        let shares = engine.share(out.len() / width);
        let tasks = shares.ranges().zip(shares.cut_mut(out, width));
        try_each(tasks, |_, (rows, out)| {
            let first = rows.start;
            engine.with_scratch(|scratch| {
                let (narrow, mut work) = split(engine, scratch);
                narrow.resize(out.len());
                let target = Target {
                    out: narrow,
                    add: false,
                    operator: Operator::Patches,
                };
                self.proj
                    .multiply(&mut work, Source::Windows(windows, rows), target)
                    .map_err(|e| e.within(first))?;
                let mut laps = engine.profile.laps();
                self.norm.apply(engine, narrow, out);
                laps.end(Operator::Norm);
                Ok(())
            })
        })
    }
}

impl<L: Arithmetic> Apply for Patches<L> {
    fn apply(
        &self,
        engine: &Engine,
        _: &mut LayerState,
        shape: &[usize],
        x: &[f32],
        out: &mut [f32],
    ) -> Result<(), LayerError> {
        let [_, height, width, channels] = dims(shape);
        let map = Map {
            values: x,
            height,
            width,
            channels,
        };
        self.run(engine, map, out)
    }
}
