//! Adam: steps along running means of the gradient.
//!
//! Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2014,
//! <https://arxiv.org/abs/1412.6980>.

use std::collections::BTreeMap;

use candle_core::Tensor;

use super::restored;
use crate::Result;

/// Adam's decay rates of the means of gradients and of their squares, and its stabilizer.
const BETAS: [f64; 2] = [0.9, 0.999];
const EPSILON: f64 = 1e-8;

/// A tensor that Adam moves.
#[derive(Debug, Clone)]
pub(super) struct Adam {
    pub(super) value: Tensor,
    /// Running means of the gradient and of its square.
    means: [Tensor; 2],
}

impl Adam {
    pub(super) fn new(value: &Tensor) -> Result<Self> {
        let zeros = value.zeros_like()?;
        Ok(Self { value: value.detach(), means: [zeros.clone(), zeros] })
    }

    /// Step `step`, counted from 1, along the negative gradient.
    pub(super) fn step(&mut self, gradient: &Tensor, rate: f64, step: usize) -> Result<()> {
        let [first, second] = &mut self.means;
        let mixed = |mean: &Tensor, new: &Tensor, beta: f64| (mean * beta)? + (new * (1.0 - beta))?;
        *first = mixed(first, gradient, BETAS[0])?;
        *second = mixed(second, &gradient.sqr()?, BETAS[1])?;
        let [rise, scale] = BETAS.map(|beta| 1.0 - beta.powi(step as i32));
        let divisor = ((second.sqrt()? / scale.sqrt())? + EPSILON)?;
        self.value = (&self.value - ((&*first * (rate / rise))? / divisor)?)?;
        Ok(())
    }

    /// Moves the value to mean 0 and mean square 1.
    pub(super) fn normalize(&mut self) -> Result<()> {
        let centered = self.value.broadcast_sub(&self.value.mean_all()?)?;
        let length = centered.sqr()?.mean_all()?.sqrt()?;
        self.value = centered.broadcast_div(&length)?;
        Ok(())
    }

    /// The means, under the name of the tensor.
    pub(super) fn save(&self, name: &str, state: &mut BTreeMap<String, Tensor>) {
        for (part, tensor) in ["mean", "square"].into_iter().zip(&self.means) {
            state.insert(format!("{name}.{part}"), tensor.clone());
        }
        state.insert(name.to_owned(), self.value.clone());
    }

    /// Takes the value and the means of a state.
    pub(super) fn restore(&mut self, name: &str, state: &BTreeMap<String, Tensor>) -> Result<()> {
        self.value = restored(state, name, &self.value)?;
        for (part, tensor) in ["mean", "square"].into_iter().zip(&mut self.means) {
            *tensor = restored(state, &format!("{name}.{part}"), tensor)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ganscope_golden::arrays;

    use super::super::Projector;
    use super::*;

    /// Closed forms in float64, over as many as a thousand steps.
    const F64_ROUNDING: f64 = 1e-10;

    #[test]
    fn adam_takes_the_published_steps_along_given_gradients() {
        let golden = arrays("latent2.safetensors");
        for (name, steps) in [("trace20-w", 20), ("trace20-noise", 20), ("trace1000-noise", 1000)] {
            let of = |part: &str| golden[&format!("projector/{name}/{part}")].data.clone();
            let (ws, gradients) = (of("w"), of("d_w"));
            let width = ws.len() / 20;
            let device = &candle_core::Device::Cpu;
            // The rate of the first step is 0, so that the first row is the start.
            let start = Tensor::from_slice(&ws[..width], width, device).unwrap();
            let mut moved = Adam::new(&start).unwrap();
            let rows = gradients.chunks_exact(width).zip(ws.chunks_exact(width)).enumerate();
            for (step, (gradient, expected)) in rows {
                let gradient = Tensor::from_slice(gradient, width, device).unwrap();
                let rate = Projector { steps, ..Projector::PUBLISHED }.rate_at(step);
                moved.step(&gradient, rate, step + 1).unwrap();
                let found: Vec<f64> = moved.value.to_vec1().unwrap();
                for (found, expected) in found.iter().zip(expected) {
                    assert!((found - expected).abs() < F64_ROUNDING, "{name}, {step}");
                }
            }
        }
    }
}
