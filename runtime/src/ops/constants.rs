//! The constants of one operator, from the file to what its kernels take: where they lie if possible, packed
//! if not.

use anyhow::{Context as _, ensure};
use igpt_kernels::{Int4Matrix, PackedF32, PackedInt8};
use tract_onnx::prelude::TractResult;

use super::engine::Engine;
use super::linear_f32::LinearF32;
use super::linear_int8::LinearInt8;
use crate::onnx::weights::{Constant, Weights};

/// Bytes of a block of int4 weights. What the next matrix does not fit into is never touched.
const BLOCK: usize = 16 << 20;

/// An operator's constants, taken one after the other in the order of its inputs.
pub(crate) struct Constants<'a> {
    names: std::slice::Iter<'a, String>,
    weights: &'a Weights,
    engine: &'a Engine,
}

impl<'a> Constants<'a> {
    /// Those of these names.
    pub(crate) fn new(names: &'a [String], weights: &'a Weights, engine: &'a Engine) -> Self {
        Self {
            names: names.iter(),
            weights,
            engine,
        }
    }

    /// How many are left.
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// Name and values of the next.
    fn take(&mut self) -> TractResult<(&'a str, &'a Constant)> {
        let name = self.names.next().context("too few constants")?;
        let constant = self.weights.constants.get(name);
        Ok((
            name,
            constant.with_context(|| format!("no initializer {name}"))?,
        ))
    }

    /// As [`Constants::take`], of two dimensions.
    pub(crate) fn take_matrix(&mut self) -> TractResult<(&'a str, &'a Constant, [usize; 2])> {
        let (name, constant) = self.take()?;
        let [k, n] = constant.dims[..] else {
            let dims = &constant.dims;
            anyhow::bail!("initializer {name}: shape {dims:?}, expected a matrix")
        };
        Ok((name, constant, [k, n]))
    }

    /// A vector.
    pub(crate) fn f32s(&mut self) -> TractResult<Vec<f32>> {
        Ok(f32s(&self.take()?.1.bytes).collect())
    }

    /// The weight of a classification head, and its width.
    pub(crate) fn head(&mut self) -> TractResult<(Vec<f32>, usize)> {
        let (_, Constant { bytes, .. }, [_, width]) = self.take_matrix()?;
        Ok((f32s(bytes).collect(), width))
    }

    /// Weight, packed for these kernels, scale and bias.
    pub(crate) fn linear_int8(&mut self) -> TractResult<LinearInt8> {
        let (name, Constant { bytes, .. }, [k, n]) = self.take_matrix()?;
        let w = self.engine.kernels.packed(bytes.clone(), k, n);
        self.finish(w.with_context(|| format!("initializer {name}"))?)
    }

    /// int4 weight, multipliers, scale and bias.
    pub(crate) fn linear_int4(&mut self) -> TractResult<LinearInt8> {
        let (name, Constant { bytes, .. }, [k, n]) = self.take_matrix()?;
        let multipliers = &self.take()?.1.bytes;
        let matrix = Int4Matrix::new(bytes, multipliers, k, n);
        let matrix = matrix.with_context(|| format!("initializer {name}"))?;
        let kernels = self.engine.kernels;
        let len = BLOCK.max(kernels.int4_len(k, n));
        let w = self
            .engine
            .weights
            .take(len, |slab| kernels.pack_int4_in(&matrix, slab));
        // Without memory for a block there may be some for a matrix, or whoever hands it out says that there is none.
        let w = w.unwrap_or_else(|| kernels.pack_int4(&matrix));
        self.weights.source.release(bytes);
        self.finish(w)
    }

    /// Scale and bias for `w`.
    fn finish(&mut self, w: PackedInt8) -> TractResult<LinearInt8> {
        let (w_scale, bias) = (self.f32s()?, self.f32s()?);
        let n = w.n();
        ensure!(
            w_scale.len() == n && bias.len() == n,
            "{} scales and {} biases for {n} channels",
            w_scale.len(),
            bias.len()
        );
        Ok(LinearInt8 { w, w_scale, bias })
    }

    /// Weight and bias.
    pub(crate) fn linear_f32(&mut self) -> TractResult<LinearF32> {
        let (_, Constant { bytes, .. }, [k, n]) = self.take_matrix()?;
        let values: Vec<f32> = f32s(bytes).collect();
        let w = PackedF32::new(&values, k, n);
        self.weights.source.release(bytes);
        let bias = self.f32s()?;
        ensure!(bias.len() == n, "{} biases for {n} channels", bias.len());
        Ok(LinearF32 { w, bias })
    }
}

/// Little-endian numbers, wherever they lie.
pub(crate) fn f32s(bytes: &[u8]) -> impl Iterator<Item = f32> {
    let (values, _) = bytes.as_chunks::<4>();
    values.iter().map(|bytes| f32::from_le_bytes(*bytes))
}
