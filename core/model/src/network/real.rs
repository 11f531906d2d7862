//! The numbers that a network is walked in: float32 on the fast kernels, float64 by plain loops.

use std::fmt::Debug;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

use super::transpose::Transposed;
use super::{ConvSpec, FeatureMap, Shape};
use crate::network::gather::Gather;
use ganscope_kernels::{Activation, Conv2d, Map, MapMut};

/// A floating point number, and how convolutions of such numbers are computed.
pub trait Real:
    Copy
    + Debug
    + Default
    + PartialOrd
    + Send
    + Sync
    + Sum
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + 'static
{
    /// Zero.
    const ZERO: Self;
    /// One.
    const ONE: Self;
    /// A convolution with packed weights.
    type Conv: Debug + Send + Sync;
    /// The transpose of a convolution with packed weights.
    type Transposed: Debug + Send + Sync;

    /// The nearest number of this type.
    fn of(value: f64) -> Self;

    /// The number in float64.
    fn to_f64(self) -> f64;

    /// Packs a weight of (O, I / groups, H, W) and a bias of (O).
    fn pack(spec: &ConvSpec, weight: &[Self], bias: &[Self]) -> Self::Conv;

    /// `W x + b`, of the shape `out`.
    fn convolve(conv: &Self::Conv, x: &FeatureMap<Self>, out: Shape) -> FeatureMap<Self>;

    /// Packs the transpose of the convolution with this weight of (O, I / groups, H, W).
    fn pack_transposed(spec: &ConvSpec, weight: &[Self]) -> Self::Transposed;

    /// `W^T y`, of the shape `out` that the convolution reads.
    fn convolve_transposed(
        conv: &Self::Transposed,
        y: &FeatureMap<Self>,
        out: Shape,
    ) -> FeatureMap<Self>;

    /// The larger of two numbers.
    #[must_use]
    fn larger(self, other: Self) -> Self {
        if self < other { other } else { self }
    }

    /// The smaller of two numbers.
    #[must_use]
    fn smaller(self, other: Self) -> Self {
        if other < self { other } else { self }
    }
}

impl Real for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    type Conv = Conv2d;
    type Transposed = Transposed;

    fn of(value: f64) -> Self {
        value as Self
    }

    fn to_f64(self) -> f64 {
        self.into()
    }

    fn pack(spec: &ConvSpec, weight: &[Self], bias: &[Self]) -> Conv2d {
        Conv2d::new(*spec, weight, Some(bias), Activation::None)
    }

    fn convolve(conv: &Conv2d, x: &FeatureMap, out: Shape) -> FeatureMap {
        let mut y = FeatureMap::filled(x.n, out, 0.0);
        conv.run(map(x), MapMut::new(&mut y.data, [x.n, out.h, out.w, out.c]));
        y
    }

    fn pack_transposed(spec: &ConvSpec, weight: &[Self]) -> Transposed {
        Transposed::new(spec, weight)
    }

    fn convolve_transposed(conv: &Transposed, y: &FeatureMap, out: Shape) -> FeatureMap {
        conv.run(y, out)
    }
}

impl Real for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    type Conv = Gather;
    type Transposed = Gather;

    fn of(value: f64) -> Self {
        value
    }

    fn to_f64(self) -> f64 {
        self
    }

    fn pack(spec: &ConvSpec, weight: &[Self], bias: &[Self]) -> Gather {
        Gather::forward(spec, weight, bias)
    }

    fn convolve(conv: &Gather, x: &FeatureMap<Self>, out: Shape) -> FeatureMap<Self> {
        conv.run(x, out)
    }

    fn pack_transposed(spec: &ConvSpec, weight: &[Self]) -> Gather {
        Gather::transposed(spec, weight)
    }

    fn convolve_transposed(conv: &Gather, y: &FeatureMap<Self>, out: Shape) -> FeatureMap<Self> {
        conv.run(y, out)
    }
}

/// A map as the kernels read it.
pub(super) fn map(x: &FeatureMap) -> Map<'_> {
    Map::new(&x.data, [x.n, x.shape.h, x.shape.w, x.shape.c])
}
