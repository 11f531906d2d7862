//! From seeds to images: the prior, the truncation and the class of a family, put together once.

use std::fmt;
use std::str::FromStr;

use candle_core::Tensor;
use ganscope_model::{Generator, Synthesis, Truncation, TruncationKind};

use crate::{Error, Prior, RandomState, Result};

/// The class of each image of a conditional generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The same for all.
    One(u32),
    /// `seed mod c_dim`, so that consecutive seeds cover all classes evenly.
    BySeed,
    /// `RandomState(seed).randint(0, c_dim)`, as the tool of StyleGAN-XL draws it.
    Drawn,
}

impl Class {
    /// The class of the image of `seed`, of a generator of so many classes.
    ///
    /// # Errors
    /// If there are no classes.
    pub fn of(self, seed: u32, c_dim: usize) -> Result<u32> {
        Ok(match self {
            Self::One(class) => class,
            Self::BySeed => seed.checked_rem(c_dim as u32).unwrap_or_default(),
            Self::Drawn => RandomState::new(seed).below(c_dim as u64)? as u32,
        })
    }
}

/// How BigGAN's truncated normal is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ThresholdPrior {
    /// `t truncnorm(-2, 2)`, as published.
    #[default]
    Scaled,
    /// `truncnorm(-t, t)`, as the paper words it.
    Resampled,
}

impl ThresholdPrior {
    /// Its name in requests and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scaled => "scaled",
            Self::Resampled => "resampled",
        }
    }
}

impl fmt::Display for ThresholdPrior {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for ThresholdPrior {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "scaled" => Ok(Self::Scaled),
            "resampled" => Ok(Self::Resampled),
            _ => Err(Error::List {
                what: "prior",
                text: text.into(),
                problem: "no such prior".into(),
                form: "scaled` or `resampled",
            }),
        }
    }
}

/// How a generator draws the image of a seed, under one truncation.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampler {
    /// Distribution of `z`.
    pub prior: Prior,
    /// Truncation of the mapping.
    pub truncation: Truncation,
    /// Class, for a conditional generator.
    pub class: Option<Class>,
    /// Options of the synthesis; its noise seeds are set to the seeds of the images.
    pub synthesis: Synthesis,
}

impl Sampler {
    /// The published protocol of the generator's family for a truncation.
    ///
    /// StyleGAN draws `z` from a normal distribution and truncates W by psi. BigGAN draws a
    /// truncated normal, in (0, 1] of its threshold, and takes the batch-norm statistics of that
    /// threshold; 0 is the mean image of the class.
    ///
    /// # Errors
    /// If the truncation has no meaning for the family.
    pub fn new(generator: &dyn Generator, truncation: f64, class: Option<Class>) -> Result<Self> {
        Self::with_prior(generator, truncation, class, ThresholdPrior::Scaled)
    }

    /// As [`new`](Self::new), with a choice of the truncated normal; StyleGAN has none to choose.
    ///
    /// # Errors
    /// If the truncation has no meaning for the family.
    pub fn with_prior(
        generator: &dyn Generator,
        truncation: f64,
        class: Option<Class>,
        threshold_prior: ThresholdPrior,
    ) -> Result<Self> {
        let synthesis = Synthesis::default();
        match generator.info().truncation {
            TruncationKind::Psi if truncation.is_finite() => {
                let (prior, truncation) = (Prior::Normal, Truncation::psi(truncation));
                Ok(Self { prior, truncation, class, synthesis })
            }
            TruncationKind::Threshold if (0.0..=1.0).contains(&truncation) => {
                let synthesis = Synthesis { threshold: truncation, ..synthesis };
                let scaled = Truncation::psi(truncation);
                let (prior, truncation) = match threshold_prior {
                    // The factor is the mapping's, whose mean of z is 0.
                    ThresholdPrior::Scaled => (Prior::Scaled { truncation: 1.0 }, scaled),
                    ThresholdPrior::Resampled if truncation == 0.0 => {
                        (Prior::Scaled { truncation: 1.0 }, scaled)
                    }
                    ThresholdPrior::Resampled => {
                        (Prior::Resampled { truncation }, Truncation::NONE)
                    }
                };
                Ok(Self { prior, truncation, class, synthesis })
            }
            TruncationKind::Psi => Err(out_of_range(truncation, "finite")),
            TruncationKind::Threshold => Err(out_of_range(truncation, "between 0 and 1")),
        }
    }

    /// `z` (N, `z_dim`), one seed per row.
    pub fn latents(&self, generator: &dyn Generator, seeds: &[u32]) -> Result<Tensor> {
        self.prior.latents(seeds, generator.info().z_dim, generator.device())
    }

    /// `ws` (N, `num_ws`, `w_dim`), one seed per row.
    pub fn ws(&self, generator: &dyn Generator, seeds: &[u32]) -> Result<Tensor> {
        let z = self.latents(generator, seeds)?;
        self.map(generator, &z, seeds)
    }

    /// `ws` (N, `num_ws`, `w_dim`) of latents `z` (N, `z_dim`), each with the class of its seed.
    pub fn map(&self, generator: &dyn Generator, z: &Tensor, seeds: &[u32]) -> Result<Tensor> {
        let c_dim = generator.info().c_dim;
        let of = |class: Class| seeds.iter().map(|&seed| class.of(seed, c_dim)).collect();
        let classes: Option<Vec<u32>> = self.class.map(of).transpose()?;
        Ok(generator.map(z, classes.as_deref(), self.truncation)?)
    }

    /// Images (N, C, H, W), one seed each.
    pub fn images(&self, generator: &dyn Generator, seeds: &[u32]) -> Result<Tensor> {
        let ws = self.ws(generator, seeds)?;
        let synthesis = Synthesis { noise_seeds: seeds.to_vec(), ..self.synthesis.clone() };
        Ok(generator.synthesize(&ws, &synthesis)?)
    }

    /// Images of many seeds, at most `batch` at once, in the order of the seeds.
    pub fn stream<'a>(
        self,
        generator: &'a dyn Generator,
        seeds: impl Iterator<Item = u32> + 'a,
        batch: usize,
    ) -> impl Iterator<Item = Result<Batch>> + 'a {
        let mut seeds = seeds;
        std::iter::from_fn(move || {
            let seeds: Vec<u32> = seeds.by_ref().take(batch.max(1)).collect();
            (!seeds.is_empty())
                .then(|| self.images(generator, &seeds).map(|images| Batch { seeds, images }))
        })
    }
}

/// Images and the seeds that made them.
#[derive(Debug, Clone)]
pub struct Batch {
    /// One seed per image.
    pub seeds: Vec<u32>,
    /// (N, C, H, W), nominally in [-1, 1].
    pub images: Tensor,
}

fn out_of_range(truncation: f64, expected: &str) -> Error {
    Error::OutOfRange { name: "truncation", got: truncation, expected: expected.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toy::{DIM, Toy};
    use crate::{truncated_noise_sample, z_from_seed};

    const STYLE: Toy = Toy(TruncationKind::Psi);
    const BIG: Toy = Toy(TruncationKind::Threshold);

    /// `z` under the truncation, as the first style input sees it.
    fn latent(toy: &Toy, sampler: &Sampler, seed: u32) -> Vec<f32> {
        let ws = sampler.ws(toy, &[seed]).unwrap();
        ws.narrow(1, 0, 1).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn a_style_generator_gets_normal_latents_and_psi() {
        let sampler = Sampler::new(&STYLE, 0.5, None).unwrap();
        let half: Vec<f32> = z_from_seed(85, DIM).iter().map(|z| z * 0.5).collect();
        assert_eq!(latent(&STYLE, &sampler, 85), half);
        assert_eq!(sampler.synthesis.threshold, 1.0);
        assert!(Sampler::new(&STYLE, -1.5, None).is_ok());
        assert!(Sampler::new(&STYLE, f64::NAN, None).is_err());
    }

    #[test]
    fn a_threshold_generator_gets_the_published_noise_and_statistics() {
        let sampler = Sampler::new(&BIG, 0.4, None).unwrap();
        let noise = truncated_noise_sample(1, DIM, 0.4, 7).unwrap();
        assert_eq!(latent(&BIG, &sampler, 7), noise);
        assert_eq!(sampler.synthesis.threshold, 0.4);
        let resampled = Sampler::with_prior(&BIG, 0.4, None, ThresholdPrior::Resampled).unwrap();
        assert!(latent(&BIG, &resampled, 7).iter().all(|z| z.abs() <= 0.4));
        assert_eq!(resampled.synthesis.threshold, 0.4);
        for beyond in [-0.1, 1.1, f64::NAN] {
            let error = Sampler::new(&BIG, beyond, None).unwrap_err().to_string();
            assert!(error.contains("expected between 0 and 1"), "{error}");
        }
    }

    #[test]
    fn truncation_0_is_the_mean_for_every_seed() {
        for (toy, prior) in [
            (&STYLE, ThresholdPrior::Scaled),
            (&BIG, ThresholdPrior::Scaled),
            (&BIG, ThresholdPrior::Resampled),
        ] {
            let sampler = Sampler::with_prior(toy, 0.0, Some(Class::One(3)), prior).unwrap();
            assert_eq!(latent(toy, &sampler, 1), vec![3.0; DIM]);
            assert_eq!(latent(toy, &sampler, 2), vec![3.0; DIM]);
        }
    }

    #[test]
    fn classes_by_seed_are_even_and_independent_of_the_batch() {
        let sampler = Sampler::new(&STYLE, 0.0, Some(Class::BySeed)).unwrap();
        let batches = sampler.clone().stream(&STYLE, 8..13, 2);
        let mut seen = Vec::new();
        for batch in batches {
            let batch = batch.unwrap();
            let images = batch.images.flatten_from(1).unwrap().to_vec2::<f32>().unwrap();
            seen.extend(batch.seeds.into_iter().zip(images.into_iter().map(|image| image[0])));
        }
        // The sum of the style weights is 7.
        assert_eq!(seen, [(8, 56.0), (9, 63.0), (10, 0.0), (11, 7.0), (12, 14.0)]);
    }

    #[test]
    fn an_empty_stream_ends() {
        let sampler = Sampler::new(&STYLE, 1.0, None).unwrap();
        assert_eq!(sampler.stream(&STYLE, std::iter::empty(), 4).count(), 0);
    }
}
