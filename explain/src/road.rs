//! Remove and debias: how a decision fares without the pixels that a map calls relevant.
//!
//! Rong et al., "A Consistent and Efficient Evaluation Strategy for Attribution Methods", 2022,
//! <https://arxiv.org/abs/2202.00449>. A removed pixel takes the value that its neighbors suggest, so
//! that the color of what is put in its place tells the network nothing. Single pixels are made up for
//! better than a hole: maps of one grain can be compared, and any map with itself
//! [`elsewhere`](crate::measure::elsewhere).

use ganscope_model::{FeatureMap, Shape};
use ganscope_stats::random::RandomState;
use rayon::prelude::*;

use crate::Result;
use crate::error::require;
use crate::gradient::one_image;
use crate::measure::same_place;

/// Weights of the eight neighbors: those that share a side, and those that share a corner.
const SIDE: f64 = 1.0 / 6.0;
const CORNER: f64 = 1.0 / 12.0;
/// Residual at which the values of removed pixels are taken as found, as a share of the right side or
/// of the first residual. Images are float32, and noise of [`Road::noise`] is added.
const TOLERANCE: f64 = 1e-7;

/// Removal of growing shares of the pixels, the most relevant first.
#[derive(Debug, Clone, PartialEq)]
pub struct Road {
    /// Shares of the pixels that are removed, growing, between 0 and 1.
    pub shares: Vec<f64>,
    /// Standard deviation of what is added to each removed value, on the scale of the input.
    pub noise: f64,
    /// Seed of the noise.
    pub seed: u32,
}

impl Default for Road {
    /// The settings of the paper: 10 to 90 %, noise of 0.01.
    fn default() -> Self {
        Self {
            shares: (1..10).map(|tenth| f64::from(tenth) / 10.0).collect(),
            noise: 0.01,
            seed: 0,
        }
    }
}

impl Road {
    /// Score of an image at each share, the most relevant pixels being removed first. `score` gives a
    /// number for each image of a batch.
    ///
    /// The relevance of a pixel is the sum over its channels; equal ones go from the upper left to the
    /// lower right.
    ///
    /// # Errors
    /// If the relevance is not of the size of the image, the shares do not grow from above 0 to
    /// below 1, the last leaves no pixel, the noise is negative, a value is not finite, and those of
    /// `score`.
    pub fn measure(
        &self,
        image: &FeatureMap,
        relevance: &FeatureMap,
        mut score: impl FnMut(&FeatureMap) -> Result<Vec<f64>>,
    ) -> Result<Vec<f64>> {
        one_image(image)?;
        same_place(image, relevance)?;
        finite(image)?;
        let pixels = image.shape.h * image.shape.w;
        let count = |share: f64| (share * pixels as f64).round() as usize;
        let grow = self.shares.is_sorted_by(|a, b| a < b);
        let within = self.shares.iter().all(|&share| 0.0 < share && share < 1.0);
        let leaves = self.shares.last().is_some_and(|&share| count(share) < pixels);
        let shares = format!("{:?} of {pixels} pixels", self.shares);
        let expected = "growing, above 0 and below 1, and to leave a pixel";
        require(grow && within && leaves, "the shares", expected, shares)?;
        let positive = self.noise >= 0.0 && self.noise.is_finite();
        require(positive, "the noise", "at least 0", self.noise)?;
        let sums: Vec<f64> = relevance
            .data
            .chunks_exact(relevance.shape.c)
            .map(|values| values.iter().map(|&v| f64::from(v)).sum())
            .collect();
        let mut order: Vec<usize> = (0..sums.len()).collect();
        order.sort_by(|&a, &b| sums[b].total_cmp(&sums[a]).then(a.cmp(&b)));

        let c = image.shape.c;
        let mut random = RandomState::new(self.seed);
        let mut removed = vec![false; sums.len()];
        let mut filled = image.clone();
        let mut batch = Vec::with_capacity(self.shares.len() * image.data.len());
        for &share in &self.shares {
            let count = count(share);
            order[..count].iter().for_each(|&pixel| removed[pixel] = true);
            // What was found at the share before is close.
            filled = fill(&filled, &removed);
            let noisy = batch.len();
            batch.extend_from_slice(&filled.data);
            for &pixel in &order[..count] {
                for value in &mut batch[noisy + pixel * c..][..c] {
                    *value += (self.noise * random.standard_normal()) as f32;
                }
            }
        }
        score(&FeatureMap::new(self.shares.len(), image.shape, batch)?)
    }
}

/// An image whose `removed` pixels are the weighted means of their neighbors, 1/6 for those that
/// share a side and 1/12 for those that share a corner, found all at once; at the border the weights
/// that are left make up the mean.
///
/// What stands in the removed pixels does not change the result; the closer it is, the sooner it is
/// found.
///
/// # Errors
/// If `removed` has not one entry for each pixel, no pixel is left, or a value is not finite.
pub fn impute(image: &FeatureMap, removed: &[bool]) -> Result<FeatureMap> {
    one_image(image)?;
    let pixels = image.shape.h * image.shape.w;
    require(
        removed.len() == pixels,
        "the list of removed pixels",
        "one for each pixel",
        removed.len(),
    )?;
    require(!removed.iter().all(|&r| r), "the share of removed pixels", "below 1", 1.0)?;
    finite(image)?;
    Ok(fill(image, removed))
}

fn finite(image: &FeatureMap) -> Result<()> {
    let other = image.data.iter().find(|v| !v.is_finite());
    require(other.is_none(), "a value of the image", "finite", other.unwrap_or(&0.0))
}

fn fill(image: &FeatureMap, removed: &[bool]) -> FeatureMap {
    let Shape { c, h, w } = image.shape;
    let system = System::new(removed, [h, w]);
    let channel = |k: usize| -> Vec<f64> {
        system.solve(image.data.iter().skip(k).step_by(c).map(|&v| f64::from(v)))
    };
    let channels: Vec<Vec<f64>> = (0..c).into_par_iter().map(channel).collect();
    let mut filled = image.clone();
    for (pixel, values) in filled.data.chunks_exact_mut(c).enumerate().filter(|(p, _)| removed[*p])
    {
        values.iter_mut().zip(&channels).for_each(|(v, channel)| *v = channel[pixel] as f32);
    }
    filled
}

/// The equations of the removed pixels: `sum_j w_ij (x_i - x_j) = 0` over the neighbors `j` of each.
/// With the values of the others on the right side, they are symmetric and positive definite.
///
/// Fields have a border of one pixel, which is 0.
struct System {
    /// Height and width without the border.
    size: [usize; 2],
    /// 1 for a removed pixel, 0 for another.
    unknown: Vec<f64>,
    /// Sum of the weights of the neighbors of a removed pixel, 1 elsewhere.
    diagonal: Vec<f64>,
}

impl System {
    fn new(removed: &[bool], size: [usize; 2]) -> Self {
        let inside = framed(removed.iter().map(|_| 1.0), size);
        let unknown = framed(removed.iter().map(|&removed| f64::from(u8::from(removed))), size);
        let mut diagonal = vec![1.0; inside.len()];
        neighbors(&inside, size, |place, sum| {
            if unknown[place] > 0.0 {
                diagonal[place] = sum;
            }
        });
        Self { size, unknown, diagonal }
    }

    /// `A x` for a field that is 0 where nothing was removed.
    fn apply(&self, x: &[f64], product: &mut [f64]) {
        neighbors(x, self.size, |place, sum| {
            product[place] = self.unknown[place] * (self.diagonal[place] * x[place] - sum);
        });
    }

    /// The values of all pixels, by conjugate gradients from those given.
    fn solve(&self, values: impl Iterator<Item = f64>) -> Vec<f64> {
        let given = framed(values, self.size);
        let mut x: Vec<f64> = given.iter().zip(&self.unknown).map(|(v, u)| v * u).collect();
        let known: Vec<f64> = given.iter().zip(&x).map(|(v, x)| v - x).collect();
        let mut right = vec![0.0; x.len()];
        neighbors(&known, self.size, |place, sum| right[place] = self.unknown[place] * sum);
        let mut product = vec![0.0; x.len()];
        self.apply(&x, &mut product);
        let mut residual: Vec<f64> = right.iter().zip(&product).map(|(r, p)| r - p).collect();
        let scaled = |residual: &[f64]| -> Vec<f64> {
            residual.iter().zip(&self.diagonal).map(|(r, d)| r / d).collect()
        };
        let mut direction = scaled(&residual);
        let mut power = dot(&residual, &direction);
        let enough = TOLERANCE * TOLERANCE * power.max(dot(&right, &scaled(&right)));
        // In exact arithmetic a step for each pixel is more than enough.
        for _ in 0..x.len() {
            if power <= enough {
                break;
            }
            self.apply(&direction, &mut product);
            let step = power / dot(&direction, &product);
            x.iter_mut().zip(&direction).for_each(|(x, d)| *x += step * d);
            residual.iter_mut().zip(&product).for_each(|(r, p)| *r -= step * p);
            let next = scaled(&residual);
            let next_power = dot(&residual, &next);
            let kept = next_power / power;
            direction.iter_mut().zip(next).for_each(|(d, n)| *d = n + kept * *d);
            power = next_power;
        }
        let [h, w] = self.size;
        let rows = (1..=h).flat_map(|y| (1..=w).map(move |i| y * (w + 2) + i));
        rows.map(|place| x[place] + known[place]).collect()
    }
}

/// Values of an image with a border of zeros.
fn framed(mut values: impl Iterator<Item = f64>, [h, w]: [usize; 2]) -> Vec<f64> {
    let mut field = vec![0.0; (h + 2) * (w + 2)];
    for row in field.chunks_exact_mut(w + 2).skip(1).take(h) {
        row[1..=w].iter_mut().zip(values.by_ref()).for_each(|(place, value)| *place = value);
    }
    field
}

/// Calls `with` for each pixel of a framed field with its place and the weighted sum of its neighbors.
#[inline]
fn neighbors(field: &[f64], [h, w]: [usize; 2], mut with: impl FnMut(usize, f64)) {
    let width = w + 2;
    let mut sums = vec![0.0; w];
    for y in 1..=h {
        let [above, here, below] = [y - 1, y, y + 1].map(|y| &field[y * width..][..width]);
        for (i, sum) in sums.iter_mut().enumerate() {
            let sides = above[i + 1] + here[i] + here[i + 2] + below[i + 1];
            let corners = above[i] + above[i + 2] + below[i] + below[i + 2];
            *sum = SIDE * sides + CORNER * corners;
        }
        sums.iter().enumerate().for_each(|(i, &sum)| with(y * width + i + 1, sum));
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
