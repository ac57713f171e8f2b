//! Which operators there are: names, the shapes they give, and what makes them of a node's attributes and constants.

use std::fmt;

use anyhow::{Context as _, ensure};
use igpt_kernels::Activation;
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::{TVec, TractResult};
use tract_onnx::tract_hir::internal::DimLike;

use super::constants::Constants;
use super::layer::Layer;

/// Makes an operator's layer.
type Make = fn(&Attributes, &mut Constants<'_>) -> TractResult<Layer>;

/// An operator that a file may have.
pub(crate) struct Kind {
    /// Its name in a file.
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) make: Make,
}

/// What shape an operator gives, from that of its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// The same.
    Same,
    /// Rows of another width: `[batch, tokens, width]`.
    Rows,
    /// One row for all: `[batch, width]`.
    Row,
    /// One pixel for each window of a map `[batch, height, width, channels]`.
    Windows,
}

impl Kind {
    pub(crate) const fn new(name: &'static str, shape: Shape, make: Make) -> Self {
        Self { name, shape, make }
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// A node's attributes, and what of its constants decides shapes.
#[derive(Clone, Debug)]
pub(crate) struct Attributes {
    pub(super) node: NodeProto,
    pub(super) shape: Shape,
    /// Names of the constants, in the order of the node's inputs.
    pub(super) constants: Vec<String>,
    /// Width of the output, if it is not the input's.
    pub(super) width: Option<usize>,
}

impl Attributes {
    /// An integer.
    pub(crate) fn int(&self, name: &str) -> TractResult<usize> {
        self.node.get_attr(name)
    }

    /// An integer, or none.
    pub(crate) fn int_opt(&self, name: &str) -> TractResult<Option<usize>> {
        self.node.get_attr_opt(name)
    }

    /// A number.
    pub(crate) fn float(&self, name: &str) -> TractResult<f32> {
        self.node.get_attr(name)
    }

    /// The activation.
    pub(crate) fn activation(&self) -> TractResult<Activation> {
        let name: String = self.node.get_attr("activation")?;
        let activation = crate::config::Activation::from_name(&name);
        Ok(activation
            .with_context(|| format!("activation {name}"))?
            .into())
    }

    /// The dimensions of the output for an input of these.
    pub(super) fn output_shape<D: DimLike>(&self, input: &[D]) -> TractResult<TVec<D>> {
        let mut shape: TVec<D> = input.into();
        if self.shape == Shape::Same {
            return Ok(shape);
        }
        let width = self.width.context("no constant says how wide it is")?;
        let kept = match self.shape {
            Shape::Row => 1,
            Shape::Rows => 2,
            Shape::Windows => 3,
            Shape::Same => input.len(),
        };
        ensure!(
            shape.len() >= kept,
            "an input of {} dimensions",
            shape.len()
        );
        shape.truncate(kept);
        if kept == 3 {
            let (kernel, stride) = (self.int("kernel")?, self.int("stride")?);
            ensure!(stride > 0, "a stride of 0");
            for side in &mut shape[1..] {
                *side = (side.clone() + 2 * (kernel / 2) - kernel) / stride + 1;
            }
        }
        shape.push(width.into());
        Ok(shape)
    }
}
