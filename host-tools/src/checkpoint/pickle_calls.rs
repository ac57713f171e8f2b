//! What the pickle machine's calls mean: which callables build tensors, and what they are given.

use super::pickle::{Machine, Step, words};
use super::pickle_globals::{Allowed, allowed};
use super::pickle_value::{Global, RawTensor, Storage, Value};

impl<'a> Machine<'a> {
    /// The allow-list.
    pub(super) fn allow(&mut self, module: &str, name: &str) -> Step<Value> {
        match allowed(module, name) {
            Some(Allowed::Known(global)) => Ok(Value::Global(global)),
            Some(Allowed::Beside) => {
                self.globals.push(format!("{module}.{name}"));
                Ok(Value::Global(Global::Other(self.globals.len() - 1)))
            }
            None => {
                self.forbidden = Some(format!("{module}.{name}"));
                Err(String::new())
            }
        }
    }

    pub(super) fn reduce(&mut self) -> Step<Value> {
        let operands = self.pop_last(2)?;
        let [callable, arguments] = *operands else {
            return Err("REDUCE without operands".into());
        };
        match (callable, self.items(arguments)?) {
            (Value::Global(Global::OrderedDict), []) => Ok(self.dict()),
            // With its items as an argument: Python up to 3.4 pickled them so.
            (Value::Global(Global::OrderedDict), [_]) => Err(
                "an OrderedDict with its items as an argument, as Python 2 pickles it: load the file with \
                 Python 3 and save it again"
                    .into(),
            ),
            (Value::Global(Global::RebuildTensor), [storage, offset, shape, stride, rest @ ..]) => {
                let (storage, offset, shape, stride) = (*storage, *offset, *shape, *stride);
                let dtype = rest.iter().find_map(|value| match value {
                    Value::Global(Global::Elements(elements)) => Some(*elements),
                    _ => None,
                });
                let Value::Storage(index) = storage else {
                    let found = storage.words();
                    return Err(format!("a tensor built on {found}, expected a storage"));
                };
                let mut storage = self.storages.get(index).ok_or("no such storage")?.clone();
                storage.elements = dtype.unwrap_or(storage.elements);
                let tensor = RawTensor {
                    storage,
                    offset: size(offset)?,
                    shape: self.sizes(shape)?,
                    stride: self.sizes(stride)?,
                    negated: self.is_negated(rest)?,
                };
                self.tensors.push(tensor);
                Ok(Value::Tensor(self.tensors.len() - 1))
            }
            // Whether it learns, its hooks and its attributes are nothing to a conversion.
            (Value::Global(Global::RebuildParameter), [tensor @ Value::Tensor(_), ..]) => {
                Ok(*tensor)
            }
            (Value::Global(Global::Other(class)) | Value::Object(class), _) => {
                Ok(Value::Object(class))
            }
            (callable, arguments) => Err(format!(
                "{} called with {} arguments: not part of a state dict",
                callable.words(),
                arguments.len()
            )),
        }
    }

    /// Whether a tensor has PyTorch's negative bit, by the arguments after its strides: whether it learns, its hooks,
    /// and at the end a dict of what else there is to know of it.
    fn is_negated(&self, rest: &[Value]) -> Step<bool> {
        let mut negated = false;
        for value in rest.get(2..).unwrap_or_default() {
            let Value::Dict(metadata) = value else {
                continue;
            };
            for (key, value) in self.dict_entries(*metadata) {
                match (self.str(*key)?, value) {
                    ("neg", Value::Bool(set)) => negated = *set,
                    // Only complex numbers differ from their conjugates, and their element type is refused.
                    ("conj", Value::Bool(_)) => {}
                    (_, value) => {
                        return Err(format!(
                            "a tensor with `{}` = {} in its metadata, whose meaning is not known here: save \
                             tensor.detach().cpu().clone() in its place",
                            self.short(*key)?,
                            value.words()
                        ));
                    }
                }
            }
        }
        Ok(negated)
    }

    /// An instance of a class: the class is all that is kept.
    pub(super) fn object(&mut self, operands: usize) -> Step<Value> {
        match self.pop_last(operands)?.first() {
            Some(Value::Global(Global::Other(class))) => Ok(Value::Object(*class)),
            other => Err(format!("an object of {}, which has no class", words(other))),
        }
    }

    pub(super) fn persistent_id(&mut self) -> Step<Value> {
        let id = self.pop()?;
        let [tag, kind, key, _location, numel] = *self.items(id)? else {
            return Err("a persistent id that is not a storage's".into());
        };
        let (Value::Global(Global::Storage(elements)), "storage") = (kind, self.str(tag)?) else {
            return Err("a persistent id that is not a storage's".into());
        };
        let storage = Storage {
            elements,
            key: self.short(key)?,
            numel: size(numel)?,
        };
        self.storages.push(storage);
        Ok(Value::Storage(self.storages.len() - 1))
    }

    fn items(&self, value: Value) -> Step<&[Value]> {
        match value {
            Value::Tuple(index) => self
                .tuples
                .get(index)
                .map(Vec::as_slice)
                .ok_or_else(|| "no such tuple".into()),
            other => Err(format!("found {}, expected a tuple", other.words())),
        }
    }

    fn sizes(&self, value: Value) -> Step<Vec<usize>> {
        let items = self.items(value)?;
        // PyTorch's own limit on the number of dimensions is 64; a weight has two.
        if items.len() > 8 {
            return Err(format!(
                "a tensor of {} dimensions, expected at most 8",
                items.len()
            ));
        }
        items.iter().map(|item| size(*item)).collect()
    }

    /// A string's text.
    pub(super) fn str(&self, value: Value) -> Step<&'a str> {
        let Value::Str(start, end) = value else {
            return Err(format!("found {}, expected a string", value.words()));
        };
        let bytes = self.pickle.get(start..end).unwrap_or_default();
        std::str::from_utf8(bytes).map_err(|_| "a string that is not UTF-8".into())
    }

    /// A name to be copied. The bound keeps a long string that many records share from multiplying.
    pub(super) fn short(&self, value: Value) -> Step<String> {
        let text = self.str(value)?;
        if text.len() > 200 {
            return Err(format!(
                "a name of {} bytes, expected at most 200",
                text.len()
            ));
        }
        Ok(text.to_owned())
    }
}

fn size(value: Value) -> Step<usize> {
    match value {
        Value::Int(n) => usize::try_from(n).map_err(|_| format!("the size {n} is negative")),
        other => Err(format!("found {}, expected a size", other.words())),
    }
}
