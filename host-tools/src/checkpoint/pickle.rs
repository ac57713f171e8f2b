//! A pickle machine that can build a state dict of tensors and nothing else.
//!
//! Python's pickle is a program; this runs the few instructions `torch.save` emits for a state dict and
//! refuses all others by name. Calls are not executed: `REDUCE` and `BUILD` know the three callables of
//! the allow-list and what they mean. Every container lives in an arena and every [`Value`] is `Copy`, so
//! neither nesting depth nor sharing can exhaust the stack, and memory is linear in the pickle's length.

use std::collections::HashMap;
use std::ops::Range;

use super::pickle_value::{Fault, Global, RawTensor, Storage, StorageKind, Value};

type Step<T> = Result<T, String>;

/// Runs `pickle` and returns the entries of the dict it builds, in order.
pub(super) fn load_state_dict(pickle: &[u8]) -> Result<Vec<(String, RawTensor)>, Fault> {
    let mut machine = Machine {
        pickle,
        ..Machine::default()
    };
    let top = machine.run()?;
    let end = machine.at;
    machine
        .entries(top)
        .map_err(|message| Fault::At(end, message))
}

#[derive(Default)]
struct Machine<'a> {
    pickle: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
    tuples: Vec<Vec<Value>>,
    dicts: Vec<Vec<(Value, Value)>>,
    storages: Vec<Storage>,
    tensors: Vec<RawTensor>,
    forbidden: Option<String>,
}

impl<'a> Machine<'a> {
    fn run(&mut self) -> Result<Value, Fault> {
        loop {
            let start = self.at;
            match self.step() {
                Ok(None) => {}
                Ok(Some(value)) => return Ok(value),
                Err(message) => {
                    return Err(match self.forbidden.take() {
                        Some(global) => Fault::Forbidden(global),
                        None => Fault::At(start, message),
                    });
                }
            }
        }
    }

    /// One instruction; `Some` on `STOP`. Letters are pickle's own opcodes (`pickletools`).
    fn step(&mut self) -> Step<Option<Value>> {
        let [opcode] = self.array()?;
        let value = match opcode {
            b'.' => return self.pop().map(Some),
            0x80 => {
                let [protocol] = self.array()?;
                return if (2..=5).contains(&protocol) {
                    Ok(None)
                } else {
                    Err(format!("pickle protocol {protocol}, expected 2 to 5"))
                };
            }
            // FRAME (protocol 4): its length says nothing that the instructions do not.
            0x95 => return self.array::<8>().map(|_| None),
            b'(' => {
                self.marks.push(self.stack.len());
                return Ok(None);
            }
            b'q' => {
                let [index] = self.array()?;
                return self.put(index.into());
            }
            b'r' => {
                let index = u32::from_le_bytes(self.array()?);
                return self.put(index);
            }
            0x94 => return self.put(u32::try_from(self.memo.len()).unwrap_or(u32::MAX)),
            b'h' => {
                let [index] = self.array()?;
                self.get(index.into())?
            }
            b'j' => {
                let index = u32::from_le_bytes(self.array()?);
                self.get(index)?
            }
            b'N' => Value::None,
            0x88 | 0x89 => Value::Bool,
            b'K' => Value::Int(u8::from_le_bytes(self.array()?).into()),
            b'M' => Value::Int(u16::from_le_bytes(self.array()?).into()),
            b'J' => Value::Int(i32::from_le_bytes(self.array()?).into()),
            0x8a => self.long()?,
            b'G' => self.array::<8>().map(|_| Value::Float)?,
            0x8c => {
                let [length] = self.array()?;
                self.text(length.into())?
            }
            b'X' => {
                let length = u32::from_le_bytes(self.array()?);
                self.text(length as usize)?
            }
            b')' => self.tuple(Vec::new()),
            0x85..=0x87 => {
                let length = usize::from(opcode - 0x84);
                let items = self.pop_last(length)?;
                self.tuple(items)
            }
            b't' => {
                let items = self.pop_to_mark()?;
                self.tuple(items)
            }
            // A list can only be an ignored attribute (of `_metadata`), so its items are dropped.
            b']' => Value::List,
            b'a' => return self.pop_last(1).map(|_| None),
            b'e' => return self.pop_to_mark().map(|_| None),
            b'}' => self.dict(),
            b's' => {
                let items = self.pop_last(2)?;
                return self.set_items(&items);
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                return self.set_items(&items);
            }
            b'c' => self.global()?,
            0x93 => {
                let names = self.pop_last(2)?;
                let [module, name] = *names else {
                    return Err("STACK_GLOBAL without names".into());
                };
                let (module, name) = (self.str(module)?.to_owned(), self.str(name)?.to_owned());
                self.allow(&module, &name)?
            }
            b'R' => self.reduce()?,
            b'b' => {
                // torch attaches `_metadata` (version numbers) to the dict: nothing we use.
                self.pop()?;
                return match self.stack.last() {
                    Some(Value::Dict(_)) => Ok(None),
                    other => Err(format!("BUILD on {other:?}, expected a dict")),
                };
            }
            b'Q' => self.persistent_id()?,
            other => {
                return Err(format!(
                    "opcode 0x{other:02x} does not belong in a state dict"
                ));
            }
        };
        self.stack.push(value);
        Ok(None)
    }

    fn array<const N: usize>(&mut self) -> Step<[u8; N]> {
        let range = self.take(N)?;
        self.pickle
            .get(range)
            .and_then(|b| b.try_into().ok())
            .ok_or_else(|| "the pickle ends early".into())
    }

    /// Advances over the next `length` bytes.
    fn take(&mut self, length: usize) -> Step<Range<usize>> {
        let end = self
            .at
            .checked_add(length)
            .filter(|end| *end <= self.pickle.len());
        let end = end.ok_or("the pickle ends early")?;
        let range = self.at..end;
        self.at = end;
        Ok(range)
    }

    fn line(&mut self) -> Step<&'a str> {
        let pickle = self.pickle;
        let rest = pickle.get(self.at..).unwrap_or_default();
        let length = rest
            .iter()
            .position(|b| *b == b'\n')
            .ok_or("a name without its end of line")?;
        let range = self.take(length + 1)?;
        let name = pickle.get(range.start..range.end - 1).unwrap_or_default();
        std::str::from_utf8(name).map_err(|_| "a name that is not UTF-8".into())
    }

    fn text(&mut self, length: usize) -> Step<Value> {
        let range = self.take(length)?;
        match std::str::from_utf8(self.pickle.get(range.clone()).unwrap_or_default()) {
            Ok(_) => Ok(Value::Str(range.start, range.end)),
            Err(_) => Err("a string that is not UTF-8".into()),
        }
    }

    /// `LONG1`: a little-endian two's complement integer of up to 8 bytes.
    fn long(&mut self) -> Step<Value> {
        let [length] = self.array()?;
        if length > 8 {
            return Err(format!("an integer of {length} bytes, expected at most 8"));
        }
        let range = self.take(length.into())?;
        let bytes = self.pickle.get(range).unwrap_or_default();
        let fill = if bytes.last().is_some_and(|b| *b >= 0x80) {
            0xff
        } else {
            0
        };
        let mut wide = [fill; 8];
        for (to, from) in wide.iter_mut().zip(bytes) {
            *to = *from;
        }
        Ok(Value::Int(i64::from_le_bytes(wide)))
    }

    fn pop(&mut self) -> Step<Value> {
        // Below a mark lies somebody else's operand.
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err("the stack is empty".into());
        }
        self.stack.pop().ok_or_else(|| "the stack is empty".into())
    }

    fn pop_last(&mut self, count: usize) -> Step<Vec<Value>> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let start = self
            .stack
            .len()
            .checked_sub(count)
            .filter(|start| *start >= floor);
        Ok(self
            .stack
            .split_off(start.ok_or("too few operands on the stack")?))
    }

    fn pop_to_mark(&mut self) -> Step<Vec<Value>> {
        let mark = self.marks.pop().filter(|mark| *mark <= self.stack.len());
        Ok(self.stack.split_off(mark.ok_or("no mark on the stack")?))
    }

    fn put(&mut self, index: u32) -> Step<Option<Value>> {
        let top = self
            .stack
            .last()
            .copied()
            .ok_or("nothing to put into the memo")?;
        self.memo.insert(index, top);
        Ok(None)
    }

    fn get(&self, index: u32) -> Step<Value> {
        self.memo
            .get(&index)
            .copied()
            .ok_or_else(|| format!("memo entry {index} was never put"))
    }

    fn tuple(&mut self, items: Vec<Value>) -> Value {
        self.tuples.push(items);
        Value::Tuple(self.tuples.len() - 1)
    }

    fn dict(&mut self) -> Value {
        self.dicts.push(Vec::new());
        Value::Dict(self.dicts.len() - 1)
    }

    fn set_items(&mut self, items: &[Value]) -> Step<Option<Value>> {
        let (pairs, rest) = items.as_chunks::<2>();
        let Some(Value::Dict(index)) = self.stack.last().copied() else {
            return Err(format!(
                "SETITEMS on {:?}, expected a dict",
                self.stack.last()
            ));
        };
        match self.dicts.get_mut(index) {
            Some(dict) if rest.is_empty() => {
                dict.extend(pairs.iter().map(|[key, value]| (*key, *value)))
            }
            _ => return Err("SETITEMS with a key but no value".into()),
        }
        Ok(None)
    }

    fn global(&mut self) -> Step<Value> {
        let (module, name) = (self.line()?, self.line()?);
        self.allow(module, name)
    }

    /// The allow-list.
    fn allow(&mut self, module: &str, name: &str) -> Step<Value> {
        Ok(Value::Global(match (module, name) {
            ("collections", "OrderedDict") => Global::OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2") => Global::RebuildTensor,
            ("torch", "FloatStorage") => Global::Storage(StorageKind::Float),
            ("torch", "HalfStorage") => Global::Storage(StorageKind::Half),
            ("torch", "BFloat16Storage") => Global::Storage(StorageKind::BFloat16),
            ("torch", "ByteStorage") => Global::Storage(StorageKind::Byte),
            ("torch", "BoolStorage") => Global::Storage(StorageKind::Bool),
            _ => {
                self.forbidden = Some(format!("{module}.{name}"));
                return Err(String::new());
            }
        }))
    }

    fn reduce(&mut self) -> Step<Value> {
        let operands = self.pop_last(2)?;
        let [callable, arguments] = *operands else {
            return Err("REDUCE without operands".into());
        };
        match (callable, self.items(arguments)?) {
            (Value::Global(Global::OrderedDict), []) => Ok(self.dict()),
            (Value::Global(Global::RebuildTensor), [storage, offset, shape, stride, ..]) => {
                let (storage, offset, shape, stride) = (*storage, *offset, *shape, *stride);
                let Value::Storage(index) = storage else {
                    return Err(format!("a tensor built on {storage:?}, expected a storage"));
                };
                let tensor = RawTensor {
                    storage: self.storages.get(index).ok_or("no such storage")?.clone(),
                    offset: size(offset)?,
                    shape: self.sizes(shape)?,
                    stride: self.sizes(stride)?,
                };
                self.tensors.push(tensor);
                Ok(Value::Tensor(self.tensors.len() - 1))
            }
            (callable, arguments) => Err(format!(
                "{callable:?} called with {} arguments: not part of a state dict",
                arguments.len()
            )),
        }
    }

    fn persistent_id(&mut self) -> Step<Value> {
        let id = self.pop()?;
        let [tag, kind, key, _location, numel] = *self.items(id)? else {
            return Err("a persistent id that is not a storage's".into());
        };
        let (Value::Global(Global::Storage(kind)), "storage") = (kind, self.str(tag)?) else {
            return Err("a persistent id that is not a storage's".into());
        };
        let storage = Storage {
            kind,
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
            other => Err(format!("found {other:?}, expected a tuple")),
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

    fn str(&self, value: Value) -> Step<&'a str> {
        let Value::Str(start, end) = value else {
            return Err(format!("found {value:?}, expected a string"));
        };
        let bytes = self.pickle.get(start..end).unwrap_or_default();
        std::str::from_utf8(bytes).map_err(|_| "a string that is not UTF-8".into())
    }

    /// A name to be copied. The bound keeps a long string that many records share from multiplying.
    fn short(&self, value: Value) -> Step<String> {
        let text = self.str(value)?;
        if text.len() > 200 {
            return Err(format!(
                "a name of {} bytes, expected at most 200",
                text.len()
            ));
        }
        Ok(text.to_owned())
    }

    fn entries(&self, top: Value) -> Step<Vec<(String, RawTensor)>> {
        let Value::Dict(index) = top else {
            return Err(format!("found {top:?}, expected a dict of tensors"));
        };
        let dict = self.dicts.get(index).ok_or("no such dict")?;
        dict.iter()
            .map(|(key, value)| {
                let name = self.short(*key)?;
                match value {
                    Value::Tensor(index) => {
                        let tensor = self.tensors.get(*index).ok_or("no such tensor")?;
                        Ok((name, tensor.clone()))
                    }
                    other => Err(format!(
                        "`{name}` is {other:?}, expected a tensor (a state dict)"
                    )),
                }
            })
            .collect()
    }
}

fn size(value: Value) -> Step<usize> {
    match value {
        Value::Int(n) => usize::try_from(n).map_err(|_| format!("the size {n} is negative")),
        other => Err(format!("found {other:?}, expected a size")),
    }
}
