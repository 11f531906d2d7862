//! Kernels, and their sums over pairs of images in float64.

use ganscope_stats::linalg::row_products;
use ganscope_stats::{Error, Features, Result, check_parameter};
use nalgebra::DMatrix;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Images of one side of a tile, whose products are taken at once.
const TILE: usize = 256;

/// Largest table of kernel values, in entries: 256 MiB.
const LARGEST_TABLE: usize = 1 << 25;

/// Kernel evaluations that a look-up in a table is worth: a product costs as much as its row is
/// long, a look-up in a large table some cache misses.
const LOOKUPS_PER_PRODUCT: usize = 4;

/// A positive definite function of two feature rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Kernel {
    /// `(gamma x . y + coef0)^degree`.
    Polynomial {
        /// The exponent.
        degree: u8,
        /// Factor of the product; `None` is one over the dimension.
        gamma: Option<f64>,
        /// The constant.
        coef0: f64,
    },
    /// `exp(-|x - y|^2 / (2 sigma^2))`.
    Gaussian {
        /// Its width.
        sigma: f64,
    },
}

impl Kernel {
    /// The kernel of KID, `(x . y / d + 1)^3`.
    pub const CUBIC: Self = Self::Polynomial { degree: 3, gamma: None, coef0: 1.0 };

    /// Checks the parameters.
    pub(crate) fn validate(self) -> Result<()> {
        match self {
            Self::Polynomial { degree, gamma, coef0 } => {
                check_parameter("the degree of the kernel", degree, "at least 1", degree >= 1)?;
                let gamma = gamma.unwrap_or(1.0);
                let positive = gamma.is_finite() && gamma > 0.0;
                check_parameter("gamma of the kernel", gamma, "positive and finite", positive)?;
                let valid = coef0.is_finite() && coef0 >= 0.0;
                check_parameter("coef0 of the kernel", coef0, "finite and not negative", valid)
            }
            Self::Gaussian { sigma } => {
                let positive = sigma.is_finite() && sigma > 0.0;
                check_parameter("sigma of the kernel", sigma, "positive and finite", positive)
            }
        }
    }
}

/// Both sets, the generated images first, and sums of the kernel over pairs of them.
pub(crate) struct Pool<'a> {
    generated: &'a Features,
    reference: &'a Features,
    kernel: Kernel,
    /// Factor of each row before the kernel.
    scale: Option<Vec<f64>>,
}

impl<'a> Pool<'a> {
    pub(crate) fn new(
        generated: &'a Features,
        reference: &'a Features,
        kernel: Kernel,
    ) -> Result<Self> {
        if generated.dim() != reference.dim() {
            let (what, expected, got) = ("the generated set", reference.dim(), generated.dim());
            return Err(Error::Dimension { what, expected, got });
        }
        generated.check_finite("the generated set")?;
        reference.check_finite("the reference set")?;
        Ok(Self { generated, reference, kernel, scale: None })
    }

    /// The pool of rows of length one.
    pub(crate) fn normalized(self) -> Self {
        let rows = self.generated.rows().chain(self.reference.rows());
        let length = |row: &[f32]| row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        let scale = rows.map(|row| 1.0 / length(row).max(f64::MIN_POSITIVE)).collect();
        Self { scale: Some(scale), ..self }
    }

    /// Indices of the generated images.
    pub(crate) fn generated(&self) -> Vec<usize> {
        (0..self.generated.len()).collect()
    }

    /// Indices of the reference images.
    pub(crate) fn reference(&self) -> Vec<usize> {
        (self.generated.len()..self.len()).collect()
    }

    fn len(&self) -> usize {
        self.generated.len() + self.reference.len()
    }

    /// Sum over pairs of different images of `rows`.
    pub(crate) fn among(&self, rows: &[usize]) -> f64 {
        let tiles: Vec<&[usize]> = rows.chunks(TILE).collect();
        let pairs: Vec<(usize, usize)> =
            (0..tiles.len()).flat_map(|j| (0..=j).map(move |i| (i, j))).collect();
        let sum = |&(i, j): &(usize, usize)| {
            let values = self.values(tiles[i], tiles[j]);
            if i == j { values.sum() - values.trace() } else { 2.0 * values.sum() }
        };
        pairs.par_iter().map(sum).collect::<Vec<f64>>().iter().sum()
    }

    /// Sum over pairs of an image of `rows` and one of `columns`.
    pub(crate) fn between(&self, rows: &[usize], columns: &[usize]) -> f64 {
        let rows: Vec<&[usize]> = rows.chunks(TILE).collect();
        let columns: Vec<&[usize]> = columns.chunks(TILE).collect();
        let pairs: Vec<_> = rows.iter().flat_map(|r| columns.iter().map(move |c| (r, c))).collect();
        let sum = |&(r, c): &(&&[usize], &&[usize])| self.values(r, c).sum();
        pairs.par_iter().map(sum).collect::<Vec<f64>>().iter().sum()
    }

    /// Sums of the kernel of each of `rows` with the others.
    pub(crate) fn sums_among(&self, rows: &[usize]) -> Sums {
        let tiles: Vec<&[usize]> = rows.chunks(TILE).collect();
        let pairs: Vec<(usize, usize)> =
            (0..tiles.len()).flat_map(|j| (0..=j).map(move |i| (i, j))).collect();
        let sums = pairs.par_iter().map(|&(i, j)| {
            let mut values = self.values(tiles[i], tiles[j]);
            if i == j {
                values.fill_diagonal(0.0);
            }
            (i, j, Sums::of(&values))
        });
        let mut all = Sums { of_row: vec![0.0; rows.len()], ..Sums::default() };
        for (i, j, sums) in sums.collect::<Vec<_>>() {
            add(&mut all.of_row[i * TILE..], &sums.of_row);
            all.squares += sums.squares;
            if i != j {
                add(&mut all.of_row[j * TILE..], &sums.of_column);
                all.squares += sums.squares;
            }
        }
        all
    }

    /// Sums of the kernel of each of `rows` with all of `columns`, and of each of those with all of
    /// `rows`.
    pub(crate) fn sums_between(&self, rows: &[usize], columns: &[usize]) -> Sums {
        let (row_tiles, column_tiles) = (rows.chunks(TILE), columns.chunks(TILE).enumerate());
        let pairs: Vec<_> = row_tiles
            .enumerate()
            .flat_map(|row| column_tiles.clone().map(move |column| (row, column)))
            .collect();
        let sums = pairs
            .par_iter()
            .map(|&((i, rows), (j, columns))| (i, j, Sums::of(&self.values(rows, columns))));
        let (of_row, of_column) = (vec![0.0; rows.len()], vec![0.0; columns.len()]);
        let mut all = Sums { of_row, of_column, squares: 0.0 };
        for (i, j, sums) in sums.collect::<Vec<_>>() {
            add(&mut all.of_row[i * TILE..], &sums.of_row);
            add(&mut all.of_column[j * TILE..], &sums.of_column);
            all.squares += sums.squares;
        }
        all
    }

    /// Whether a table of all pairs costs less than `evaluations` of the kernel.
    pub(crate) fn table_pays(&self, evaluations: usize) -> bool {
        let entries = self.len() * self.len();
        entries <= LARGEST_TABLE && entries <= evaluations / LOOKUPS_PER_PRODUCT
    }

    /// The kernel of all pairs.
    pub(crate) fn table(&self) -> Table {
        let n = self.len();
        let all: Vec<usize> = (0..n).collect();
        let mut values = DMatrix::zeros(n, n);
        values.as_mut_slice().par_chunks_mut(TILE * n).zip(all.par_chunks(TILE)).for_each(
            |(panel, columns)| {
                let upper = &all[..=columns[columns.len() - 1]];
                for rows in upper.chunks(TILE) {
                    let tile = self.values(rows, columns);
                    for (column, tile) in panel.chunks_exact_mut(n).zip(tile.column_iter()) {
                        column[rows[0]..][..rows.len()].copy_from_slice(tile.as_slice());
                    }
                }
            },
        );
        values.fill_lower_triangle_with_upper_triangle();
        Table(values)
    }

    /// The kernel of each row with each column.
    fn values(&self, rows: &[usize], columns: &[usize]) -> DMatrix<f64> {
        let dim = self.generated.dim();
        let (a, b) = (self.gather(rows), self.gather(columns));
        let mut values = row_products(&a, &b, dim);
        match self.kernel {
            Kernel::Polynomial { degree, gamma, coef0 } => {
                let gamma = gamma.unwrap_or(1.0 / dim as f64);
                values.apply(|v| *v = (gamma * *v + coef0).powi(degree.into()));
            }
            Kernel::Gaussian { sigma } => {
                let squares = |rows: &[f64]| -> Vec<f64> {
                    rows.chunks_exact(dim).map(|row| row.iter().map(|x| x * x).sum()).collect()
                };
                let (a, b) = (squares(&a), squares(&b));
                for (mut column, b) in values.column_iter_mut().zip(b) {
                    for (v, a) in column.iter_mut().zip(&a) {
                        let distance = (a + b - 2.0 * *v).max(0.0);
                        *v = (-distance / (2.0 * sigma * sigma)).exp();
                    }
                }
            }
        }
        values
    }

    fn gather(&self, rows: &[usize]) -> Vec<f64> {
        let mut gathered = Vec::with_capacity(rows.len() * self.generated.dim());
        for &row in rows {
            let scale = self.scale.as_ref().map_or(1.0, |scale| scale[row]);
            let values = match row.checked_sub(self.generated.len()) {
                None => self.generated.row(row),
                Some(row) => self.reference.row(row),
            };
            gathered.extend(values.iter().map(|&x| scale * f64::from(x)));
        }
        gathered
    }
}

/// Sums of a table of kernel values.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sums {
    pub(crate) of_row: Vec<f64>,
    /// Empty where rows and columns are the same images.
    pub(crate) of_column: Vec<f64>,
    pub(crate) squares: f64,
}

impl Sums {
    fn of(values: &DMatrix<f64>) -> Self {
        let mut of_row = vec![0.0; values.nrows()];
        values.column_iter().for_each(|column| add(&mut of_row, column.as_slice()));
        let of_column = values.column_iter().map(|column| column.sum()).collect();
        Self { of_row, of_column, squares: values.norm_squared() }
    }
}

fn add(sums: &mut [f64], values: &[f64]) {
    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
}

/// The kernel of all pairs of a [`Pool`].
pub(crate) struct Table(DMatrix<f64>);

impl Table {
    /// Sum over pairs of different images of `rows`.
    pub(crate) fn among(&self, rows: &[usize]) -> f64 {
        self.between(rows, rows) - rows.iter().map(|&i| self.0[(i, i)]).sum::<f64>()
    }

    /// Sum over pairs of an image of `rows` and one of `columns`.
    pub(crate) fn between(&self, rows: &[usize], columns: &[usize]) -> f64 {
        let sum = |&column: &usize| {
            let column = self.0.column(column);
            rows.iter().map(|&row| column[row]).sum::<f64>()
        };
        columns.iter().map(sum).sum()
    }
}
