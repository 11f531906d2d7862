//! Rows of float32 features, one row per image.

use nalgebra::DMatrix;

use crate::linalg::tr_mul;
use crate::{Error, Result};

/// Rows that are converted to float64 at once.
const BLOCK: usize = 512;

/// A dense matrix of float32 features, (N, dim) in C order.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    data: Vec<f32>,
    dim: usize,
}

impl Features {
    /// No rows yet, each `dim` wide.
    ///
    /// # Errors
    /// [`Error::Parameter`] if `dim` is zero.
    pub fn new(dim: usize) -> Result<Self> {
        Self::from_vec(Vec::new(), dim)
    }

    /// Rows laid end to end.
    ///
    /// # Errors
    /// [`Error::Parameter`] if `dim` is zero; [`Error::RaggedRows`] if the length is not a
    /// multiple of it.
    pub fn from_vec(data: Vec<f32>, dim: usize) -> Result<Self> {
        check_rows(data.len(), dim)?;
        Ok(Self { data, dim })
    }

    /// Rows laid end to end, whose number is known to be whole.
    pub(crate) fn of_rows(values: impl Iterator<Item = f32>, dim: usize) -> Self {
        Self { data: values.collect(), dim }
    }

    /// Appends rows laid end to end.
    ///
    /// # Errors
    /// [`Error::RaggedRows`] if the length is not a multiple of the dimension.
    pub fn push_rows(&mut self, rows: &[f32]) -> Result<()> {
        check_rows(rows.len(), self.dim)?;
        self.data.extend_from_slice(rows);
        Ok(())
    }

    /// Appends the rows of `other`.
    ///
    /// # Errors
    /// [`Error::Dimension`] if they are not as wide.
    pub fn append(&mut self, other: &Self) -> Result<()> {
        if self.dim != other.dim {
            let (expected, got) = (self.dim, other.dim);
            return Err(Error::Dimension { what: "the appended rows", expected, got });
        }
        self.data.extend_from_slice(&other.data);
        Ok(())
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.data.len() / self.dim
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Width of a row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Row `index`.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row(&self, index: usize) -> &[f32] {
        &self.data[index * self.dim..][..self.dim]
    }

    /// The rows in order.
    pub fn rows(&self) -> std::slice::ChunksExact<'_, f32> {
        self.data.chunks_exact(self.dim)
    }

    /// The rows of `indices`, in that order.
    ///
    /// # Panics
    /// If an index names no row.
    #[must_use]
    pub fn select(&self, indices: &[usize]) -> Self {
        let data = indices.iter().flat_map(|&i| self.row(i)).copied().collect();
        Self { data, dim: self.dim }
    }

    /// The rows scaled to length one; rows of zeros are left out.
    #[must_use]
    pub fn normalized(&self) -> Self {
        let mut data = Vec::with_capacity(self.data.len());
        for row in self.rows() {
            let length = row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
            if length > 0.0 {
                data.extend(row.iter().map(|&x| (f64::from(x) / length) as f32));
            }
        }
        Self { data, dim: self.dim }
    }

    /// The coordinates of each row along `directions`, (dim, directions).
    ///
    /// # Errors
    /// [`Error::Dimension`] if rows and directions are not equally long.
    pub fn along(&self, directions: &DMatrix<f64>) -> Result<Self> {
        let (expected, got) = (directions.nrows(), self.dim);
        if expected != got {
            return Err(Error::Dimension { what: "the features", expected, got });
        }
        let mut data = Vec::with_capacity(self.len() * directions.ncols());
        for rows in self.data.chunks(BLOCK * self.dim) {
            let values = rows.iter().map(|&x| f64::from(x));
            let rows = DMatrix::from_iterator(self.dim, rows.len() / self.dim, values);
            data.extend(tr_mul(directions, &rows).iter().map(|&x| x as f32));
        }
        Self::from_vec(data, directions.ncols())
    }

    /// All values, row after row.
    pub fn as_slice(&self) -> &[f32] {
        &self.data
    }

    /// Gives the values back, row after row.
    pub fn into_vec(self) -> Vec<f32> {
        self.data
    }

    /// Checks that every value is finite; `what` names the features in the error.
    ///
    /// # Errors
    /// [`Error::NotFinite`] with the first row that contains an infinity or NaN.
    pub fn check_finite(&self, what: &'static str) -> Result<()> {
        match self.data.iter().position(|v| !v.is_finite()) {
            Some(at) => Err(Error::NotFinite { what, row: at / self.dim }),
            None => Ok(()),
        }
    }
}

/// Checks that `len` values make whole rows of `dim`.
pub(crate) fn check_rows(len: usize, dim: usize) -> Result<()> {
    if dim == 0 {
        let (name, expected) = ("the dimension of features", "at least 1");
        return Err(Error::Parameter { name, expected, got: dim.to_string() });
    }
    if !len.is_multiple_of(dim) {
        return Err(Error::RaggedRows { len, dim });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_selected_in_the_order_asked_for() {
        let features = Features::from_vec(vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0], 2).unwrap();
        assert_eq!(features.select(&[2, 0, 2]).as_slice(), [4.0, 5.0, 0.0, 1.0, 4.0, 5.0]);
        assert_eq!((features.len(), features.dim(), features.row(1)), (3, 2, &[2.0, 3.0][..]));
    }

    #[test]
    fn normalized_rows_have_length_one() {
        let features = Features::from_vec(vec![3.0, 4.0, 0.0, 0.0, -2.0, 0.0], 2).unwrap();
        assert_eq!(features.normalized().as_slice(), [0.6, 0.8, -1.0, 0.0]);
    }

    #[test]
    fn ragged_rows_and_width_zero_are_refused() {
        assert!(matches!(
            Features::from_vec(vec![0.0; 7], 3),
            Err(Error::RaggedRows { len: 7, dim: 3 })
        ));
        assert!(matches!(Features::new(0), Err(Error::Parameter { .. })));
        assert!(Features::new(4).unwrap().push_rows(&[0.0; 6]).is_err());
    }

    #[test]
    fn a_value_that_is_not_finite_is_found_with_its_row() {
        let features = Features::from_vec(vec![0.0, 1.0, 2.0, f32::NAN], 2).unwrap();
        assert!(matches!(
            features.check_finite("features"),
            Err(Error::NotFinite { what: "features", row: 1 })
        ));
    }
}
