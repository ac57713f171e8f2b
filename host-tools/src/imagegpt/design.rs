//! The files of an ImageGPT.

use igpt_runtime::ImageGptConfig;
use igpt_runtime::processor::Backend;
use igpt_runtime::tools::pb::{FunctionProto, GraphProto};

use super::{functions, graph, plan};
use crate::onnx::design::Design;
use crate::onnx::plan::{Form, Initializer};

impl Design for ImageGptConfig {
    fn config(&self) -> String {
        self.to_json()
    }

    fn format(&self, form: Form, backend: Option<Backend>) -> &'static str {
        match (backend, form.panels) {
            (Some(Backend::Torchvision), _) => "3",
            (_, Some(_)) => "2",
            (_, None) => "1",
        }
    }

    fn initializers(&self, form: Form, head_bias: bool) -> Vec<Initializer> {
        plan::initializers(self, form, head_bias)
    }

    fn graph(&self, form: Form, head_bias: bool) -> GraphProto {
        graph::graph(self, form.task, form.dtype, head_bias)
    }

    fn functions(&self, form: Form, head_bias: bool) -> Vec<FunctionProto> {
        functions::functions(form, self.activation_function, head_bias)
    }
}
