//! The pixels that raise a distance, on a linear extractor.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use ganscope_explain::distance::pixel_relevance;
use ganscope_explain::lrp::{Composite, Rule};
use ganscope_golden as golden;
use ganscope_model::network::{Builder, ConvSpec, Convolution, Walker};
use ganscope_model::{FeatureMap, Node, Op, Shape};

#[test]
fn the_pixels_of_a_linear_extractor_share_the_first_order_change() {
    let spec = ConvSpec::new(3, 4, [4, 4]);
    let weight = golden::tensor("w", &[spec.weight_len()], (-1.0, 1.0), 0);
    let mut builder = Builder::new(3);
    let conv = Convolution { spec, weight, bias: vec![0.0; 4] };
    let features = builder.step("features", &[Node::INPUT], Op::Conv(conv));
    let walker = Walker::<f64>::new(Arc::new(builder.build()));
    let data = golden::tensor("x", &[48], (-1.0, 1.0), 0).iter().map(|&v| v.into()).collect();
    let image = FeatureMap::new(1, Shape { c: 3, h: 4, w: 4 }, data).unwrap();
    let gradient = [0.5, -1.0, 2.0, 0.25];
    let composite = Composite::from(Rule::Epsilon(0.0));
    let map = pixel_relevance(&walker, &image, features, &gradient, &composite).unwrap();
    let row = walker.run(image).unwrap().output().data.clone();
    let change: f64 = row.iter().zip(gradient).map(|(f, g)| f * g).sum();
    assert!((map.sum - change).abs() < 1e-12 * change.abs().max(1.0));
    assert!(pixel_relevance(&walker, &map.map, features, &gradient[..3], &composite).is_err());
}
