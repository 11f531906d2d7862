//! Perceptual path length: how far an image moves for a small step of its latent.
//!
//! Karras et al., "A Style-Based Generator Architecture for Generative Adversarial Networks", 2019,
//! <https://arxiv.org/abs/1812.04948>, section 4.1.

use std::fmt;
use std::str::FromStr;

use candle_core::Tensor;
use ganscope_model::{Generator, NoiseMode, Synthesis, Truncation};
use ganscope_stats::random::RandomState;

use crate::interpolate::{lerp, slerp, slerp_unit};
use crate::{Error, Prior, Result};

/// Where the step is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathSpace {
    /// Along arcs between the `z`; on the unit sphere for a normal prior.
    Z,
    /// Along straight lines of `w`.
    W,
}

impl PathSpace {
    /// Its name in requests and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Z => "z",
            Self::W => "w",
        }
    }
}

impl fmt::Display for PathSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for PathSpace {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        by_name([Self::Z, Self::W], Self::name, "space", "z` or `w", text)
    }
}

/// At which points of the path the step is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sampling {
    /// Anywhere, uniformly.
    Full,
    /// At the start, which is a latent as it is drawn.
    End,
}

impl Sampling {
    /// Its name in requests and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::End => "end",
        }
    }
}

impl fmt::Display for Sampling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Sampling {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        by_name([Self::Full, Self::End], Self::name, "sampling", "full` or `end", text)
    }
}

/// The one of `all` that is called `text`.
fn by_name<T: Copy>(
    all: [T; 2],
    name: impl Fn(T) -> &'static str,
    what: &'static str,
    form: &'static str,
    text: &str,
) -> Result<T> {
    let problem = || format!("no such {what}");
    let found = all.into_iter().find(|&one| name(one) == text);
    found.ok_or_else(|| Error::List { what, text: text.into(), problem: problem(), form })
}

/// Protocol of a perceptual path length.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PathLength {
    /// Where the step is taken.
    pub space: PathSpace,
    /// At which points.
    pub sampling: Sampling,
    /// Length of the step, as a part of the path.
    pub epsilon: f64,
    /// Number of paths.
    pub num_samples: usize,
    /// Paths that are computed at once; no influence on the result.
    pub batch: usize,
    /// Path `i` is drawn from the stream of `seed + i`.
    pub seed: u32,
    /// Whether to keep rows 3/8 to 7/8 and columns 2/8 to 6/8 of the images, the face of an FFHQ image.
    pub crop: bool,
}

impl PathLength {
    /// StyleGAN2's `ppl2_wend`: 50 000 steps of 1e-4 at the ends of paths in W, whole images.
    pub const PPL2_WEND: Self = Self {
        space: PathSpace::W,
        sampling: Sampling::End,
        epsilon: 1e-4,
        num_samples: 50_000,
        batch: 4,
        seed: 0,
        crop: false,
    };

    /// Squared distances over `epsilon`^2, batch by batch; [`perceptual_path_length`] is their mean.
    ///
    /// `squared_distances` gets (2N, C, H, W) images in [-1, 1], both ends of each step one after the
    /// other, averaged down to 256 pixels where they are larger, and gives N numbers, such as
    /// [`euclidean`] does for rows of features. With LPIPS on VGG-16, which is a squared distance of
    /// features, this is the published measure. `class` is that of a conditional generator.
    ///
    /// # Errors
    /// If the protocol has no samples or no step.
    pub fn distances<'a, F, E>(
        self,
        generator: &'a dyn Generator,
        prior: Prior,
        class: Option<u32>,
        mut squared_distances: F,
    ) -> Result<impl Iterator<Item = Result<Vec<f64>, E>> + use<'a, F, E>>
    where
        F: FnMut(&Tensor) -> Result<Vec<f64>, E> + 'a,
        E: From<Error>,
    {
        let positive = [
            ("epsilon", self.epsilon),
            ("samples", self.num_samples as f64),
            ("batch", self.batch as f64),
        ];
        if let Some((name, got)) = positive.into_iter().find(|(_, v)| !v.is_finite() || *v <= 0.0) {
            return Err(Error::OutOfRange { name, got, expected: "above 0".into() });
        }
        let starts = (0..self.num_samples).step_by(self.batch);
        Ok(starts.map(move |start| {
            let count = self.batch.min(self.num_samples - start);
            let seeds: Vec<u32> =
                (start..start + count).map(|i| self.seed.wrapping_add(i as u32)).collect();
            let distances = squared_distances(&self.images(generator, prior, class, &seeds)?)?;
            Ok(distances.into_iter().map(|d| d / self.epsilon.powi(2)).collect())
        }))
    }

    /// Images of both ends of the step of each seed, (2N, C, H, W).
    fn images(
        &self,
        generator: &dyn Generator,
        prior: Prior,
        class: Option<u32>,
        seeds: &[u32],
    ) -> Result<Tensor> {
        let ws = self.ws(generator, prior, class, seeds)?;
        // The same noise at both ends, another one on each path.
        let noise_seeds = seeds.iter().flat_map(|&s| [s, s]).collect();
        let threshold = prior.threshold();
        let noise_mode = NoiseMode::Random;
        let options = Synthesis { noise_mode, noise_seeds, threshold, preview: None };
        shrink(&self.cropped(&generator.synthesize(&ws, &options)?)?)
    }

    /// Both ends of each step, (2N, `num_ws`, `w_dim`).
    fn ws(
        &self,
        generator: &dyn Generator,
        prior: Prior,
        class: Option<u32>,
        seeds: &[u32],
    ) -> Result<Tensor> {
        let (z_dim, device) = (generator.info().z_dim, generator.device());
        let map = |z: Vec<f32>, n: usize| {
            let classes = class.map(|c| vec![c; n]);
            let z = Tensor::from_vec(z, (n, z_dim), device)?;
            generator.map(&z, classes.as_deref(), Truncation::NONE)
        };
        let mut z = Vec::with_capacity(2 * seeds.len() * z_dim);
        let mut times = Vec::with_capacity(seeds.len());
        for &seed in seeds {
            let mut random = RandomState::new(seed);
            let t = random.uniform();
            let t = if self.sampling == Sampling::Full { t } else { 0.0 };
            let (from, to) = (prior.draw(&mut random, z_dim)?, prior.draw(&mut random, z_dim)?);
            match self.space {
                PathSpace::W => z.extend(from.into_iter().chain(to)),
                PathSpace::Z => {
                    // A StyleGAN normalizes z; other generators know its length.
                    let between = if prior == Prior::Normal { slerp_unit } else { slerp };
                    z.extend(between(&from, &to, t));
                    z.extend(between(&from, &to, t + self.epsilon));
                }
            }
            times.push(t);
        }
        let ws = map(z, 2 * seeds.len())?;
        if self.space == PathSpace::Z {
            return Ok(ws);
        }
        let (n, num_ws, w_dim) = ws.dims3()?;
        let rows = ws.reshape((n, num_ws * w_dim))?.to_vec2::<f32>()?;
        let ends = rows
            .chunks(2)
            .zip(times)
            .flat_map(|(pair, t)| [t, t + self.epsilon].map(|t| lerp(&pair[0], &pair[1], t)));
        Ok(Tensor::from_vec(ends.flatten().collect(), (n, num_ws, w_dim), device)?)
    }

    fn cropped(&self, images: &Tensor) -> Result<Tensor> {
        let (_, _, h, w) = images.dims4()?;
        if !self.crop {
            return Ok(images.clone());
        }
        Ok(images.narrow(2, h / 8 * 3, h / 8 * 4)?.narrow(3, w / 8 * 2, w / 8 * 4)?)
    }
}

/// Squared Euclidean distances of the rows 2i and 2i + 1 of (2N, D).
///
/// # Errors
/// If `rows` is no float32 matrix.
pub fn euclidean(rows: &Tensor) -> Result<Vec<f64>> {
    let rows = rows.to_vec2::<f32>()?;
    let square = |(&a, &b): (&f32, &f32)| (b as f64 - a as f64).powi(2);
    Ok(rows.chunks_exact(2).map(|pair| pair[0].iter().zip(&pair[1]).map(square).sum()).collect())
}

/// Averages images of more than 256 pixels down by a whole factor.
fn shrink(images: &Tensor) -> Result<Tensor> {
    let (n, c, h, w) = images.dims4()?;
    let factor = h / 256;
    if factor < 2 || h % factor != 0 || w % factor != 0 {
        return Ok(images.contiguous()?);
    }
    let blocks = (n * c, h / factor, factor, w / factor, factor);
    Ok(images.contiguous()?.reshape(blocks)?.mean((2, 4))?.reshape((
        n,
        c,
        h / factor,
        w / factor,
    ))?)
}

/// A path length with its uncertainty.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The path length: the mean of the distances between their 1st and 99th percentile.
    pub value: f64,
    /// Standard error of that trimmed mean over the drawn paths; none for a single path.
    pub standard_error: Option<f64>,
}

/// Mean of the distances between their 1st and 99th percentile, both included, and its standard error.
///
/// The percentiles are the sample just below and just above, as the published tools take them: of `n`
/// distances in rising order, `g = floor(0.01 (n - 1))` are left out at either end, none if `n` is at
/// most 100.
///
/// The standard error is that of a trimmed mean (Tukey and `McLaughlin`, "Less vulnerable confidence and
/// significance procedures for location based on a single sample", 1963): `sqrt(n) s / (n - 2 g)`,
/// where `s` is the standard deviation (divisor `n - 1`) of the distances after those left out are
/// replaced by the nearest one that was kept. Without trimming it is `s / sqrt(n)`. It measures how much
/// the value varies between draws of the paths; it knows nothing of the bias of few paths, of which no
/// extremes are left out.
///
/// # Errors
/// If there are no distances.
pub fn perceptual_path_length(distances: &[f64]) -> Result<Estimate> {
    let Some(last) = distances.len().checked_sub(1) else {
        return Err(Error::OutOfRange { name: "samples", got: 0.0, expected: "above 0".into() });
    };
    let mut sorted = distances.to_vec();
    sorted.sort_by(f64::total_cmp);
    let cut = (0.01 * last as f64).floor() as usize;
    let (low, high) = (sorted[cut], sorted[(0.99 * last as f64).ceil() as usize]);
    let kept: Vec<f64> = distances.iter().copied().filter(|d| (low..=high).contains(d)).collect();
    let value = kept.iter().sum::<f64>() / kept.len() as f64;

    let n = distances.len() as f64;
    let winsorized = || distances.iter().map(|d| d.clamp(low, high));
    let mean = winsorized().sum::<f64>() / n;
    let squares: f64 = winsorized().map(|d| (d - mean).powi(2)).sum();
    let deviation = (squares / last as f64).sqrt();
    let error = n.sqrt() * deviation / (n - 2.0 * cut as f64);
    Ok(Estimate { value, standard_error: (last > 0).then_some(error) })
}

#[cfg(test)]
mod tests {
    use ganscope_model::TruncationKind;

    use super::*;
    use crate::toy::{DIM, SIDE, Toy};

    const TOY: Toy = Toy(TruncationKind::Psi);
    /// The image is 7 times the latent.
    const GAIN: f64 = 7.0;
    /// A difference of float32 images over a step of 1e-2.
    const F32_DIFFERENCE: f64 = 1e-3;

    fn protocol(space: PathSpace, sampling: Sampling) -> PathLength {
        let seed = 5;
        PathLength { space, sampling, epsilon: 1e-2, num_samples: 7, batch: 3, seed, crop: false }
    }

    fn distances(protocol: PathLength) -> Vec<f64> {
        let features = |images: &Tensor| -> Result<_> { euclidean(&images.flatten_from(1)?) };
        let batches = protocol.distances(&TOY, Prior::Normal, None, features).unwrap();
        batches.flat_map(Result::unwrap).collect()
    }

    /// Ends of path `i`, drawn as the protocol says.
    fn ends(i: u32) -> (Vec<f64>, Vec<f64>) {
        let mut random = RandomState::new(5 + i);
        random.uniform();
        (random.standard_normals(DIM), random.standard_normals(DIM))
    }

    fn dot(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn a_linear_generator_moves_evenly_along_lines() {
        for sampling in [Sampling::Full, Sampling::End] {
            let distances = distances(protocol(PathSpace::W, sampling));
            assert_eq!(distances.len(), 7);
            for (i, distance) in (0..).zip(distances) {
                let (a, b) = ends(i);
                let way: Vec<f64> = a.iter().zip(&b).map(|(a, b)| b - a).collect();
                let expected = GAIN * GAIN * dot(&way, &way);
                assert!((distance / expected - 1.0).abs() < F32_DIFFERENCE);
            }
        }
    }

    #[test]
    fn a_linear_generator_moves_by_the_angle_along_arcs() {
        for sampling in [Sampling::Full, Sampling::End] {
            for (i, distance) in (0..).zip(distances(protocol(PathSpace::Z, sampling))) {
                let (a, b) = ends(i);
                let angle = (dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt()).acos();
                let chord = 2.0 * (0.5 * 1e-2 * angle).sin() / 1e-2;
                let expected = (GAIN * chord).powi(2);
                assert!((distance / expected - 1.0).abs() < F32_DIFFERENCE);
            }
        }
    }

    #[test]
    fn the_batch_does_not_change_the_result() {
        let whole = distances(PathLength { batch: 7, ..protocol(PathSpace::W, Sampling::Full) });
        assert_eq!(whole, distances(protocol(PathSpace::W, Sampling::Full)));
    }

    #[test]
    fn the_mean_leaves_out_the_extremes() {
        // 1st and 99th percentile of 0..=100, lower and higher: 1 and 99
        let values: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        assert_eq!(perceptual_path_length(&values).unwrap().value, 50.0);
        let skewed: Vec<f64> =
            (0..=100).map(|v| if v == 100 { 1e9 } else { f64::from(v) }).collect();
        assert_eq!(perceptual_path_length(&skewed).unwrap().value, 50.0);
        let one = Estimate { value: 3.0, standard_error: None };
        assert_eq!(perceptual_path_length(&[3.0]).unwrap(), one);
        assert!(perceptual_path_length(&[]).is_err());
    }

    #[test]
    fn without_trimming_the_error_is_that_of_a_mean() {
        // Variance of 0..n with divisor n - 1: n (n + 1) / 12.
        let n = 100.0_f64;
        let values: Vec<f64> = (0..100).map(f64::from).collect();
        let error = perceptual_path_length(&values).unwrap().standard_error.unwrap();
        assert!((error - ((n + 1.0) / 12.0).sqrt()).abs() < 1e-12, "{error}");
    }

    #[test]
    fn a_trimmed_mean_has_the_error_of_tukey_and_mclaughlin() {
        // 0..=200 without 2 at either end: 2, 2, 2, 3, ..., 197, 198, 198, 198 about 100.
        let values: Vec<f64> = (0..=200).map(f64::from).collect();
        // Twice the sum of k^2 to 98, and four times 98^2 for those replaced.
        let squares = 2.0 * 98.0 * 99.0 * 197.0 / 6.0 + 4.0 * 98.0_f64.powi(2);
        let expected = 201.0_f64.sqrt() * (squares / 200.0).sqrt() / 197.0;
        let error = perceptual_path_length(&values).unwrap().standard_error.unwrap();
        assert!((error - expected).abs() < 1e-12, "{error} {expected}");
    }

    #[test]
    fn the_error_is_the_spread_of_the_length_over_many_draws() {
        // Skewed distances, as those of paths are: exponentials of normal numbers.
        const DRAWS: usize = 400;
        let estimates: Vec<Estimate> = (0..DRAWS as u32)
            .map(|seed| {
                let mut random = RandomState::new(seed);
                let paths: Vec<f64> =
                    random.standard_normals(1000).into_iter().map(f64::exp).collect();
                perceptual_path_length(&paths).unwrap()
            })
            .collect();
        let mean = |values: &dyn Fn(&Estimate) -> f64| {
            estimates.iter().map(values).sum::<f64>() / DRAWS as f64
        };
        let center = mean(&|e| e.value);
        let spread = mean(&|e| (e.value - center).powi(2)).sqrt();
        let told = mean(&|e| e.standard_error.unwrap());
        // The spread of 400 draws is known to 1 / sqrt(800) of itself; four times that.
        assert!((told / spread - 1.0).abs() < 4.0 / (2.0 * DRAWS as f64).sqrt(), "{told} {spread}");
    }

    #[test]
    fn protocols_are_named() {
        for space in [PathSpace::Z, PathSpace::W] {
            assert_eq!(space.to_string().parse::<PathSpace>().unwrap(), space);
        }
        for sampling in [Sampling::Full, Sampling::End] {
            assert_eq!(sampling.to_string().parse::<Sampling>().unwrap(), sampling);
        }
        assert!("x".parse::<Sampling>().unwrap_err().to_string().contains("`full` or `end`"));
    }

    #[test]
    fn large_images_are_averaged_down_and_faces_cut_out() {
        let ramp = Tensor::arange(0f32, 512.0 * 512.0, &candle_core::Device::Cpu).unwrap();
        let images = ramp.reshape((1, 1, 512, 512)).unwrap();
        let small = shrink(&images).unwrap();
        assert_eq!(small.dims(), [1, 1, 256, 256]);
        let first = small.flatten_all().unwrap().get(0).unwrap().to_scalar::<f32>().unwrap();
        assert_eq!(first, (0.0 + 1.0 + 512.0 + 513.0) / 4.0);
        let crop = PathLength { crop: true, ..PathLength::PPL2_WEND };
        let face = crop.cropped(&images).unwrap();
        assert_eq!(face.dims(), [1, 1, 256, 256]);
        let corner = face.flatten_all().unwrap().get(0).unwrap().to_scalar::<f32>().unwrap();
        assert_eq!(corner, 192.0 * 512.0 + 128.0);
        assert_eq!(shrink(&images.narrow(2, 0, 2 * SIDE).unwrap()).unwrap().dim(2).unwrap(), 4);
    }

    #[test]
    fn a_protocol_without_steps_is_an_error() {
        let features = |images: &Tensor| -> Result<_> { euclidean(images) };
        for broken in [
            PathLength { epsilon: 0.0, ..PathLength::PPL2_WEND },
            PathLength { num_samples: 0, ..PathLength::PPL2_WEND },
            PathLength { batch: 0, ..PathLength::PPL2_WEND },
        ] {
            assert!(broken.distances(&TOY, Prior::Normal, None, features).is_err());
        }
    }
}
