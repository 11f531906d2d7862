//! Spectra of similarities: the Vendi score, and the modes in which two sets differ.
//!
//! Friedman and Dieng, "The Vendi Score: A Diversity Evaluation Metric for Machine Learning", 2023,
//! <https://arxiv.org/abs/2210.02410>, and Pasarkar and Dieng, "Cousins of the Vendi Score", 2024,
//! <https://arxiv.org/abs/2310.12952>. Agrees with the Vendi-Score package on features of length one.

mod modes;

pub use modes::{Kernel, Mode, Modes};

use ganscope_stats::linalg::{symmetric_eigen, tr_mul};
use ganscope_stats::{
    Error, FeatureSet, FeatureStats, Features, Metric, Needs, Result, Score, Side, StatsBuilder,
    Uncertainty, check_parameter,
};
use nalgebra::{DMatrix, DVector};

/// Rows that are normalized at once.
const BLOCK: usize = 256;

/// Images for an estimate of a variance.
const FEWEST: usize = 8;

/// Moments of the rows scaled to length one; rows of zeros are left out. They merge exactly, as
/// other moments do.
///
/// # Errors
/// [`Error::TooFewSamples`] if no row is left, [`Error::NotFinite`] for features that are not finite.
pub fn unit_moments(features: &Features) -> Result<FeatureStats> {
    features.check_finite("features")?;
    let mut builder = StatsBuilder::new(features.dim())?;
    for rows in features.as_slice().chunks(BLOCK * features.dim()) {
        builder.push(&Features::from_vec(rows.to_vec(), features.dim())?.normalized())?;
    }
    if builder.count() == 0 {
        let what = "the Vendi score";
        return Err(Error::TooFewSamples { what, needed: 1, got: 0 });
    }
    Ok(builder.finish())
}

/// The spectrum of the similarity of images: the eigenvalues of `X^T X / n` over rows `X` of length
/// one, which are the positive eigenvalues of the `n` by `n` matrix of cosines divided by `n`.
#[derive(Debug, Clone)]
pub struct Spectrum {
    /// The eigenvalues, ascending, which sum to one.
    values: DVector<f64>,
    /// Their unit eigenvectors, one per column.
    vectors: DMatrix<f64>,
    images: u64,
    /// Rows of length one.
    sample: Option<Features>,
}

impl Spectrum {
    /// The spectrum behind [`unit_moments`].
    ///
    /// # Errors
    /// [`Error::UnknownCount`] if the moments come without their number of images,
    /// [`Error::TooFewSamples`] if it is zero, [`Error::NoConvergence`].
    pub fn new(moments: &FeatureStats) -> Result<Self> {
        let (scatter, images) =
            moments.scatter().zip(moments.count()).ok_or(Error::UnknownCount)?;
        if images == 0 {
            let what = "the Vendi score";
            return Err(Error::TooFewSamples { what, needed: 1, got: 0 });
        }
        let second = scatter / images as f64 + moments.mean() * moments.mean().transpose();
        let (values, vectors) = symmetric_eigen(&second)?;
        Ok(Self { values, vectors, images, sample: moments.sample().cloned() })
    }

    /// The Vendi score of order `q`, the effective number of different images: `exp(-sum p log p)`
    /// over the eigenvalues `p` for `q = 1`, `(sum p^q)^(1 / (1 - q))` for other finite orders, and
    /// `1 / max p` for infinity.
    ///
    /// Between 1 for equal images and the lesser of their number and the dimension. Small orders
    /// count rare kinds of images as much as common ones, large ones the most common alone.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless `q` is positive.
    pub fn score(&self, q: f64) -> Result<f64> {
        check_parameter("the order of the Vendi score", q, "positive", q > 0.0)?;
        let positive = || self.values.iter().copied().filter(|&p| p > 0.0);
        Ok(if q == 1.0 {
            positive().map(|p| -p * p.ln()).sum::<f64>().exp()
        } else if q.is_infinite() {
            positive().fold(0.0, f64::max).recip()
        } else {
            positive().map(|p| p.powf(q)).sum::<f64>().powf(1.0 / (1.0 - q))
        })
    }

    /// The uncertainty of the [`score`](Self::score) of order `q` about the expected score of as many
    /// images; `None` without a sample of the images.
    ///
    /// To first order an image `u` moves the score by the derivative of the score by the second
    /// moments, times `u u^T`.
    ///
    /// # Errors
    /// As [`score`](Self::score).
    pub fn uncertainty(&self, q: f64) -> Result<Option<Uncertainty>> {
        let score = self.score(q)?;
        let Some(sample) = self.sample.as_ref().filter(|rows| rows.len() >= FEWEST) else {
            return Ok(None);
        };
        let largest = self.values.max();
        // Directions that no image takes do not weigh.
        let weight = |&p: &f64| {
            if p <= f64::EPSILON * largest {
                0.0
            } else if q == 1.0 {
                -score * p.ln()
            } else if q.is_infinite() {
                if p == largest { -score / largest } else { 0.0 }
            } else {
                q / (1.0 - q) * score.powf(q) * p.powf(q - 1.0)
            }
        };
        let weights: Vec<f64> = self.values.iter().map(weight).collect();
        let rows = sample.as_slice().iter().map(|&x| f64::from(x));
        let rows = DMatrix::from_iterator(sample.dim(), sample.len(), rows);
        let along = tr_mul(&self.vectors, &rows);
        let influence = |along: nalgebra::DVectorView<'_, f64>| -> f64 {
            along.iter().zip(&weights).map(|(a, w)| w * a * a).sum()
        };
        let influences: Vec<f64> = along.column_iter().map(influence).collect();
        let n = influences.len() as f64;
        let mean = influences.iter().sum::<f64>() / n;
        let squares: f64 = influences.iter().map(|v| (v - mean).powi(2)).sum();
        let error = (squares / (n - 1.0) / self.images as f64).sqrt();
        Ok(Some(Uncertainty::normal(score, error)))
    }
}

/// The Vendi scores of order 1, 2 and infinity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vendi;

/// Orders, with names and titles of their scores.
const ORDERS: [(f64, &str, &str); 3] = [
    (1.0, "vendi", "Vendi score"),
    (2.0, "vendi_2", "Vendi score (q=2)"),
    (f64::INFINITY, "vendi_inf", "Vendi score (q=∞)"),
];

impl Metric for Vendi {
    fn name(&self) -> &'static str {
        "vendi"
    }

    fn title(&self) -> &'static str {
        "Vendi score"
    }

    fn needs(&self, side: Side) -> Needs {
        match side {
            Side::Generated => Needs::FEATURES,
            Side::Reference => Needs::NONE,
        }
    }

    fn compute(
        &self,
        generated: &FeatureSet,
        _reference: Option<&FeatureSet>,
    ) -> Result<Vec<Score>> {
        let features = generated.features_for(self.title(), Side::Generated)?;
        let spectrum = Spectrum::new(&unit_moments(features)?)?;
        ORDERS
            .into_iter()
            .map(|(q, name, title)| {
                let score = Score::new(name, title, spectrum.score(q)?, true);
                Ok(score.with_uncertainty(spectrum.uncertainty(q)?))
            })
            .collect()
    }
}
