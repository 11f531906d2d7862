//! Fully connected layers.

use crate::{Activation, Conv2d, ConvSpec, Map, MapMut};

/// `activation(x W^T + b)` with the weight packed once.
#[derive(Clone, Debug)]
pub struct Linear(Conv2d);

impl Linear {
    /// Packs a weight of (out, in) and a bias of (out).
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn new(
        [outputs, inputs]: [usize; 2],
        weight: &[f32],
        bias: Option<&[f32]>,
        activation: Activation,
    ) -> Self {
        Self(Conv2d::new(ConvSpec::new(inputs, outputs, [1, 1]), weight, bias, activation))
    }

    /// Writes (N, out) for `input` of (N, in).
    ///
    /// # Panics
    /// If the lengths are not the same number of rows.
    pub fn run(&self, input: &[f32], output: &mut [f32]) {
        let spec = self.0.spec();
        let rows = input.len() / spec.in_channels;
        assert_eq!(input.len(), rows * spec.in_channels, "input of whole rows");
        assert_eq!(output.len(), rows * spec.out_channels, "one output row per input row");
        self.0.run(
            Map::new(input, [rows, 1, 1, spec.in_channels]),
            MapMut::new(output, [rows, 1, 1, spec.out_channels]),
        );
    }
}
