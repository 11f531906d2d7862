//! NumPy arrays inside of pickles, and NumPy's names of element types.
//!
//! <https://numpy.org/doc/stable/reference/arrays.interface.html>

use std::borrow::Cow;

use serde_json::Value as Json;

use crate::budget::Budget;
use crate::error::malformed;
use crate::pickle::{Global, Object, Pickle, Value};
use crate::torch::{Bytes, View};
use crate::{Dtype, Result};

const FORMAT: &str = "pickled NumPy array";

/// Element type and byte order of a type string such as `<f4`; true for most significant first.
pub(crate) fn parse_dtype(text: &str) -> Option<(Dtype, bool)> {
    let (big_endian, name) = match text.as_bytes().first()? {
        b'>' => (true, &text[1..]),
        b'<' | b'|' | b'=' => (false, &text[1..]),
        _ => (false, text),
    };
    let dtype = match name {
        "b1" => Dtype::Bool,
        "u1" => Dtype::U8,
        "i1" => Dtype::I8,
        "u2" => Dtype::U16,
        "i2" => Dtype::I16,
        "u4" => Dtype::U32,
        "i4" => Dtype::I32,
        "u8" => Dtype::U64,
        "i8" => Dtype::I64,
        "f2" => Dtype::F16,
        "f4" => Dtype::F32,
        "f8" => Dtype::F64,
        _ => return None,
    };
    Some((dtype, big_endian))
}

/// Whether `value` is a pickled array.
pub(crate) fn is_array<'a>(pickle: &Pickle<'a>, value: Value<'a>) -> bool {
    let class = pickle.object(value).map(|object| object.class);
    matches!(class, Some(Global::NumpyArray | Global::NumpyFromBuffer))
}

/// The pickled array or scalar `value`.
///
/// # Errors
/// If its record contradicts itself or the elements are not numbers.
pub(crate) fn view<'a>(
    pickle: &Pickle<'a>,
    value: Value<'a>,
    budget: &mut Budget,
) -> Result<View<'a>> {
    let Some(Object { class, args, state }) = pickle.object(value) else {
        return malformed!(FORMAT, "{} as an array", value.kind());
    };
    let args = pickle.items(args).unwrap_or_default();
    let state = pickle.items(state).unwrap_or_default();
    let (data, dtype, shape, fortran_order) = match (class, args, state) {
        (Global::NumpyArray, _, &[_, shape, dtype, Value::Bool(order), data]) => {
            (data, dtype, sizes(pickle, shape, budget)?, order)
        }
        (Global::NumpyFromBuffer, &[data, dtype, shape, Value::Text(order)], _) => {
            (data, dtype, sizes(pickle, shape, budget)?, order == "F")
        }
        (Global::NumpyScalar, &[dtype, data], _) => (data, dtype, Vec::new(), false),
        _ => return malformed!(FORMAT, "an array without shape, type and data"),
    };
    let (dtype, big_endian) = element_type(pickle, dtype)?;
    let data = match pickle.bytes(data, budget)? {
        Some(Cow::Borrowed(bytes)) => Bytes::Borrowed(bytes),
        Some(Cow::Owned(bytes)) => Bytes::shared(&bytes),
        None => return malformed!(FORMAT, "the data are {}", data.kind()),
    };
    View::whole(data, dtype, big_endian, shape, fortran_order)
}

/// The pickled scalar `value` as JSON, if it is one.
pub(crate) fn scalar<'a>(
    pickle: &Pickle<'a>,
    value: Value<'a>,
    budget: &mut Budget,
) -> Option<Json> {
    pickle.object(value).filter(|object| object.class == Global::NumpyScalar)?;
    let array = view(pickle, value, budget).ok()?.array(budget).ok()?;
    Some(match array.dtype() {
        Dtype::Bool => (array.to_i64() == [1]).into(),
        Dtype::F16 | Dtype::F32 | Dtype::F64 => array.to_f64().first().copied()?.into(),
        _ => array.to_i64().first().copied()?.into(),
    })
}

fn sizes<'a>(pickle: &Pickle<'a>, shape: Value<'a>, budget: &mut Budget) -> Result<Vec<usize>> {
    let shape = pickle.items(shape).unwrap_or_default();
    budget.take(shape.len() as u64)?;
    let size = |&size| match size {
        Value::Int(size) => usize::try_from(size).ok(),
        _ => None,
    };
    let sizes = shape.iter().map(size).collect();
    Option::map_or_else(sizes, || malformed!(FORMAT, "an impossible shape"), Ok)
}

/// `numpy.dtype('f4', False, True)` with the byte order second in its state.
fn element_type<'a>(pickle: &Pickle<'a>, value: Value<'a>) -> Result<(Dtype, bool)> {
    let Some(Object { class: Global::NumpyDtype, args, state }) = pickle.object(value) else {
        return malformed!(FORMAT, "the element type is {}", value.kind());
    };
    let name = pickle.items(args).and_then(|args| args.first()?.as_text()).unwrap_or_default();
    let order = pickle.items(state).and_then(|state| state.get(1)?.as_text());
    match parse_dtype(name) {
        Some((dtype, big_endian)) => Ok((dtype, big_endian || order == Some(">"))),
        None => malformed!(FORMAT, "unsupported element type `{}`", shorten(name)),
    }
}

/// The start of a text that may be long.
pub(crate) fn shorten(text: &str) -> String {
    text.chars().take(40).collect()
}
