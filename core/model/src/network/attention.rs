//! Attention and its gradient by plain loops, in any number type.

use rayon::prelude::*;

use super::{FeatureMap, Real, Shape};

/// Queries, keys and values of one head of one image.
struct Head<'a, T> {
    image: &'a [T],
    /// Channels of a pixel of the input.
    channels: usize,
    /// Channels of the head.
    size: usize,
    /// First query channel of the head.
    first: usize,
}

impl<T: Real> Head<'_, T> {
    fn tokens(&self) -> usize {
        self.image.len() / self.channels
    }

    /// The query (0), key (1) or value (2) of a token.
    fn of(&self, token: usize, kind: usize) -> &[T] {
        let third = self.channels / 3;
        &self.image[token * self.channels + kind * third + self.first..][..self.size]
    }

    /// Keys (1) or values (2), (size, tokens): so that products of all tokens are sums of lines.
    fn turned(&self, kind: usize) -> Vec<T> {
        let line = |k: usize| (0..self.tokens()).map(move |token| self.of(token, kind)[k]);
        (0..self.size).flat_map(line).collect()
    }

    fn scale(&self) -> T {
        T::of(1.0 / (self.size as f64).sqrt())
    }

    /// The weights that `token` gives to all tokens.
    fn weights(&self, token: usize, keys: &[T]) -> Vec<T> {
        let scores = products(self.of(token, 0), keys, self.tokens());
        let scores: Vec<f64> = scores.iter().map(|&s| (s * self.scale()).to_f64()).collect();
        let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let powers: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
        let sum: f64 = powers.iter().sum();
        powers.iter().map(|power| T::of(power / sum)).collect()
    }
}

/// The product of a vector of (size) and a matrix of (size, tokens).
fn products<T: Real>(vector: &[T], matrix: &[T], tokens: usize) -> Vec<T> {
    let mut sums = vec![T::ZERO; tokens];
    for (&factor, line) in vector.iter().zip(matrix.chunks_exact(tokens)) {
        add(&mut sums, factor, line);
    }
    sums
}

/// `sums += factor * line`.
fn add<T: Real>(sums: &mut [T], factor: T, line: &[T]) {
    sums.iter_mut().zip(line).for_each(|(sum, &value)| *sum += factor * value);
}

/// What `f` returns for each head of each image, given its number.
fn each_head<T: Real>(
    x: &FeatureMap<T>,
    heads: usize,
    f: impl Fn(Head<'_, T>, usize) -> Vec<T> + Sync,
) -> Vec<Vec<T>> {
    let (channels, size) = (x.shape.c, x.shape.c / 3 / heads);
    let head = |i: usize| {
        let head = Head { image: x.image(i / heads), channels, size, first: i % heads * size };
        f(head, i / heads)
    };
    (0..x.n * heads).into_par_iter().map(head).collect()
}

/// `softmax(Q K^T / sqrt(size)) V` of each head.
pub(super) fn attention<T: Real>(x: &FeatureMap<T>, heads: usize, out: Shape) -> FeatureMap<T> {
    let parts = each_head(x, heads, |head, _| {
        let (keys, tokens) = (head.turned(1), head.tokens());
        let mut sums = vec![T::ZERO; tokens * head.size];
        for (token, sums) in sums.chunks_exact_mut(head.size).enumerate() {
            for (other, &weight) in head.weights(token, &keys).iter().enumerate() {
                add(sums, weight, head.of(other, 2));
            }
        }
        sums
    });
    let (size, mut y) = (out.c / heads, FeatureMap::filled(x.n, out, T::ZERO));
    for (i, part) in parts.iter().enumerate() {
        let image = &mut y.data[i / heads * out.len()..][..out.len()];
        for (pixel, values) in image.chunks_exact_mut(out.c).zip(part.chunks_exact(size)) {
            pixel[i % heads * size..][..size].copy_from_slice(values);
        }
    }
    y
}

/// The weights that each token of image `image` gives to all tokens, (tokens, tokens) for each head.
pub(super) fn attention_weights<T: Real>(
    x: &FeatureMap<T>,
    heads: usize,
    image: usize,
) -> Vec<Vec<T>> {
    let one = FeatureMap { n: 1, shape: x.shape, data: x.image(image).to_vec() };
    each_head(&one, heads, |head, _| {
        let keys = head.turned(1);
        (0..head.tokens()).flat_map(|token| head.weights(token, &keys)).collect()
    })
}

/// The gradient of the sum of `signal` times the attention of `x`, with respect to `x`.
///
/// With the weights `p` of a token, its signal `s` and its query `q`: each value gets `p s`, and the
/// score `d = p (s v - sum p s v)` of each key gives `d k` to the query and `d q` to the key.
pub(super) fn attention_gradient<T: Real>(
    x: &FeatureMap<T>,
    heads: usize,
    signal: &FeatureMap<T>,
) -> FeatureMap<T> {
    let (size, third) = (x.shape.c / 3 / heads, x.shape.c / 3);
    let parts = each_head(x, heads, |head, image| {
        let (keys, values, tokens) = (head.turned(1), head.turned(2), head.tokens());
        // Of queries, keys and values, each (tokens, size).
        let mut gradient = vec![T::ZERO; 3 * tokens * size];
        let (to_queries, rest) = gradient.split_at_mut(tokens * size);
        let (to_keys, to_values) = rest.split_at_mut(tokens * size);
        for token in 0..tokens {
            let weights = head.weights(token, &keys);
            let signal = &signal.image(image)[token * third + head.first..][..size];
            let shares = products(signal, &values, tokens);
            let mean: T = weights.iter().zip(&shares).map(|(&p, &s)| p * s).sum();
            for (other, (&weight, &share)) in weights.iter().zip(&shares).enumerate() {
                let place = other * size..(other + 1) * size;
                add(&mut to_values[place.clone()], weight, signal);
                let score = weight * (share - mean) * head.scale();
                add(&mut to_queries[token * size..][..size], score, head.of(other, 1));
                add(&mut to_keys[place], score, head.of(token, 0));
            }
        }
        gradient
    });
    let mut out = FeatureMap::filled(x.n, x.shape, T::ZERO);
    for (i, part) in parts.iter().enumerate() {
        let image = &mut out.data[i / heads * x.shape.len()..][..x.shape.len()];
        let tokens = part.len() / size / 3;
        for (place, values) in part.chunks_exact(size).enumerate() {
            let (kind, token) = (place / tokens, place % tokens);
            let start = token * x.shape.c + kind * third + i % heads * size;
            image[start..][..size].copy_from_slice(values);
        }
    }
    out
}
