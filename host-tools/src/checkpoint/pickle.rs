//! A pickle machine that can build a state dict of tensors and nothing else.
//!
//! Python's pickle is a program; this runs the few instructions `torch.save` emits for a state dict and
//! refuses all others by name. Calls are not executed: `REDUCE` knows the few callables of which tensors are
//! made; of the other objects that `pickle_globals` lets a training checkpoint have it keeps no more than the
//! class. Every container lives in an arena and every [`Value`] is `Copy`, so neither nesting depth nor
//! sharing can exhaust the stack, and memory is linear in the pickle's length.

use std::collections::HashMap;
use std::ops::Range;

use super::pickle_value::{Fault, RawTensor, Storage, Value};

pub(super) type Step<T> = Result<T, String>;

/// Runs `pickle`: the machine with what it built, and the object at the top.
pub(super) fn run(pickle: &[u8]) -> Result<(Machine<'_>, Value), Fault> {
    let mut machine = Machine {
        pickle,
        ..Machine::default()
    };
    let top = machine.run()?;
    Ok((machine, top))
}

/// The machine: while it runs, and with what it built.
#[derive(Default)]
pub(super) struct Machine<'a> {
    pub(super) pickle: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
    pub(super) tuples: Vec<Vec<Value>>,
    dicts: Vec<Vec<(Value, Value)>>,
    pub(super) storages: Vec<Storage>,
    pub(super) tensors: Vec<RawTensor>,
    /// Names of what is passed over.
    pub(super) globals: Vec<String>,
    pub(super) forbidden: Option<String>,
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
            0x88 | 0x89 => Value::Bool(opcode == 0x88),
            b'K' => Value::Int(u8::from_le_bytes(self.array()?).into()),
            b'M' => Value::Int(u16::from_le_bytes(self.array()?).into()),
            b'J' => Value::Int(i32::from_le_bytes(self.array()?).into()),
            0x8a => {
                let [length] = self.array()?;
                self.long(length.into())?
            }
            0x8b => {
                let length = u32::from_le_bytes(self.array()?);
                self.long(length as usize)?
            }
            b'G' => self.array::<8>().map(|_| Value::Float)?,
            0x8c => {
                let [length] = self.array()?;
                self.text(length.into())?
            }
            b'X' => {
                let length = u32::from_le_bytes(self.array()?);
                self.text(length as usize)?
            }
            0x8d => {
                let length = self.length8()?;
                self.text(length)?
            }
            b'C' => {
                let [length] = self.array()?;
                self.take(length.into()).map(|_| Value::Bytes)?
            }
            b'B' => {
                let length = u32::from_le_bytes(self.array()?);
                self.take(length as usize).map(|_| Value::Bytes)?
            }
            0x8e | 0x96 => {
                let length = self.length8()?;
                self.take(length).map(|_| Value::Bytes)?
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
            // A list or a set can only lie beside the weights, so its items are dropped.
            b']' => Value::List,
            b'a' => return self.pop_last(1).map(|_| None),
            0x8f => Value::Set,
            b'e' | 0x90 => return self.pop_to_mark().map(|_| None),
            0x91 => self.pop_to_mark().map(|_| Value::Set)?,
            b'0' => return self.pop().map(|_| None),
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
            // NEWOBJ and NEWOBJ_EX: a class and its arguments, positional and by name.
            0x81 => self.object(2)?,
            0x92 => self.object(3)?,
            b'b' => {
                // torch attaches `_metadata` (version numbers) to the dict: nothing we use.
                self.pop()?;
                return match self.stack.last() {
                    Some(Value::Dict(_) | Value::Object(_)) => Ok(None),
                    other => Err(format!("BUILD on {}, expected a dict", words(other))),
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

    fn length8(&mut self) -> Step<usize> {
        let length = u64::from_le_bytes(self.array()?);
        usize::try_from(length).map_err(|_| "the pickle ends early".into())
    }

    /// `LONG1` and `LONG4`: a little-endian two's complement integer. Sizes have up to 8 bytes.
    fn long(&mut self, length: usize) -> Step<Value> {
        let range = self.take(length)?;
        if length > 8 {
            return Ok(Value::BigInt);
        }
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

    pub(super) fn pop(&mut self) -> Step<Value> {
        // Below a mark lies somebody else's operand.
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err("the stack is empty".into());
        }
        self.stack.pop().ok_or_else(|| "the stack is empty".into())
    }

    pub(super) fn pop_last(&mut self, count: usize) -> Step<Vec<Value>> {
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

    pub(super) fn dict(&mut self) -> Value {
        self.dicts.push(Vec::new());
        Value::Dict(self.dicts.len() - 1)
    }

    fn set_items(&mut self, items: &[Value]) -> Step<Option<Value>> {
        let (pairs, rest) = items.as_chunks::<2>();
        let index = match self.stack.last() {
            Some(Value::Dict(index)) => *index,
            Some(Value::Object(_)) => return Ok(None),
            other => return Err(format!("SETITEMS on {}, expected a dict", words(other))),
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

    /// Where it stopped.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// The entries of a dict, in order.
    pub(super) fn dict_entries(&self, dict: usize) -> &[(Value, Value)] {
        self.dicts.get(dict).map(Vec::as_slice).unwrap_or_default()
    }

    /// A tensor's record.
    pub(super) fn tensor(&self, tensor: usize) -> Step<&RawTensor> {
        self.tensors
            .get(tensor)
            .ok_or_else(|| "no such tensor".into())
    }

    /// `module.name` of what was passed over.
    pub(super) fn global_name(&self, global: usize) -> &str {
        self.globals.get(global).map_or("?", String::as_str)
    }
}

pub(super) fn words(value: Option<&Value>) -> &'static str {
    value.map_or("nothing", |value| value.words())
}
