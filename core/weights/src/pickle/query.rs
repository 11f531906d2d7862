//! Looking into a pickle.

use std::borrow::Cow;

use serde_json::{Map, Value as Json};

use super::{Global, Node, Object, Pickle, Value};
use crate::budget::{Budget, ENTRY};
use crate::{Result, numpy};

/// Nesting of lists and dicts beyond which hyper-parameters are not followed.
const MAX_JSON_DEPTH: usize = 32;

/// Keys and values of a dict.
type Entries<'p, 'a> = Cow<'p, [(Value<'a>, Value<'a>)]>;

impl<'a> Value<'a> {
    /// The text, if it is some.
    pub(crate) fn as_text(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A description of the value, for messages.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Bool(_) => "a bool",
            Self::Int(_) | Self::Long(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
            Self::Node(_) => "an object",
        }
    }
}

impl<'a> Pickle<'a> {
    /// The container, global or object that `value` names.
    pub(crate) fn node(&self, value: Value<'a>) -> Option<&Node<'a>> {
        match value {
            Value::Node(id) => self.nodes.get(id as usize),
            _ => None,
        }
    }

    /// The identifications of all persistent objects.
    pub(crate) fn persistent(&self) -> impl Iterator<Item = Value<'a>> {
        self.nodes.iter().filter_map(|node| match node {
            &Node::Persistent(id) => Some(id),
            _ => None,
        })
    }

    /// The record of a call.
    pub(crate) fn object(&self, value: Value<'a>) -> Option<Object<'a>> {
        match self.node(value)? {
            Node::Object(object) => Some(*object),
            _ => None,
        }
    }

    /// The global that `value` is.
    pub(crate) fn global(&self, value: Value<'a>) -> Option<Global> {
        match self.node(value)? {
            Node::Global(global) => Some(*global),
            _ => None,
        }
    }

    /// The items of a tuple, list or `torch.Size`.
    pub(crate) fn items(&self, value: Value<'a>) -> Option<&[Value<'a>]> {
        match self.node(value)? {
            Node::Tuple(items) | Node::List(items) => Some(items),
            Node::Object(Object { class: Global::Size, args, .. }) => match self.node(*args)? {
                Node::Tuple(args) => match self.node(*args.first()?)? {
                    Node::Tuple(items) | Node::List(items) => Some(items),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        }
    }

    /// The members of a set, however it was made.
    pub(crate) fn members(&self, value: Value<'a>) -> Option<&[Value<'a>]> {
        match self.node(value)? {
            Node::Set(items) => Some(items),
            Node::Object(Object { class: Global::Set, args, .. }) => {
                self.items(*args)?.first().map_or(Some(&[]), |&list| self.items(list))
            }
            _ => None,
        }
    }

    /// The entries of a dict, the last one of equal keys included with the others.
    pub(crate) fn entries(
        &self,
        value: Value<'a>,
        budget: &mut Budget,
    ) -> Result<Option<Entries<'_, 'a>>> {
        let entries = match self.node(value) {
            Some(Node::Dict(entries)) => Cow::Borrowed(entries.as_slice()),
            // The `OrderedDict` of Python 2: a list of pairs.
            Some(Node::Object(Object { class: Global::Dict, args, .. })) => {
                let first = self.items(*args).and_then(|args| args.first().copied());
                let Some(pairs) = first.and_then(|first| self.items(first)) else {
                    return Ok(None);
                };
                let pair = |&pair| match self.items(pair)? {
                    &[key, value] => Some((key, value)),
                    _ => None,
                };
                budget.take(pairs.len() as u64)?;
                let Some(pairs) = pairs.iter().map(pair).collect() else { return Ok(None) };
                Cow::Owned(pairs)
            }
            _ => return Ok(None),
        };
        budget.take(entries.len() as u64)?;
        Ok(Some(entries))
    }

    /// The value of `key` in the dict `value`.
    pub(crate) fn get(
        &self,
        value: Value<'a>,
        key: &str,
        budget: &mut Budget,
    ) -> Result<Option<Value<'a>>> {
        let entries = self.entries(value, budget)?;
        let found = entries.as_deref().unwrap_or_default();
        Ok(found.iter().rev().find(|&&(k, _)| k == Value::Text(key)).map(|&(_, v)| v))
    }

    /// Bytes, spelled as protocol 3 or as protocol 2 does.
    pub(crate) fn bytes(
        &self,
        value: Value<'a>,
        budget: &mut Budget,
    ) -> Result<Option<Cow<'a, [u8]>>> {
        if let Value::Bytes(bytes) = value {
            return Ok(Some(Cow::Borrowed(bytes)));
        }
        let Some(Object { class: Global::Encode, args, .. }) = self.object(value) else {
            return Ok(None);
        };
        let Some(&Value::Text(text)) = self.items(args).and_then(|args| args.first()) else {
            return Ok(None);
        };
        budget.take(text.len() as u64)?;
        // Each character of latin-1 text is one byte.
        Ok(text.chars().map(|c| u8::try_from(c).ok()).collect::<Option<Vec<u8>>>().map(Cow::Owned))
    }

    /// Hyper-parameters as JSON; what has no JSON form becomes null.
    pub(crate) fn json(&self, value: Value<'a>, budget: &mut Budget) -> Result<Json> {
        self.json_at(value, budget, 0)
    }

    fn json_at(&self, value: Value<'a>, budget: &mut Budget, depth: usize) -> Result<Json> {
        budget.take(ENTRY)?;
        if depth > MAX_JSON_DEPTH {
            return Ok(Json::Null);
        }
        Ok(match value {
            Value::None | Value::Long(_) | Value::Bytes(_) => Json::Null,
            Value::Bool(value) => value.into(),
            Value::Int(value) => value.into(),
            Value::Float(value) => value.into(),
            Value::Text(text) => {
                budget.take(text.len() as u64)?;
                text.into()
            }
            Value::Node(_) => {
                if let Some(entries) = self.entries(value, budget)? {
                    let mut object = Map::new();
                    for &(key, value) in entries.iter() {
                        if let Value::Text(key) = key {
                            budget.take(key.len() as u64)?;
                            object.insert(key.to_owned(), self.json_at(value, budget, depth + 1)?);
                        }
                    }
                    object.into()
                } else if let Some(items) = self.items(value) {
                    let items = items.iter().map(|&item| self.json_at(item, budget, depth + 1));
                    Json::Array(items.collect::<Result<_>>()?)
                } else {
                    numpy::scalar(self, value, budget).unwrap_or(Json::Null)
                }
            }
        })
    }
}
