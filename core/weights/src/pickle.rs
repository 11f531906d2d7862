//! Python pickles as plain data, without running anything.
//!
//! A pickle is a program for a stack machine, <https://peps.python.org/pep-0307/> and
//! <https://peps.python.org/pep-3154/>. The machine here knows the instructions that checkpoints
//! use (protocols 2 to 5) and only records calls: `REDUCE` of a global makes an [`Object`] that
//! the caller interprets, and a global outside of [`globals`] is an error. All nodes live in one
//! arena and name each other by index, so that sharing, self-reference and depth cost nothing,
//! neither while reading nor when the arena is dropped.

mod globals;
mod machine;
mod query;

pub(crate) use globals::Global;
pub(crate) use machine::load;

/// Index of a node in its [`Pickle`].
pub(crate) type NodeId = u32;

/// A Python value; containers and objects are behind a [`NodeId`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    /// An integer of more than 64 bits, little endian, two's complement.
    Long(&'a [u8]),
    Float(f64),
    Text(&'a str),
    Bytes(&'a [u8]),
    Node(NodeId),
}

/// A container, a global or the record of a call.
#[derive(Debug)]
pub(crate) enum Node<'a> {
    Tuple(Vec<Value<'a>>),
    List(Vec<Value<'a>>),
    Set(Vec<Value<'a>>),
    /// Entries in the order of insertion; of equal keys the last one counts.
    Dict(Vec<(Value<'a>, Value<'a>)>),
    Global(Global),
    Object(Object<'a>),
    /// An object kept outside of the pickle, by its identification.
    Persistent(Value<'a>),
}

/// The record of `class(*args)`, and the state that was set on the result.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Object<'a> {
    pub(crate) class: Global,
    /// A tuple.
    pub(crate) args: Value<'a>,
    pub(crate) state: Value<'a>,
}

/// A pickle that was read to its `STOP`.
#[derive(Debug)]
pub(crate) struct Pickle<'a> {
    nodes: Vec<Node<'a>>,
    /// The value of the whole pickle.
    pub(crate) root: Value<'a>,
    /// Bytes up to and with `STOP`.
    pub(crate) len: usize,
}
