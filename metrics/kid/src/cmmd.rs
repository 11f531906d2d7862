//! CMMD: the distance of the embeddings of a contrastive network under a Gaussian kernel.

use ganscope_stats::{Error, FeatureSet, Features, Metric, Needs, Result, Score};

use crate::kernel::{Kernel, Pool};

/// Width of the kernel in published results.
pub const CMMD_SIGMA: f64 = 10.0;

/// Factor of published results, which makes them numbers of common size.
const SCALE: f64 = 1000.0;

/// `1000 (mean k(x, x') + mean k(y, y') - 2 mean k(x, y))` over embeddings of length one and all of
/// their pairs, each with itself too; `k` is the Gaussian kernel of width [`CMMD_SIGMA`].
///
/// # Errors
/// [`Error::TooFewSamples`] for an empty set, [`Error::Dimension`] for sets of different width.
pub fn cmmd(generated: &Features, reference: &Features) -> Result<f64> {
    let kernel = Kernel::Gaussian { sigma: CMMD_SIGMA };
    let pool = Pool::new(generated, reference, kernel)?.normalised();
    let (x, y) = (pool.generated(), pool.reference());
    if x.is_empty() || y.is_empty() {
        return Err(Error::TooFewSamples { what: "a kernel distance", needed: 1, got: 0 });
    }
    let (n, m) = (x.len() as f64, y.len() as f64);
    // The kernel of an embedding with itself is one.
    let (within_x, within_y) = (pool.among(&x) + n, pool.among(&y) + m);
    let between = pool.between(&x, &y);
    Ok(SCALE * (within_x / (n * n) + within_y / (m * m) - 2.0 * between / (n * m)))
}

/// [`cmmd`] as a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cmmd;

impl Metric for Cmmd {
    fn name(&self) -> &'static str {
        "cmmd"
    }

    fn needs(&self) -> Needs {
        Needs::FEATURES
    }

    fn score(&self, generated: &FeatureSet, reference: Option<&FeatureSet>) -> Result<Vec<Score>> {
        let name = self.name();
        let reference = FeatureSet::reference_for(reference, name)?;
        let value = cmmd(
            generated.features_for(name, "generated")?,
            reference.features_for(name, "reference")?,
        )?;
        Ok(vec![Score { name, value, std: None, higher_is_better: false }])
    }
}
