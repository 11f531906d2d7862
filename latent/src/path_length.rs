//! Perceptual path length: how far an image moves for a small step of its latent.
//!
//! Karras et al., "A Style-Based Generator Architecture for Generative Adversarial Networks", 2019,
//! <https://arxiv.org/abs/1812.04948>, section 4.1.

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

/// At which points of the path the step is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sampling {
    /// Anywhere, uniformly.
    Full,
    /// At the start, which is a latent as it is drawn.
    End,
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
    /// When the protocol has no samples or no step.
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
        let options = Synthesis { noise_mode: NoiseMode::Random, noise_seeds, threshold };
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
                    // A StyleGAN normalises z; other generators know its length.
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
/// When `rows` is no float32 matrix.
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

/// Mean of the distances between their 1st and 99th percentile, both included.
///
/// The percentiles are the sample just below and just above, as the published tools take them.
///
/// # Errors
/// When there are no distances.
pub fn perceptual_path_length(distances: &[f64]) -> Result<f64> {
    let Some(last) = distances.len().checked_sub(1) else {
        return Err(Error::OutOfRange { name: "samples", got: 0.0, expected: "above 0".into() });
    };
    let mut sorted = distances.to_vec();
    sorted.sort_by(f64::total_cmp);
    let low = sorted[(0.01 * last as f64).floor() as usize];
    let high = sorted[(0.99 * last as f64).ceil() as usize];
    let kept: Vec<f64> = distances.iter().copied().filter(|d| (low..=high).contains(d)).collect();
    Ok(kept.iter().sum::<f64>() / kept.len() as f64)
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
        assert_eq!(perceptual_path_length(&values).unwrap(), 50.0);
        let skewed: Vec<f64> =
            (0..=100).map(|v| if v == 100 { 1e9 } else { f64::from(v) }).collect();
        assert_eq!(perceptual_path_length(&skewed).unwrap(), 50.0);
        assert_eq!(perceptual_path_length(&[3.0]).unwrap(), 3.0);
        assert!(perceptual_path_length(&[]).is_err());
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
