//! Convolutions of one pixel that read the same map, as one product.

use crate::conv::{Direct, Ending, Extras, Grid, Part, Target};
use crate::{Activation, Isa, Map, MapMut};

/// One of the convolutions that are joined.
#[derive(Clone, Copy, Debug)]
pub struct Branch<'a> {
    /// (O, I).
    pub weight: &'a [f32],
    /// (O).
    pub bias: &'a [f32],
    /// The function of each output value.
    pub activation: Activation,
}

/// Convolutions of one pixel, stride 1, whose weights are packed side by side: the common input is
/// read once. Each output has the bits of its convolution alone.
#[derive(Clone, Debug)]
pub struct JoinedConv {
    inputs: usize,
    conv: Direct,
    endings: Vec<(usize, Ending)>,
}

impl JoinedConv {
    /// Packs the branches, which read `inputs` channels.
    ///
    /// # Panics
    /// If a weight has another number of values than `inputs` for each value of the bias.
    pub fn new(inputs: usize, branches: &[Branch<'_>]) -> Self {
        Self::with(inputs, branches, Isa::best())
    }

    /// As [`JoinedConv::new`], on a given instruction set.
    ///
    /// # Panics
    /// As [`JoinedConv::new`]; running it panics if the processor lacks `isa`.
    pub fn with(inputs: usize, branches: &[Branch<'_>], isa: Isa) -> Self {
        let (mut rows, mut endings) = (Vec::new(), Vec::new());
        for &Branch { weight, bias, activation } in branches {
            let outputs = bias.len();
            assert_eq!(weight.len(), outputs * inputs, "weight of {inputs} to {outputs} channels");
            rows.extend((0..outputs).map(|o| &weight[o * inputs..][..inputs]));
            endings.push((outputs, Ending::new(outputs, Some(bias), activation)));
        }
        let weight = |_: usize, i: usize, o: usize| rows[o][i];
        let conv = Direct::new(isa, [inputs, rows.len()], vec![[0, 0]], [1, 1], weight);
        Self { inputs, conv, endings }
    }

    /// `activation(conv(input) + bias)` of each branch.
    ///
    /// # Panics
    /// If there is not one map for each branch, or a map does not have the shape of its branch.
    pub fn run(&self, input: Map<'_>, outputs: Vec<MapMut<'_>>) {
        let [n, h, w, c] = input.shape();
        assert_eq!(c, self.inputs, "input channels");
        assert_eq!(outputs.len(), self.endings.len(), "one output per branch");
        let (mut parts, mut column) = (Vec::new(), 0);
        for ((channels, ending), output) in self.endings.iter().zip(outputs) {
            assert_eq!(output.shape(), [n, h, w, *channels], "output shape");
            let epilogue = ending.epilogue(&output, Extras::default());
            let columns = column..column + channels;
            column = columns.end;
            parts.push(Part { columns, target: Target::new(output), first: 0, epilogue });
        }
        // SAFETY: the parts are maps borrowed exclusively.
        unsafe { self.conv.run(input, Grid::all(h, w), &parts) };
    }
}
