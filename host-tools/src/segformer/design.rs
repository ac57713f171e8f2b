//! The files of a SegFormer.

use igpt_runtime::processor::Backend;
use igpt_runtime::tools::pb::{FunctionProto, GraphProto};

use super::sized::SizedModel;
use super::{functions, graph, plan};
use crate::onnx::design::Design;
use crate::onnx::plan::{Form, Initializer};

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
