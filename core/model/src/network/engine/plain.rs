//! The steps that have no weights.

use ganscope_kernels::{self as kernels, Activation, Map, MapMut};

use super::QUICK_GELU;
use super::memory::Memory;
use crate::network::{LayerNorm, Node, Op};

/// Runs a step that has no weights.
pub(super) fn plain(op: &Op, inputs: &[Node], memory: &Memory<'_>, mut out: MapMut<'_>) {
    let x = memory.read(inputs[0]);
    match op {
        Op::Relu => combine(x, &mut out, |_, v| v.max(0.0)),
        Op::Relu6 => combine(x, &mut out, |_, v| v.clamp(0.0, 6.0)),
        Op::MaxPool(window) => kernels::max_pool(window, x, out),
        Op::AdaptiveAvgPool(_) => adaptive_avg_pool(x, &mut out),
        Op::GlobalAvgPool => {
            let mut means = vec![0.0; x.shape()[0] * x.shape()[3]];
            kernels::global_average(x, &mut means);
            combine(Map::new(&means, out.shape()), &mut out, |_, v| v);
        }
        Op::Add => {
            combine(x, &mut out, |_, v| v);
            inputs[1..]
                .iter()
                .for_each(|&other| combine(memory.read(other), &mut out, |o, v| o + v));
        }
        Op::Flatten => {
            let n = x.shape()[0];
            for (image, row) in x.to_nchw().chunks_exact(out.shape()[3]).enumerate().take(n) {
                out.pixel_mut(image).copy_from_slice(row);
            }
        }
        Op::LayerNorm(LayerNorm { gain, shift, eps }) => {
            kernels::layer_norm(x, [gain, shift], *eps, out);
        }
        Op::Gelu => kernels::activate(Activation::Gelu, x, out),
        Op::QuickGelu => kernels::activate(QUICK_GELU, x, out),
        Op::SwiGlu => kernels::gate(Activation::Swish { slope: 1.0 }, x, out),
        Op::Attention(heads) => kernels::attention(x, *heads, out),
        Op::Tokens(tokens) => {
            let front = tokens.front.chunks_exact(tokens.channels());
            let patches = x.shape()[1] * x.shape()[2];
            let positions = memory.values.positions[&inputs[0]].chunks_exact(tokens.channels());
            let mut pixel = 0;
            for image in 0..x.shape()[0] {
                for token in front.clone() {
                    out.pixel_mut(pixel).copy_from_slice(token);
                    pixel += 1;
                }
                for (patch, position) in positions.clone().enumerate() {
                    let values = x.pixel(image * patches + patch).iter().zip(position);
                    let sums = out.pixel_mut(pixel).iter_mut().zip(values);
                    sums.for_each(|(sum, (v, p))| *sum = v + p);
                    pixel += 1;
                }
            }
        }
        Op::Rows(first, _) => {
            let ([n, from, w, _], [_, to, ..]) = (x.shape(), out.shape());
            for (image, pixel) in (0..n * to * w).map(|i| (i / (to * w), i % (to * w))) {
                let values = x.pixel((image * from + first) * w + pixel);
                out.pixel_mut(image * to * w + pixel).copy_from_slice(values);
            }
        }
        Op::UnitLength => {
            for pixel in 0..x.pixels() {
                let values = x.pixel(pixel);
                let squares: f64 = values.iter().map(|&v| f64::from(v).powi(2)).sum();
                let length = if squares == 0.0 { 1.0 } else { squares.sqrt() };
                let units = values.iter().map(|&v| (f64::from(v) / length) as f32);
                out.pixel_mut(pixel).iter_mut().zip(units).for_each(|(o, unit)| *o = unit);
            }
        }
        Op::Conv(_) | Op::Linear(_) | Op::AvgPool(..) | Op::Concat => {
            unreachable!("run by the engine itself")
        }
    }
}

/// Sets every value `o` of `out` to `f(o, v)`, with `v` its like in `x`, which may have more rows.
pub(super) fn combine(x: Map<'_>, out: &mut MapMut<'_>, f: impl Fn(f32, f32) -> f32) {
    let ([n, from, w, _], [_, to, ..]) = (x.shape(), out.shape());
    for (image, place) in (0..n).flat_map(|image| (0..to * w).map(move |place| (image, place))) {
        let values = x.pixel(image * from * w + place);
        let out = out.pixel_mut(image * to * w + place);
        out.iter_mut().zip(values).for_each(|(o, &v)| *o = f(*o, v));
    }
}

/// Means over the bins `i * size / bins .. ceil((i + 1) * size / bins)` of each axis.
fn adaptive_avg_pool(x: Map<'_>, out: &mut MapMut<'_>) {
    let ([n, h, w, c], [_, oh, ow, _]) = (x.shape(), out.shape());
    let bin = |i: usize, size: usize, bins: usize| i * size / bins..((i + 1) * size).div_ceil(bins);
    for (image, oy, ox) in (0..n * oh * ow).map(|p| (p / (oh * ow), p / ow % oh, p % ow)) {
        let (rows, columns) = (bin(oy, h, oh), bin(ox, w, ow));
        let mut sums = vec![0.0_f32; c];
        for (y, x_) in rows.clone().flat_map(|y| columns.clone().map(move |x_| (y, x_))) {
            let values = x.pixel((image * h + y) * w + x_);
            sums.iter_mut().zip(values).for_each(|(s, &v)| *s += v);
        }
        let count = (rows.len() * columns.len()) as f32;
        let bins = out.pixel_mut((image * oh + oy) * ow + ox);
        bins.iter_mut().zip(sums).for_each(|(o, s)| *o = s / count);
    }
}
