//! Layers and checkpoint to steps.

use std::collections::{BTreeMap, BTreeSet};

use super::layer::{conv_spec, positive, window};
use super::{Description, Layer, LayerKind};
use crate::network::builder::convolution;
use crate::network::{Builder, ConvSpec, Convolution, Node, Op, fold_batch_norm};
use crate::{Checkpoint, Error, Network, Result};

/// Name of the image among the inputs of a layer.
const INPUT: &str = "input";

/// Most numbers of one value for one image: 1 GiB of them.
const LARGEST_VALUE: usize = 1 << 28;

/// Most layers of a network, and most inputs of one.
const MOST_LAYERS: usize = 4096;

pub(super) fn network(description: &Description, mut checkpoint: Checkpoint) -> Result<Network> {
    checkpoint.discard(|name| name.ends_with("num_batches_tracked"));
    let size = description.img_resolution;
    let sizes = positive(&[description.img_channels, size]);
    sizes.map_err(|problem| Error::Config(format!("the input has {problem}")))?;
    if !(1..=MOST_LAYERS).contains(&description.layers.len()) {
        let layers = description.layers.len();
        let text = format!("a network has 1 to {MOST_LAYERS} layers, this one {layers}");
        return Err(Error::Config(text));
    }
    let reads = reads(&description.layers)?;
    let mut assembly = Assembly {
        layers: &description.layers,
        reads,
        checkpoint,
        builder: Builder::new(description.img_channels),
        nodes: BTreeMap::from([(INPUT, Node::INPUT)]),
    };
    for index in 0..description.layers.len() {
        assembly.add(index)?;
    }
    assembly.checkpoint.finish()?;
    let network = assembly.builder.build();
    let shapes = network.shapes(size, size)?;
    for (shape, step) in shapes[1..].iter().zip(network.steps()) {
        if shape.len() > LARGEST_VALUE {
            return Err(graph(&step.name, format!("{shape:?} is too large")));
        }
    }
    Ok(network)
}

/// Names of the inputs of each layer, all known and unique.
fn reads(layers: &[Layer]) -> Result<Vec<Vec<&str>>> {
    let mut known = BTreeSet::from([INPUT]);
    let mut last = INPUT;
    let mut reads = Vec::new();
    for layer in layers {
        let names: Vec<&str> = match &layer.inputs {
            None => vec![last],
            Some(names) => names.iter().map(String::as_str).collect(),
        };
        if let Some(name) = names.iter().find(|name| !known.contains(*name)) {
            return Err(graph(
                &layer.name,
                format!("reads `{name}`, which is not an earlier layer"),
            ));
        }
        let several = matches!(layer.kind, LayerKind::Add {} | LayerKind::Concat {});
        if names.is_empty() || names.len() > 1 && !several || names.len() > MOST_LAYERS {
            return Err(graph(&layer.name, format!("has {} inputs", names.len())));
        }
        if !known.insert(&layer.name) {
            return Err(graph(&layer.name, "has the name of another layer".into()));
        }
        last = &layer.name;
        reads.push(names);
    }
    Ok(reads)
}

fn graph(step: &str, problem: String) -> Error {
    Error::Graph { step: step.to_owned(), problem }
}

struct Assembly<'a> {
    layers: &'a [Layer],
    reads: Vec<Vec<&'a str>>,
    checkpoint: Checkpoint,
    builder: Builder,
    /// The value of each name.
    nodes: BTreeMap<&'a str, Node>,
}

impl Assembly<'_> {
    fn add(&mut self, index: usize) -> Result<()> {
        let Layer { name, kind, .. } = &self.layers[index];
        if self.nodes.contains_key(name.as_str()) {
            return Ok(()); // folded into the layer before it
        }
        let inputs: Vec<Node> = self.reads[index].iter().map(|name| self.nodes[name]).collect();
        let at = |problem| graph(name, problem);
        let op = match kind {
            LayerKind::Dropout { .. } => {
                self.nodes.insert(name, inputs[0]);
                return Ok(());
            }
            LayerKind::Conv2d { r#in, out, kernel, stride, padding, dilation, groups, bias } => {
                let spec = ConvSpec {
                    in_channels: *r#in,
                    out_channels: *out,
                    kernel: kernel.sizes(),
                    stride: stride.sizes(),
                    padding: padding.sides(),
                    dilation: dilation.sizes(),
                    groups: *groups,
                };
                let spec = conv_spec(spec).map_err(at)?;
                let mut conv = convolution(&mut self.checkpoint, name, spec, *bias)?;
                self.fold_next(index, &mut conv)?;
                Op::Conv(conv)
            }
            LayerKind::Linear { r#in, out, bias } => {
                positive(&[*r#in, *out]).map_err(at)?;
                let weight = self.checkpoint.take(&format!("{name}.weight"), &[*out, *r#in])?;
                let bias = if *bias {
                    self.checkpoint.take(&format!("{name}.bias"), &[*out])?
                } else {
                    vec![0.0; *out]
                };
                let spec = ConvSpec::new(*r#in, *out, [1, 1]);
                let mut linear = Convolution { spec, weight, bias };
                self.fold_next(index, &mut linear)?;
                Op::Linear(linear)
            }
            LayerKind::BatchNorm { eps } => Op::Conv(self.scale(name, *eps)?),
            LayerKind::Relu {} => Op::Relu,
            LayerKind::Relu6 {} => Op::Relu6,
            LayerKind::MaxPool2d { kernel, stride, padding } => {
                Op::MaxPool(window(*kernel, *stride, *padding).map_err(at)?)
            }
            LayerKind::AvgPool2d { kernel, stride, padding, count_include_pad } => {
                Op::AvgPool(window(*kernel, *stride, *padding).map_err(at)?, *count_include_pad)
            }
            LayerKind::AdaptiveAvgPool2d { size } => {
                positive(&size.sizes()).map_err(at)?;
                Op::AdaptiveAvgPool(size.sizes())
            }
            LayerKind::GlobalAveragePool {} => Op::GlobalAvgPool,
            LayerKind::Flatten {} => Op::Flatten,
            LayerKind::Add {} => Op::Add,
            LayerKind::Concat {} => Op::Concat,
        };
        let node = self.builder.step(name, &inputs, op);
        self.nodes.insert(name, node);
        // A folded batch normalization is part of the layer before it.
        if let Some(next) = self.folded(index) {
            self.nodes.insert(&self.layers[next].name, node);
        }
        Ok(())
    }

    /// The batch normalization that alone reads the convolution or linear layer at `index`.
    fn folded(&self, index: usize) -> Option<usize> {
        let layer = &self.layers[index];
        let linear = matches!(layer.kind, LayerKind::Conv2d { .. } | LayerKind::Linear { .. });
        let mut readers = (0..self.layers.len())
            .filter(|&reader| self.reads[reader].contains(&layer.name.as_str()));
        match (readers.next(), readers.next()) {
            (Some(reader), None) if linear => {
                matches!(self.layers[reader].kind, LayerKind::BatchNorm { .. }).then_some(reader)
            }
            _ => None,
        }
    }

    fn fold_next(&mut self, index: usize, convolution: &mut Convolution) -> Result<()> {
        if let Some(next) = self.folded(index) {
            let Layer { name, kind, .. } = &self.layers[next];
            if let LayerKind::BatchNorm { eps } = kind {
                fold_batch_norm(&mut self.checkpoint, name, *eps, convolution)?;
            }
        }
        Ok(())
    }

    /// A batch normalization by itself: a factor and a term for each channel.
    fn scale(&mut self, name: &str, eps: f64) -> Result<Convolution> {
        let shape = self.checkpoint.shape(&format!("{name}.weight"));
        let channels = shape.map_or(1, |shape| shape.iter().product());
        positive(&[channels]).map_err(|problem| graph(name, problem))?;
        let spec = ConvSpec { groups: channels, ..ConvSpec::new(channels, channels, [1, 1]) };
        let (weight, bias) = (vec![1.0; channels], vec![0.0; channels]);
        let mut scale = Convolution { spec, weight, bias };
        fold_batch_norm(&mut self.checkpoint, name, eps, &mut scale)?;
        Ok(scale)
    }
}
