//! The stack machine.

use std::collections::HashMap;

use super::{Global, Node, NodeId, Object, Pickle, Value};
use crate::error::malformed;
use crate::{Error, Result};

const FORMAT: &str = "pickle";

/// Instructions that one pickle may have.
///
/// Each instruction makes at most one node, so that this bounds the machine's memory at some
/// 400 MB for the longest hostile pickle and at about a hundred bytes per byte for a short one.
/// The largest published checkpoints have some ten thousand instructions.
const MAX_INSTRUCTIONS: u64 = 1 << 22;

/// Reads the pickle at the start of `input`.
///
/// # Errors
/// If the input ends early, contradicts itself, or names a global that is not allowed.
pub(crate) fn load(input: &[u8]) -> Result<Pickle<'_>> {
    let mut machine = Machine::new(input);
    for _ in 0..MAX_INSTRUCTIONS {
        if let Some(root) = machine.step()? {
            return Ok(Pickle { nodes: machine.nodes, root, len: machine.at });
        }
    }
    let asked = MAX_INSTRUCTIONS + 1;
    Err(Error::Limit { what: "number of pickle instructions", asked, limit: MAX_INSTRUCTIONS })
}

struct Machine<'a> {
    input: &'a [u8],
    at: usize,
    stack: Vec<Value<'a>>,
    /// Heights of the stack at each `MARK`.
    marks: Vec<usize>,
    memo: HashMap<usize, Value<'a>>,
    nodes: Vec<Node<'a>>,
}

impl<'a> Machine<'a> {
    fn new(input: &'a [u8]) -> Self {
        let (stack, marks, nodes) = (Vec::new(), Vec::new(), Vec::new());
        Self { input, at: 0, stack, marks, memo: HashMap::new(), nodes }
    }

    /// Executes one instruction; the root value at `STOP`.
    fn step(&mut self) -> Result<Option<Value<'a>>> {
        let offset = self.at;
        let [opcode] = self.array()?;
        match opcode {
            b'.' => return self.pop().map(Some),
            0x80 => self.protocol()?,
            0x95 => self.frame()?,
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_mark()?),
            b'2' => self.push(self.top()?),
            // Containers
            b')' => self.add(Node::Tuple(Vec::new()))?,
            0x85 => self.tuple(1)?,
            0x86 => self.tuple(2)?,
            0x87 => self.tuple(3)?,
            b't' => {
                let items = self.pop_mark()?;
                self.add(Node::Tuple(items))?;
            }
            b']' => self.add(Node::List(Vec::new()))?,
            b'l' => {
                let items = self.pop_mark()?;
                self.add(Node::List(items))?;
            }
            b'a' => {
                let item = self.pop()?;
                self.extend(vec![item])?;
            }
            b'e' | 0x90 => {
                let items = self.pop_mark()?;
                self.extend(items)?;
            }
            0x8f => self.add(Node::Set(Vec::new()))?,
            0x91 => {
                let items = self.pop_mark()?;
                self.add(Node::Set(items))?;
            }
            b'}' => self.add(Node::Dict(Vec::new()))?,
            b'd' => {
                let entries = pairs(&self.pop_mark()?)?;
                self.add(Node::Dict(entries))?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.update(vec![(key, value)])?;
            }
            b'u' => {
                let entries = pairs(&self.pop_mark()?)?;
                self.update(entries)?;
            }
            // Globals and calls
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.add(Node::Global(Global::find(module, name)?))?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Value::Text(module), Value::Text(name)) = (module, name) else {
                    let (module, name) = (module.kind(), name.kind());
                    return malformed!(FORMAT, "a global is named by {module} and {name}");
                };
                self.add(Node::Global(Global::find(module, name)?))?;
            }
            b'R' | 0x81 => self.call()?,
            0x92 => {
                // Keyword arguments of `__new__`: none of the allowed classes looks at them.
                self.pop()?;
                self.call()?;
            }
            b'b' => self.build()?,
            b'Q' => {
                let id = self.pop()?;
                self.add(Node::Persistent(id))?;
            }
            // Memo
            b'q' => {
                let [index] = self.array()?;
                self.put(index.into())?;
            }
            b'r' => {
                let index = u32::from_le_bytes(self.array()?);
                self.put(index as usize)?;
            }
            0x94 => self.put(self.memo.len())?,
            b'h' => {
                let [index] = self.array()?;
                self.get(index.into())?;
            }
            b'j' => {
                let index = u32::from_le_bytes(self.array()?);
                self.get(index as usize)?;
            }
            _ => self.literal(opcode, offset)?,
        }
        Ok(None)
    }

    /// Executes an instruction that pushes what follows it.
    fn literal(&mut self, opcode: u8, offset: usize) -> Result<()> {
        match opcode {
            b'N' => self.push(Value::None),
            0x88 => self.push(Value::Bool(true)),
            0x89 => self.push(Value::Bool(false)),
            b'J' => self.int::<4>(|b| i32::from_le_bytes(b).into())?,
            b'K' => self.int::<1>(|[b]| b.into())?,
            b'M' => self.int::<2>(|b| u16::from_le_bytes(b).into())?,
            0x8a => self.long::<1>()?,
            0x8b => self.long::<4>()?,
            b'G' => {
                let value = f64::from_be_bytes(self.array()?);
                self.push(Value::Float(value));
            }
            0x8c => self.text::<1>()?,
            b'X' => self.text::<4>()?,
            0x8d => self.text::<8>()?,
            b'C' => self.bytes::<1>()?,
            b'B' => self.bytes::<4>()?,
            0x8e | 0x96 => self.bytes::<8>()?,
            b'U' => self.string::<1>()?,
            b'T' => self.string::<4>()?,
            _ => return Err(Error::UnknownOpcode { opcode, offset }),
        }
        Ok(())
    }

    // Input

    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let rest = &self.input[self.at..];
        let Some(taken) = rest.get(..len) else {
            let (at, left) = (self.at, rest.len());
            return malformed!(FORMAT, "{len} bytes wanted at byte {at}, {left} are left");
        };
        self.at += len;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// The bytes after a length of `N` little-endian bytes.
    fn counted<const N: usize>(&mut self) -> Result<&'a [u8]> {
        let mut length = [0; 8];
        length[..N].copy_from_slice(self.take(N)?);
        // A length beyond the address space is beyond the input too.
        self.take(usize::try_from(u64::from_le_bytes(length)).unwrap_or(usize::MAX))
    }

    fn line(&mut self) -> Result<&'a str> {
        let rest = &self.input[self.at..];
        let Some(end) = rest.iter().position(|&b| b == b'\n') else {
            return malformed!(FORMAT, "the line at byte {} does not end", self.at);
        };
        let line = self.take(end + 1)?;
        self.utf8(&line[..end])
    }

    fn utf8(&self, bytes: &'a [u8]) -> Result<&'a str> {
        match str::from_utf8(bytes) {
            Ok(text) => Ok(text),
            Err(e) => malformed!(FORMAT, "text before byte {}: {e}", self.at),
        }
    }

    fn protocol(&mut self) -> Result<()> {
        let [protocol] = self.array()?;
        if protocol > 5 {
            return malformed!(FORMAT, "protocol {protocol}, the newest known is 5");
        }
        Ok(())
    }

    /// A frame is only a promise of how many bytes follow.
    fn frame(&mut self) -> Result<()> {
        let length = u64::from_le_bytes(self.array()?);
        let left = (self.input.len() - self.at) as u64;
        if length > left {
            return malformed!(FORMAT, "a frame of {length} bytes, {left} are left");
        }
        Ok(())
    }

    // Stack

    fn push(&mut self, value: Value<'a>) {
        self.stack.push(value);
    }

    /// Puts a new node on the stack.
    fn add(&mut self, node: Node<'a>) -> Result<()> {
        let Ok(id) = NodeId::try_from(self.nodes.len()) else {
            return malformed!(FORMAT, "more than {} objects", NodeId::MAX);
        };
        self.nodes.push(node);
        self.push(Value::Node(id));
        Ok(())
    }

    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn top(&self) -> Result<Value<'a>> {
        match self.stack.last() {
            Some(&value) if self.stack.len() > self.floor() => Ok(value),
            _ => malformed!(FORMAT, "the stack is empty at byte {}", self.at),
        }
    }

    fn pop(&mut self) -> Result<Value<'a>> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    /// Everything above the last `MARK`.
    fn pop_mark(&mut self) -> Result<Vec<Value<'a>>> {
        match self.marks.pop() {
            Some(mark) => Ok(self.stack.split_off(mark)),
            None => malformed!(FORMAT, "no mark on the stack at byte {}", self.at),
        }
    }

    // Values

    fn int<const N: usize>(&mut self, value: impl Fn([u8; N]) -> i64) -> Result<()> {
        let value = value(self.array()?);
        self.push(Value::Int(value));
        Ok(())
    }

    fn long<const N: usize>(&mut self) -> Result<()> {
        let bytes = self.counted::<N>()?;
        let value = if bytes.len() > 8 {
            Value::Long(bytes)
        } else {
            let negative = bytes.last().is_some_and(|&b| b >= 0x80);
            let mut wide = [if negative { 0xFF } else { 0 }; 8];
            wide[..bytes.len()].copy_from_slice(bytes);
            Value::Int(i64::from_le_bytes(wide))
        };
        self.push(value);
        Ok(())
    }

    fn text<const N: usize>(&mut self) -> Result<()> {
        let bytes = self.counted::<N>()?;
        let text = self.utf8(bytes)?;
        self.push(Value::Text(text));
        Ok(())
    }

    fn bytes<const N: usize>(&mut self) -> Result<()> {
        let bytes = self.counted::<N>()?;
        self.push(Value::Bytes(bytes));
        Ok(())
    }

    /// A `str` of Python 2, which is text or bytes.
    fn string<const N: usize>(&mut self) -> Result<()> {
        let bytes = self.counted::<N>()?;
        self.push(str::from_utf8(bytes).map_or(Value::Bytes(bytes), Value::Text));
        Ok(())
    }

    fn tuple(&mut self, len: usize) -> Result<()> {
        if self.stack.len() < self.floor() + len {
            return malformed!(FORMAT, "too few values for a tuple of {len} at byte {}", self.at);
        }
        let items = self.stack.split_off(self.stack.len() - len);
        self.add(Node::Tuple(items))
    }

    /// The node on top of the stack.
    fn top_node(&mut self) -> Result<&mut Node<'a>> {
        match self.top()? {
            // Ids are only made by `add`, so that the index exists.
            Value::Node(id) => Ok(&mut self.nodes[id as usize]),
            scalar => malformed!(FORMAT, "{} is filled at byte {}", scalar.kind(), self.at),
        }
    }

    fn extend(&mut self, items: Vec<Value<'a>>) -> Result<()> {
        let at = self.at;
        match self.top_node()? {
            Node::List(list) | Node::Set(list) => list.extend(items),
            _ => return malformed!(FORMAT, "items for something else than a list at byte {at}"),
        }
        Ok(())
    }

    fn update(&mut self, items: Vec<(Value<'a>, Value<'a>)>) -> Result<()> {
        let at = self.at;
        match self.top_node()? {
            Node::Dict(entries) => entries.extend(items),
            _ => return malformed!(FORMAT, "entries for something else than a dict at byte {at}"),
        }
        Ok(())
    }

    /// Records a call. A dict becomes a dict at once, since it is filled afterwards.
    fn call(&mut self) -> Result<()> {
        let (args, callable) = (self.pop()?, self.pop()?);
        let Some(&Node::Global(class)) = self.node(callable) else {
            return malformed!(
                FORMAT,
                "a call of no global but {} at byte {}",
                callable.kind(),
                self.at
            );
        };
        let Some(Node::Tuple(items)) = self.node(args) else {
            return malformed!(
                FORMAT,
                "a call with no tuple but {} at byte {}",
                args.kind(),
                self.at
            );
        };
        match class {
            Global::ImportModule => Global::check_module(self.module(items)?)?,
            Global::GetAttr => {
                let global = self.attribute(items)?;
                return self.add(Node::Global(global));
            }
            _ => {}
        }
        // `defaultdict(list)` has a factory, the `OrderedDict` of Python 2 a list of pairs.
        let has_content = items.first().is_some_and(|&first| {
            matches!(self.node(first), Some(Node::List(_) | Node::Tuple(_) | Node::Dict(_)))
        });
        self.add(match class {
            Global::Dict if !has_content => Node::Dict(Vec::new()),
            _ => Node::Object(Object { class, args, state: Value::None }),
        })
    }

    /// The module that `_import_module` is called with.
    fn module(&self, items: &[Value<'a>]) -> Result<&'a str> {
        match items {
            &[Value::Text(module)] => Ok(module),
            _ => malformed!(FORMAT, "an import of no module by its name at byte {}", self.at),
        }
    }

    /// The global that `_get_attr` of an imported module means.
    fn attribute(&self, items: &[Value<'a>]) -> Result<Global> {
        if let &[module, Value::Text(name)] = items
            && let Some(Node::Object(import)) = self.node(module)
            && import.class == Global::ImportModule
            && let Some(Node::Tuple(items)) = self.node(import.args)
        {
            return Global::find(self.module(items)?, name);
        }
        malformed!(FORMAT, "an attribute of no imported module at byte {}", self.at)
    }

    fn node(&self, value: Value<'a>) -> Option<&Node<'a>> {
        match value {
            Value::Node(id) => self.nodes.get(id as usize),
            _ => None,
        }
    }

    fn build(&mut self) -> Result<()> {
        let state = self.pop()?;
        let at = self.at;
        match self.top_node()? {
            Node::Object(object) => object.state = state,
            // Attributes of a dict, such as the `_metadata` of a state dict.
            Node::Dict(_) => {}
            _ => return malformed!(FORMAT, "state for something without one at byte {at}"),
        }
        Ok(())
    }

    fn put(&mut self, index: usize) -> Result<()> {
        self.memo.insert(index, self.top()?);
        Ok(())
    }

    fn get(&mut self, index: usize) -> Result<()> {
        match self.memo.get(&index) {
            Some(&value) => self.push(value),
            None => return malformed!(FORMAT, "memo {index} is read but never written"),
        }
        Ok(())
    }
}

/// Alternating keys and values.
fn pairs<'a>(items: &[Value<'a>]) -> Result<Vec<(Value<'a>, Value<'a>)>> {
    let (pairs, []) = items.as_chunks::<2>() else {
        return malformed!(FORMAT, "a dict of {} keys and values", items.len());
    };
    Ok(pairs.iter().map(|&[key, value]| (key, value)).collect())
}
