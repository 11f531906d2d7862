//! Upsampling, downsampling and FIR filters.

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor, bail};
use ganscope_kernels::{self as kernels, Map, MapMut};

use super::epilogue::{activate, activate_backward};
use super::{Activation, Extras, has_kernels, map_shape, values};
use super::{to_channels_first, to_channels_last};

/// A filter whose largest deviation from an outer product is below this part of its largest tap
/// runs as two passes; float32 taps of an outer product deviate by some 1e-7.
const SEPARABLE: f32 = 1e-6;

/// Zero insertion, border, FIR filter and decimation of each channel: StyleGAN's `upfirdn2d`, and
/// with an activation between two of them its `filtered_lrelu`.
///
/// Along each axis the input is spread with `up - 1` zeros after each sample, gets
/// `padding = [before, after]` zeros (negative values crop), is convolved with the filter (true
/// convolution: the filter runs backwards), and each `down`-th sample is kept.
#[derive(Debug, Clone)]
pub struct Fir {
    taps: Taps,
    up: usize,
    down: usize,
    /// `[[top, bottom], [left, right]]`
    padding: [[isize; 2]; 2],
    activation: Activation,
}

#[derive(Debug, Clone)]
enum Taps {
    /// Along columns and along rows.
    Separable(Vec<f32>, Vec<f32>),
    Full(Vec<f32>, [usize; 2]),
}

impl Taps {
    fn new(full: Vec<f32>, [h, w]: [usize; 2]) -> Self {
        let rows: Vec<f32> = full.chunks(w).map(|row| row.iter().sum()).collect();
        let total: f32 = rows.iter().sum();
        let columns: Vec<f32> =
            (0..w).map(|x| (0..h).map(|y| full[y * w + x]).sum::<f32>() / total).collect();
        let most = full.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
        let product = |i: usize| rows[i / w] * columns[i % w];
        let separable = (0..h * w).all(|i| (full[i] - product(i)).abs() <= SEPARABLE * most);
        if separable { Self::Separable(rows, columns) } else { Self::Full(full, [h, w]) }
    }

    fn size(&self) -> [usize; 2] {
        match self {
            Self::Separable(rows, columns) => [rows.len(), columns.len()],
            Self::Full(_, size) => *size,
        }
    }

    fn flipped(&self) -> Self {
        let back = |taps: &[f32]| taps.iter().rev().copied().collect();
        match self {
            Self::Separable(rows, columns) => Self::Separable(back(rows), back(columns)),
            Self::Full(taps, size) => Self::Full(back(taps), *size),
        }
    }
}

impl Fir {
    /// A filter (h, w), or (taps) that runs along both axes.
    pub fn new(filter: &Tensor) -> Result<Self> {
        let filter = filter.to_dtype(DType::F32)?;
        let taps = match *filter.dims() {
            [n] if n > 0 => {
                let taps = filter.to_vec1()?;
                Taps::Separable(taps.clone(), taps)
            }
            [h, w] if h * w > 0 => Taps::new(filter.flatten_all()?.to_vec1()?, [h, w]),
            ref other => bail!("a filter has one or two axes, got {other:?}"),
        };
        Ok(Self { taps, up: 1, down: 1, padding: [[0; 2]; 2], activation: Activation::None })
    }

    /// The same with all products times `gain`.
    #[must_use]
    pub fn gain(mut self, gain: f64) -> Self {
        let (Taps::Separable(taps, _) | Taps::Full(taps, _)) = &mut self.taps;
        for tap in taps {
            *tap = (*tap as f64 * gain) as f32;
        }
        self
    }

    /// The same with `factor` (not 0) samples out per sample in.
    #[must_use]
    pub fn up(self, factor: usize) -> Self {
        Self { up: factor.max(1), ..self }
    }

    /// The same with each `factor`-th (not 0) sample kept.
    #[must_use]
    pub fn down(self, factor: usize) -> Self {
        Self { down: factor.max(1), ..self }
    }

    /// The same with `[before, after]` zeros along both axes; negative values crop.
    #[must_use]
    pub fn padding(self, padding: [isize; 2]) -> Self {
        self.padding_by_axis([padding; 2])
    }

    /// The same with zeros before and after the rows, and before and after the columns.
    #[must_use]
    pub fn padding_by_axis(self, padding: [[isize; 2]; 2]) -> Self {
        Self { padding, ..self }
    }

    /// The same with an activation of the results.
    #[must_use]
    pub fn activation(self, activation: Activation) -> Self {
        Self { activation, ..self }
    }

    /// Filters (N, H, W, C).
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (_, h, w, _) = x.dims4()?;
        self.checked_size(h, w)?;
        if has_kernels(x) {
            return x.contiguous()?.apply_op1(self.clone());
        }
        self.with_candle(x)
    }

    /// `activation(scale * filtered + noise + offset + residual)`.
    pub fn forward_with(&self, x: &Tensor, extras: Extras<'_>) -> Result<Tensor> {
        if has_kernels(x) && !x.track_op() && !extras.tracked() {
            let (n, h, w, c) = x.dims4()?;
            let [oh, ow] = self.checked_size(h, w)?;
            return extras.in_one_pass(x, [n, oh, ow, c], |x, y, extras| {
                kernels::upfirdn2d_with(&self.kernel(), x, y, extras);
            });
        }
        let flat = Self { activation: Activation::None, ..self.clone() };
        extras.join(&flat.forward(x)?, None, self.activation)
    }

    /// Height and width of the output, neither of them zero.
    fn checked_size(&self, h: usize, w: usize) -> Result<[usize; 2]> {
        let size = self.output_size(h, w);
        if size.contains(&0) {
            bail!("a filter of {:?} taps does not fit a map of {h}x{w}", self.taps.size());
        }
        Ok(size)
    }

    fn output_size(&self, h: usize, w: usize) -> [usize; 2] {
        let size = self.taps.size();
        let along = |axis: usize, n: usize| {
            let padded = (n * self.up) as isize + self.padding[axis].iter().sum::<isize>();
            let places = padded - size[axis] as isize;
            if places < 0 { 0 } else { places as usize / self.down + 1 }
        };
        [along(0, h), along(1, w)]
    }

    /// The filter that carries gradients back to an input of `h x w`.
    fn adjoint(&self, h: usize, w: usize) -> Self {
        let (size, output) = (self.taps.size(), self.output_size(h, w));
        let along = |axis: usize, n: usize| {
            let (up, down) = (self.up as isize, self.down as isize);
            let before = self.padding[axis][0];
            let after = n as isize * up - output[axis] as isize * down + before - up + 1;
            [size[axis] as isize - 1 - before, after]
        };
        Self {
            taps: self.taps.flipped(),
            up: self.down,
            down: self.up,
            padding: [along(0, h), along(1, w)],
            activation: Activation::None,
        }
    }

    fn kernel(&self) -> kernels::Fir {
        let fir = match &self.taps {
            Taps::Separable(rows, columns) => kernels::Fir::separable(rows, columns),
            Taps::Full(taps, size) => kernels::Fir::full(taps, *size),
        };
        fir.up(self.up).down(self.down).padding(self.padding).activation(self.activation)
    }

    fn with_candle(&self, x: &Tensor) -> Result<Tensor> {
        let (n, h, w, c) = x.dims4()?;
        let spread = to_channels_first(x)?
            .reshape((n * c, h, 1, w, 1))?
            .pad_with_zeros(2, 0, self.up - 1)?
            .pad_with_zeros(4, 0, self.up - 1)?
            .reshape((n * c, 1, h * self.up, w * self.up))?;
        let spread = border(&border(&spread, 2, self.padding[0])?, 3, self.padding[1])?;
        // Cross-correlation with the taps turned around.
        let pass = |x: &Tensor, taps: Vec<f32>, size: [usize; 2]| -> Result<Tensor> {
            let taps = Tensor::from_vec(taps, (1, 1, size[0], size[1]), x.device())?;
            x.conv2d(&taps.to_dtype(x.dtype())?, 0, 1, 1, 1)
        };
        let y = match self.taps.flipped() {
            Taps::Separable(rows, columns) => {
                let (h, w) = (rows.len(), columns.len());
                pass(&every(&pass(&spread, rows, [h, 1])?, 2, self.down)?, columns, [1, w])?
            }
            Taps::Full(taps, size) => every(&pass(&spread, taps, size)?, 2, self.down)?,
        };
        let y = every(&y, 3, self.down)?;
        let (_, _, oh, ow) = y.dims4()?;
        activate(&to_channels_last(&y.reshape((n, c, oh, ow))?)?, self.activation)
    }
}

/// Zeros around, or a crop of, one axis.
fn border(x: &Tensor, axis: usize, [before, after]: [isize; 2]) -> Result<Tensor> {
    let x = x.pad_with_zeros(axis, before.max(0) as usize, after.max(0) as usize)?;
    let (cut, end) = ((-before).max(0) as usize, (-after).max(0) as usize);
    let length = x.dim(axis)?.saturating_sub(cut + end);
    x.narrow(axis, cut, length)?.contiguous()
}

/// Each `step`-th value of one axis.
fn every(x: &Tensor, axis: usize, step: usize) -> Result<Tensor> {
    if step == 1 {
        return Ok(x.clone());
    }
    let places = Tensor::arange_step(0, x.dim(axis)? as u32, step as u32, x.device())?;
    x.index_select(&places, axis)
}

impl CustomOp1 for Fir {
    fn name(&self) -> &'static str {
        "upfirdn2d"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let [n, h, w, c] = map_shape(layout)?;
        let [oh, ow] = self.output_size(h, w);
        let mut y = kernels::zeros(n * oh * ow * c);
        let input = Map::new(values(x, layout)?, [n, h, w, c]);
        kernels::upfirdn2d(&self.kernel(), input, MapMut::new(&mut y, [n, oh, ow, c]));
        Ok((CpuStorage::F32(y), Shape::from((n, oh, ow, c))))
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let (_, h, w, _) = x.dims4()?;
        self.adjoint(h, w).forward(&activate_backward(y, g, self.activation)?).map(Some)
    }
}

/// Repeats each pixel `factor` times along both axes, (N, H, W, C) to
/// (N, factor H, factor W, C).
pub fn upsample_nearest(x: &Tensor, factor: usize) -> Result<Tensor> {
    let (n, h, w, c) = x.dims4()?;
    if factor == 0 || x.elem_count() == 0 {
        bail!("upsampling of a map {:?} by {factor}", x.dims());
    }
    if has_kernels(x) {
        return x.contiguous()?.apply_op1(UpsampleNearest(factor));
    }
    x.reshape((n, h, 1, w, 1, c))?.broadcast_as((n, h, factor, w, factor, c))?.reshape((
        n,
        factor * h,
        factor * w,
        c,
    ))
}

struct UpsampleNearest(usize);

impl CustomOp1 for UpsampleNearest {
    fn name(&self) -> &'static str {
        "upsample_nearest"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let [n, h, w, c] = map_shape(layout)?;
        let output = [n, h * self.0, w * self.0, c];
        let mut y = kernels::zeros(output.iter().product());
        let input = Map::new(values(x, layout)?, [n, h, w, c]);
        kernels::upsample_nearest(input, MapMut::new(&mut y, output));
        Ok((CpuStorage::F32(y), Shape::from(&output[..])))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let (n, h, w, c) = x.dims4()?;
        g.contiguous()?.reshape(&[n, h, self.0, w, self.0, c][..])?.sum((2, 4)).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::ops::check::{assert_gradients, assert_same, ramp};

    #[test]
    fn filters_have_the_gradients_of_central_differences() {
        let x = [ramp(&[2, 4, 5, 2], 1)];
        for filter in [ramp(&[4], 2), ramp(&[3, 4], 3)] {
            for (up, down, padding) in
                [(1, 1, [1, 2]), (2, 1, [2, 1]), (2, 2, [3, 3]), (1, 2, [2, 2]), (4, 2, [-1, -3])]
            {
                let fir = Fir::new(&filter).unwrap().up(up).down(down).padding(padding);
                assert_gradients(&x, |t| fir.forward(&t[0]));
                assert_same(&x, |t| fir.forward(&t[0]));
            }
        }
    }

    #[test]
    fn a_filtered_nonlinearity_has_the_gradient_of_central_differences() {
        let x = [ramp(&[1, 4, 5, 2], 1)];
        let activation = Activation::LeakyRelu { slope: 0.2, gain: 1.5, clamp: Some(2.0) };
        let up = Fir::new(&ramp(&[4], 2)).unwrap().up(2).padding([2, 1]).activation(activation);
        let down = Fir::new(&ramp(&[3, 3], 3)).unwrap().down(2).padding([1, 1]);
        assert_gradients(&x, |t| down.forward(&up.forward(&t[0])?));
        assert_same(&x, |t| down.forward(&up.forward(&t[0])?));
    }

    #[test]
    fn extras_of_a_filter_have_the_gradients_of_central_differences() {
        let activation = Activation::LeakyRelu { slope: 0.2, gain: 1.5, clamp: Some(2.0) };
        let (noise, offset) = (ramp(&[9, 11], 4), ramp(&[3], 5));
        for filter in [ramp(&[4], 2), ramp(&[4, 4], 3)] {
            let fir = Fir::new(&filter).unwrap().up(2).padding([2, 2]).activation(activation);
            let inputs = [ramp(&[2, 4, 5, 3], 1), ramp(&[2, 3], 6), ramp(&[2, 9, 11, 3], 7)];
            let f = |t: &[Tensor]| {
                let extras = Extras {
                    scale: Some(&t[1]),
                    noise: Some(&noise),
                    offset: Some(&offset),
                    residual: Some(&t[2]),
                };
                fir.forward_with(&t[0], extras)
            };
            assert_gradients(&inputs, f);
            assert_same(&inputs, f);
        }
        let fir = Fir::new(&ramp(&[4], 2)).unwrap();
        let extras = Extras { noise: Some(&noise), ..Extras::default() };
        let x = ramp(&[1, 6, 6, 3], 1).to_dtype(DType::F32).unwrap();
        let error = fir.forward_with(&x, extras).unwrap_err().to_string();
        assert!(error.contains("noise of shape [9, 11] for a map [1, 3, 3, 3]"), "{error}");
    }

    #[test]
    fn an_outer_product_runs_as_two_passes() {
        let binomial = Tensor::new(&[1f32, 3.0, 3.0, 1.0], &Device::Cpu).unwrap();
        let outer = binomial
            .unsqueeze(1)
            .unwrap()
            .broadcast_mul(&binomial)
            .unwrap()
            .affine(1.0 / 64.0, 0.0);
        let outer = Fir::new(&outer.unwrap()).unwrap().gain(4.0).up(2).padding([2, 1]);
        assert!(matches!(outer.taps, Taps::Separable(..)));
        // A constant stays one away from the border.
        let x = Tensor::ones((1, 6, 6, 1), DType::F32, &Device::Cpu).unwrap();
        let y = outer.forward(&x).unwrap();
        assert_eq!(y.dims(), [1, 12, 12, 1]);
        let inner = y.narrow(1, 3, 6).unwrap().narrow(2, 3, 6).unwrap();
        for value in inner.flatten_all().unwrap().to_vec1::<f32>().unwrap() {
            assert!((value - 1.0).abs() < 1e-6, "{value}");
        }
        assert!(matches!(Fir::new(&ramp(&[3, 3], 5)).unwrap().taps, Taps::Full(..)));
    }

    #[test]
    fn a_filter_larger_than_the_map_is_an_error() {
        let fir = Fir::new(&ramp(&[5], 1)).unwrap();
        assert!(fir.forward(&ramp(&[1, 4, 4, 1], 1)).is_err());
    }

    #[test]
    fn nearest_neighbors_have_the_gradient_of_central_differences() {
        let inputs = [ramp(&[2, 3, 2, 4], 1)];
        // The input is used twice, which candle's own upsampling gets wrong.
        let f = |t: &[Tensor]| upsample_nearest(&t[0], 2)? + upsample_nearest(&t[0].sqr()?, 2)?;
        assert_gradients(&inputs, f);
        assert_same(&inputs, f);
    }
}
