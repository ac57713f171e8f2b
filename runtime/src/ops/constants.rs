//! The constants of one operator, from the file to what its kernels take: where they lie if possible, packed
//! if not.

use anyhow::{Context as _, ensure};
use igpt_kernels::{Int4Matrix, PackedF32, PackedInt8};
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::prelude::TractResult;

use super::block_f32::LinearF32;
use super::block_int8::LinearInt8;
use super::embedding::{Embedding, f32s};
use super::engine::Engine;
use crate::onnx::weights::{Constant, Weights};

/// Bytes of a block of int4 weights. What the next matrix does not fit into is never touched.
const BLOCK: usize = 16 << 20;

/// An operator's constants, in the order of its inputs.
pub(super) struct Constants<'a> {
    pub(super) names: &'a [String],
    pub(super) weights: &'a Weights,
    pub(super) engine: &'a Engine,
}

impl Constants<'_> {
    /// Name and constant `i`.
    pub(super) fn get(&self, i: usize) -> TractResult<(&str, &Constant)> {
        let name = self.names.get(i);
        let name = name.with_context(|| format!("no constant {i}"))?;
        let constant = self.weights.constants.get(name);
        Ok((
            name,
            constant.with_context(|| format!("no initializer {name}"))?,
        ))
    }

    pub(super) fn f32s(&self, i: usize) -> TractResult<Vec<f32>> {
        Ok(f32s(&self.get(i)?.1.bytes).collect())
    }

    /// Weight, packed for these kernels, scale and bias from constant `i` on.
    pub(super) fn linear_int8(&self, i: usize) -> TractResult<LinearInt8> {
        let (name, Constant { bytes, .. }) = self.get(i)?;
        let (k, n) = self.matrix(i)?;
        let w = self.engine.kernels.packed(bytes.clone(), k, n);
        self.finish(i + 1, w.with_context(|| format!("initializer {name}"))?)
    }

    /// int4 weight, multipliers, scale and bias from constant `i` on.
    pub(super) fn linear_int4(&self, i: usize) -> TractResult<LinearInt8> {
        let (name, Constant { bytes, .. }) = self.get(i)?;
        let (k, n) = self.matrix(i)?;
        let multipliers = &self.get(i + 1)?.1.bytes;
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
        self.finish(i + 2, w)
    }

    /// Scale and bias from constant `i` on for `w`.
    fn finish(&self, i: usize, w: PackedInt8) -> TractResult<LinearInt8> {
        let (w_scale, bias) = (self.f32s(i)?, self.f32s(i + 1)?);
        let n = w.n();
        ensure!(
            w_scale.len() == n && bias.len() == n,
            "{} scales and {} biases for {n} channels",
            w_scale.len(),
            bias.len()
        );
        Ok(LinearInt8 { w, w_scale, bias })
    }

    /// Weight and bias from constant `i` on.
    pub(super) fn linear_f32(&self, i: usize) -> TractResult<LinearF32> {
        let (k, n) = self.matrix(i)?;
        let bytes = &self.get(i)?.1.bytes;
        let w = PackedF32::new(&self.f32s(i)?, k, n);
        self.weights.source.release(bytes);
        let bias = self.f32s(i + 1)?;
        ensure!(bias.len() == n, "{} biases for {n} channels", bias.len());
        Ok(LinearF32 { w, bias })
    }

    pub(super) fn embedding(&self, i: usize) -> TractResult<Embedding> {
        let Constant { bytes, kind, .. } = self.get(i)?.1;
        Ok(if *kind == DataType::Float16 {
            Embedding::F16(bytes.clone())
        } else {
            Embedding::F32(bytes.clone())
        })
    }

    fn matrix(&self, i: usize) -> TractResult<(usize, usize)> {
        let (name, Constant { dims, .. }) = self.get(i)?;
        let [k, n] = dims[..] else {
            anyhow::bail!("initializer {name}: shape {dims:?}, expected a matrix")
        };
        Ok((k, n))
    }
}
