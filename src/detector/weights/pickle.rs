//! Reads Python pickles as data: a small stack machine that builds values and never executes code.
//!
//! Invariant: only the opcodes that `torch.save` writes for state dicts and only the globals in [`Global`] are accepted; anything else is
//! refused with its opcode and offset. Values are in one arena, so a hostile file can nest them to any depth without deep recursion here.
//! Their number is limited, because a byte of the file can request a hundred or more of memory.

use std::collections::HashMap;

use super::DType;

/// More than a state dict of a hundred thousand tensors needs (some thirty each). A value takes up to a hundred bytes of memory for one
/// byte of the file, and one made from a memoised value takes as much again.
const MOST_VALUES: usize = 3_000_000;

/// An index into a [`Pickle`]'s arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Id(usize);

/// One unpickled value. Containers hold indices, not values.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(String),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(Global),
    Storage(Storage),
    Tensor(TensorRef),
}

/// The only globals that a file may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    StorageType(DType),
}

/// A sequence of numbers that the file stores elsewhere under `key`.
#[derive(Debug, Clone, PartialEq)]
pub struct Storage {
    pub key: String,
    pub dtype: DType,
    /// Offset of this (view of the) storage in numbers.
    pub offset: usize,
}

/// A strided view of a storage.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorRef {
    pub storage: Storage,
    pub offset: usize,
    pub shape: Vec<usize>,
    pub stride: Vec<usize>,
}

/// One complete pickle: its values and the top-level one.
#[derive(Debug)]
pub struct Pickle {
    values: Vec<Value>,
    top: Id,
}

impl Pickle {
    /// Reads one pickle from the start of `bytes`; also returns its length in bytes.
    pub fn read(bytes: &[u8]) -> Result<(Self, usize), String> {
        Self::read_from(bytes, 0)
    }

    /// [`Pickle::read`] from offset `start`; offsets in messages count from the start of `bytes`.
    pub fn read_from(bytes: &[u8], start: usize) -> Result<(Self, usize), String> {
        let mut machine = Machine {
            bytes,
            at: start,
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            spent: 0,
        };
        let top = machine.run()?;
        Ok((Self { values: machine.values, top }, machine.at - start))
    }

    pub fn top(&self) -> &Value {
        self.get(self.top)
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "an `Id` is only made by `push`, for a value that lies in the arena and stays there"
    )]
    pub fn get(&self, id: Id) -> &Value {
        &self.values[id.0]
    }

    /// Returns the value under a text key of a dict.
    pub fn entry(&self, dict: &Value, key: &str) -> Option<&Value> {
        let Value::Dict(entries) = dict else { return None };
        entries.iter().rev().find(|(k, _)| self.get(*k) == &Value::Text(key.to_owned())).map(|(_, v)| self.get(*v))
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    values: Vec<Value>,
    stack: Vec<Id>,
    /// Stack height at each open mark.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    /// Number of values so far, including their content.
    spent: usize,
}

impl Machine<'_> {
    fn run(&mut self) -> Result<Id, String> {
        loop {
            let offset = self.at;
            let opcode = self.byte()?;
            if opcode == b'.' {
                return self.pop();
            }
            self.step(opcode).map_err(|why| format!("pickle opcode 0x{opcode:02x} at byte {offset}: {why}"))?;
        }
    }

    fn step(&mut self, opcode: u8) -> Result<(), String> {
        match opcode {
            0x80 => self.protocol(),
            b'(' => self.mark(),
            b'}' => self.push(Value::Dict(Vec::new())),
            b']' => self.push(Value::List(Vec::new())),
            b')' => self.push(Value::Tuple(Vec::new())),
            b'N' => self.push(Value::None),
            0x88 => self.push(Value::Bool(true)),
            0x89 => self.push(Value::Bool(false)),
            b'K' | b'M' | b'J' | 0x8a => self.integer(opcode),
            b'G' => self.float(),
            b'X' | b'T' | b'U' => self.text(opcode),
            b'q' | b'r' => self.remember(opcode),
            b'h' | b'j' => self.recall(opcode),
            b't' => self.tuple_to_mark(),
            0x85..=0x87 => self.tuple_of(usize::from(opcode - 0x84)),
            b's' | b'u' => self.set_items(opcode == b'u'),
            b'a' | b'e' => self.append(opcode == b'e'),
            b'c' => self.global(),
            b'Q' => self.storage(),
            b'R' => self.reduce(),
            b'b' => self.build(),
            _ => Err("is not one that PyTorch writes for weights; the file is refused".to_owned()),
        }
    }

    fn protocol(&mut self) -> Result<(), String> {
        match self.byte()? {
            2 | 3 => Ok(()),
            version => Err(format!("pickle protocol {version}; save the file with torch.save's default protocol 2")),
        }
    }

    fn mark(&mut self) -> Result<(), String> {
        self.spend(1)?;
        self.marks.push(self.stack.len());
        Ok(())
    }

    fn integer(&mut self, opcode: u8) -> Result<(), String> {
        let value = match opcode {
            b'K' => i128::from(self.byte()?),
            b'M' => i128::from(u16::from_le_bytes(self.array()?)),
            b'J' => i128::from(i32::from_le_bytes(self.array()?)),
            _ => self.long()?,
        };
        self.push(Value::Int(value))
    }

    /// Parses a little-endian two's complement integer whose length is in its first byte.
    fn long(&mut self) -> Result<i128, String> {
        let length = usize::from(self.byte()?);
        if length > 16 {
            return Err(format!("an integer of {length} bytes"));
        }
        let bytes = self.take(length)?;
        let negative = bytes.last().is_some_and(|&b| 0x80 <= b);
        let mut wide = [if negative { 0xff } else { 0 }; 16];
        wide.iter_mut().zip(bytes).for_each(|(wide, byte)| *wide = *byte);
        Ok(i128::from_le_bytes(wide))
    }

    fn float(&mut self) -> Result<(), String> {
        let value = f64::from_be_bytes(self.array()?);
        self.push(Value::Float(value))
    }

    fn text(&mut self, opcode: u8) -> Result<(), String> {
        let length = if opcode == b'U' { u32::from(self.byte()?) } else { u32::from_le_bytes(self.array()?) };
        let bytes = self.take(length as usize)?.to_vec();
        let text = String::from_utf8(bytes).map_err(|_| "text that is not UTF-8".to_owned())?;
        self.push(Value::Text(text))
    }

    fn remember(&mut self, opcode: u8) -> Result<(), String> {
        let key = self.memo_key(opcode == b'r')?;
        let &top = self.stack.last().ok_or("nothing to remember")?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, opcode: u8) -> Result<(), String> {
        let key = self.memo_key(opcode == b'j')?;
        let id = *self.memo.get(&key).ok_or_else(|| format!("there is no memo entry {key}"))?;
        self.spend(1)?;
        self.stack.push(id);
        Ok(())
    }

    fn memo_key(&mut self, long: bool) -> Result<u32, String> {
        Ok(if long { u32::from_le_bytes(self.array()?) } else { u32::from(self.byte()?) })
    }

    fn tuple_to_mark(&mut self) -> Result<(), String> {
        let items = self.pop_to_mark()?;
        self.push(Value::Tuple(items))
    }

    fn tuple_of(&mut self, count: usize) -> Result<(), String> {
        let from = self.floor(count)?;
        let items = self.stack.split_off(from);
        self.push(Value::Tuple(items))
    }

    fn set_items(&mut self, to_mark: bool) -> Result<(), String> {
        let items =
            if to_mark { self.pop_to_mark()? } else { vec![self.pop()?, self.pop()?].into_iter().rev().collect() };
        let pairs = items.as_chunks::<2>();
        if !pairs.1.is_empty() {
            return Err("a key without a value".to_owned());
        }
        let pairs: Vec<(Id, Id)> = pairs.0.iter().map(|&[k, v]| (k, v)).collect();
        match self.top_mut()? {
            Value::Dict(entries) => entries.extend(pairs),
            other => return Err(format!("items set on {}", kind(other))),
        }
        Ok(())
    }

    fn append(&mut self, to_mark: bool) -> Result<(), String> {
        let items = if to_mark { self.pop_to_mark()? } else { vec![self.pop()?] };
        match self.top_mut()? {
            Value::List(list) => list.extend(items),
            other => return Err(format!("items appended to {}", kind(other))),
        }
        Ok(())
    }

    fn global(&mut self) -> Result<(), String> {
        let module = self.line()?;
        let name = self.line()?;
        let global = match (module.as_str(), name.as_str()) {
            ("collections", "OrderedDict") => Global::OrderedDict,
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Global::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Global::RebuildParameter,
            ("torch", storage) => match storage_dtype(storage) {
                Some(dtype) => Global::StorageType(dtype),
                None => return Err(refused(&module, &name)),
            },
            _ => return Err(refused(&module, &name)),
        };
        self.push(Value::Global(global))
    }

    /// Parses the persistent id of a storage: `("storage", type, key, location, count[, view])`.
    fn storage(&mut self) -> Result<(), String> {
        let id = self.pop()?;
        let Value::Tuple(parts) = self.value(id) else { return Err("a persistent id that is not a tuple".to_owned()) };
        let parts: Vec<&Value> = parts.iter().map(|p| self.value(*p)).collect();
        let [
            Value::Text(tag),
            Value::Global(Global::StorageType(dtype)),
            Value::Text(key),
            _location,
            _count,
            view @ ..,
        ] = &parts[..]
        else {
            return Err("a persistent id that is not a storage".to_owned());
        };
        if tag != "storage" {
            return Err(format!("a persistent id of kind `{tag}`"));
        }
        let offset = match view {
            [] | [Value::None] => 0,
            [Value::Tuple(view)] => match view[..] {
                [_, offset, _] => self.count(offset)?,
                _ => return Err("a view of a storage that is not understood".to_owned()),
            },
            _ => return Err("a view of a storage that is not understood".to_owned()),
        };
        let storage = Storage { key: key.clone(), dtype: *dtype, offset };
        self.push(Value::Storage(storage))
    }

    fn reduce(&mut self) -> Result<(), String> {
        let arguments = self.pop()?;
        let callable = self.pop()?;
        let Value::Tuple(arguments) = self.value(arguments).clone() else {
            return Err("arguments that are not a tuple".to_owned());
        };
        let value = match *self.value(callable) {
            Value::Global(Global::OrderedDict) => Value::Dict(self.ordered(&arguments)?),
            Value::Global(Global::RebuildTensor) => Value::Tensor(self.tensor(&arguments)?),
            Value::Global(Global::RebuildParameter) => match arguments.first().map(|id| self.value(*id)) {
                Some(Value::Tensor(tensor)) => Value::Tensor(tensor.clone()),
                _ => return Err("a parameter without a tensor".to_owned()),
            },
            _ => return Err("a call that is not part of a state dict".to_owned()),
        };
        self.push(value)
    }

    /// Returns the entries of `OrderedDict()`, or of the `OrderedDict([[key, value], ...])` that Python 2 writes.
    fn ordered(&self, arguments: &[Id]) -> Result<Vec<(Id, Id)>, String> {
        let wrong = || "an ordered dict that is not made of pairs".to_owned();
        let pairs = match arguments {
            [] => return Ok(Vec::new()),
            [pairs] => self.value(*pairs),
            _ => return Err(wrong()),
        };
        let Value::List(pairs) = pairs else { return Err(wrong()) };
        let pair = |id: &Id| match self.value(*id) {
            Value::List(pair) | Value::Tuple(pair) => <[Id; 2]>::try_from(&pair[..]).map(|[k, v]| (k, v)).ok(),
            _ => None,
        };
        pairs.iter().map(|id| pair(id).ok_or_else(wrong)).collect()
    }

    /// Parses `_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks[, metadata])`, or from before PyTorch 0.4
    /// `_rebuild_tensor(storage, offset, size, stride)`.
    fn tensor(&self, arguments: &[Id]) -> Result<TensorRef, String> {
        let [storage, offset, shape, stride, ..] = arguments else {
            return Err("a tensor with too few arguments".to_owned());
        };
        let Value::Storage(storage) = self.value(*storage) else {
            return Err("a tensor without a storage".to_owned());
        };
        let (shape, stride) = (self.counts(*shape)?, self.counts(*stride)?);
        if shape.len() != stride.len() {
            return Err(format!("a tensor of {} sizes and {} strides", shape.len(), stride.len()));
        }
        Ok(TensorRef { storage: storage.clone(), offset: self.count(*offset)?, shape, stride })
    }

    /// `OrderedDict.__setstate__`: PyTorch stores module versions there, which weights do not need.
    fn build(&mut self) -> Result<(), String> {
        self.pop()?;
        match self.top_mut()? {
            Value::Dict(_) => Ok(()),
            other => Err(format!("state set on {}", kind(other))),
        }
    }

    fn counts(&self, id: Id) -> Result<Vec<usize>, String> {
        let Value::Tuple(items) = self.value(id) else { return Err("sizes that are not a tuple".to_owned()) };
        items.iter().map(|&item| self.count(item)).collect()
    }

    fn count(&self, id: Id) -> Result<usize, String> {
        match self.value(id) {
            Value::Int(value) => usize::try_from(*value).map_err(|_| format!("{value} where a count is expected")),
            other => Err(format!("{} where a count is expected", kind(other))),
        }
    }

    fn spend(&mut self, count: usize) -> Result<(), String> {
        self.spent = self.spent.saturating_add(count);
        let is_too_much = self.spent > MOST_VALUES;
        if is_too_much { Err(format!("more than {MOST_VALUES} values, which no weights have")) } else { Ok(()) }
    }

    fn push(&mut self, value: Value) -> Result<(), String> {
        self.spend(size(&value))?;
        self.stack.push(Id(self.values.len()));
        self.values.push(value);
        Ok(())
    }

    fn pop(&mut self) -> Result<Id, String> {
        self.floor(1)?;
        self.stack.pop().ok_or_else(|| "the stack is empty".to_owned())
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.marks.pop().ok_or("no mark was set")?;
        Ok(self.stack.split_off(mark))
    }

    /// Returns the stack height after taking `count` values, which must not go below the last mark.
    fn floor(&self, count: usize) -> Result<usize, String> {
        let lowest = self.marks.last().copied().unwrap_or(0);
        self.stack.len().checked_sub(count).filter(|&f| lowest <= f).ok_or_else(|| "the stack is empty".to_owned())
    }

    #[expect(clippy::indexing_slicing, reason = "as in `Pickle::get`")]
    fn value(&self, id: Id) -> &Value {
        &self.values[id.0]
    }

    #[expect(clippy::indexing_slicing, reason = "as in `Pickle::get`")]
    fn top_mut(&mut self) -> Result<&mut Value, String> {
        let id = *self.stack.last().ok_or("the stack is empty")?;
        Ok(&mut self.values[id.0])
    }

    fn byte(&mut self) -> Result<u8, String> {
        self.array().map(|[byte]| byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (_, &out) = self.take(N)?.split_last_chunk().ok_or("too few bytes")?;
        Ok(out)
    }

    fn take(&mut self, count: usize) -> Result<&[u8], String> {
        let taken = self.at.checked_add(count).and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or_else(|| format!("the file ends at byte {} inside a pickle", self.bytes.len()))?;
        self.at += count;
        Ok(taken)
    }

    fn line(&mut self) -> Result<String, String> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|&b| b == b'\n').ok_or("a name without an end")?;
        let line = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.at += 1;
        Ok(line)
    }
}

fn refused(module: &str, name: &str) -> String {
    let (module, name) = (module.escape_debug(), name.escape_debug());
    format!("the file asks for `{module}.{name}`, which is not a tensor; it is refused (save the bare state dict)")
}

fn storage_dtype(name: &str) -> Option<DType> {
    Some(match name {
        "DoubleStorage" => DType::F64,
        "FloatStorage" => DType::F32,
        "HalfStorage" => DType::F16,
        "BFloat16Storage" => DType::BF16,
        "LongStorage" => DType::I64,
        "IntStorage" => DType::I32,
        "ShortStorage" => DType::I16,
        "CharStorage" => DType::I8,
        "ByteStorage" => DType::U8,
        "BoolStorage" => DType::Bool,
        _ => return None,
    })
}

/// Returns how many plain values take as much memory.
fn size(value: &Value) -> usize {
    1 + match value {
        Value::Tuple(items) | Value::List(items) => items.len() / 8,
        Value::Dict(entries) => entries.len() / 4,
        Value::Text(text) => text.len() / 64,
        Value::Storage(storage) => storage.key.len() / 64,
        Value::Tensor(tensor) => (tensor.shape.len() + tensor.stride.len()) / 8 + tensor.storage.key.len() / 64,
        Value::None | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Global(_) => 0,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::None => "None",
        Value::Bool(_) => "a bool",
        Value::Int(_) => "an integer",
        Value::Float(_) => "a float",
        Value::Text(_) => "a text",
        Value::Tuple(_) => "a tuple",
        Value::List(_) => "a list",
        Value::Dict(_) => "a dict",
        Value::Global(_) => "a name",
        Value::Storage(_) => "a storage",
        Value::Tensor(_) => "a tensor",
    }
}
