//! RISE: how the answer goes with what random masks leave of an image, and how sure that is.
//!
//! Petsiuk, Das and Saenko, "RISE: Randomized Input Sampling for Explanation of Black-box Models",
//! 2018, <https://arxiv.org/abs/1806.07421>.

use ganscope_model::{FeatureMap, Shape};
use ganscope_stats::random::RandomState;

use crate::Result;
use crate::cam::enlarge;
use crate::error::require;
use crate::gradient::one_image;

/// Options of RISE.
#[derive(Debug, Clone, PartialEq)]
pub struct Rise {
    /// Masks, at least 2.
    pub masks: usize,
    /// Cells of a mask along each side.
    pub cells: usize,
    /// Chance that a cell is kept.
    pub kept: f64,
    /// Network input, by channel, that takes the place of what is masked; one value serves all, and as
    /// many as the image has are an image, (H, W, C).
    pub baseline: Vec<f32>,
    /// Seed of the masks.
    pub seed: u32,
    /// Images that are scored together.
    pub batch: usize,
}

impl Default for Rise {
    /// The settings of the paper for VGG: 4000 masks of 7 x 7 cells, half of them kept.
    fn default() -> Self {
        Self { masks: 4000, cells: 7, kept: 0.5, baseline: vec![0.0], seed: 0, batch: 16 }
    }
}

/// What RISE found.
#[derive(Debug, Clone, PartialEq)]
pub struct RiseExplanation {
    /// `mean((f - mean f) (m - p)) / p` for each pixel, (1, 1, H, W), with the answer `f` to an image,
    /// its mask `m`, and the chance `p`: the published map, the mean answer where a pixel is kept,
    /// less the mean answer to all masks, which is the same for every pixel.
    pub map: FeatureMap,
    /// Standard error of each value of the map.
    pub standard_error: FeatureMap,
}

impl Rise {
    /// Asks `score`, which gives a number for each image of a batch, about masked images.
    ///
    /// # Errors
    /// If the options are out of range, and those of `score`.
    pub fn explain(
        &self,
        image: &FeatureMap,
        mut score: impl FnMut(&FeatureMap) -> Result<Vec<f64>>,
    ) -> Result<RiseExplanation> {
        one_image(image)?;
        let Shape { c, h, w } = image.shape;
        require(self.masks > 1, "the number of masks", "at least 2", self.masks)?;
        require(self.cells > 0, "the cells of a mask", "at least 1", self.cells)?;
        require(self.kept > 0.0 && self.kept < 1.0, "the chance", "between 0 and 1", self.kept)?;
        require(self.batch > 0, "the batch", "at least 1", self.batch)?;
        let fits = [1, c, image.data.len()].contains(&self.baseline.len());
        let expected = "one value, one a channel, or an image";
        require(fits, "the baseline", expected, self.baseline.len())?;
        // Masks are drawn twice, as together they may be too large to be kept: the sums are taken about
        // the mean answer, which is known at the end.
        let mut random = RandomState::new(self.seed);
        let mut scores = Vec::with_capacity(self.masks);
        while scores.len() < self.masks {
            let count = self.batch.min(self.masks - scores.len());
            let mut data = Vec::with_capacity(count * image.data.len());
            for _ in 0..count {
                let mask = self.mask([h, w], &mut random)?;
                data.extend(image.data.iter().enumerate().map(|(i, &v)| {
                    let nothing = self.baseline[i % self.baseline.len()];
                    nothing + (v - nothing) * mask[i / c]
                }));
            }
            scores.extend(score(&FeatureMap::new(count, image.shape, data)?)?);
        }
        let n = self.masks as f64;
        let mean = scores.iter().sum::<f64>() / n;
        let (mut sums, mut squares) = (vec![0.0; h * w], vec![0.0; h * w]);
        let mut random = RandomState::new(self.seed);
        for &score in &scores {
            let mask = self.mask([h, w], &mut random)?;
            for ((sum, square), &m) in sums.iter_mut().zip(&mut squares).zip(&mask) {
                let term = (score - mean) * (f64::from(m) - self.kept) / self.kept;
                *sum += term;
                *square += term * term;
            }
        }
        let error = |(sum, square): (&f64, &f64)| {
            let variance = (square - sum * sum / n).max(0.0) / (n - 1.0);
            (variance / n).sqrt() as f32
        };
        let shape = Shape { c: 1, h, w };
        let standard_error = sums.iter().zip(&squares).map(error).collect();
        Ok(RiseExplanation {
            map: FeatureMap::new(1, shape, sums.iter().map(|s| (s / n) as f32).collect())?,
            standard_error: FeatureMap::new(1, shape, standard_error)?,
        })
    }

    /// Cells that are kept or not, enlarged bilinearly by one cell more than the image has, and cut at
    /// a random place.
    fn mask(&self, [h, w]: [usize; 2], random: &mut RandomState) -> Result<Vec<f32>> {
        let cells = self.cells;
        let cell = [h.div_ceil(cells), w.div_ceil(cells)];
        let kept = |_| f32::from(u8::from(random.uniform() < self.kept));
        let small = (0..cells * cells).map(kept).collect();
        let small = FeatureMap::new(1, Shape { c: 1, h: cells, w: cells }, small)?;
        let large = enlarge(&small, cell.map(|side| (cells + 1) * side));
        let mut place = |side: usize| random.below(side as u64).map(|v| v as usize);
        let (top, left) = (place(cell[0])?, place(cell[1])?);
        let row = |y: usize| &large.data[(top + y) * large.shape.w + left..][..w];
        Ok((0..h).flat_map(row).copied().collect())
    }
}
