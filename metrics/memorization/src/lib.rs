//! How near generated images are to the training images.
//!
//! These numbers tell that images are near, not that they are copies: a good generator of a narrow
//! set is near to it, too. Stein et al., "Exposing flaws of generative model evaluation metrics",
//! 2023, <https://arxiv.org/abs/2306.04675>, found that none of them separates the two; look at the
//! [nearest training images](nearest_training_images).

mod copies;
mod copying;
mod means;

pub use copies::{Copies, copies};
pub use copying::{Cell, CopyingTest, DataCopying, copying_score, data_copying};
pub use means::{Clusters, cluster};

use ganscope_neighbors::{Frame, Packed, Rows, check, nearest, nearest_of};
use ganscope_stats::{
    FeatureSet, Features, LeastImages, Metric, Needs, Result, Score, Side, Uncertainty,
};

/// A generated image beside the training image that is nearest to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Nearest {
    /// Index of the training image.
    pub training: usize,
    /// The distance of their features.
    pub distance: f64,
    /// The distance of the training image to the nearest other one.
    pub spacing: f64,
}

impl Nearest {
    /// Whether the training image is nearer to another training image than to the generated one.
    pub fn is_authentic(&self) -> bool {
        self.spacing < self.distance
    }
}

/// The nearest training image of each generated image.
///
/// # Errors
/// [`TooFewImages`](ganscope_stats::Error::TooFewImages) for fewer than two training images,
/// [`Dimension`](ganscope_stats::Error::Dimension) for sets of different width,
/// [`NotFinite`](ganscope_stats::Error::NotFinite) for features that are not finite.
pub fn nearest_training_images(generated: &Features, training: &Features) -> Result<Vec<Nearest>> {
    check(generated, training)?;
    LeastImages::always(2).check("AuthPct", Side::Reference, training.len())?;
    let frame = Frame::around(&[generated, training]);
    let (generated, training) = (Rows::new(generated, &frame), Rows::new(training, &frame));
    let spacing = nearest(&Packed::new(&training), 1);
    let found = nearest_of(&Packed::new(&generated), &training, 1);
    let describe = |list: Vec<ganscope_neighbors::Neighbor>| Nearest {
        training: list[0].row,
        distance: training.distance(list[0].squared),
        spacing: training.distance(spacing[list[0].row][0].squared),
    };
    Ok(found.into_iter().map(describe).collect())
}

/// The percentage of generated images that are [authentic](Nearest::is_authentic); the reference set
/// is the training set.
///
/// Alaa et al., "How Faithful is your Synthetic Data? Sample-level Metrics for Evaluating and Auditing
/// Generative Models", 2022, <https://arxiv.org/abs/2102.08921>. As in dgm-eval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthPct;

impl Metric for AuthPct {
    fn name(&self) -> &'static str {
        "authpct"
    }

    fn title(&self) -> &'static str {
        "AuthPct"
    }

    fn needs(&self, _side: Side) -> Needs {
        Needs::FEATURES
    }

    fn least_images(&self, side: Side) -> LeastImages {
        LeastImages::always(if side == Side::Generated { 1 } else { 2 })
    }

    fn compute(
        &self,
        generated: &FeatureSet,
        reference: Option<&FeatureSet>,
    ) -> Result<Vec<Score>> {
        let title = self.title();
        let reference = FeatureSet::reference_for(reference, title)?;
        let found = nearest_training_images(
            generated.features_for(title, Side::Generated)?,
            reference.features_for(title, Side::Reference)?,
        )?;
        let authentic = found.iter().filter(|nearest| nearest.is_authentic()).count();
        let share = authentic as f64 / found.len() as f64;
        let known = Uncertainty::share(share, found.len()).scaled(100.0);
        Ok(vec![Score::new(self.name(), title, 100.0 * share, true).with_uncertainty(known)])
    }
}
