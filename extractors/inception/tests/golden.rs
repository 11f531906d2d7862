//! Features of recipe images through recipe weights, against torch-fidelity, pytorch-fid and
//! clean-fid.

use std::sync::{Arc, OnceLock};

use candle_core::Device;
use ganscope_golden as golden;
use ganscope_images::{Image, ImageBatch, Preprocess, Resize};
use ganscope_inception::{INPUT_SIZE, Inception, Layer, network};
use ganscope_model::{Checkpoint, FeatureExtractor, Network, Normalization};
use ganscope_stats::{FeatureBatch, Needs};

/// Float32 through 94 convolutions, as the reference implementations agree among themselves.
const F32_NETWORK: f64 = 1e-4;

/// Sizes of the golden images 0 to 3, (h, w).
const SIZES: [(usize, usize); 4] = [(299, 299), (48, 64), (384, 512), (33, 100)];

fn net() -> Arc<Network> {
    static NET: OnceLock<Arc<Network>> = OnceLock::new();
    let build = || {
        let weights = golden::weights("inception-weights.json");
        Arc::new(network(Checkpoint::from_f32(weights).unwrap()).unwrap())
    };
    NET.get_or_init(build).clone()
}

fn batch(resize: Resize) -> ImageBatch {
    let preprocess = Preprocess { resize, size: INPUT_SIZE };
    let one = 3 * INPUT_SIZE * INPUT_SIZE;
    let mut data = vec![0.0; one * SIZES.len()];
    for (k, (&(height, width), out)) in SIZES.iter().zip(data.chunks_exact_mut(one)).enumerate() {
        let image = Image { width, height, pixels: golden::image(k, height, width) };
        preprocess.apply(&image, out);
    }
    ImageBatch {
        data,
        n: SIZES.len(),
        height: INPUT_SIZE,
        width: INPUT_SIZE,
        indices: (0..SIZES.len()).collect(),
        skipped: Vec::new(),
        digests: Vec::new(),
    }
}

fn extract(resize: Resize, scaling: Normalization, layer: Layer, needs: Needs) -> FeatureBatch {
    let extractor = Inception::new(net(), scaling, layer, needs, &Device::Cpu).unwrap();
    extractor.extract(&batch(resize)).unwrap()
}

fn check(tool: &str, resize: Resize, scaling: Normalization, layers: &[Layer]) {
    let expected = golden::arrays("inception.safetensors");
    for &layer in layers {
        let features = extract(resize, scaling.clone(), layer, Needs::NONE).features;
        for k in 0..SIZES.len() {
            let error = golden::relative_l2(
                features.row(k),
                &expected[&format!("{tool}/{k}/{layer}")].data,
            );
            assert!(error < F32_NETWORK, "{tool}, image {k}, layer {layer}: {error:.2e}");
        }
    }
}

#[test]
fn every_layer_agrees_with_torch_fidelity() {
    check("torch-fidelity", Resize::TfBilinear, Normalization::Tf, &Layer::ALL);
}

#[test]
fn every_layer_agrees_with_pytorch_fid() {
    check("pytorch-fid", Resize::TorchBilinear, Normalization::Unit, &Layer::ALL);
}

#[test]
fn pool3_agrees_with_clean_fid() {
    check("clean-fid", Resize::PillowBicubic, Normalization::Tf, &[Layer::L2048]);
}

#[test]
fn logits_without_bias_agree_with_torch_fidelity() {
    let expected = golden::arrays("inception.safetensors");
    let batch = extract(Resize::TfBilinear, Normalization::Tf, Layer::L2048, Needs::LOGITS);
    let logits = batch.logits.unwrap();
    for k in 0..SIZES.len() {
        let golden = &expected[&format!("torch-fidelity/{k}/logits_unbiased")].data;
        let error = golden::relative_l2(logits.row(k), golden);
        assert!(error < F32_NETWORK, "image {k}: {error:.2e}");
    }
}

#[test]
fn spatial_features_are_the_first_channels_of_mixed_6d() {
    let batch = extract(Resize::TfBilinear, Normalization::Tf, Layer::L64, Needs::SPATIAL);
    let spatial = batch.spatial.unwrap();
    assert_eq!((spatial.len(), spatial.dim()), (4, 7 * 17 * 17));
    assert!(spatial.as_slice().iter().all(|&v| v >= 0.0));
    assert!(spatial.as_slice().iter().any(|&v| v > 0.0));
}

#[test]
fn a_feature_does_not_depend_on_the_batch_or_the_threads() {
    let extractor =
        Inception::new(net(), Normalization::Tf, Layer::L2048, Needs::LOGITS, &Device::Cpu)
            .unwrap();
    let all = batch(Resize::TfBilinear);
    let together = extractor.extract(&all).unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let one = all.data.len() / all.n;
    for k in 0..all.n {
        let data = all.data[k * one..][..one].to_vec();
        let alone = ImageBatch { data, n: 1, indices: vec![k], ..all.clone() };
        let alone = pool.install(|| extractor.extract(&alone)).unwrap();
        assert_eq!(alone.features.row(0), together.features.row(k), "image {k}");
        let (a, b) = (alone.logits.unwrap(), together.logits.as_ref().unwrap());
        assert_eq!(a.row(0), b.row(k), "image {k}");
    }
}

#[test]
fn a_missing_and_a_leftover_tensor_are_refused() {
    let mut weights = golden::weights("inception-weights.json");
    weights.insert("AuxLogits.fc.bias".into(), (vec![1], vec![0.0]));
    let error = network(Checkpoint::from_f32(weights.clone()).unwrap()).unwrap_err().to_string();
    assert!(error.contains("AuxLogits.fc.bias"), "{error}");
    weights.remove("Mixed_7a.branch3x3_1.conv.weight");
    let error = network(Checkpoint::from_f32(weights).unwrap()).unwrap_err().to_string();
    assert!(error.contains("Mixed_7a.branch3x3_1.conv.weight"), "{error}");
}
