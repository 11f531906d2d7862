//! Noise inputs of synthesis layers.

use candle_core::{DType, Device, Tensor};
use ganscope_model::{Error, NoiseMode, Result, Synthesis};
use ganscope_stats::random::RandomState;

/// The noise inputs of one synthesis, drawn layer by layer.
pub(crate) enum NoiseSource<'a> {
    Const,
    None,
    /// A stream an image, so that an image does not depend on its batch.
    Random(Vec<RandomState>),
    /// A map for each layer, instead of the stored one.
    Given(std::slice::Iter<'a, Tensor>),
}

/// Noise of one layer.
#[derive(Debug)]
pub(crate) struct Noise {
    /// The stored map, (R, R).
    map: Tensor,
    strength: f64,
}

impl Noise {
    /// A stored map (R, R) of some strength.
    pub(crate) fn new(map: Tensor, strength: f64) -> Self {
        Self { map, strength }
    }

    /// The stored map, (R, R).
    pub(crate) fn map(&self) -> &Tensor {
        &self.map
    }
}

impl<'a> NoiseSource<'a> {
    /// The `maps` in place of those of the layers, `stored`.
    pub(crate) fn given(maps: &'a [Tensor], stored: &[Tensor]) -> Result<Self> {
        let sizes =
            |maps: &[Tensor]| maps.iter().map(|map| map.dims().to_vec()).collect::<Vec<_>>();
        let (got, expected) = (sizes(maps), sizes(stored));
        if got == expected {
            return Ok(Self::Given(maps.iter()));
        }
        Err(Error::Input(format!("noise maps of {got:?}, expected {expected:?}")))
    }

    /// The source that `options` ask for, for `n` images.
    pub(crate) fn new(options: &Synthesis, n: usize) -> Self {
        match options.noise_mode {
            NoiseMode::Const => Self::Const,
            NoiseMode::None => Self::None,
            NoiseMode::Random => {
                let seed = |i: usize| options.noise_seeds.get(i).copied().unwrap_or(i as u32);
                Self::Random((0..n).map(|i| RandomState::new(seed(i))).collect())
            }
        }
    }

    /// The next layer's noise: (R, R) for all images, or (N, R, R).
    pub(crate) fn next(
        &mut self,
        noise: Option<&Noise>,
        dtype: DType,
        device: &Device,
    ) -> Result<Option<Tensor>> {
        let Some(Noise { map, strength }) = noise else { return Ok(None) };
        match self {
            Self::None => Ok(None),
            Self::Const => Ok(Some((map * *strength)?.to_dtype(dtype)?)),
            Self::Given(maps) => {
                let given = maps.next().unwrap_or(map);
                Ok(Some((given.to_dtype(dtype)? * *strength)?))
            }
            Self::Random(streams) => {
                let size = map.elem_count();
                let draws: Vec<f32> = streams
                    .iter_mut()
                    .flat_map(|stream| stream.standard_normals(size))
                    .map(|v| (v * strength) as f32)
                    .collect();
                let (h, w) = map.dims2()?;
                let draws = Tensor::from_vec(draws, (streams.len(), h, w), device)?;
                Ok(Some(draws.to_dtype(dtype)?))
            }
        }
    }
}
