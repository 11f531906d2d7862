//! Surgery on `ws`: rows of one latent in another, and steps along a direction.
//!
//! Karras et al., "A Style-Based Generator Architecture for Generative Adversarial Networks", 2019,
//! <https://arxiv.org/abs/1812.04948>, section 3.1.

use candle_core::Tensor;

use crate::{Error, Result};

/// Style mixing: `row` with the style inputs `styles` taken from `col`; both (N, `num_ws`,
/// `w_dim`).
///
/// Low styles are coarse (pose, shape), high ones fine (color). All styles result in `col`, none in
/// `row`.
///
/// # Errors
/// If a style is not below `num_ws`, or the shapes differ.
pub fn mix(row: &Tensor, col: &Tensor, styles: &[usize]) -> Result<Tensor> {
    let (_, num_ws, _) = row.dims3()?;
    check(styles, num_ws)?;
    let pick = |i: usize| if styles.contains(&i) { col } else { row }.narrow(1, i, 1);
    let rows = (0..num_ws).map(pick).collect::<candle_core::Result<Vec<_>>>()?;
    Ok(Tensor::cat(&rows, 1)?)
}

/// The table of a style mix: every row's latent with each column's `styles`, row by row.
///
/// `rows` is (R, `num_ws`, `w_dim`) and `cols` (C, `num_ws`, `w_dim`); the items are (1, `num_ws`, `w_dim`).
pub fn mix_table<'a>(
    rows: &'a Tensor,
    cols: &'a Tensor,
    styles: &'a [usize],
) -> Result<impl Iterator<Item = Result<Tensor>> + 'a> {
    let (height, num_ws, _) = rows.dims3()?;
    let (width, ..) = cols.dims3()?;
    check(styles, num_ws)?;
    let cell =
        move |i: usize| mix(&rows.narrow(0, i / width, 1)?, &cols.narrow(0, i % width, 1)?, styles);
    Ok((0..height * width).map(cell))
}

/// `ws + strength direction` in the style inputs `styles`; `direction` is (`w_dim`).
///
/// # Errors
/// If a style is not below `num_ws`, or the direction has another length.
pub fn shift(ws: &Tensor, direction: &Tensor, strength: f64, styles: &[usize]) -> Result<Tensor> {
    let (n, num_ws, w_dim) = ws.dims3()?;
    let moved = (direction.reshape((1, 1, w_dim))? * strength)?;
    let moved = ws.broadcast_add(&moved.broadcast_as((n, num_ws, w_dim))?)?;
    mix(ws, &moved, styles)
}

fn check(styles: &[usize], num_ws: usize) -> Result<()> {
    match styles.iter().find(|&&s| s >= num_ws) {
        None => Ok(()),
        Some(&style) => Err(Error::OutOfRange {
            name: "style",
            got: style as f64,
            expected: format!("0 to {}", num_ws - 1),
        }),
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn ws(value: f32, n: usize) -> Tensor {
        Tensor::full(value, (n, 4, 2), &Device::Cpu).unwrap()
    }

    fn first_column(ws: &Tensor) -> Vec<f32> {
        ws.narrow(2, 0, 1).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn the_named_styles_come_from_the_column() {
        let mixed = mix(&ws(1.0, 1), &ws(2.0, 1), &[0, 2]).unwrap();
        assert_eq!(first_column(&mixed), [2.0, 1.0, 2.0, 1.0]);
        assert_eq!(first_column(&mix(&ws(1.0, 1), &ws(2.0, 1), &[]).unwrap()), [1.0; 4]);
        assert_eq!(first_column(&mix(&ws(1.0, 1), &ws(2.0, 1), &[3, 2, 1, 0]).unwrap()), [2.0; 4]);
    }

    #[test]
    fn a_table_runs_through_the_columns_first() {
        let rows = Tensor::cat(&[ws(1.0, 1), ws(2.0, 1)], 0).unwrap();
        let cols = Tensor::cat(&[ws(10.0, 1), ws(20.0, 1), ws(30.0, 1)], 0).unwrap();
        let table: Vec<_> = mix_table(&rows, &cols, &[0])
            .unwrap()
            .map(|cell| first_column(&cell.unwrap())[..2].to_vec())
            .collect();
        assert_eq!(table[..3], [[10.0, 1.0], [20.0, 1.0], [30.0, 1.0]]);
        assert_eq!(table[3..], [[10.0, 2.0], [20.0, 2.0], [30.0, 2.0]]);
    }

    #[test]
    fn a_shift_moves_the_named_styles_alone() {
        let direction = Tensor::new(&[1.0f32, 0.0], &Device::Cpu).unwrap();
        let moved = shift(&ws(1.0, 2), &direction, -3.0, &[1]).unwrap();
        assert_eq!(first_column(&moved), [1.0, -2.0, 1.0, 1.0, 1.0, -2.0, 1.0, 1.0]);
    }

    #[test]
    fn a_style_beyond_the_generator_is_an_error() {
        let error = mix(&ws(1.0, 1), &ws(2.0, 1), &[4]).unwrap_err().to_string();
        assert_eq!(error, "style is 4, expected 0 to 3");
        assert!(mix_table(&ws(1.0, 1), &ws(2.0, 1), &[9]).is_err());
    }
}
