//! The tokens of a transformer as a map of its patches.

use ganscope_model::network::{Op, Real};
use ganscope_model::{FeatureMap, Network, Node, Shape};

use crate::Result;

/// Where the patches are among the tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TokenGrid {
    /// Tokens in front of them: the class token and registers.
    pub(crate) front: usize,
    /// Rows of patches.
    pub(crate) rows: usize,
    /// Columns of patches.
    pub(crate) columns: usize,
}

impl TokenGrid {
    /// That of a network for images of (h, w); none if it has no tokens.
    pub(crate) fn of(network: &Network, [h, w]: [usize; 2]) -> Result<Option<Self>> {
        for step in network.steps() {
            if let Op::Tokens(tokens) = &step.op {
                let patches = network.shapes(h, w)?[step.inputs[0].index()];
                let front = tokens.count();
                return Ok(Some(Self { front, rows: patches.h, columns: patches.w }));
            }
        }
        Ok(None)
    }

    /// The patches of a map of all tokens, (N, C, rows, columns); any other map as it is.
    pub(crate) fn patches<T: Real>(self, map: FeatureMap<T>) -> FeatureMap<T> {
        let Self { front, rows, columns } = self;
        let shape = map.shape;
        if (shape.h, shape.w) != (front + rows * columns, 1) {
            return map;
        }
        let images = map.data.chunks_exact(shape.len());
        let data = images.flat_map(|image| &image[front * shape.c..]).copied().collect();
        FeatureMap { n: map.n, shape: Shape { c: shape.c, h: rows, w: columns }, data }
    }
}

/// Whether a network has attention.
pub(crate) fn is_transformer(network: &Network) -> bool {
    network.steps().iter().any(|step| matches!(step.op, Op::Attention(_)))
}

/// What the last attention of a network reads, normalized: behind it the class token alone counts.
/// None if there is no attention.
pub(crate) fn before_last_attention(network: &Network) -> Option<Node> {
    let steps = network.steps();
    let last = steps.iter().rposition(|step| matches!(step.op, Op::Attention(_)))?;
    let mut node = steps[last].inputs[0];
    while let Some(step) = node.step() {
        match steps[step].op {
            Op::Linear(_) => node = steps[step].inputs[0],
            _ => break,
        }
    }
    Some(node)
}
