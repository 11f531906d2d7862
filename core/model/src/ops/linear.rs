//! Fully connected layers.

use candle_core::{Result, Tensor};

use super::{Activation, Conv2d};

/// `activation(x W^T + b)`, (N, in) to (N, out), with constant weights.
#[derive(Debug, Clone)]
pub struct Linear {
    conv: Conv2d,
    weight: Tensor,
}

impl Linear {
    /// A layer of `weight` (out, in) and `bias` (out).
    pub fn new(weight: &Tensor, bias: Option<&Tensor>, activation: Activation) -> Result<Self> {
        let (outputs, inputs) = weight.dims2()?;
        let conv = Conv2d::new(&weight.reshape((outputs, inputs, 1, 1))?, 1, 0)?;
        let conv = match bias {
            Some(bias) => conv.bias(bias)?,
            None => conv,
        };
        Ok(Self { conv: conv.activation(activation), weight: weight.clone() })
    }

    /// Its weights, (out, in).
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// Applies the layer to each row.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (n, inputs) = x.dims2()?;
        self.conv.forward(&x.reshape((n, 1, 1, inputs))?)?.flatten_from(1)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::DType;

    use super::*;
    use crate::ops::check::{assert_gradients, assert_same, ramp};

    #[test]
    fn a_layer_is_a_matrix_product_and_a_bias() {
        let weight = ramp(&[4, 6], 1).to_dtype(DType::F32).unwrap();
        let bias = ramp(&[4], 2).to_dtype(DType::F32).unwrap();
        let layer = Linear::new(&weight, Some(&bias), Activation::None).unwrap();
        let x = ramp(&[3, 6], 3);
        let product = x.matmul(&weight.to_dtype(DType::F64).unwrap().t().unwrap()).unwrap();
        let expected = product.broadcast_add(&bias.to_dtype(DType::F64).unwrap()).unwrap();
        let difference = (layer.forward(&x).unwrap() - expected).unwrap().abs().unwrap();
        assert!(difference.max_all().unwrap().to_scalar::<f64>().unwrap() < 1e-12);
        assert_gradients(std::slice::from_ref(&x), |t| layer.forward(&t[0]));
        assert_same(&[x], |t| layer.forward(&t[0]));
    }
}
