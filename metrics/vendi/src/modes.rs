//! Kinds of images that are more frequent in one of two sets.
//!
//! Zhang et al., "An Interpretable Evaluation of Entropy-based Novelty of Generative Models" (KEN),
//! 2024, <https://arxiv.org/abs/2402.17287>, and "Unveiling Differences in Generative Models: A
//! Scalable Differential Clustering Approach" (FINC), 2025, <https://arxiv.org/abs/2405.02700>. Agrees
//! with FINC on its frequencies.

use ganscope_stats::linalg::{leading_eigenvectors, mul, symmetric_eigen, tr_mul};
use ganscope_stats::random::RandomState;
use ganscope_stats::{Chance, Error, Features, Result, Side, check_parameter};
use nalgebra::{DMatrix, DVector};

/// Rows that are taken at once.
const BLOCK: usize = 512;

/// Rows between which [`Kernel::gaussian`] measures distances.
const MEASURED: usize = 500;

/// The similarity of two images, at most 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kernel {
    /// The cosine of two rows.
    Linear,
    /// `exp(-|x - y|^2 / (2 sigma^2))`, by random Fourier features.
    Gaussian {
        /// Its width.
        sigma: f64,
        /// Number of frequencies, drawn from `N(0, 1 / sigma^2)`; each has a cosine and a sine.
        frequencies: usize,
        /// Seed of the frequencies.
        seed: u32,
    },
}

impl Kernel {
    /// A Gaussian kernel that tells kinds of images apart: its width is half the median distance
    /// between rows, of which it draws some.
    ///
    /// # Errors
    /// [`Error::TooFewSamples`] for fewer than two rows, [`Error::NotFinite`].
    pub fn gaussian(rows: &Features, frequencies: usize, seed: u32) -> Result<Self> {
        rows.check_finite("features")?;
        if rows.len() < 2 {
            let (what, got) = ("the width of a kernel", rows.len());
            return Err(Error::TooFewSamples { what, needed: 2, got });
        }
        let drawn = RandomState::new(seed).choice(rows.len(), rows.len().min(MEASURED))?;
        let mut distances = Vec::with_capacity(drawn.len() * drawn.len() / 2);
        for (i, &a) in drawn.iter().enumerate() {
            for &b in &drawn[..i] {
                let pairs = rows.row(a).iter().zip(rows.row(b));
                let square: f64 = pairs.map(|(&x, &y)| (f64::from(x) - f64::from(y)).powi(2)).sum();
                distances.push(square.sqrt());
            }
        }
        let middle = distances.len() / 2;
        let (_, median, _) = distances.select_nth_unstable_by(middle, f64::total_cmp);
        // Rows that are mostly equal have no other scale than their largest distance.
        let scale =
            if *median > 0.0 { *median } else { distances.iter().copied().fold(0.0, f64::max) };
        let sigma = if scale > 0.0 { 0.5 * scale } else { 1.0 };
        Ok(Self::Gaussian { sigma, frequencies, seed })
    }

    fn check(&self) -> Result<()> {
        let Self::Gaussian { sigma, frequencies, .. } = *self else { return Ok(()) };
        let holds = sigma.is_finite() && sigma > 0.0;
        check_parameter("the width of a kernel", sigma, "finite and positive", holds)?;
        check_parameter("the number of frequencies", frequencies, "at least 1", frequencies > 0)
    }
}

/// Maps rows to vectors whose products are the kernel.
#[derive(Debug)]
struct Embedding {
    kernel: Kernel,
    /// Frequencies, (dim, frequencies); nothing for the linear kernel.
    frequencies: DMatrix<f64>,
}

impl Embedding {
    fn new(kernel: Kernel, dim: usize) -> Self {
        let frequencies = match kernel {
            Kernel::Linear => DMatrix::zeros(dim, 0),
            Kernel::Gaussian { sigma, frequencies, seed } => {
                let mut random = RandomState::new(seed);
                let drawn = random.standard_normals(dim * frequencies);
                // NumPy fills row by row.
                DMatrix::from_row_slice(dim, frequencies, &drawn) / sigma
            }
        };
        Self { kernel, frequencies }
    }

    /// Vectors of rows that are laid end to end, one per column.
    fn of(&self, rows: &[f32], dim: usize) -> DMatrix<f64> {
        let mut rows = columns(rows, dim);
        match self.kernel {
            Kernel::Linear => {
                for mut row in rows.column_iter_mut() {
                    let length = row.norm();
                    row /= if length > 0.0 { length } else { 1.0 };
                }
                rows
            }
            Kernel::Gaussian { frequencies, .. } => {
                let angles = tr_mul(&self.frequencies, &rows);
                let scale = (frequencies as f64).sqrt().recip();
                DMatrix::from_fn(2 * frequencies, angles.ncols(), |i, j| {
                    scale
                        * match i.checked_sub(frequencies) {
                            None => angles[(i, j)].cos(),
                            Some(i) => angles[(i, j)].sin(),
                        }
                })
            }
        }
    }

    /// The mean of `v v^T` over the vectors of all rows.
    fn second_moment(&self, features: &Features) -> DMatrix<f64> {
        second_moment(features, |rows| self.of(rows, features.dim()))
    }
}

/// Rows that are laid end to end, one per column.
fn columns(rows: &[f32], dim: usize) -> DMatrix<f64> {
    DMatrix::from_iterator(dim, rows.len() / dim, rows.iter().map(|&x| f64::from(x)))
}

/// The mean of `v v^T` over all rows, of which `vectors` makes some into columns `v`.
fn second_moment(features: &Features, vectors: impl Fn(&[f32]) -> DMatrix<f64>) -> DMatrix<f64> {
    let blocks = features.as_slice().chunks(BLOCK * features.dim());
    let mut blocks = blocks.map(|rows| {
        let vectors = vectors(rows);
        mul(&vectors, &vectors.transpose())
    });
    let first = blocks.next().unwrap_or_else(|| DMatrix::zeros(0, 0));
    blocks.fold(first, |sum, block| sum + block) / features.len() as f64
}

/// A kind of images that one set has more of than the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Mode {
    /// By how much, as a share of all images: the eigenvalue. As a kind has some variety of its own,
    /// its share of the images is larger.
    pub excess: f64,
    /// The images of the set that show the kind most clearly, the clearest first.
    pub images: Vec<usize>,
}

/// What two sets differ in: the eigenvectors of `C_a - eta C_b`, where `C` is the mean of `v v^T` over
/// the images `v` of a set, in the space of a kernel. Positive eigenvalues belong to what `a` has more
/// than `eta` times as much of as `b`.
#[derive(Debug)]
pub struct Modes<'a> {
    embedding: Embedding,
    sets: [&'a Features; 2],
    /// Of the generated set against the reference, and the other way round: eigenvalues, descending,
    /// and their vectors.
    spectra: [(Vec<f64>, DMatrix<f64>); 2],
    /// The mean of `v v^T` over the images of both sets.
    pooled: DMatrix<f64>,
    eta: f64,
}

impl<'a> Modes<'a> {
    /// Compares two sets.
    ///
    /// # Errors
    /// [`Error::Dimension`] for sets of different width, [`Error::TooFewImages`] for an empty one,
    /// [`Error::NotFinite`], and [`Error::Parameter`] for a kernel without frequencies or width, or a
    /// factor `eta` that is not positive.
    pub fn new(
        generated: &'a Features,
        reference: &'a Features,
        kernel: Kernel,
        eta: f64,
    ) -> Result<Self> {
        kernel.check()?;
        check_parameter("eta", eta, "finite and positive", eta.is_finite() && eta > 0.0)?;
        let (what, expected, got) = ("the generated set", reference.dim(), generated.dim());
        if expected != got {
            return Err(Error::Dimension { what, expected, got });
        }
        for (set, side) in [(generated, Side::Generated), (reference, Side::Reference)] {
            ganscope_stats::LeastImages::always(1).check(
                "a comparison of modes",
                side,
                set.len(),
            )?;
        }
        generated.check_finite(what)?;
        reference.check_finite("the reference set")?;
        let embedding = Embedding::new(kernel, generated.dim());
        let [a, b] = [generated, reference].map(|set| embedding.second_moment(set));
        let novel = spectrum(&(&a - &b * eta))?;
        let missing = if eta == 1.0 { reversed(&novel) } else { spectrum(&(&b - &a * eta))? };
        let (n, m) = (generated.len() as f64, reference.len() as f64);
        let pooled = (a * n + b * m) / (n + m);
        Ok(Self { embedding, sets: [generated, reference], spectra: [novel, missing], pooled, eta })
    }

    /// The largest eigenvalue of either set against the other, beside what it is by chance; none is
    /// below zero.
    ///
    /// Both are taken in the `leading` directions in which the images of both sets together are
    /// largest: a mode of many images lies in these, and the eigenvalues of small matrices are quick.
    /// The directions do not depend on how the images are divided, so the test is exact.
    ///
    /// # Errors
    /// [`Error::Parameter`] without directions, and those of [`Chance::new`].
    pub fn chance(&self, leading: usize, draws: u32, seed: u32) -> Result<Chance> {
        check_parameter("the number of directions", leading, "at least 1", leading > 0)?;
        let basis = leading_eigenvectors(&self.pooled, leading)?;
        let along = |set: &Features| -> Result<Features> {
            let blocks = set.as_slice().chunks(BLOCK * set.dim());
            let along = |rows| tr_mul(&basis, &self.embedding.of(rows, set.dim()));
            let values = blocks.flat_map(|rows| Vec::from(along(rows).data));
            Features::from_vec(values.map(|x| x as f32).collect(), basis.ncols())
        };
        let [generated, reference] = self.sets;
        let largest = |a: &Features, b: &Features| -> Result<f64> {
            let [a, b] = [a, b].map(|set| second_moment(set, |rows| columns(rows, set.dim())));
            let (novel, _) = spectrum(&(&a - &b * self.eta))?;
            let missing = if self.eta == 1.0 {
                novel.last().map(|value| -value)
            } else {
                spectrum(&(&b - &a * self.eta))?.0.first().copied()
            };
            let largest = novel.first().copied().into_iter().chain(missing);
            Ok(largest.fold(0.0, f64::max))
        };
        Chance::new([&along(generated)?, &along(reference)?], draws, seed, largest)
    }

    fn spectrum(&self, side: Side) -> &(Vec<f64>, DMatrix<f64>) {
        &self.spectra[usize::from(side == Side::Reference)]
    }

    /// All eigenvalues, descending: of what the set `side` has more of than the other.
    pub fn eigenvalues(&self, side: Side) -> &[f64] {
        &self.spectrum(side).0
    }

    /// The first `count` kinds that the set `side` has more of than the other, with `images` images
    /// each; fewer if there are no more.
    ///
    /// The sign of an eigenvector is such that the images of the set lie on its positive side on the
    /// whole; images are ordered by how far.
    pub fn of(&self, side: Side, count: usize, images: usize) -> Vec<Mode> {
        let (values, vectors) = self.spectrum(side);
        let count = values.iter().take(count).take_while(|&&value| value > 0.0).count();
        let set = self.sets[usize::from(side == Side::Reference)];
        let vectors = vectors.columns(0, count).into_owned();
        let blocks = set.as_slice().chunks(BLOCK * set.dim());
        let mut along = vec![Vec::with_capacity(set.len()); count];
        for rows in blocks {
            let block = tr_mul(&vectors, &self.embedding.of(rows, set.dim()));
            along
                .iter_mut()
                .zip(block.row_iter())
                .for_each(|(along, row)| along.extend(row.iter()));
        }
        let mode = |(along, &excess): (Vec<f64>, &f64)| {
            let sign = if along.iter().sum::<f64>() < 0.0 { -1.0 } else { 1.0 };
            let mut order: Vec<usize> = (0..along.len()).collect();
            let value = |i: usize| sign * along[i];
            order.sort_by(|&a, &b| value(b).total_cmp(&value(a)).then(a.cmp(&b)));
            order.truncate(images);
            Mode { excess, images: order }
        };
        along.into_iter().zip(values).map(mode).collect()
    }

    /// The sum of the positive eigenvalues: the share of images by which the sets differ, as far as the
    /// kernel can tell.
    pub fn total(&self, side: Side) -> f64 {
        self.eigenvalues(side).iter().take_while(|&&value| value > 0.0).sum()
    }
}

/// Eigenvalues, descending, and their vectors.
fn spectrum(difference: &DMatrix<f64>) -> Result<(Vec<f64>, DMatrix<f64>)> {
    let (values, vectors): (DVector<f64>, _) = symmetric_eigen(difference)?;
    let order: Vec<usize> = (0..values.len()).rev().collect();
    Ok((order.iter().map(|&i| values[i]).collect(), vectors.select_columns(&order)))
}

/// The spectrum of the negative matrix.
fn reversed((values, vectors): &(Vec<f64>, DMatrix<f64>)) -> (Vec<f64>, DMatrix<f64>) {
    let order: Vec<usize> = (0..values.len()).rev().collect();
    (order.iter().map(|&i| -values[i]).collect(), vectors.select_columns(&order))
}
