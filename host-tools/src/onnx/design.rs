//! What a family of models says of its files; the writer knows no family.

use igpt_runtime::processor::Backend;
use igpt_runtime::tools::pb::{FunctionProto, GraphProto};

use super::plan::{Form, Initializer};

/// A model as its family's files have it: its configuration, and whatever else fixes the graph.
pub trait Design {
    /// Its `config.json`, normalised.
    fn config(&self) -> String;

    /// What else of the model the metadata say, after its configuration: keys and values.
    fn metadata(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// `igpt.format` of a file with functions. A reader refuses what it does not know: the lowest whose readers
    /// get everything right.
    fn format(&self, form: Form, backend: Option<Backend>) -> &'static str;

    /// Every initializer, in file order; with `head_bias` the head has a bias even if the family's has none.
    fn initializers(&self, form: Form, head_bias: bool) -> Vec<Initializer>;

    /// The graph without its initializers, which are written one by one.
    fn graph(&self, form: Form, head_bias: bool) -> GraphProto;

    /// The functions that its nodes call.
    fn functions(&self, form: Form, head_bias: bool) -> Vec<FunctionProto>;
}
