//! The files of a SegFormer.

use igpt_runtime::processor::Backend;
use igpt_runtime::tools::pb::{FunctionProto, GraphProto};
use igpt_runtime::{ConfigError, SegformerConfig};

use super::{functions, graph, plan};
use crate::onnx::design::Design;
use crate::onnx::plan::{Form, Initializer};

/// A model for pictures of one size, which its graph fixes.
#[derive(Clone, Debug)]
pub struct SizedModel<'a> {
    pub(super) config: &'a SegformerConfig,
    /// Height and width.
    pub(super) size: (usize, usize),
    /// Those of each stage's map.
    pub(super) grids: Vec<(usize, usize)>,
}

impl<'a> SizedModel<'a> {
    /// For pictures of this height and width.
    ///
    /// # Errors
    /// A size at which the map of a stage is smaller than its reduction.
    pub fn new(config: &'a SegformerConfig, size: (usize, usize)) -> Result<Self, ConfigError> {
        let (height, width) = size;
        Ok(Self {
            config,
            size,
            grids: config.grids(height, width)?,
        })
    }
}

impl Design for SizedModel<'_> {
    fn config(&self) -> String {
        self.config.to_json()
    }

    fn format(&self, _: Form, _: Option<Backend>) -> &'static str {
        "4"
    }

    fn initializers(&self, form: Form, _: bool) -> Vec<Initializer> {
        plan::initializers(self.config, form)
    }

    fn graph(&self, form: Form, _: bool) -> GraphProto {
        graph::graph(self, form)
    }

    fn functions(&self, form: Form, _: bool) -> Vec<FunctionProto> {
        functions::functions(self.config, form)
    }
}
