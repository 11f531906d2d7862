//! Strided views of storages.

use std::ops::{Deref, Range};
use std::rc::Rc;

use crate::array::elements;
use crate::budget::Budget;
use crate::error::malformed;
use crate::{Array, Dtype, Result};

use super::FORMAT;

/// Axes that an array may have; NumPy allows as many.
const MAX_AXES: usize = 64;

/// Bytes of a storage: a part of the file, or its unpacked content.
#[derive(Debug, Clone)]
pub(crate) enum Bytes<'a> {
    Borrowed(&'a [u8]),
    Shared { bytes: Rc<[u8]>, range: Range<usize> },
}

impl Bytes<'_> {
    /// Bytes that are not in the file.
    pub(crate) fn shared(bytes: &[u8]) -> Self {
        Self::Shared { bytes: bytes.into(), range: 0..bytes.len() }
    }

    /// The part `range` of the bytes, which it must not exceed.
    pub(crate) fn slice(self, range: Range<usize>) -> Self {
        match self {
            Self::Borrowed(bytes) => Self::Borrowed(&bytes[range]),
            Self::Shared { bytes, range: old } => {
                let range = old.start + range.start..old.start + range.end;
                Self::Shared { bytes, range }
            }
        }
    }
}

impl Deref for Bytes<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Shared { bytes, range } => &bytes[range.clone()],
        }
    }
}

/// Elements `offset + sum(index * stride)` of a storage, all in bounds.
#[derive(Debug, Clone)]
pub(crate) struct View<'a> {
    storage: Bytes<'a>,
    dtype: Dtype,
    /// Whether the elements are stored with their most significant byte first.
    big_endian: bool,
    offset: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
}

impl<'a> View<'a> {
    /// A view whose elements are all inside of `storage`. Offset and strides count elements.
    ///
    /// # Errors
    /// If a shape, a stride or the place of an element is impossible.
    pub(crate) fn new(
        storage: Bytes<'a>,
        dtype: Dtype,
        offset: usize,
        shape: Vec<usize>,
        strides: Vec<usize>,
    ) -> Result<Self> {
        if shape.len() != strides.len() || shape.len() > MAX_AXES {
            let (axes, given) = (shape.len(), strides.len());
            return malformed!(FORMAT, "a tensor of {axes} axes with {given} strides");
        }
        let available = storage.len() / dtype.size();
        let last = shape.iter().zip(&strides).try_fold(offset, |last, (&size, &stride)| {
            last.checked_add(size.saturating_sub(1).checked_mul(stride)?)
        });
        let empty = shape.contains(&0);
        if !empty && last.is_none_or(|last| last >= available) {
            return malformed!(
                FORMAT,
                "shape {shape:?} with strides {strides:?} from element {offset} reaches beyond \
                 the {available} elements of its storage"
            );
        }
        Ok(Self { storage, dtype, big_endian: false, offset, shape, strides })
    }

    /// The view of an array in C or in Fortran order that fills `storage` from its start.
    pub(crate) fn whole(
        storage: Bytes<'a>,
        dtype: Dtype,
        big_endian: bool,
        shape: Vec<usize>,
        fortran_order: bool,
    ) -> Result<Self> {
        let mut strides = vec![0; shape.len()];
        let axes: Box<dyn Iterator<Item = usize>> =
            if fortran_order { Box::new(0..shape.len()) } else { Box::new((0..shape.len()).rev()) };
        let mut stride = 1usize;
        for axis in axes {
            strides[axis] = stride;
            stride = stride.saturating_mul(shape[axis]);
        }
        let view = Self::new(storage, dtype, 0, shape, strides)?;
        Ok(Self { big_endian, ..view })
    }

    /// The element type.
    pub(crate) fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Sizes, slowest axis first.
    pub(crate) fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements in C order, little endian.
    ///
    /// # Errors
    /// If they take more memory than `budget` allows.
    pub(crate) fn array(&self, budget: &mut Budget) -> Result<Array> {
        let size = self.dtype.size();
        let bytes = elements(&self.shape).and_then(|n| n.checked_mul(size));
        let bytes = bytes.unwrap_or(usize::MAX);
        budget.take(bytes as u64)?;
        let mut data = if bytes == 0 {
            Vec::new()
        } else if self.is_contiguous() {
            self.storage[self.offset * size..][..bytes].to_vec()
        } else {
            match size {
                1 => self.gather::<1>(bytes),
                2 => self.gather::<2>(bytes),
                4 => self.gather::<4>(bytes),
                _ => self.gather::<8>(bytes),
            }
        };
        if self.big_endian {
            data.chunks_exact_mut(size).for_each(<[u8]>::reverse);
        }
        if self.dtype == Dtype::Bool {
            // A byte that is neither 0 nor 1 is true in C and invalid elsewhere.
            for byte in &mut data {
                *byte = (*byte != 0).into();
            }
        }
        Array::new(self.shape.clone(), self.dtype, data)
    }

    /// Whether C order is the order of the storage; strides of axes of size 1 do not matter.
    fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        self.shape.iter().zip(&self.strides).rev().all(|(&size, &stride)| {
            let fits = size == 1 || stride == expected;
            expected *= size;
            fits
        })
    }

    /// The elements one after the other, last index fastest. There is at least one.
    fn gather<const SIZE: usize>(&self, bytes: usize) -> Vec<u8> {
        let source = self.storage.as_chunks::<SIZE>().0;
        let mut data = Vec::with_capacity(bytes);
        let mut index = vec![0; self.shape.len()];
        let mut at = self.offset;
        while data.len() < bytes {
            data.extend_from_slice(&source[at]);
            for axis in (0..self.shape.len()).rev() {
                index[axis] += 1;
                at += self.strides[axis];
                if index[axis] < self.shape[axis] {
                    break;
                }
                at -= self.strides[axis] * self.shape[axis];
                index[axis] = 0;
            }
        }
        data
    }
}
