//! Where in a pickled checkpoint the state dict is: at its top, or beside what else a training script saved.

use std::collections::HashSet;

use super::pickle::{self, Machine};
use super::pickle_value::{Fault, RawTensor, Value};

/// Dicts within dicts are searched so deep.
const DEPTH: usize = 4;
/// The name of a tensor by which the model's weights are known: every ImageGPT has it.
const MARK: &str = "wte.weight";

/// Runs `pickle` and returns the tensors of the state dict in what it builds, in order.
pub(super) fn load(pickle: &[u8]) -> Result<Vec<(String, RawTensor)>, Fault> {
    let (machine, top) = pickle::run(pickle)?;
    find(&machine, top)
}

/// The tensors of the state dict in what a pickle built, in order.
///
/// That is the dict at the top if it holds tensors only or the model's; else the one dict in it that holds the
/// model's, as Lightning's `state_dict` or DeepSpeed's `module`.
fn find(machine: &Machine<'_>, top: Value) -> Result<Vec<(String, RawTensor)>, Fault> {
    let end = machine.position();
    let at_end = |message| Fault::At(end, message);
    let dict = match top {
        Value::Dict(dict) => dict,
        // A whole model, say: its class is what the user has to know.
        Value::Object(class) => {
            return Err(Fault::Forbidden(machine.global_name(class).to_owned()));
        }
        other => {
            let found = other.words();
            return Err(at_end(format!("found {found}, expected a dict of tensors")));
        }
    };
    let mut found = Vec::new();
    if !is_flat(machine, dict) {
        search(machine, dict, "", DEPTH, &mut HashSet::new(), &mut found);
    }
    match found.as_slice() {
        // Of the dict at the top it is told what is wrong with it.
        [] => entries(machine, dict),
        [(_, nested)] => entries(machine, *nested),
        several => {
            let names: Vec<&str> = several.iter().map(|(name, _)| name.as_str()).collect();
            Err(at_end(format!(
                "{} all hold a model's weights, expected one: save that one alone, with \
                 torch.save(checkpoint[KEY], \"pytorch_model.bin\")",
                names.join(" and ")
            )))
        }
    }
}

/// Whether a dict holds nothing but tensors, or the model's.
fn is_flat(machine: &Machine<'_>, dict: usize) -> bool {
    let entries = machine.dict_entries(dict);
    let tensors = entries
        .iter()
        .all(|(_, value)| matches!(value, Value::Tensor(_)));
    tensors || holds_model(machine, dict)
}

fn holds_model(machine: &Machine<'_>, dict: usize) -> bool {
    let is_mark = |name: &str| name == MARK || name.ends_with(".wte.weight");
    machine.dict_entries(dict).iter().any(|(key, value)| {
        matches!(value, Value::Tensor(_)) && machine.str(*key).is_ok_and(is_mark)
    })
}

/// Finds the dicts in `dict` that hold a model's weights, each once.
fn search(
    machine: &Machine<'_>,
    dict: usize,
    within: &str,
    depth: usize,
    seen: &mut HashSet<usize>,
    found: &mut Vec<(String, usize)>,
) {
    if depth == 0 || !seen.insert(dict) {
        return;
    }
    for (key, value) in machine.dict_entries(dict) {
        let (Value::Dict(nested), Ok(key)) = (*value, machine.short(*key)) else {
            continue;
        };
        let name = if within.is_empty() {
            format!("`{key}`")
        } else {
            format!("{within}.`{key}`")
        };
        if !holds_model(machine, nested) {
            search(machine, nested, &name, depth - 1, seen, found);
        } else if seen.insert(nested) {
            found.push((name, nested));
        }
    }
}

fn entries(machine: &Machine<'_>, dict: usize) -> Result<Vec<(String, RawTensor)>, Fault> {
    let at_end = |message| Fault::At(machine.position(), message);
    let entry = |(key, value): &(Value, Value)| {
        let name = machine.short(*key).map_err(at_end)?;
        match value {
            Value::Tensor(tensor) => Ok((name, machine.tensor(*tensor).map_err(at_end)?.clone())),
            Value::Object(class) => Err(Fault::Forbidden(machine.global_name(*class).to_owned())),
            other => Err(at_end(format!(
                "`{name}` is {}, expected a tensor: save the weights alone, with \
                 torch.save(model.state_dict(), \"pytorch_model.bin\")",
                other.words()
            ))),
        }
    };
    machine.dict_entries(dict).iter().map(entry).collect()
}
