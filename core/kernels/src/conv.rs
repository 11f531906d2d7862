//! Convolution with fused bias and activation.

mod depthwise;
mod direct;
mod epilogue;
mod joined;
mod points;
mod target;
mod transform;
mod winograd;

use crate::{Activation, Isa, Map, MapMut};
use depthwise::Depthwise;
pub(crate) use direct::{Direct, Part};
pub(crate) use epilogue::{Ending, Epilogue, write_part};
pub use joined::{Branch, JoinedConv};
pub(crate) use target::{Grid, Target};
pub(crate) use winograd::{Scheme, Winograd};

/// The sizes of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvSpec {
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// Step along rows and columns.
    pub stride: [usize; 2],
    /// Zeros at `[[top, bottom], [left, right]]`.
    pub padding: [[usize; 2]; 2],
    /// Distance of kernel taps along rows and columns.
    pub dilation: [usize; 2],
    /// Groups of channels that do not see each other; `in_channels` of them make it depthwise.
    pub groups: usize,
}

impl ConvSpec {
    /// A convolution of stride 1 without padding, dilation or groups.
    pub fn new(in_channels: usize, out_channels: usize, kernel: [usize; 2]) -> Self {
        Self {
            in_channels,
            out_channels,
            kernel,
            stride: [1, 1],
            padding: [[0, 0], [0, 0]],
            dilation: [1, 1],
            groups: 1,
        }
    }

    /// The same with `stride` along both axes.
    #[must_use]
    pub fn stride(self, stride: usize) -> Self {
        Self { stride: [stride, stride], ..self }
    }

    /// The same with `rows` zeros above and below and `columns` zeros left and right.
    #[must_use]
    pub fn padding(self, rows: usize, columns: usize) -> Self {
        Self { padding: [[rows, rows], [columns, columns]], ..self }
    }

    /// Height and width of the output for an input of `h x w`; zero where the kernel does not fit.
    pub fn output_size(&self, h: usize, w: usize) -> [usize; 2] {
        let along = |axis: usize, size: usize| {
            let padded = size + self.padding[axis][0] + self.padding[axis][1];
            let reach = self.dilation[axis] * (self.kernel[axis] - 1) + 1;
            if padded < reach { 0 } else { (padded - reach) / self.stride[axis] + 1 }
        };
        [along(0, h), along(1, w)]
    }

    /// Values of the weight tensor, (O, I / groups, H, W).
    pub fn weight_len(&self) -> usize {
        self.out_channels * (self.in_channels / self.groups) * self.kernel[0] * self.kernel[1]
    }

    /// The Winograd transform of the layer, if there is one.
    fn scheme(&self) -> Option<Scheme> {
        let plain = self.dilation == [1, 1] && self.groups == 1;
        if plain { Scheme::new(self.kernel, self.stride, self.in_channels) } else { None }
    }

    /// The input pixel of each tap for the first output pixel.
    fn taps(&self) -> Vec<[isize; 2]> {
        let at = |axis: usize, k: usize| {
            (k * self.dilation[axis]) as isize - self.padding[axis][0] as isize
        };
        let [rows, columns] = self.kernel;
        (0..rows * columns).map(|k| [at(0, k / columns), at(1, k % columns)]).collect()
    }

    fn check(&self) {
        assert!(
            self.groups > 0
                && self.in_channels.is_multiple_of(self.groups)
                && self.out_channels.is_multiple_of(self.groups),
            "channels {} to {} do not split into {} groups",
            self.in_channels,
            self.out_channels,
            self.groups
        );
        for axis in 0..2 {
            assert!(
                self.kernel[axis] > 0 && self.stride[axis] > 0 && self.dilation[axis] > 0,
                "kernel, stride and dilation must be positive: {self:?}"
            );
        }
    }
}

/// Terms that are joined to the sum of products, in this order:
/// `activation(scale * conv + noise + offset + bias + residual)`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extras<'a> {
    /// A factor per image and output channel, (N, O): StyleGAN2's demodulation.
    pub scale: Option<&'a [f32]>,
    /// A term per output pixel, (H, W), for all images; or (N, H, W).
    pub noise: Option<&'a [f32]>,
    /// A term per image and output channel, (N, O): of a norm with statistics of its own.
    pub offset: Option<&'a [f32]>,
    /// A term per output value.
    pub residual: Option<Map<'a>>,
}

/// How a convolution is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Algorithm {
    /// One matrix product per layer, its left side gathered in strips.
    Direct,
    /// Fewer multiplications through Winograd's transforms, where the kernel has one.
    Winograd,
}

impl Algorithm {
    /// The faster one for a layer.
    ///
    /// Winograd's transforms serve layers without dilation and groups, whose input channels are a
    /// multiple of 16 or at least 64. A tile of outputs costs one product per point:
    ///
    /// | kernel | outputs | points | products saved | error |
    /// |---|---|---|---|---|
    /// | 3x3 | 4x4 | 6x6 | 4.0x | 8e-7 |
    /// | 3x3, stride 2 | 3x3 | 7x7 | 1.7x | 2e-7 |
    /// | 5x5 | 4x4 | 8x8 | 6.2x | 3e-6 |
    /// | 1x3, 3x1 | 4 | 6 | 2.0x | 4e-7 |
    /// | 1x7, 7x1 | 6 | 12 | 3.5x | 6e-6 |
    ///
    /// The error is that of a layer of 96 channels against f64, relative in l2; the direct sum has
    /// 2e-7 to 6e-7. The choice never depends on the size of the map or of the batch, which would
    /// change the last bits of results.
    pub fn best(spec: &ConvSpec) -> Self {
        if spec.scheme().is_some() { Self::Winograd } else { Self::Direct }
    }
}

/// A convolution whose weights are packed once.
#[derive(Clone, Debug)]
pub struct Conv2d {
    spec: ConvSpec,
    ending: Ending,
    plan: Plan,
}

#[derive(Clone, Debug)]
enum Plan {
    /// One for each group.
    Direct(Vec<Direct>),
    Depthwise(Depthwise),
    Winograd(Winograd),
}

impl Conv2d {
    /// Packs a weight of (O, I / groups, H, W) and a bias of (O).
    ///
    /// # Panics
    /// If a length does not fit `spec`, or `spec` is impossible.
    pub fn new(
        spec: ConvSpec,
        weight: &[f32],
        bias: Option<&[f32]>,
        activation: Activation,
    ) -> Self {
        Self::with(spec, weight, bias, activation, Algorithm::best(&spec), Isa::best())
    }

    /// As [`Conv2d::new`], by a given algorithm on a given instruction set.
    ///
    /// A layer without a Winograd transform is computed directly.
    ///
    /// # Panics
    /// As [`Conv2d::new`]; running it panics if the processor lacks `isa`.
    pub fn with(
        spec: ConvSpec,
        weight: &[f32],
        bias: Option<&[f32]>,
        activation: Activation,
        algorithm: Algorithm,
        isa: Isa,
    ) -> Self {
        spec.check();
        assert_eq!(weight.len(), spec.weight_len(), "weight of {spec:?}");
        let ending = Ending::new(spec.out_channels, bias, activation);
        let count = spec.kernel[0] * spec.kernel[1];
        let (inputs, outputs) = (spec.in_channels / spec.groups, spec.out_channels / spec.groups);
        let scheme = match algorithm {
            Algorithm::Winograd => spec.scheme(),
            Algorithm::Direct => None,
        };
        let at = |tap, i, o| weight[(o * inputs + i) * count + tap];
        let plan = if let Some(scheme) = scheme {
            let first = spec.taps()[0];
            Plan::Winograd(Winograd::new(isa, scheme, [inputs, outputs], first, at))
        } else if spec.groups > 1 && inputs == 1 && outputs == 1 {
            let weight = |tap, channel| at(tap, 0, channel);
            Plan::Depthwise(Depthwise::new(isa, spec.groups, spec.taps(), spec.stride, weight))
        } else {
            let group = |group: usize| {
                let weight = |tap, i, o| at(tap, i, group * outputs + o);
                Direct::new(isa, [inputs, outputs], spec.taps(), spec.stride, weight)
            };
            Plan::Direct((0..spec.groups).map(group).collect())
        };
        Self { spec, ending, plan }
    }

    /// The sizes given to [`Conv2d::new`].
    pub fn spec(&self) -> &ConvSpec {
        &self.spec
    }

    /// Height and width of the output for an input of `h x w`.
    pub fn output_size(&self, h: usize, w: usize) -> [usize; 2] {
        self.spec.output_size(h, w)
    }

    /// `activation(conv(input) + bias)`.
    ///
    /// # Panics
    /// If `input` or `output` does not have the shape of the convolution.
    pub fn run(&self, input: Map<'_>, output: MapMut<'_>) {
        self.run_with(input, output, Extras::default());
    }

    /// `activation(scale * conv(input) + noise + offset + bias + residual)`.
    ///
    /// # Panics
    /// If `input`, `output` or an extra does not have the shape of the convolution.
    pub fn run_with(&self, input: Map<'_>, output: MapMut<'_>, extras: Extras<'_>) {
        let [n, h, w, c] = input.shape();
        let [oh, ow] = self.spec.output_size(h, w);
        assert_eq!(c, self.spec.in_channels, "input channels");
        assert_eq!(output.shape(), [n, oh, ow, self.spec.out_channels], "output shape");
        let epilogue = self.ending.epilogue(&output, extras);
        let target = Target::new(output);
        match &self.plan {
            Plan::Direct(groups) => {
                // SAFETY: the groups write different channels of a map borrowed exclusively.
                unsafe { run_groups(groups, input, target, Grid::all(oh, ow), epilogue) };
            }
            Plan::Depthwise(conv) => conv.run(input, target, epilogue),
            Plan::Winograd(conv) => conv.run(input, target, epilogue),
        }
    }
}

/// Runs each group on its channels.
///
/// # Safety
/// Nobody else may access the pixels of `grid` during the call.
pub(crate) unsafe fn run_groups(
    groups: &[Direct],
    input: Map<'_>,
    target: Target<'_>,
    grid: Grid,
    epilogue: Epilogue<'_>,
) {
    let inputs = input.shape()[3] / groups.len();
    let outputs = target.shape()[3] / groups.len();
    for (group, conv) in groups.iter().enumerate() {
        let input = input.channels(group * inputs..(group + 1) * inputs);
        let part = Part { columns: 0..outputs, target, first: group * outputs, epilogue };
        // SAFETY: as promised by the caller.
        unsafe { conv.run(input, grid, &[part]) };
    }
}
