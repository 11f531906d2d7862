//! Truncation towards the nearest of several centers of W.
//!
//! After Mokady et al., "Self-Distilled StyleGAN: Towards Generation from Internet Photos", 2022,
//! <https://arxiv.org/abs/2202.12211>: if images are of many kinds, the mean of W belongs to none
//! of them. They cluster and compare images by a perceptual distance; here both are Euclidean in W.

use std::sync::OnceLock;

use candle_core::{Device, Tensor};
use ganscope_model::{Generator, GeneratorInfo, Synthesis, Truncation, TruncationKind};
use ganscope_stats::Features;

use crate::clusters::{centers, nearest};
use crate::{Error, Prior, RandomState, Result};

/// Latents whose `w` are clustered, and the seed of their one stream: those from which the
/// projector of StyleGAN2 takes the mean of W.
const SAMPLES: usize = 10_000;
const SEED: u32 = 123;
/// Most centers: ten latents for each.
const MOST_CENTERS: usize = SAMPLES / 10;
/// Latents that are mapped at once.
const BATCH: usize = 500;

/// Where the centers come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Centers {
    /// As many means of clusters (k-means) of 10,000 `w`, found for each class. One center is the
    /// mean of the class.
    Clusters(usize),
    /// Rows (K, `w_dim`), for all classes.
    Given(Features),
}

/// A StyleGAN whose psi moves `w` towards the nearest center instead of the mean of all `w`:
/// `c + psi (w - c)`, with the `c` that is nearest to `w` in the Euclidean sense.
///
/// In all else it is the generator that it wraps. Where the nearest center changes along a walk
/// through Z, its images jump.
pub struct MultiModal {
    generator: Box<dyn Generator>,
    /// Centers to find in each class.
    count: usize,
    /// Centers of each class, or one entry for all.
    centers: Vec<OnceLock<Features>>,
}

impl std::fmt::Debug for MultiModal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { generator: _, count, centers } = self;
        let (count, known) = (count, centers.iter().filter(|c| c.get().is_some()).count());
        f.debug_struct("MultiModal")
            .field("count", count)
            .field("known", &known)
            .finish_non_exhaustive()
    }
}

impl MultiModal {
    /// `generator` with `centers`; clusters are found when a class is first truncated.
    ///
    /// # Errors
    /// If the generator does not truncate in W, or the centers do not fit it.
    pub fn new(generator: Box<dyn Generator>, centers: Centers) -> Result<Self> {
        let info = generator.info();
        if info.truncation != TruncationKind::Psi {
            let message = "the generator does not truncate in W, it takes no centers";
            return Err(ganscope_model::Error::Input(message.into()).into());
        }
        match centers {
            Centers::Clusters(count) if (1..=MOST_CENTERS).contains(&count) => {
                let centers = (0..info.c_dim.max(1)).map(|_| OnceLock::new()).collect();
                Ok(Self { generator, count, centers })
            }
            Centers::Clusters(count) => {
                let (got, expected) = (count as f64, format!("1 to {MOST_CENTERS}"));
                Err(Error::OutOfRange { name: "number of centers", got, expected })
            }
            Centers::Given(rows) => {
                rows.check_finite("the list of centers")?;
                if rows.dim() != info.w_dim || rows.is_empty() {
                    let shape = [rows.len(), rows.dim()];
                    let message =
                        format!("centers have shape {shape:?}, expected (K, {})", info.w_dim);
                    return Err(ganscope_model::Error::Input(message).into());
                }
                Ok(Self { generator, count: rows.len(), centers: vec![OnceLock::from(rows)] })
            }
        }
    }

    /// The centers (K, `w_dim`) towards which images of `class`, one of the generator, are
    /// truncated.
    fn centers(&self, class: Option<u32>) -> Result<&Features> {
        let index = if self.centers.len() == 1 { 0 } else { class.unwrap_or(0) as usize };
        let cell = &self.centers[index];
        if let Some(known) = cell.get() {
            return Ok(known);
        }
        let found = self.clusters(class)?;
        Ok(cell.get_or_init(|| found))
    }

    /// Means of clusters of the `w` of `class`.
    fn clusters(&self, class: Option<u32>) -> Result<Features> {
        let info = self.generator.info();
        let mut random = RandomState::new(SEED);
        let mut points = Features::new(info.w_dim)?;
        while points.len() < SAMPLES {
            let z = Prior::Normal.draw(&mut random, BATCH * info.z_dim)?;
            let z = Tensor::from_vec(z, (BATCH, info.z_dim), self.generator.device())?;
            let classes = class.map(|class| [class; BATCH]);
            let ws = self.generator.map(&z, classes.as_ref().map(|c| &c[..]), Truncation::NONE)?;
            points.push_rows(&first_rows(&ws)?)?;
        }
        centers(&points, self.count, &mut random)
    }

    /// The center for each row of `ws` (N, `num_ws`, `w_dim`), which is not truncated: (N, 1,
    /// `w_dim`).
    fn targets(&self, ws: &Tensor, classes: Option<&[u32]>) -> Result<Tensor> {
        let (n, _, w_dim) = ws.dims3()?;
        let mut rows = Vec::with_capacity(n * w_dim);
        for (i, w) in first_rows(ws)?.chunks_exact(w_dim).enumerate() {
            let centers = self.centers(classes.map(|classes| classes[i]))?;
            rows.extend_from_slice(centers.row(nearest(w, centers)));
        }
        Ok(Tensor::from_vec(rows, (n, 1, w_dim), ws.device())?.to_dtype(ws.dtype())?)
    }
}

impl Generator for MultiModal {
    fn info(&self) -> GeneratorInfo {
        self.generator.info()
    }

    fn image_size(&self) -> [usize; 2] {
        self.generator.image_size()
    }

    fn device(&self) -> &Device {
        self.generator.device()
    }

    fn map(
        &self,
        z: &Tensor,
        classes: Option<&[u32]>,
        truncation: Truncation,
    ) -> ganscope_model::Result<Tensor> {
        let num_ws = self.info().num_ws;
        let moved = truncation.rows(num_ws)?;
        let ws = self.generator.map(z, classes, Truncation::NONE)?;
        if moved == 0 {
            return Ok(ws);
        }
        let targets = self.targets(&ws, classes).map_err(|error| match error {
            Error::Model(error) => error,
            other => ganscope_model::Error::Input(other.to_string()),
        })?;
        let away = ws.narrow(1, 0, moved)?.broadcast_sub(&targets)?;
        let towards = (away * truncation.psi)?.broadcast_add(&targets)?;
        Ok(Tensor::cat(&[&towards, &ws.narrow(1, moved, num_ws - moved)?], 1)?)
    }

    fn style_weights(&self) -> Vec<Tensor> {
        self.generator.style_weights()
    }

    fn preview_sizes(&self) -> Vec<usize> {
        self.generator.preview_sizes()
    }

    fn synthesize_unless(
        &self,
        ws: &Tensor,
        options: &Synthesis,
        stop: &dyn Fn() -> bool,
    ) -> ganscope_model::Result<Tensor> {
        self.generator.synthesize_unless(ws, options, stop)
    }

    fn noise_maps(&self) -> Vec<Tensor> {
        self.generator.noise_maps()
    }

    fn synthesize_with_noise(
        &self,
        ws: &Tensor,
        maps: &[Tensor],
    ) -> ganscope_model::Result<Tensor> {
        self.generator.synthesize_with_noise(ws, maps)
    }
}

/// The first style input of each image.
fn first_rows(ws: &Tensor) -> Result<Vec<f32>> {
    let first = ws.narrow(1, 0, 1)?.to_dtype(candle_core::DType::F32)?;
    Ok(first.flatten_all()?.to_vec1()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toy::{DIM, NUM_WS, Toy};
    use crate::{Class, Sampler, z_from_seed};

    fn given(rows: &[[f32; DIM]]) -> MultiModal {
        let rows = Features::from_vec(rows.concat(), DIM).unwrap();
        MultiModal::new(Box::new(Toy(TruncationKind::Psi)), Centers::Given(rows)).unwrap()
    }

    fn clustered(count: usize) -> MultiModal {
        let toy = Box::new(Toy(TruncationKind::Psi));
        MultiModal::new(toy, Centers::Clusters(count)).unwrap()
    }

    fn rows(generator: &dyn Generator, sampler: &Sampler, seeds: &[u32]) -> Vec<Vec<Vec<f32>>> {
        sampler.ws(generator, seeds).unwrap().to_vec3().unwrap()
    }

    #[test]
    fn psi_moves_each_w_towards_its_own_center() {
        // The center of seed 1 is close to its z, that of seed 2 to its opposite.
        let (one, two) = (z_from_seed(1, DIM), z_from_seed(2, DIM));
        let near: Vec<f32> = one.iter().map(|v| v + 0.25).collect();
        let far: Vec<f32> = two.iter().map(|v| v - 0.5).collect();
        let generator = given(&[far.clone().try_into().unwrap(), near.clone().try_into().unwrap()]);
        for psi in [-0.5, 0.0, 0.7, 1.3] {
            let mut sampler = Sampler::new(&generator, psi, None).unwrap();
            sampler.truncation.cutoff = Some(2);
            let moved = rows(&generator, &sampler, &[1, 2]);
            for (image, w, center) in [(&moved[0], &one, &near), (&moved[1], &two, &far)] {
                for (row, values) in image.iter().enumerate() {
                    let psi = if row < 2 { psi as f32 } else { 1.0 };
                    for ((value, w), c) in values.iter().zip(w).zip(center) {
                        assert!((value - (c + psi * (w - c))).abs() < 1e-5, "psi {psi}, row {row}");
                    }
                }
            }
            // An image does not depend on those that are made with it.
            assert_eq!(rows(&generator, &sampler, &[2])[0], moved[1]);
        }
        let whole = Sampler::new(&generator, 1.0, None).unwrap();
        assert_eq!(rows(&generator, &whole, &[2])[0], vec![two; NUM_WS]);
    }

    #[test]
    fn one_center_is_the_mean_of_the_class() {
        let generator = clustered(1);
        let mut random = RandomState::new(SEED);
        let draws: Vec<f64> = (0..SAMPLES * DIM).map(|_| random.standard_normal()).collect();
        for class in [0, 3] {
            let center = generator.centers(Some(class)).unwrap().row(0);
            for (k, &value) in center.iter().enumerate() {
                let mean = draws.iter().skip(k).step_by(DIM).sum::<f64>() / SAMPLES as f64;
                assert!((value as f64 - mean - class as f64).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn clusters_are_those_of_the_class() {
        let generator = clustered(4);
        let sampler = Sampler::new(&generator, 0.0, Some(Class::BySeed)).unwrap();
        for (seed, image) in rows(&generator, &sampler, &[13, 27, 40]).into_iter().enumerate() {
            let class = [3, 7, 0][seed];
            let centers = generator.centers(Some(class)).unwrap();
            assert_eq!(centers.len(), 4);
            assert!(centers.rows().any(|center| center == image[0]), "class {class}");
        }
        let beyond = Sampler::new(&generator, 0.0, Some(Class::One(10))).unwrap();
        assert!(beyond.ws(&generator, &[1]).is_err());
    }

    #[test]
    fn what_has_no_meaning_is_refused() {
        let fail =
            |kind, centers| MultiModal::new(Box::new(Toy(kind)), centers).unwrap_err().to_string();
        let threshold = fail(TruncationKind::Threshold, Centers::Clusters(2));
        assert_eq!(threshold, "the generator does not truncate in W, it takes no centers");
        let none = fail(TruncationKind::Psi, Centers::Clusters(0));
        assert_eq!(none, "number of centers is 0, expected 1 to 1000");
        let given = |values: Vec<f32>, dim| {
            fail(TruncationKind::Psi, Centers::Given(Features::from_vec(values, dim).unwrap()))
        };
        assert_eq!(given(vec![0.0; 6], 3), "centers have shape [2, 3], expected (K, 12)");
        assert_eq!(given(vec![], DIM), "centers have shape [0, 12], expected (K, 12)");
        let nan = given(vec![f32::NAN; DIM], DIM);
        assert_eq!(nan, "the list of centers contains an infinite value or NaN in row 0");
        let z = Tensor::zeros((1, DIM), candle_core::DType::F32, &Device::Cpu).unwrap();
        let error = clustered(2).map(&z, None, Truncation::psi(f64::INFINITY)).unwrap_err();
        assert_eq!(error.to_string(), "truncation psi is inf, not a finite number");
    }
}
