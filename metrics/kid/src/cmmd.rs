//! CMMD: the distance of the embeddings of a contrastive network under a Gaussian kernel.

use ganscope_stats::{
    FeatureSet, Features, LeastImages, Metric, Needs, Result, Score, Side, Uncertainty,
};

use crate::kernel::{Kernel, Pool};
use crate::variance::Variance;
use crate::{Estimate, check_counts};

/// Width of the kernel in published results.
pub const CMMD_SIGMA: f64 = 10.0;

/// Factor of published results, which makes them numbers of common size.
const SCALE: f64 = 1000.0;

/// `1000 (mean k(x, x') + mean k(y, y') - 2 mean k(x, y))` over embeddings of length one and all of
/// their pairs, each with itself too; `k` is the Gaussian kernel of width [`CMMD_SIGMA`].
///
/// The error is that over other draws of as many generated images, the reference set as given; a
/// single image has none.
///
/// # Errors
/// [`TooFewImages`](ganscope_stats::Error::TooFewImages) for an empty set,
/// [`Dimension`](ganscope_stats::Error::Dimension) for sets of different width.
pub fn cmmd(generated: &Features, reference: &Features) -> Result<Estimate> {
    let kernel = Kernel::Gaussian { sigma: CMMD_SIGMA };
    let pool = Pool::new(generated, reference, kernel)?.normalized();
    check_counts("CMMD", 1, generated, reference)?;
    let (x, y) = (pool.generated(), pool.reference());
    let (n, m) = (x.len() as f64, y.len() as f64);
    let (among, across) = (pool.sums_among(&x), pool.sums_between(&x, &y));
    // The kernel of an embedding with itself is one.
    let within_x = among.of_row.iter().sum::<f64>() + n;
    let (within_y, between) = (pool.among(&y) + m, across.of_row.iter().sum::<f64>());
    let value = SCALE * (within_x / (n * n) + within_y / (m * m) - 2.0 * between / (n * m));
    let error = || {
        let variance = Variance::of_all(&among, &across, y.len()).of_estimate(x.len());
        let mut known = Uncertainty::normal(value, SCALE * variance.sqrt());
        known.interval[0] = known.interval[0].max(0.0);
        known
    };
    Ok(Estimate { value, uncertainty: (x.len() > 2).then(error) })
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
        let Estimate { value, uncertainty } = cmmd(
            generated.features_for(title, Side::Generated)?,
            reference.features_for(title, Side::Reference)?,
        )?;
        Ok(vec![Score::new(self.name(), title, value, false).with_uncertainty(uncertainty)])
    }
}
