//! Weights behind spectral normalization.
//!
//! Miyato et al., "Spectral Normalization for Generative Adversarial Networks", 2018,
//! <https://arxiv.org/abs/1802.05957>.

use ganscope_model::{Checkpoint, Error, Result};

/// Shortest vector that is divided by its length.
const SHORTEST: f64 = 1e-12;

/// Takes the weight `name.weight`, divided by its spectral norm where the file keeps them apart. W is the
/// (out, rest) view of the weight.
///
/// - With `weight_orig`, `weight_u` and `weight_v` (PyTorch) the norm is `u . W v`.
/// - With `weight` and `u0` (BigGAN-PyTorch) it is that of one power iteration: `|W v|` for
///   `v = W^T u0 / |W^T u0|`.
///
/// The stored vectors are used as they are, as both do in evaluation; the quotient is close to
/// the largest singular value and not equal to it.
pub(crate) fn take_weight(
    checkpoint: &mut Checkpoint,
    name: &str,
    shape: &[usize],
) -> Result<Vec<f32>> {
    let rows = shape[0];
    let columns = shape[1..].iter().product();
    let iterated = format!("{name}.u0");
    let (weight, norm) = if checkpoint.contains(&format!("{name}.weight")) {
        let weight = checkpoint.take(&format!("{name}.weight"), shape)?;
        if !checkpoint.contains(&iterated) {
            return Ok(weight);
        }
        let u = checkpoint.take(&iterated, &[1, rows])?;
        let norm = iteration(&u, &weight, columns);
        (weight, norm)
    } else {
        let weight = checkpoint.take(&format!("{name}.weight_orig"), shape)?;
        let u = checkpoint.take(&format!("{name}.weight_u"), &[rows])?;
        let v = checkpoint.take(&format!("{name}.weight_v"), &[columns])?;
        let norm = bilinear(&u, &weight, &v);
        (weight, norm)
    };
    if !norm.is_finite() || norm == 0.0 {
        return Err(Error::Config(format!("spectral norm of `{name}` is {norm}")));
    }
    Ok(weight.into_iter().map(|w| (f64::from(w) / norm) as f32).collect())
}

/// `|W v|` for `v = W^T u / |W^T u|` and W of (u, columns) values in C order.
fn iteration(u: &[f32], w: &[f32], columns: usize) -> f64 {
    let mut v = vec![0.0f64; columns];
    for (row, &u) in w.chunks_exact(columns).zip(u) {
        v.iter_mut().zip(row).for_each(|(v, &w)| *v += f64::from(u) * f64::from(w));
    }
    let length = v.iter().map(|v| v * v).sum::<f64>().sqrt().max(SHORTEST);
    let dot = |row: &[f32]| row.iter().zip(&v).map(|(&w, v)| f64::from(w) * v).sum::<f64>();
    w.chunks_exact(columns).map(|row| dot(row).powi(2)).sum::<f64>().sqrt() / length
}

/// `u . W v` for W of (u, v) values in C order.
fn bilinear(u: &[f32], w: &[f32], v: &[f32]) -> f64 {
    let dot = |row: &[f32]| row.iter().zip(v).map(|(&w, &v)| w as f64 * v as f64).sum::<f64>();
    w.chunks_exact(v.len()).zip(u).map(|(row, &u)| u as f64 * dot(row)).sum()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn checkpoint(u: [f32; 2]) -> Checkpoint {
        let entry = |name: &str, shape: &[usize], values: &[f32]| {
            (format!("layer.{name}"), (shape.to_vec(), values.to_vec()))
        };
        Checkpoint::from_f32(BTreeMap::from([
            entry("weight_orig", &[2, 2], &[3.0, 0.0, 0.0, 5.0]),
            entry("weight_u", &[2], &u),
            entry("weight_v", &[2], &[0.0, 1.0]),
        ]))
        .unwrap()
    }

    #[test]
    fn a_diagonal_weight_is_divided_by_the_entry_that_u_and_v_select() {
        let mut checkpoint = checkpoint([0.0, 1.0]);
        let weight = take_weight(&mut checkpoint, "layer", &[2, 2]).unwrap();
        assert_eq!(weight, [0.6, 0.0, 0.0, 1.0]);
        checkpoint.finish().unwrap();
    }

    #[test]
    fn a_folded_weight_is_taken_as_it_is() {
        let tensors = BTreeMap::from([("layer.weight".to_owned(), (vec![1, 1], vec![7.0]))]);
        let mut checkpoint = Checkpoint::from_f32(tensors).unwrap();
        assert_eq!(take_weight(&mut checkpoint, "layer", &[1, 1]).unwrap(), [7.0]);
    }

    #[test]
    fn one_power_iteration_makes_the_norm() {
        // W^T u = (3, 5) for u = (1, 1); v = (3, 5) / sqrt(34); |W v| = sqrt(81 + 625) / sqrt(34).
        let tensors = BTreeMap::from([
            ("layer.weight".to_owned(), (vec![2, 2], vec![3.0, 0.0, 0.0, 5.0])),
            ("layer.u0".to_owned(), (vec![1, 2], vec![1.0, 1.0])),
        ]);
        let mut checkpoint = Checkpoint::from_f32(tensors).unwrap();
        let weight = take_weight(&mut checkpoint, "layer", &[2, 2]).unwrap();
        checkpoint.finish().unwrap();
        let norm = (706.0f64 / 34.0).sqrt();
        assert!((f64::from(weight[3]) - 5.0 / norm).abs() < 1e-7);
    }

    #[test]
    fn a_norm_of_zero_is_an_error() {
        let error = take_weight(&mut checkpoint([1.0, 0.0]), "layer", &[2, 2]).unwrap_err();
        assert_eq!(error.to_string(), "configuration: spectral norm of `layer` is 0");
    }
}
