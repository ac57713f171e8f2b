//! What a pickle may name: what a state dict is built of, and what a training script keeps beside it.

use super::pickle_value::{Elements, Global};

/// Libraries whose objects lie beside the weights in training checkpoints (hyper-parameters, callbacks,
/// metrics, optimizers). They are passed over, not built.
const BESIDE: [&str; 14] = [
    "argparse",
    "collections",
    "datetime",
    "lightning",
    "lightning_fabric",
    "lightning_utilities",
    "numpy",
    "omegaconf",
    "pathlib",
    "pytorch_lightning",
    "torch",
    "torchmetrics",
    "transformers",
    "typing",
];

/// The same of Python's own: plain types, and what numpy's scalars are pickled with.
const BESIDE_BUILTIN: [(&str, &str); 16] = [
    ("builtins", "bool"),
    ("builtins", "bytearray"),
    ("builtins", "bytes"),
    ("builtins", "complex"),
    ("builtins", "dict"),
    ("builtins", "float"),
    ("builtins", "frozenset"),
    ("builtins", "int"),
    ("builtins", "list"),
    ("builtins", "object"),
    ("builtins", "range"),
    ("builtins", "set"),
    ("builtins", "slice"),
    ("builtins", "str"),
    ("builtins", "tuple"),
    ("_codecs", "encode"),
];

/// What the machine makes of a global.
pub(super) enum Allowed {
    /// It knows what it means.
    Known(Global),
    /// It passes over whatever is made of it.
    Beside,
}

/// What `module.name` is, or nothing for what has no business in a checkpoint.
pub(super) fn allowed(module: &str, name: &str) -> Option<Allowed> {
    let known = match (module, name) {
        ("collections", "OrderedDict") => Some(Global::OrderedDict),
        ("torch._utils", "_rebuild_tensor_v2" | "_rebuild_tensor_v3") => {
            Some(Global::RebuildTensor)
        }
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
            Some(Global::RebuildParameter)
        }
        ("torch" | "torch.storage", class) => Elements::of_storage(class)
            .map(Global::Storage)
            .or_else(|| Elements::of_dtype(class).map(Global::Elements)),
        _ => None,
    };
    if let Some(known) = known {
        return Some(Allowed::Known(known));
    }
    // Python 2's name, which pickles up to protocol 2 are written with.
    let module = if module == "__builtin__" {
        "builtins"
    } else {
        module
    };
    let root = module.split('.').next().unwrap_or(module);
    let beside = BESIDE.contains(&root) || BESIDE_BUILTIN.contains(&(module, name));
    beside.then_some(Allowed::Beside)
}
