//! Receptive fields: the pixels that a unit can see.

use std::ops::Range;

use ganscope_model::network::Op;
use ganscope_model::{Network, Node};

use crate::Result;

/// Pixels that one place of a map sees along one axis: `start + place * jump`, `size` of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Axis {
    start: isize,
    size: usize,
    jump: usize,
}

/// Rows and columns of an image of (h, w) that the place (y, x) of the value `node` sees.
///
/// # Errors
/// If the image is too small for the network.
pub fn receptive_field(
    network: &Network,
    node: Node,
    [h, w]: [usize; 2],
    [y, x]: [usize; 2],
) -> Result<[Range<usize>; 2]> {
    // The shapes tell whether the image suits the network.
    network.shapes(h, w)?;
    let along = |axis: usize, size: usize, place: usize| {
        let field = axes(network, axis, size)[node.index()];
        let start = field.start + (place * field.jump) as isize;
        let end = (start + field.size as isize).clamp(0, size as isize);
        start.clamp(0, size as isize) as usize..end as usize
    };
    Ok([along(0, h, y), along(1, w, x)])
}

/// The fields of every value along one axis of an image of this size.
fn axes(network: &Network, axis: usize, size: usize) -> Vec<Axis> {
    let whole = Axis { start: 0, size, jump: 0 };
    let mut fields = vec![Axis { start: 0, size: 1, jump: 1 }];
    for step in network.steps() {
        let mut inputs = step.inputs.iter().map(|node| fields[node.index()]);
        let first = inputs.next().unwrap_or(whole);
        // Branches that meet see what any of them sees.
        let x = inputs.fold(first, |a, b| {
            let start = a.start.min(b.start);
            let end = (a.start + a.size as isize).max(b.start + b.size as isize);
            Axis { start, size: (end - start) as usize, jump: a.jump }
        });
        let window = |kernel: usize, stride: usize, padding: usize| Axis {
            start: x.start - (padding * x.jump) as isize,
            size: x.size + (kernel - 1) * x.jump,
            jump: x.jump * stride,
        };
        fields.push(match &step.op {
            Op::Conv(c) => {
                let s = &c.spec;
                let kernel = (s.kernel[axis] - 1) * s.dilation[axis] + 1;
                window(kernel, s.stride[axis], s.padding[axis][0])
            }
            Op::MaxPool(s) | Op::AvgPool(s, _) => {
                window(s.kernel[axis], s.stride[axis], s.padding[axis][0])
            }
            Op::Relu
            | Op::Relu6
            | Op::Gelu
            | Op::QuickGelu
            | Op::SwiGlu
            | Op::LayerNorm(_)
            | Op::UnitLength
            | Op::Concat
            | Op::Add => x,
            // Rows of tokens are not rows of pixels.
            Op::AdaptiveAvgPool(_)
            | Op::GlobalAvgPool
            | Op::Flatten
            | Op::Linear(_)
            | Op::Attention(_)
            | Op::Tokens(_)
            | Op::Rows(..) => whole,
        });
    }
    fields
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ganscope_model::network::{Builder, ConvSpec, Convolution, PoolSpec, Rectifier, Walker};
    use ganscope_model::{FeatureMap, Shape};

    use super::*;

    /// Two branches of different reach that meet, in front of a stride.
    fn network() -> (Arc<Network>, Node) {
        let ones = |spec: ConvSpec| {
            let (weight, bias) = (vec![1.0; spec.weight_len()], vec![0.0; spec.out_channels]);
            Op::Conv(Convolution { spec, weight, bias })
        };
        let mut b = Builder::new(1);
        let wide = ConvSpec::new(1, 2, [5, 3]).padding(2, 1);
        let wide = b.step("wide", &[Node::INPUT], ones(wide));
        let narrow = b.step("narrow", &[Node::INPUT], ones(ConvSpec::new(1, 2, [1, 1])));
        let both = b.step("both", &[wide, narrow], Op::Add);
        let means = b.avg_pool("means", both, PoolSpec::new(2, 2));
        let last = b.step("last", &[means], ones(ConvSpec::new(2, 1, [3, 3]).padding(1, 1)));
        (Arc::new(b.build()), last)
    }

    #[test]
    fn a_unit_sees_the_pixels_with_a_gradient_and_no_others() {
        let (network, node) = network();
        let shape = Shape { c: 1, h: 16, w: 16 };
        let walker = Walker::<f64>::new(network.clone());
        let trace = walker.run(FeatureMap::filled(1, shape, 1.0)).unwrap();
        for place in [[0, 0], [3, 4], [7, 7]] {
            let mut seed = FeatureMap::filled(1, trace.value(node).shape, 0.0);
            seed.data[place[0] * 8 + place[1]] = 1.0;
            let gradient = trace.gradient(node, seed, &[Node::INPUT], Rectifier::Gradient);
            let gradient = gradient.unwrap().swap_remove(0);
            let [rows, columns] = receptive_field(&network, node, [16, 16], place).unwrap();
            for (i, g) in gradient.data.iter().enumerate() {
                let inside = rows.contains(&(i / 16)) && columns.contains(&(i % 16));
                assert_eq!(*g != 0.0, inside, "{place:?}, pixel {i}: {rows:?} {columns:?}");
            }
        }
    }

    #[test]
    fn a_mean_over_all_pixels_sees_the_whole_image() {
        let mut b = Builder::new(1);
        let mean = b.step("mean", &[Node::INPUT], Op::GlobalAvgPool);
        let network = b.build();
        let field = receptive_field(&network, mean, [5, 7], [0, 0]).unwrap();
        assert_eq!(field, [0..5, 0..7]);
    }
}
