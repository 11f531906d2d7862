//! Attention of few tokens, without the keys and values of all.

use ganscope_kernels::{self as kernels, Activation, Conv2d, ConvSpec, Map, MapMut};

use crate::network::Convolution;

/// The attention of the first tokens, from the tokens `x` that the layer of queries, keys and values
/// reads.
///
/// With the query `q` of a head and the matrices `K` and `V` of its keys and values, the score of a
/// token is `q (K x) = (K^T q) x`, and the mean of `V x` with the weights of the tokens is `V` times
/// the mean of `x`: two products for each head and query in the place of two for each token. The bias
/// of the keys adds the same to all scores of a query, which changes no weight.
#[derive(Debug)]
pub(super) struct Folded {
    /// How many tokens, the first ones.
    rows: usize,
    /// Factor of the scores.
    scale: f32,
    queries: Conv2d,
    /// `K^T` of each head.
    keys: Vec<Conv2d>,
    /// `V` of each head.
    values: Vec<Conv2d>,
}

impl Folded {
    /// Packs the matrices of `layer`, (3 C, C), for the first `rows` tokens.
    pub(super) fn new(layer: &Convolution, heads: usize, rows: usize) -> Self {
        let c = layer.spec.in_channels;
        let size = c / heads;
        let pack = |inputs: usize, outputs: usize, weight: &[f32], bias| {
            let spec = ConvSpec::new(inputs, outputs, [1, 1]);
            Conv2d::new(spec, weight, bias, Activation::None)
        };
        let [queries, keys, values] = [0, 1, 2].map(|part| &layer.weight[part * c * c..][..c * c]);
        let turned = |key: &[f32]| {
            let weight: Vec<f32> =
                (0..c).flat_map(|i| key.iter().skip(i).step_by(c)).copied().collect();
            pack(size, c, &weight, None)
        };
        let biases = layer.bias[2 * c..].chunks_exact(size);
        let value = |(value, bias)| pack(c, size, value, Some(bias));
        Self {
            rows,
            scale: 1.0 / (size as f32).sqrt(),
            queries: pack(c, c, queries, Some(&layer.bias[..c])),
            keys: keys.chunks_exact(size * c).map(turned).collect(),
            values: values.chunks_exact(size * c).zip(biases).map(value).collect(),
        }
    }

    /// Writes the first rows of each image of `out`.
    pub(super) fn run(&self, x: Map<'_>, out: &mut MapMut<'_>) {
        let ([n, tokens, _, c], [_, to, ..]) = (x.shape(), out.shape());
        let (rows, heads) = (self.rows.min(to), self.keys.len());
        let (pixels, size) = (n * rows, c / heads);
        let places = || (0..pixels).map(|pixel| (pixel / rows, pixel % rows));
        let own: Vec<f32> =
            places().flat_map(|(image, row)| x.pixel(image * tokens + row)).copied().collect();
        let shape = [pixels, 1, 1, c];

        let mut queries = vec![0.0; pixels * c];
        self.queries.run(Map::new(&own, shape), MapMut::new(&mut queries, shape));
        let queries = Map::new(&queries, shape);
        // One row for each head of each query.
        let mut turned = vec![0.0; pixels * heads * c];
        for (head, keys) in self.keys.iter().enumerate() {
            let turned = MapMut::with_stride(&mut turned[head * c..], shape, heads * c);
            keys.run(queries.channels(head * size..(head + 1) * size), turned);
        }
        let of_heads = [n, rows * heads, 1, c];
        let mut means = vec![0.0; turned.len()];
        let parts = [Map::new(&turned, of_heads), x, x];
        kernels::attend(parts, 1, self.scale, MapMut::new(&mut means, of_heads));
        let mut done = vec![0.0; pixels * c];
        for (head, values) in self.values.iter().enumerate() {
            let means = Map::with_stride(&means[head * c..], shape, heads * c);
            let done = MapMut::with_stride(&mut done[head * size..], [pixels, 1, 1, size], c);
            values.run(means, done);
        }
        for ((image, row), values) in places().zip(done.chunks_exact(c)) {
            out.pixel_mut(image * to + row).copy_from_slice(values);
        }
    }
}
