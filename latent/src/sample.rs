//! Latents for seeds, number by number those of the published tools.

use candle_core::{Device, Tensor};
use ganscope_stats::random::RandomState;

use crate::{Error, Result};

/// How `z` is drawn from a normal distribution and a truncation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Prior {
    /// Standard normal, `RandomState(seed).randn(1, z_dim)`: the StyleGAN tools.
    Normal,
    /// `truncation * truncnorm(-2, 2)`: the published BigGAN tools.
    Scaled {
        /// Factor, in (0, 1].
        truncation: f64,
    },
    /// `truncnorm(-truncation, truncation)`: values beyond the threshold are drawn again, as the
    /// BigGAN paper words its truncation trick. At 0.5 the standard deviation is 0.28, and that of
    /// [`Scaled`](Self::Scaled) 0.44.
    Resampled {
        /// Threshold in standard deviations, above 0.
        truncation: f64,
    },
}

impl Prior {
    /// `z` (N, `z_dim`), row `i` drawn from `seeds[i]` alone, so that a batch never changes an image.
    ///
    /// # Errors
    /// If the truncation is out of range.
    pub fn latents(self, seeds: &[u32], z_dim: usize, device: &Device) -> Result<Tensor> {
        let mut rows = Vec::with_capacity(seeds.len() * z_dim);
        for &seed in seeds {
            rows.extend(self.latent(seed, z_dim)?);
        }
        Ok(Tensor::from_vec(rows, (seeds.len(), z_dim), device)?)
    }

    /// The `z` of one seed.
    ///
    /// # Errors
    /// If the truncation is out of range.
    pub fn latent(self, seed: u32, z_dim: usize) -> Result<Vec<f32>> {
        self.draw(&mut RandomState::new(seed), z_dim)
    }

    /// The next `z` of a stream.
    ///
    /// # Errors
    /// If the truncation is out of range.
    pub fn draw(self, random: &mut RandomState, z_dim: usize) -> Result<Vec<f32>> {
        match self {
            Self::Normal => Ok((0..z_dim).map(|_| random.standard_normal() as f32).collect()),
            Self::Scaled { truncation } => {
                if !(truncation > 0.0 && truncation <= 1.0) {
                    return Err(out_of_range(truncation, "above 0 and at most 1"));
                }
                let draw = |_| Ok(truncation as f32 * random.truncated_normal(-2.0, 2.0)? as f32);
                (0..z_dim).map(draw).collect()
            }
            Self::Resampled { truncation } => {
                if !(truncation > 0.0 && truncation.is_finite()) {
                    return Err(out_of_range(truncation, "above 0"));
                }
                let draw = |_| Ok(random.truncated_normal(-truncation, truncation)? as f32);
                (0..z_dim).map(draw).collect()
            }
        }
    }

    /// The truncation whose batch-norm statistics belong to these latents; 1 for a normal prior.
    pub fn threshold(self) -> f64 {
        match self {
            Self::Normal => 1.0,
            Self::Scaled { truncation } | Self::Resampled { truncation } => truncation.min(1.0),
        }
    }
}

/// The latent that the StyleGAN tools draw for `seed`: `RandomState(seed).randn(1, z_dim)` as
/// float32.
pub fn z_from_seed(seed: u32, z_dim: usize) -> Vec<f32> {
    let mut random = RandomState::new(seed);
    (0..z_dim).map(|_| random.standard_normal() as f32).collect()
}

/// The rows that the published BigGAN tools draw in one go for `seed`, in C order.
///
/// `truncation * truncnorm.rvs(-2, 2, (batch_size, dim_z), RandomState(seed))`, rounded to float32
/// before the multiplication. Only the first row is that of a batch of 1; [`Prior::latents`] draws
/// one seed per image instead.
///
/// # Errors
/// If the truncation is not in (0, 1].
pub fn truncated_noise_sample(
    batch_size: usize,
    dim_z: usize,
    truncation: f64,
    seed: u32,
) -> Result<Vec<f32>> {
    Prior::Scaled { truncation }.latent(seed, batch_size * dim_z)
}

fn out_of_range(truncation: f64, expected: &str) -> Error {
    Error::OutOfRange { name: "truncation", got: truncation, expected: expected.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEDS: [u32; 5] = [0, 1, 42, 2020, 4_294_967_290];

    #[test]
    fn style_latents_are_those_of_numpy() {
        let golden = ganscope_golden::arrays("numpy_random.safetensors");
        for seed in SEEDS {
            let expected = golden[&format!("{seed}/randn")].f32();
            assert_eq!(z_from_seed(seed, 512), expected);
        }
    }

    #[test]
    fn noise_samples_are_those_of_the_published_tool() {
        let golden = ganscope_golden::arrays("biggan.safetensors");
        for (case, truncation, seed) in [
            ("t0.2-classes0-seed13", 0.2, 13),
            ("t0.5-classes1_7-seed11", 0.5, 11),
            ("t1.0-classes3-seed12", 1.0, 12),
        ] {
            for model in ["tiny", "deep-128"] {
                let z = &golden[&format!("{model}/{case}/z")];
                let rows =
                    truncated_noise_sample(z.shape[0], z.shape[1], truncation, seed).unwrap();
                assert_eq!(rows, z.f32());
                let first = Prior::Scaled { truncation }.latent(seed, z.shape[1]).unwrap();
                assert_eq!(first, rows[..z.shape[1]]);
            }
        }
    }

    #[test]
    fn standard_deviations_are_those_of_the_two_truncations() {
        // sqrt(1 - 2 b p(b) / (2 F(b) - 1)) of truncnorm(-b, b), scaled by 0.5 for b = 2
        const SAMPLING_ERROR: f64 = 0.005; // 40 000 draws
        for (prior, expected) in [
            (Prior::Scaled { truncation: 0.5 }, 0.439_812_8),
            (Prior::Resampled { truncation: 0.5 }, 0.283_8),
        ] {
            let z = prior.latent(7, 40_000).unwrap();
            let square: f64 = z.iter().map(|&v| v as f64 * v as f64).sum();
            let deviation = (square / z.len() as f64).sqrt();
            assert!((deviation - expected).abs() < SAMPLING_ERROR, "{prior:?}: {deviation}");
        }
        let z = Prior::Resampled { truncation: 0.3 }.latent(0, 1000).unwrap();
        assert!(z.iter().all(|v| v.abs() <= 0.3));
    }

    #[test]
    fn a_row_depends_on_its_seed_alone() {
        let prior = Prior::Scaled { truncation: 0.7 };
        let rows = prior.latents(&[3, 1, 4], 6, &Device::Cpu).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(rows[1], prior.latent(1, 6).unwrap());
        assert_eq!(rows[2], prior.latent(4, 6).unwrap());
    }

    #[test]
    fn a_truncation_beyond_its_range_is_an_error() {
        for truncation in [0.0, -0.5, 1.5, f64::NAN] {
            let error = Prior::Scaled { truncation }.latent(0, 4).unwrap_err().to_string();
            assert!(error.contains("expected above 0 and at most 1"), "{error}");
        }
        assert!(Prior::Resampled { truncation: 0.0 }.latent(0, 4).is_err());
        assert!(Prior::Resampled { truncation: f64::INFINITY }.latent(0, 4).is_err());
    }
}
