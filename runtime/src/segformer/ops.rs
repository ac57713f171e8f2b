//! The operators of this family: patches, blocks, a stage's norm, the head.

mod arithmetic;
mod arithmetic_f32;
mod arithmetic_int8;
mod bands;
mod block;
mod head;
mod norm;
mod patches;
mod phases;

use tract_onnx::prelude::TractResult;

use crate::ops::constants::Constants;
use crate::ops::kind::{Attributes, Kind, Shape};
use crate::ops::layer::Layer;

/// Every operator of the family, by its name in a file; of patches without what follows `_k`.
///
/// In a file the model's input has its channels first, as Hugging Face's has. Here it comes with them last, as every
/// other map does: a session makes it so of its pixels, and nothing is transposed.
pub(crate) static OPERATORS: &[Kind] = &[
    Kind::new("SegformerPixelPatchesInt8", Shape::Windows, |a, c| {
        patches(a, c, Constants::linear_int8)
    }),
    Kind::new("SegformerPixelPatchesF32", Shape::Windows, |a, c| {
        patches(a, c, Constants::linear_f32)
    }),
    Kind::new("SegformerPatchesInt8", Shape::Windows, |a, c| {
        patches(a, c, Constants::linear_int8)
    }),
    Kind::new("SegformerPatchesF32", Shape::Windows, |a, c| {
        patches(a, c, Constants::linear_f32)
    }),
    Kind::new("SegformerBlockInt8", Shape::Same, |a, c| {
        block(a, c, Constants::linear_int8)
    }),
    Kind::new("SegformerBlockF32", Shape::Same, |a, c| {
        block(a, c, Constants::linear_f32)
    }),
    Kind::new("SegformerReducedBlockInt8", Shape::Same, |a, c| {
        block(a, c, Constants::linear_int8)
    }),
    Kind::new("SegformerReducedBlockF32", Shape::Same, |a, c| {
        block(a, c, Constants::linear_f32)
    }),
    Kind::new("LayerNormalization", Shape::Same, |a, c| {
        Ok(Layer::Apply(Box::new(norm::StageNorm::new(a, c)?)))
    }),
    Kind::new("SegformerClassificationHead", Shape::Row, |_, c| {
        Ok(Layer::Apply(Box::new(head::Head::new(c)?)))
    }),
];

/// How a linear layer is taken from an operator's constants.
type Take<'a, L> = fn(&mut Constants<'a>) -> TractResult<L>;

fn patches<'a, L: arithmetic::Arithmetic>(
    attributes: &Attributes,
    constants: &mut Constants<'a>,
    linear: Take<'a, L>,
) -> TractResult<Layer> {
    let patches = patches::Patches::new(attributes, constants, linear)?;
    Ok(Layer::Apply(Box::new(patches)))
}

fn block<'a, L: arithmetic::Arithmetic>(
    attributes: &Attributes,
    constants: &mut Constants<'a>,
    linear: Take<'a, L>,
) -> TractResult<Layer> {
    let block = block::Block::new(attributes, constants, linear)?;
    Ok(Layer::Update(Box::new(block)))
}
