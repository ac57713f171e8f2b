//! Plans for parts of a graph: what computes only some values, what begins in its middle.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context as _;
use tract_onnx::prelude::{
    DatumExt as _, IntoRunnable as _, OutletId, SpecialOps as _, TVec, TypedModel, TypedSimplePlan,
};
use tract_onnx::tract_hir::internal::{ToDim as _, TractResult};

/// A piece of a graph that is run by itself.
#[derive(Debug)]
pub(crate) struct Segment {
    /// The value that it begins with and its width, `[1, tokens, width]`; `None` of the first, which begins with the graph's input.
    pub(crate) from: Option<(String, usize)>,
    /// The values that it computes.
    pub(crate) to: Vec<String>,
}

impl Segment {
    pub(super) fn plan(&self, typed: &TypedModel) -> TractResult<Arc<TypedSimplePlan>> {
        let Some((from, width)) = &self.from else {
            return select(typed, &self.to);
        };
        let mut model = TypedModel {
            symbols: typed.symbols.clone(),
            ..TypedModel::default()
        };
        let tokens = model.symbols.sym("tokens").to_dim();
        let shape = [1.to_dim(), tokens, width.to_dim()];
        let source = model.add_source(from, f32::fact(shape))?;
        let mut copied = HashMap::from([(labelled(typed, from)?, source)]);
        let outputs = self.to.iter().map(|name| {
            let outlet = copy(typed, labelled(typed, name)?, &mut model, &mut copied)?;
            model.set_outlet_label(outlet, name.clone())?;
            Ok(outlet)
        });
        let outputs = outputs.collect::<TractResult<Vec<OutletId>>>()?;
        model.select_output_outlets(&outputs)?;
        model.into_runnable()
    }
}

/// Copies what computes `outlet` of `typed` into `model`, but for what has been `copied`.
fn copy(
    typed: &TypedModel,
    outlet: OutletId,
    model: &mut TypedModel,
    copied: &mut HashMap<OutletId, OutletId>,
) -> TractResult<OutletId> {
    if let Some(copy) = copied.get(&outlet) {
        return Ok(*copy);
    }
    let node = typed.node(outlet.node);
    let inputs = node.inputs.iter();
    let inputs = inputs.map(|input| copy(typed, *input, model, copied));
    let inputs = inputs.collect::<TractResult<TVec<OutletId>>>()?;
    let outlets = model.wire_node(&*node.name, node.op.clone(), &inputs)?;
    let found = outlets.get(outlet.slot).copied();
    let found = found.with_context(|| format!("{} has no output {}", node.name, outlet.slot))?;
    copied.insert(outlet, found);
    Ok(found)
}

/// The value of this name.
fn labelled(typed: &TypedModel, name: &str) -> TractResult<OutletId> {
    let outlet = typed.find_outlet_label(name);
    outlet.with_context(|| format!("the graph has no value {name}"))
}

/// A plan that computes only the values of these names.
pub(super) fn select(typed: &TypedModel, names: &[String]) -> TractResult<Arc<TypedSimplePlan>> {
    let outlets = names.iter().map(|name| labelled(typed, name));
    only(typed, &outlets.collect::<TractResult<Vec<_>>>()?)
}

/// A plan that computes only these values.
pub(super) fn only(typed: &TypedModel, outlets: &[OutletId]) -> TractResult<Arc<TypedSimplePlan>> {
    let mut model = typed.clone();
    model.select_output_outlets(outlets)?;
    // Without tract's optimiser: it rewrites tract's own operators, none of which is here, and would link them all.
    model.into_compact()?.into_runnable()
}
