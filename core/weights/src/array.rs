//! One named array of a checkpoint.

use half::{bf16, f16};

use crate::{Error, Result};

/// Element types of checkpoint files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Dtype {
    /// One byte, 0 or 1.
    Bool,
    /// Unsigned, 8 bits.
    U8,
    /// Signed, 8 bits.
    I8,
    /// Unsigned, 16 bits.
    U16,
    /// Signed, 16 bits.
    I16,
    /// Unsigned, 32 bits.
    U32,
    /// Signed, 32 bits.
    I32,
    /// Unsigned, 64 bits.
    U64,
    /// Signed, 64 bits.
    I64,
    /// IEEE 754 half precision.
    F16,
    /// The upper half of an `f32`.
    Bf16,
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 double precision.
    F64,
}

impl Dtype {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Self::Bool | Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 | Self::F16 | Self::Bf16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    /// The short name, such as `f32` or `bf16`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::U8 => "u8",
            Self::I8 => "i8",
            Self::U16 => "u16",
            Self::I16 => "i16",
            Self::U32 => "u32",
            Self::I32 => "i32",
            Self::U64 => "u64",
            Self::I64 => "i64",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::F32 => "f32",
            Self::F64 => "f64",
        }
    }
}

impl std::fmt::Display for Dtype {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// Numbers with a shape, stored little endian in C order (last axis fastest).
#[derive(Clone, PartialEq, Eq)]
pub struct Array {
    shape: Vec<usize>,
    dtype: Dtype,
    data: Vec<u8>,
}

/// Elements of `shape`, if that number fits into memory at all.
pub(crate) fn elements(shape: &[usize]) -> Option<usize> {
    // A zero anywhere makes the array empty, however large the other sizes are.
    if shape.contains(&0) {
        return Some(0);
    }
    shape.iter().try_fold(1usize, |n, &size| n.checked_mul(size))
}

impl Array {
    /// An array of the bytes `data`, little endian and in C order.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] if `data` is not what `shape` and `dtype` need.
    pub fn new(shape: impl Into<Vec<usize>>, dtype: Dtype, data: Vec<u8>) -> Result<Self> {
        let shape = shape.into();
        let needed = elements(&shape).and_then(|n| n.checked_mul(dtype.size()));
        if needed == Some(data.len()) {
            Ok(Self { shape, dtype, data })
        } else {
            Err(Error::ShapeMismatch { shape, dtype, bytes: data.len() })
        }
    }

    /// An array of `f32` values in C order.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] if the number of values is not the product of `shape`.
    pub fn from_f32(shape: impl Into<Vec<usize>>, values: &[f32]) -> Result<Self> {
        Self::new(shape, Dtype::F32, bytes(values, f32::to_le_bytes))
    }

    /// An array of `f64` values in C order.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] if the number of values is not the product of `shape`.
    pub fn from_f64(shape: impl Into<Vec<usize>>, values: &[f64]) -> Result<Self> {
        Self::new(shape, Dtype::F64, bytes(values, f64::to_le_bytes))
    }

    /// An array of `i64` values in C order.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] if the number of values is not the product of `shape`.
    pub fn from_i64(shape: impl Into<Vec<usize>>, values: &[i64]) -> Result<Self> {
        Self::new(shape, Dtype::I64, bytes(values, i64::to_le_bytes))
    }

    /// An array of bytes in C order.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] if the number of values is not the product of `shape`.
    pub fn from_u8(shape: impl Into<Vec<usize>>, values: Vec<u8>) -> Result<Self> {
        Self::new(shape, Dtype::U8, values)
    }

    /// Sizes, slowest axis first; empty for a scalar.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The element type.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.data.len() / self.dtype.size()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// The elements as little-endian bytes in C order.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The elements as little-endian bytes in C order, without a copy.
    pub fn into_data(self) -> Vec<u8> {
        self.data
    }

    /// The values rounded to `f32`; false is 0 and true is 1.
    pub fn to_f32(&self) -> Vec<f32> {
        match self.dtype {
            // An `f64` or a wide integer goes to `f32` in one rounding.
            Dtype::I32 => self.map(|b| i32::from_le_bytes(b) as f32),
            Dtype::U32 => self.map(|b| u32::from_le_bytes(b) as f32),
            Dtype::I64 => self.map(|b| i64::from_le_bytes(b) as f32),
            Dtype::U64 => self.map(|b| u64::from_le_bytes(b) as f32),
            Dtype::F64 => self.map(|b| f64::from_le_bytes(b) as f32),
            Dtype::F32 => self.map(f32::from_le_bytes),
            Dtype::F16 => self.map(|b| f16::from_le_bytes(b).to_f32()),
            Dtype::Bf16 => self.map(|b| bf16::from_le_bytes(b).to_f32()),
            Dtype::U16 => self.map(|b| u16::from_le_bytes(b) as f32),
            Dtype::I16 => self.map(|b| i16::from_le_bytes(b) as f32),
            Dtype::I8 => self.map(|b| i8::from_le_bytes(b) as f32),
            Dtype::U8 | Dtype::Bool => self.map(|[b]| b as f32),
        }
    }

    /// The values as `f64`, exact except for integers beyond 2^53; false is 0 and true is 1.
    pub fn to_f64(&self) -> Vec<f64> {
        match self.dtype {
            Dtype::I64 => self.map(|b| i64::from_le_bytes(b) as f64),
            Dtype::U64 => self.map(|b| u64::from_le_bytes(b) as f64),
            Dtype::I32 => self.map(|b| i32::from_le_bytes(b) as f64),
            Dtype::U32 => self.map(|b| u32::from_le_bytes(b) as f64),
            Dtype::F64 => self.map(f64::from_le_bytes),
            // `f32` represents all values of the smaller types.
            _ => self.to_f32().into_iter().map(f64::from).collect(),
        }
    }

    /// The values as `i64`; fractions are cut off and what does not fit is clamped, as `as` does.
    pub fn to_i64(&self) -> Vec<i64> {
        match self.dtype {
            Dtype::I64 => self.map(i64::from_le_bytes),
            Dtype::U64 => self.map(|b| i64::try_from(u64::from_le_bytes(b)).unwrap_or(i64::MAX)),
            _ => self.to_f64().into_iter().map(|v| v as i64).collect(),
        }
    }

    fn map<T, const N: usize>(&self, value: impl Fn([u8; N]) -> T) -> Vec<T> {
        self.data.as_chunks().0.iter().map(|&chunk| value(chunk)).collect()
    }
}

fn bytes<T: Copy, const N: usize>(values: &[T], to_le: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(|&v| to_le(v)).collect()
}

impl std::fmt::Debug for Array {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Array({} {:?})", self.dtype, self.shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dtype_keeps_its_values() {
        let case = |dtype, data: &[u8], expected: &[f64]| {
            let array = Array::new([expected.len()], dtype, data.to_vec()).unwrap();
            assert_eq!(array.to_f64(), expected, "{dtype}");
            let f32s: Vec<f32> = expected.iter().map(|&v| v as f32).collect();
            assert_eq!(array.to_f32(), f32s, "{dtype}");
        };
        case(Dtype::Bool, &[1, 0], &[1.0, 0.0]);
        case(Dtype::U8, &[255, 7], &[255.0, 7.0]);
        case(Dtype::I8, &[255, 7], &[-1.0, 7.0]);
        case(Dtype::U16, &[0xFF, 0xFF], &[65535.0]);
        case(Dtype::I16, &[0xFE, 0xFF], &[-2.0]);
        case(Dtype::U32, &[0xFF; 4], &[4_294_967_295.0]);
        case(Dtype::I32, &[0xFD, 0xFF, 0xFF, 0xFF], &[-3.0]);
        case(Dtype::U64, &[0, 0, 0, 0, 0, 0, 0, 128], &[9_223_372_036_854_775_808.0]);
        case(Dtype::I64, &[0xFF; 8], &[-1.0]);
        case(Dtype::F16, &[0x00, 0x3C, 0x00, 0xC0], &[1.0, -2.0]);
        case(Dtype::Bf16, &[0x80, 0x3F, 0x00, 0xC0], &[1.0, -2.0]);
        case(Dtype::F32, &[0, 0, 0x80, 0x3F], &[1.0]);
        case(Dtype::F64, &[0, 0, 0, 0, 0, 0, 0xF0, 0x3F], &[1.0]);
    }

    #[test]
    fn large_integers_are_exact_as_i64() {
        let value = (1i64 << 53) + 1;
        let array = Array::new([1], Dtype::I64, value.to_le_bytes().to_vec()).unwrap();
        assert_eq!(array.to_i64(), [value]);
    }

    #[test]
    fn a_shape_that_the_data_does_not_fill_is_refused() {
        assert!(Array::from_f32([2, 3], &[0.0; 5]).is_err());
        assert!(Array::from_f32([usize::MAX, 2], &[0.0; 5]).is_err());
        assert!(Array::from_f32([usize::MAX, 2, 0], &[]).is_ok());
        assert_eq!(Array::from_f32([], &[1.5]).unwrap().len(), 1);
    }
}
