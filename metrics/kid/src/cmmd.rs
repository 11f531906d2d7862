//! CMMD: the distance of the embeddings of a contrastive network under a Gaussian kernel.

use ganscope_stats::{FeatureSet, Features, LeastImages, Metric, Needs, Result, Score, Side};

use crate::check_counts;
use crate::kernel::{Kernel, Pool};

/// Width of the kernel in published results.
pub const CMMD_SIGMA: f64 = 10.0;

/// Factor of published results, which makes them numbers of common size.
const SCALE: f64 = 1000.0;

/// `1000 (mean k(x, x') + mean k(y, y') - 2 mean k(x, y))` over embeddings of length one and all of
/// their pairs, each with itself too; `k` is the Gaussian kernel of width [`CMMD_SIGMA`].
///
/// # Errors
/// [`TooFewImages`](ganscope_stats::Error::TooFewImages) for an empty set,
/// [`Dimension`](ganscope_stats::Error::Dimension) for sets of different width.
pub fn cmmd(generated: &Features, reference: &Features) -> Result<f64> {
    let kernel = Kernel::Gaussian { sigma: CMMD_SIGMA };
    let pool = Pool::new(generated, reference, kernel)?.normalized();
    check_counts("CMMD", 1, generated, reference)?;
    let (x, y) = (pool.generated(), pool.reference());
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

    fn title(&self) -> &'static str {
        "CMMD"
    }

    fn needs(&self, _side: Side) -> Needs {
        Needs::FEATURES
    }

    fn least_images(&self, _side: Side) -> LeastImages {
        LeastImages::always(1)
    }

    fn compute(
        &self,
        generated: &FeatureSet,
        reference: Option<&FeatureSet>,
    ) -> Result<Vec<Score>> {
        let title = self.title();
        let reference = FeatureSet::reference_for(reference, title)?;
        let value = cmmd(
            generated.features_for(title, Side::Generated)?,
            reference.features_for(title, Side::Reference)?,
        )?;
        Ok(vec![Score::new(self.name(), title, value, false)])
    }
}
