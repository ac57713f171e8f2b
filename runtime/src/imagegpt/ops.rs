//! The operators of this family: embeddings, blocks, the last norm, the heads.

mod block;
mod block_f32;
mod block_int8;
mod embedding;
mod lanes;
mod layers;

use crate::ops::constants::Constants;
use crate::ops::kind::{Kind, Shape};
use crate::ops::layer::Layer;
use block::Block;
use embedding::Embedding;
use layers::{ClassificationHead, Norm};

/// Every operator of the family, by its name in a file.
pub(crate) static OPERATORS: &[Kind] = &[
    Kind::new("ImageGptEmbedding", Shape::Rows, |_, c| {
        Ok(Layer::Embed(Box::new(Embedding::new(c)?)))
    }),
    Kind::new("ImageGptBlockInt8", Shape::Same, |a, c| {
        let block = Block::new(a, c, Constants::linear_int8)?;
        Ok(Layer::Update(Box::new(block)))
    }),
    Kind::new("ImageGptBlockInt4", Shape::Same, |a, c| {
        let block = Block::new(a, c, Constants::linear_int4)?;
        Ok(Layer::Update(Box::new(block)))
    }),
    Kind::new("ImageGptBlockF32", Shape::Same, |a, c| {
        let block = Block::new(a, c, Constants::linear_f32)?;
        Ok(Layer::Update(Box::new(block)))
    }),
    Kind::new("RMSNormalization", Shape::Same, |a, c| {
        Ok(Layer::Apply(Box::new(Norm::new(a, c)?)))
    }),
    Kind::new("ImageGptLinearInt8", Shape::Rows, |_, c| {
        Ok(Layer::Apply(Box::new(c.linear_int8()?)))
    }),
    Kind::new("ImageGptLinearF32", Shape::Rows, |_, c| {
        Ok(Layer::Apply(Box::new(c.linear_f32()?)))
    }),
    Kind::new("ImageGptClassificationHead", Shape::Row, |_, c| {
        Ok(Layer::Apply(Box::new(ClassificationHead::new(c)?)))
    }),
];
