//! A block of an ImageGPT rounded matrix by matrix, in the order of the forward pass: each for what those before it now give.

use igpt_kernels::NonFinite;

use super::RoundedBlock;
use super::forward::Forward;
use crate::calibration::fitting::{Fitted, fit};
use crate::calibration::products::{add, minus};
use crate::imagegpt::block::BlockWeights;
use crate::quantization::linear_weights::LinearWeights;

/// Rounds `block` for the int8 model's stream `x`, beside the f32 model's `exact`, and takes both past it, a
/// chunk after the other: what lies between two layers is computed anew for each of them rather than held for
/// all sequences.
pub(super) fn round(
    forward: &Forward,
    layer: usize,
    mut block: BlockWeights,
    exact: &mut [f32],
    x: &mut [f32],
) -> Result<RoundedBlock, NonFinite> {
    let products = forward.products();
    let c_attn = fit_chunks(forward, &block.c_attn, exact, x, |exact, x| {
        let rows = forward.normed_rows(x, &block.ln_1);
        Ok((rows, forward.queries_keys_values(&block, exact)))
    })?;
    let attended = |x: &[f32]| {
        let rows = forward.normed_rows(x, &block.ln_1);
        forward.attended_rows(layer, c_attn.apply(products, &rows))
    };
    let attn_c_proj = fit_chunks(forward, &block.attn_c_proj, exact, x, |exact, x| {
        let middle = forward.middle(layer, &block, exact)?;
        exact.copy_from_slice(&middle);
        Ok((attended(x)?, minus(&middle, x)))
    })?;
    for x in x.chunks_mut(forward.chunk()) {
        let added = attn_c_proj.apply(products, &attended(x)?);
        add(x, &added);
    }
    let c_fc = fit_chunks(forward, &block.c_fc, exact, x, |exact, x| {
        let rows = forward.normed_rows(x, &block.ln_2);
        Ok((rows, forward.inner_rows(&block, exact)))
    })?;
    let active = |x: &[f32]| {
        let rows = forward.normed_rows(x, &block.ln_2);
        forward.active_rows(c_fc.apply(products, &rows))
    };
    let mlp_c_proj = fit_chunks(forward, &block.mlp_c_proj, exact, x, |exact, x| {
        let output = forward.output(&block, exact);
        exact.copy_from_slice(&output);
        Ok((active(x), minus(&output, x)))
    })?;
    for x in x.chunks_mut(forward.chunk()) {
        let added = mlp_c_proj.apply(products, &active(x));
        add(x, &added);
    }
    block.c_attn.bias = c_attn.bias;
    block.attn_c_proj.bias = attn_c_proj.bias;
    block.c_fc.bias = c_fc.bias;
    block.mlp_c_proj.bias = mlp_c_proj.bias;
    let matrices = [
        c_attn.matrix,
        attn_c_proj.matrix,
        c_fc.matrix,
        mlp_c_proj.matrix,
    ];
    Ok(RoundedBlock { block, matrices })
}

/// Rounds `linear`. Of each chunk of the two streams `of` gives what the layer reads and what it should then write.
fn fit_chunks(
    forward: &Forward,
    linear: &LinearWeights,
    exact: &mut [f32],
    x: &[f32],
    mut of: impl FnMut(&mut [f32], &[f32]) -> Result<(Vec<f32>, Vec<f32>), NonFinite>,
) -> Result<Fitted, NonFinite> {
    let chunk = forward.chunk();
    let chunks = exact.chunks_mut(chunk).zip(x.chunks(chunk));
    fit(
        forward.products(),
        linear,
        chunks.map(|(exact, x)| of(exact, x)),
    )
}
