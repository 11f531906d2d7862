//! Inception-v3 as the Fréchet Inception Distance defines it: the `TensorFlow` graph of 2015-12-05.
//!
//! Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", 2015,
//! <https://arxiv.org/abs/1512.00567>, with the weights and the deviations that every FID is taken
//! with: average pools that leave the padding out, a maximum pool in the last block, 1008 outputs.
//! Names are those of `pt_inception-2015-12-05-6726825d.pth`.

mod graph;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use candle_core::Device;
use ganscope_images::ImageBatch;
use ganscope_model::network::Op;
use ganscope_model::{Engine, Error, FeatureExtractor, FeatureMap, Network, Normalization, Result};
use ganscope_stats::{FeatureBatch, Features, Needs};

pub use graph::network;

/// Height and width of the input, in pixels.
pub const INPUT_SIZE: usize = 299;

/// Spatial features are the first channels of the 17 x 17 map that `TensorFlow` calls
/// `mixed_6/conv`.
const SPATIAL_CHANNELS: usize = 7;

/// The layer whose spatial mean is the feature row, named by its width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layer {
    /// After the first maximum pool.
    L64,
    /// After the second maximum pool.
    L192,
    /// Before the auxiliary classifier, `Mixed_6e`.
    L768,
    /// `Mixed_7c`, the layer of published distances ("pool3").
    #[default]
    L2048,
}

impl Layer {
    /// Every layer, narrow to wide.
    pub const ALL: [Self; 4] = [Self::L64, Self::L192, Self::L768, Self::L2048];

    /// Width of a feature row.
    pub fn dim(self) -> usize {
        match self {
            Self::L64 => 64,
            Self::L192 => 192,
            Self::L768 => 768,
            Self::L2048 => 2048,
        }
    }

    /// Name of the step whose spatial mean is the feature row.
    pub fn step(self) -> &'static str {
        match self {
            Self::L64 => "maxpool_1",
            Self::L192 => "maxpool_2",
            Self::L768 => "Mixed_6e",
            Self::L2048 => "Mixed_7c",
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.dim().fmt(f)
    }
}

impl FromStr for Layer {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let layer = Self::ALL.into_iter().find(|l| l.dim().to_string() == s);
        layer.ok_or_else(|| format!("no layer `{s}` (layers: 64, 192, 768, 2048)"))
    }
}

/// The extractor: network, input scaling, and the layers that are read.
#[derive(Debug)]
pub struct Inception {
    engine: Engine,
    scaling: Normalization,
    layer: Layer,
    spatial: bool,
    /// The last linear layer, where logits are read off.
    head: Option<Engine>,
}

impl Inception {
    /// An extractor of `layer` that also computes the logits and the spatial features if `needs`
    /// contains them. It runs on `device`.
    ///
    /// # Errors
    /// If `net` is not the network of [`network`], or its weights cannot be moved to the device.
    pub fn new(
        net: Arc<Network>,
        scaling: Normalization,
        layer: Layer,
        needs: Needs,
        device: &Device,
    ) -> Result<Self> {
        let (logits, spatial) = (needs.contains(Needs::LOGITS), needs.contains(Needs::SPATIAL));
        let mut taps = vec![net.node(layer.step())?];
        if spatial {
            taps.push(net.node("Mixed_6d.branch1x1.relu")?);
        }
        if logits && layer != Layer::L2048 {
            taps.push(net.node(Layer::L2048.step())?);
        }
        let head = logits.then(|| head_without_bias(&net)).transpose()?;
        let engine = Engine::on(net, &taps, device)?;
        Ok(Self { engine, scaling, layer, spatial, head })
    }

    /// The layer of the features.
    pub fn layer(&self) -> Layer {
        self.layer
    }
}

impl FeatureExtractor for Inception {
    fn feature_dim(&self) -> usize {
        self.layer.dim()
    }

    fn input_size(&self) -> usize {
        INPUT_SIZE
    }

    fn gives(&self) -> Needs {
        let part = |given: bool, need| if given { need } else { Needs::NONE };
        part(self.head.is_some(), Needs::LOGITS) | part(self.spatial, Needs::SPATIAL)
    }

    fn extract(&self, images: &ImageBatch) -> Result<FeatureBatch> {
        let input = self.scaling.apply_all(&images.data);
        let maps = self.engine.run(&input, (images.n, images.height, images.width))?;
        let mut maps = maps.into_iter();
        let mut next = || maps.next().expect("one map a tap");
        let features = Features::from_vec(next().spatial_mean(), self.layer.dim())?;
        let spatial = self.spatial.then(|| spatial_features(&next())).transpose()?;
        let logits = match &self.head {
            None => None,
            Some(head) => {
                let last = match self.layer {
                    Layer::L2048 => features.as_slice(),
                    _ => &next().spatial_mean(),
                };
                let logits = head.run(last, (images.n, 1, 1))?.swap_remove(0);
                Some(Features::from_vec(logits.data, logits.shape.c)?)
            }
        };
        Ok(FeatureBatch { features, logits, spatial })
    }
}

/// The first channels of every pixel, as one row per image.
fn spatial_features(map: &FeatureMap) -> Result<Features> {
    let pixels = map.data.chunks_exact(map.shape.c);
    let rows = pixels.flat_map(|pixel| &pixel[..SPATIAL_CHANNELS]).copied().collect();
    Ok(Features::from_vec(rows, SPATIAL_CHANNELS * map.shape.h * map.shape.w)?)
}

/// The network of the last linear layer alone, its bias left out: what the Inception Score reads.
fn head_without_bias(net: &Network) -> Result<Engine> {
    let last = net.steps().last().map(|step| &step.op);
    let Some(Op::Linear(fc)) = last else {
        return Err(Error::Input("the network does not end in a linear layer".into()));
    };
    let mut fc = fc.clone();
    fc.bias.fill(0.0);
    let mut builder = ganscope_model::network::Builder::new(fc.spec.in_channels);
    let logits = builder.step("fc", &[ganscope_model::Node::INPUT], Op::Linear(fc));
    Ok(Engine::new(Arc::new(builder.build()), &[logits]))
}
