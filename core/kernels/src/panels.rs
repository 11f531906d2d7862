//! Weights in the order in which the innermost loop reads them.

use std::ops::Range;

use crate::scratch::Lines;
use crate::simd::{Isa, LANES};

/// A matrix of `depth x outputs` weights, cut into panels of one tile width.
///
/// A panel contains for each value of the depth the weights of its outputs; the depth is padded
/// with zeros to whole blocks of sixteen, the outputs of the last panel to whole vectors.
#[derive(Clone, Debug)]
pub(crate) struct Panels {
    data: Lines,
    blocks: usize,
    outputs: usize,
    vectors: usize,
}

/// One panel of [`Panels`].
#[derive(Clone, Copy)]
pub(crate) struct Panel<'a> {
    /// Weights, `[depth][vectors][16]`.
    pub(crate) data: &'a [f32],
    /// Vectors across the panel.
    pub(crate) vectors: usize,
    /// First output of the panel.
    pub(crate) first: usize,
}

impl Panel<'_> {
    /// The weights of `blocks` that the product of strip `strip` asks for ahead of their use: as many
    /// neighboring strips as the panel has vectors share them.
    pub(crate) fn ahead(&self, blocks: Range<usize>, strip: usize) -> *const f32 {
        let lines = blocks.start * self.vectors + strip % self.vectors * blocks.len();
        self.data.as_ptr().wrapping_add(lines * LANES * LANES)
    }
}

impl Panels {
    /// Packs `weight(k, output)`.
    pub(crate) fn new(
        isa: Isa,
        depth: usize,
        outputs: usize,
        weight: impl Fn(usize, usize) -> f32,
    ) -> Self {
        let blocks = depth.div_ceil(LANES);
        let vectors = isa.tile()[1];
        let padded = outputs.next_multiple_of(LANES);
        let mut panels =
            Self { data: Lines::zeros(blocks * LANES * padded), blocks, outputs, vectors };
        for index in 0..panels.count() {
            let range = panels.range(index);
            let Panel { vectors, first, .. } = panels.outline(index);
            let data = &mut panels.data[range];
            for (k, row) in data.chunks_exact_mut(vectors * LANES).take(depth).enumerate() {
                for (column, value) in row.iter_mut().take(outputs - first).enumerate() {
                    *value = weight(k, first + column);
                }
            }
        }
        panels
    }

    /// Blocks of sixteen along the depth.
    pub(crate) fn blocks(&self) -> usize {
        self.blocks
    }

    /// Columns of the matrix.
    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    /// Columns of a whole panel.
    pub(crate) fn width(&self) -> usize {
        self.vectors * LANES
    }

    /// Number of panels.
    pub(crate) fn count(&self) -> usize {
        self.outputs.div_ceil(self.width())
    }

    /// Panel `index`.
    pub(crate) fn panel(&self, index: usize) -> Panel<'_> {
        Panel { data: &self.data[self.range(index)], ..self.outline(index) }
    }

    /// Panel `index` without its weights.
    fn outline(&self, index: usize) -> Panel<'static> {
        let first = index * self.width();
        let vectors = (self.outputs - first).div_ceil(LANES).min(self.vectors);
        Panel { data: &[], vectors, first }
    }

    fn range(&self, index: usize) -> Range<usize> {
        let Panel { vectors, first, .. } = self.outline(index);
        let depth = self.blocks * LANES;
        first * depth..(first + vectors * LANES) * depth
    }
}
