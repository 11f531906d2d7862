//! The section of copies: generated images that are nearly reference images.

use ganscope_memorization::{Nearest, copies};
use ganscope_stats::Features;
use serde::Serialize;

use super::causes::{Cause, percent};
use super::sets::{Member, Shown};
use crate::error::Result;

/// Pairs that are shown.
const PAIRS: usize = 24;

/// How near generated images are to reference images.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CopyReport {
    /// The near copies, the nearest first.
    pub near_copies: Vec<CopyPair>,
    /// The generated images that are nearest to a reference image by the spacing there, copies or not.
    pub nearest: Vec<CopyPair>,
    /// Whether near copies are more frequent than among real images.
    pub is_suspicious: bool,
    /// Near copies among the real images, and all of these.
    pub among_real: [usize; 2],
    /// Whether the real images are held-out ones; else each reference image is beside the others.
    pub has_held_out: bool,
    /// Least value, first percentile and median of the distances of generated images to the reference.
    pub generated_distances: [f64; 3],
    /// The same of the real images.
    pub real_distances: [f64; 3],
}

/// A generated image and the reference image next to it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CopyPair {
    /// The generated image.
    pub generated: Shown,
    /// The reference image.
    pub reference: Shown,
    /// The distance of their features.
    pub distance: f64,
    /// The distance of the reference image to the nearest other one.
    pub spacing: f64,
}

impl CopyReport {
    /// Looks for copies; none if the reference has too few images, or no features of them.
    pub(super) fn new(
        generated: &Member,
        reference: &Member,
        held_out: Option<&Features>,
    ) -> Result<Option<Self>> {
        let (Some(rows), Some(training)) = (&generated.rows, &reference.rows) else {
            return Ok(None);
        };
        if training.len() < 3 {
            return Ok(None);
        }
        let found = copies(rows, training, held_out)?;
        let pair = |&i: &usize| CopyPair {
            generated: Shown { index: i, name: generated.album.name(i) },
            reference: {
                let index = found.images[i].training;
                Shown { index, name: reference.album.name(index) }
            },
            distance: found.images[i].distance,
            spacing: found.images[i].spacing,
        };
        let mut order: Vec<usize> = (0..found.images.len()).collect();
        let closeness = |i: usize| found.images[i].closeness();
        order.sort_by(|&a, &b| closeness(a).total_cmp(&closeness(b)).then(a.cmp(&b)));
        Ok(Some(Self {
            near_copies: found.near().iter().map(pair).collect(),
            nearest: order.iter().take(PAIRS).map(pair).collect(),
            is_suspicious: found.are_suspicious(),
            among_real: [found.among_real(), found.real.len()],
            has_held_out: held_out.is_some(),
            generated_distances: quantiles(&found.images),
            real_distances: quantiles(&found.real),
        }))
    }

    /// Copies, if they are more than chance.
    pub(super) fn cause(&self, images: usize) -> Option<Cause> {
        let count = self.near_copies.len();
        let share = count as f64 / images.max(1) as f64;
        self.is_suspicious.then(|| Cause {
            text: format!(
                "{count} generated images ({}) are nearly copies of reference images; a distance \
                 between sets does not show that.",
                percent(share)
            ),
            section: "copies",
            share,
            part: None,
            class: None,
        })
    }
}

/// Least value, first percentile and median.
fn quantiles(images: &[Nearest]) -> [f64; 3] {
    let mut distances: Vec<f64> = images.iter().map(|nearest| nearest.distance).collect();
    distances.sort_by(f64::total_cmp);
    let last = distances.len().saturating_sub(1);
    let at = |share: f64| distances.get((share * last as f64).round() as usize).copied();
    [0.0, 0.01, 0.5].map(|share| at(share).unwrap_or(0.0))
}
