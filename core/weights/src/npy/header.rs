//! The header: a Python dict with the element type, the order and the shape.

use std::io::Read;

use crate::array::elements;
use crate::error::malformed;
use crate::numpy::{parse_dtype, shorten};
use crate::{Dtype, Error, Result};

const FORMAT: &str = "npy header";
const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// Bytes of the dict; NumPy itself reads headers up to 10,000.
const MAX_LENGTH: u32 = 1 << 16;

/// Data start at a multiple of this.
const ALIGNMENT: usize = 64;

/// The header of a `.npy` file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header {
    /// Sizes, slowest axis first if in C order.
    pub shape: Vec<usize>,
    /// The element type.
    pub dtype: Dtype,
    /// Whether the first axis is the fastest.
    pub fortran_order: bool,
    /// Whether the most significant byte of an element comes first.
    pub big_endian: bool,
}

impl Header {
    /// Reads the header at the start of a `.npy` stream.
    ///
    /// # Errors
    /// If the stream does not start with one, or the elements are not plain numbers.
    pub fn read(mut reader: impl Read) -> Result<Self> {
        let mut start = [0; 8];
        reader.read_exact(&mut start)?;
        let [magic @ .., version, _] = &start;
        if magic != MAGIC {
            return malformed!(FORMAT, "the file does not start as one");
        }
        let length = if *version == 1 {
            let mut length = [0; 2];
            reader.read_exact(&mut length)?;
            u16::from_le_bytes(length).into()
        } else {
            let mut length = [0; 4];
            reader.read_exact(&mut length)?;
            u32::from_le_bytes(length)
        };
        if !(1..=3).contains(version) || length > MAX_LENGTH {
            return malformed!(FORMAT, "version {version} with a header of {length} bytes");
        }
        let mut text = vec![0; length as usize];
        reader.read_exact(&mut text)?;
        match str::from_utf8(&text) {
            Ok(text) => Self::parse(text),
            Err(e) => malformed!(FORMAT, "{e}"),
        }
    }

    /// Bytes of the data behind the header.
    pub(super) fn bytes(&self) -> Result<u64> {
        let bytes = elements(&self.shape).and_then(|n| n.checked_mul(self.dtype.size()));
        match bytes {
            Some(bytes) => Ok(bytes as u64),
            None => malformed!(FORMAT, "impossible shape {:?}", self.shape),
        }
    }

    fn parse(text: &str) -> Result<Self> {
        let mut scanner = Scanner { rest: text };
        let (mut dtype, mut fortran_order, mut shape) = (None, None, None);
        scanner.expect('{')?;
        while !scanner.accept('}') {
            let key = scanner.string()?;
            scanner.expect(':')?;
            match key {
                "descr" => dtype = Some(scanner.string()?),
                "fortran_order" => fortran_order = Some(scanner.bool()?),
                "shape" => shape = Some(scanner.tuple()?),
                _ => return malformed!(FORMAT, "unknown entry `{}`", shorten(key)),
            }
            if !scanner.accept(',') {
                scanner.expect('}')?;
                break;
            }
        }
        let (Some(descr), Some(fortran_order), Some(shape)) = (dtype, fortran_order, shape) else {
            return malformed!(FORMAT, "`descr`, `fortran_order` or `shape` is missing");
        };
        let Some((dtype, big_endian)) = parse_dtype(descr) else {
            let (name, dtype) = (String::from("npy"), shorten(descr));
            return Err(Error::UnsupportedDtype { name, dtype });
        };
        Ok(Self { shape, dtype, fortran_order, big_endian })
    }
}

/// The part of a Python literal that is not yet read.
struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    fn accept(&mut self, token: char) -> bool {
        let rest = self.rest.trim_start();
        let found = rest.strip_prefix(token);
        self.rest = found.unwrap_or(rest);
        found.is_some()
    }

    fn expect(&mut self, token: char) -> Result<()> {
        if self.accept(token) {
            return Ok(());
        }
        malformed!(FORMAT, "`{token}` expected before `{}`", shorten(self.rest))
    }

    fn string(&mut self) -> Result<&'a str> {
        let quote = if self.accept('"') {
            '"'
        } else {
            // A structured element type would be a list here.
            self.expect('\'')?;
            '\''
        };
        let Some((text, rest)) = self.rest.split_once(quote) else {
            return malformed!(FORMAT, "a text does not end");
        };
        self.rest = rest;
        Ok(text)
    }

    /// The text before the next character that is not a letter or digit.
    fn word(&mut self) -> &'a str {
        let rest = self.rest.trim_start();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let (word, rest) = rest.split_at(end);
        self.rest = rest;
        word
    }

    fn bool(&mut self) -> Result<bool> {
        match self.word() {
            "True" => Ok(true),
            "False" => Ok(false),
            other => malformed!(FORMAT, "`{}` is neither True nor False", shorten(other)),
        }
    }

    fn tuple(&mut self) -> Result<Vec<usize>> {
        let mut sizes = Vec::new();
        self.expect('(')?;
        while !self.accept(')') {
            let word = self.word();
            // Python 2 marks its long integers.
            let Ok(size) = word.trim_end_matches('L').parse() else {
                return malformed!(FORMAT, "`{}` as a size", shorten(word));
            };
            sizes.push(size);
            if !self.accept(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(sizes)
    }
}

/// The header of a C-order, little-endian array as `numpy.save` writes it.
pub(super) fn to_bytes(dtype: Dtype, shape: &[usize]) -> Result<Vec<u8>> {
    let descr = match dtype {
        Dtype::Bool => "|b1",
        Dtype::U8 => "|u1",
        Dtype::I8 => "|i1",
        Dtype::U16 => "<u2",
        Dtype::I16 => "<i2",
        Dtype::U32 => "<u4",
        Dtype::I32 => "<i4",
        Dtype::U64 => "<u8",
        Dtype::I64 => "<i8",
        Dtype::F16 => "<f2",
        Dtype::F32 => "<f4",
        Dtype::F64 => "<f8",
        Dtype::Bf16 => {
            let (name, dtype) = (String::from("npy"), dtype.to_string());
            return Err(Error::UnsupportedDtype { name, dtype });
        }
    };
    let sizes = match shape {
        [size] => format!("{size},"),
        _ => shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", "),
    };
    let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({sizes}), }}");
    let fixed = MAGIC.len() + 2 + 2;
    let padded = (fixed + text.len() + 1).next_multiple_of(ALIGNMENT) - fixed;
    let Ok(length) = u16::try_from(padded) else {
        return malformed!(FORMAT, "{} axes", shape.len());
    };
    let mut bytes = MAGIC.to_vec();
    bytes.extend([1, 0]);
    bytes.extend(length.to_le_bytes());
    bytes.extend(text.bytes());
    bytes.resize(fixed + padded - 1, b' ');
    bytes.push(b'\n');
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_those_of_numpy() {
        // numpy.save of zeros((2, 3), float32), zeros(5, bool) and float64(0)
        let case = |dtype, shape: &[usize], expected: &str| {
            let bytes = to_bytes(dtype, shape).unwrap();
            assert_eq!(bytes.len(), 128);
            assert_eq!(bytes[..10], *b"\x93NUMPY\x01\x00\x76\x00");
            assert_eq!(str::from_utf8(&bytes[10..]).unwrap().trim_end(), expected);
            assert_eq!(bytes[127], b'\n');
            let header = Header::read(bytes.as_slice()).unwrap();
            assert_eq!((header.dtype, header.shape.as_slice()), (dtype, shape));
        };
        case(Dtype::F32, &[2, 3], "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }");
        case(Dtype::Bool, &[5], "{'descr': '|b1', 'fortran_order': False, 'shape': (5,), }");
        case(Dtype::F64, &[], "{'descr': '<f8', 'fortran_order': False, 'shape': (), }");
    }

    #[test]
    fn other_spellings_are_understood() {
        let header = Header::parse("{\"shape\":(3L, 4L),'fortran_order':True,'descr':'>i2'}\n");
        let header = header.unwrap();
        assert_eq!(header.shape, [3, 4]);
        assert!(header.fortran_order && header.big_endian);
        assert_eq!(header.dtype, Dtype::I16);
    }

    #[test]
    fn what_is_no_plain_array_of_numbers_is_refused() {
        for text in [
            "",
            "{}",
            "{'descr': '|O', 'fortran_order': False, 'shape': (2,)}",
            "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
            "{'descr': '<f4', 'fortran_order': maybe, 'shape': (2,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'more': 1}",
        ] {
            assert!(Header::parse(text).is_err(), "{text}");
        }
    }
}
