//! Transposed convolution, the gradient of a convolution with respect to its input.

use crate::conv::{Direct, Ending, Extras, Grid, Scheme, Target, Winograd, run_groups};
use crate::{Activation, Algorithm, ConvSpec, Isa, Map, MapMut};

/// The sizes of a transposed convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvTransposeSpec {
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// Output pixels per input pixel along rows and columns.
    pub stride: [usize; 2],
    /// Output rows and columns cut off at `[[top, bottom], [left, right]]`.
    pub padding: [[usize; 2]; 2],
    /// Groups of channels that do not see each other.
    pub groups: usize,
}

impl ConvTransposeSpec {
    /// A transposed convolution without padding or groups.
    pub fn new(
        in_channels: usize,
        out_channels: usize,
        kernel: [usize; 2],
        stride: [usize; 2],
    ) -> Self {
        Self { in_channels, out_channels, kernel, stride, padding: [[0; 2]; 2], groups: 1 }
    }

    /// The transposed convolution that carries gradients back through `conv`.
    ///
    /// Its weight is the weight of `conv` as it stands. Where the stride does not divide the
    /// input of `conv`, the gradient of the last rows is zero: run it into an output of the size
    /// of that input.
    ///
    /// # Panics
    /// If `conv` is dilated.
    pub fn gradient_of(conv: &ConvSpec) -> Self {
        assert_eq!(conv.dilation, [1, 1], "gradient of a dilated convolution");
        Self {
            in_channels: conv.out_channels,
            out_channels: conv.in_channels,
            kernel: conv.kernel,
            stride: conv.stride,
            padding: conv.padding,
            groups: conv.groups,
        }
    }

    /// Smallest height and width of the output for an input of `h x w`:
    /// `(size - 1) * stride + kernel - padding`.
    pub fn output_size(&self, h: usize, w: usize) -> [usize; 2] {
        let along = |axis: usize, size: usize| {
            let full =
                if size == 0 { 0 } else { (size - 1) * self.stride[axis] + self.kernel[axis] };
            full.saturating_sub(self.padding[axis][0] + self.padding[axis][1])
        };
        [along(0, h), along(1, w)]
    }

    fn check(&self) {
        assert!(
            self.groups > 0
                && self.in_channels.is_multiple_of(self.groups)
                && self.out_channels.is_multiple_of(self.groups)
                && self.kernel.iter().chain(&self.stride).all(|&size| size > 0),
            "impossible {self:?}"
        );
    }

    /// Values of the weight tensor, (I, O / groups, H, W).
    pub fn weight_len(&self) -> usize {
        self.in_channels * (self.out_channels / self.groups) * self.kernel[0] * self.kernel[1]
    }
}

/// A transposed convolution whose weights are packed once.
///
/// The output pixels of one phase, those that leave the same remainder by the stride, see the
/// same taps at the same distances: each phase is a convolution of stride 1 into every
/// `stride`-th row and column.
#[derive(Clone, Debug)]
pub struct ConvTranspose2d {
    spec: ConvTransposeSpec,
    ending: Ending,
    plan: Plan,
}

#[derive(Clone, Debug)]
enum Plan {
    Winograd(Winograd),
    Phases(Vec<Phase>),
}

/// The output rows and columns from `first` on, `stride` apart, one convolution per group.
#[derive(Clone, Debug)]
struct Phase {
    first: [usize; 2],
    groups: Vec<Direct>,
}

impl ConvTranspose2d {
    /// Packs a weight of (I, O / groups, H, W), PyTorch's layout, and a bias of (O).
    ///
    /// # Panics
    /// If a length does not fit `spec`, or `spec` is impossible.
    pub fn new(
        spec: ConvTransposeSpec,
        weight: &[f32],
        bias: Option<&[f32]>,
        activation: Activation,
    ) -> Self {
        Self::with(spec, weight, bias, activation, Algorithm::Winograd, Isa::best())
    }

    /// As [`ConvTranspose2d::new`], by a given algorithm on a given instruction set.
    ///
    /// # Panics
    /// As [`ConvTranspose2d::new`]; running it panics if the processor lacks `isa`.
    pub fn with(
        spec: ConvTransposeSpec,
        weight: &[f32],
        bias: Option<&[f32]>,
        activation: Activation,
        algorithm: Algorithm,
        isa: Isa,
    ) -> Self {
        spec.check();
        assert_eq!(weight.len(), spec.weight_len(), "weight of {spec:?}");
        let ending = Ending::new(spec.out_channels, bias, activation);
        let scheme = Scheme::new(spec.kernel, spec.stride, spec.in_channels)
            .filter(|_| algorithm == Algorithm::Winograd)
            .filter(|_| spec.stride == [1, 1] && spec.groups == 1);
        let plan = if let Some(scheme) = scheme {
            // At stride 1 the transpose is a convolution with the kernel turned around.
            let taps = spec.kernel[0] * spec.kernel[1];
            let at = |tap, i, o| weight[(i * spec.out_channels + o) * taps + taps - 1 - tap];
            let first = [0, 1]
                .map(|axis| spec.padding[axis][0] as isize - (spec.kernel[axis] - 1) as isize);
            let channels = [spec.in_channels, spec.out_channels];
            Plan::Winograd(Winograd::new(isa, scheme, channels, first, at))
        } else {
            let phases = (0..spec.stride[0] * spec.stride[1])
                .map(|phase| [phase / spec.stride[1], phase % spec.stride[1]]);
            Plan::Phases(phases.map(|first| Phase::new(&spec, weight, first, isa)).collect())
        };
        Self { spec, ending, plan }
    }

    /// The sizes given to [`ConvTranspose2d::new`].
    pub fn spec(&self) -> &ConvTransposeSpec {
        &self.spec
    }

    /// `activation(conv_transpose(input) + bias)`.
    ///
    /// The output may be larger than [`ConvTransposeSpec::output_size`] (PyTorch's
    /// `output_padding`) or smaller; pixels out of reach of the kernel are zero before the bias.
    ///
    /// # Panics
    /// If the channels or the number of images do not fit.
    pub fn run(&self, input: Map<'_>, output: MapMut<'_>) {
        self.run_with(input, output, Extras::default());
    }

    /// `activation(scale * conv_transpose(input) + noise + offset + bias + residual)`.
    ///
    /// # Panics
    /// If the channels, the number of images or an extra do not fit.
    pub fn run_with(&self, input: Map<'_>, output: MapMut<'_>, extras: Extras<'_>) {
        let ([n, _, _, c], [on, oh, ow, oc]) = (input.shape(), output.shape());
        assert_eq!([n, c], [on, self.spec.in_channels], "images and channels of the input");
        assert_eq!(oc, self.spec.out_channels, "output channels");
        let epilogue = self.ending.epilogue(&output, extras);
        let target = Target::new(output);
        match &self.plan {
            Plan::Winograd(conv) => conv.run(input, target, epilogue),
            Plan::Phases(phases) => {
                let step = self.spec.stride;
                for Phase { first, groups } in phases {
                    let along = |axis: usize, size: usize| {
                        size.saturating_sub(first[axis]).div_ceil(step[axis])
                    };
                    let grid = Grid { size: [along(0, oh), along(1, ow)], first: *first, step };
                    // SAFETY: phases and groups follow each other, on a map borrowed exclusively.
                    unsafe { run_groups(groups, input, target, grid, epilogue) };
                }
            }
        }
    }
}

impl Phase {
    /// The convolutions into the output pixels that leave the remainder `first`.
    fn new(spec: &ConvTransposeSpec, weight: &[f32], first: [usize; 2], isa: Isa) -> Self {
        // Tap `k` and input place `i` meet at output place `i * stride + k - padding`.
        let along = |axis: usize| -> Vec<(usize, isize)> {
            let (start, step) = (first[axis] + spec.padding[axis][0], spec.stride[axis]);
            (start % step..spec.kernel[axis])
                .step_by(step)
                .map(|k| (k, (start as isize - k as isize) / step as isize))
                .collect()
        };
        let (rows, columns) = (along(0), along(1));
        let pairs = || rows.iter().flat_map(|&y| columns.iter().map(move |&x| (y, x)));
        let places: Vec<[isize; 2]> = pairs().map(|(y, x)| [y.1, x.1]).collect();
        let taps: Vec<usize> = pairs().map(|(y, x)| y.0 * spec.kernel[1] + x.0).collect();
        let (inputs, outputs) = (spec.in_channels / spec.groups, spec.out_channels / spec.groups);
        let size = spec.kernel[0] * spec.kernel[1];
        let group = |group: usize| {
            let at =
                |tap: usize, i, o| weight[((group * inputs + i) * outputs + o) * size + taps[tap]];
            Direct::new(isa, [inputs, outputs], places.clone(), [1, 1], at)
        };
        Self { first, groups: (0..spec.groups).map(group).collect() }
    }
}
