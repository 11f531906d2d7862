//! Weights behind spectral normalization.
//!
//! Miyato et al., "Spectral Normalization for Generative Adversarial Networks", 2018,
//! <https://arxiv.org/abs/1802.05957>.

use ganscope_model::{Checkpoint, Error, Result};

/// Takes the weight `name.weight`, folded from `weight_orig`, `weight_u` and `weight_v` where the
/// file keeps them apart: `weight_orig / (u . W v)`, W the (out, rest) view of `weight_orig`.
///
/// The stored vectors are used as they are, as PyTorch does in evaluation; the quotient is close to
/// the largest singular value and not equal to it.
pub(crate) fn take_weight(
    checkpoint: &mut Checkpoint,
    name: &str,
    shape: &[usize],
) -> Result<Vec<f32>> {
    if checkpoint.contains(&format!("{name}.weight")) {
        return checkpoint.take(&format!("{name}.weight"), shape);
    }
    let rows = shape[0];
    let columns = shape[1..].iter().product();
    let mut weight = checkpoint.take(&format!("{name}.weight_orig"), shape)?;
    let u = checkpoint.take(&format!("{name}.weight_u"), &[rows])?;
    let v = checkpoint.take(&format!("{name}.weight_v"), &[columns])?;
    let norm = bilinear(&u, &weight, &v);
    if !norm.is_finite() || norm == 0.0 {
        return Err(Error::Config(format!("spectral norm of `{name}` is {norm}")));
    }
    for w in &mut weight {
        *w = (*w as f64 / norm) as f32;
    }
    Ok(weight)
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
    fn a_norm_of_zero_is_an_error() {
        let error = take_weight(&mut checkpoint([1.0, 0.0]), "layer", &[2, 2]).unwrap_err();
        assert_eq!(error.to_string(), "configuration: spectral norm of `layer` is 0");
    }
}
