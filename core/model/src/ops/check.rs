//! Gradient checks of the operations.

use candle_core::{DType, Device, Result, Tensor, Var};

/// Central differences in f64 with a step of 1e-5 are right to about 1e-9 of the values.
const CENTRAL_DIFFERENCE: f64 = 1e-7;
/// float32 against float64 through one operation.
const F32_ROUNDING: f64 = 2e-6;

/// Varied values in (-1.5, 1.5), float64, away from zero so that a kink is not hit.
pub(super) fn ramp(shape: &[usize], seed: usize) -> Tensor {
    let n: usize = shape.iter().product();
    let values: Vec<f64> = (0..n)
        .map(|i| {
            let u = ((i + 1) as f64 * 0.754_877_666 + seed as f64 * 0.569_840_291).fract();
            let v = 3.0 * u - 1.5;
            if v.abs() < 0.01 { 0.01 } else { v }
        })
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn flat(t: &Tensor) -> Vec<f64> {
    t.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// A scalar that weighs each value of a result differently.
fn objective(y: &Tensor) -> Result<Tensor> {
    (y * ramp(y.dims(), 99).to_dtype(y.dtype())?)?.sum_all()
}

fn close(what: &str, actual: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(actual.len(), expected.len(), "{what}: lengths");
    let scale = expected.iter().fold(1e-3, |m: f64, v| m.max(v.abs()));
    for (i, (a, e)) in actual.iter().zip(expected).enumerate() {
        assert!((a - e).abs() <= tolerance * scale, "{what}, value {i}: {a} against {e}");
    }
}

fn gradients(inputs: &[Tensor], f: &impl Fn(&[Tensor]) -> Result<Tensor>) -> Vec<Vec<f64>> {
    let vars: Vec<Var> = inputs.iter().map(|t| Var::from_tensor(t).unwrap()).collect();
    let tensors: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
    let grads = objective(&f(&tensors).unwrap()).unwrap().backward().unwrap();
    tensors.iter().map(|t| grads.get(t).map_or_else(|| vec![0.0; t.elem_count()], flat)).collect()
}

/// Compares the gradients of `f` in f64 with central differences.
pub(super) fn assert_gradients(inputs: &[Tensor], f: impl Fn(&[Tensor]) -> Result<Tensor>) {
    let step = 1e-5;
    let analytic = gradients(inputs, &f);
    for (k, input) in inputs.iter().enumerate() {
        let base = flat(input);
        let value = |i: usize, by: f64| {
            let mut moved = base.clone();
            moved[i] += by;
            let mut inputs = inputs.to_vec();
            inputs[k] = Tensor::from_vec(moved, input.dims(), &Device::Cpu).unwrap();
            objective(&f(&inputs).unwrap()).unwrap().to_scalar::<f64>().unwrap()
        };
        let numeric: Vec<f64> =
            (0..base.len()).map(|i| (value(i, step) - value(i, -step)) / (2.0 * step)).collect();
        close(&format!("gradient of input {k}"), &analytic[k], &numeric, CENTRAL_DIFFERENCE);
    }
}

/// Compares values and gradients of `f` on the float32 kernels with those on candle in f64, and
/// a batch with its images one by one, bit for bit.
pub(super) fn assert_same(inputs: &[Tensor], f: impl Fn(&[Tensor]) -> Result<Tensor>) {
    let single: Vec<Tensor> = inputs.iter().map(|t| t.to_dtype(DType::F32).unwrap()).collect();
    let double: Vec<Tensor> = single.iter().map(|t| t.to_dtype(DType::F64).unwrap()).collect();
    let (y, expected) = (f(&single).unwrap(), f(&double).unwrap());
    assert_eq!(y.dims(), expected.dims(), "shape");
    close("value", &flat(&y), &flat(&expected), F32_ROUNDING);
    let (actual, expected) = (gradients(&single, &f), gradients(&double, &f));
    for (k, (a, e)) in actual.iter().zip(&expected).enumerate() {
        close(&format!("gradient of input {k}"), a, e, 10.0 * F32_ROUNDING);
    }
    let n = single[0].dims()[0];
    for image in 0..n {
        let alone: Vec<Tensor> = single
            .iter()
            .map(|t| if t.dims()[0] == n { t.narrow(0, image, 1).unwrap() } else { t.clone() })
            .collect();
        let (alone, batch) = (f(&alone).unwrap(), y.narrow(0, image, 1).unwrap());
        assert_eq!(flat(&alone), flat(&batch), "image {image} alone and in the batch");
    }
}
