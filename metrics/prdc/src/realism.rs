//! Realism of single images.

use ganscope_neighbors::{Frame, Packed, Rows, check, squared_radii};
use ganscope_stats::linalg::row_products;
use ganscope_stats::{Features, Result, Side};
use rayon::prelude::*;

use crate::{check_k, least_images};

/// Images of one side of a tile, whose products are taken at once.
const TILE: usize = 256;

/// The realism score of each generated image `g`, `max_i r_i / |g - x_i|` over the reference images
/// `x_i` whose radius `r_i`, the distance to their `nearest_k`-th neighbor, is not above the
/// median.
///
/// At least 1 means inside the reference manifold, infinite is a copy of a reference image.
///
/// # Errors
/// Those of [`manifolds`](crate::manifolds), of the generated set only its width and its values.
pub fn realism(generated: &Features, reference: &Features, nearest_k: usize) -> Result<Vec<f64>> {
    check(generated, reference)?;
    check_k(nearest_k)?;
    least_images(nearest_k).check("realism", Side::Reference, reference.len())?;
    let frame = Frame::around(&[generated, reference]);
    let (generated, reference) = (Rows::new(generated, &frame), Rows::new(reference, &frame));
    let radii = squared_radii(&Packed::new(&reference), nearest_k);
    let median = squared_median(&radii);
    let balls: Vec<usize> = (0..radii.len()).filter(|&i| radii[i] <= median).collect();
    let images: Vec<usize> = (0..generated.len()).collect();
    Ok(images
        .par_chunks(TILE)
        .flat_map_iter(|images| {
            let nearest = most_realistic(&generated, images, &reference, &balls, &radii);
            let (generated, reference, radii) = (&generated, &reference, &radii);
            images.iter().zip(nearest).map(move |(&image, ball)| {
                let distance = generated.exact(image, reference, ball);
                // A copy is real, even where k copies make its ball a point.
                if distance == 0.0 { f64::INFINITY } else { (radii[ball] / distance).sqrt() }
            })
        })
        .collect())
}

/// For each image, the ball with the largest ratio of radius and distance.
fn most_realistic(
    generated: &Rows<'_>,
    images: &[usize],
    reference: &Rows<'_>,
    balls: &[usize],
    radii: &[f64],
) -> Vec<usize> {
    let dim = generated.dim();
    let squares = |rows: &[f64]| -> Vec<f64> {
        rows.chunks_exact(dim).map(|row| row.iter().map(|x| x * x).sum()).collect()
    };
    let rows = generated.gather(images);
    let row_squares = squares(&rows);
    let mut best = vec![(f64::INFINITY, balls[0]); images.len()];
    for balls in balls.chunks(TILE) {
        let columns = reference.gather(balls);
        let products = row_products(&rows, &columns, dim);
        for ((products, square), &ball) in products.column_iter().zip(squares(&columns)).zip(balls)
        {
            for ((best, product), row_square) in best.iter_mut().zip(&products).zip(&row_squares) {
                let distance = (row_square + square - 2.0 * product).max(0.0);
                let ratio = if distance == 0.0 { 0.0 } else { distance / radii[ball] };
                if ratio < best.0 {
                    *best = (ratio, ball);
                }
            }
        }
    }
    best.into_iter().map(|(_ratio, ball)| ball).collect()
}

/// The square of the median of the roots; of an even number that is the mean of both in the middle.
pub(crate) fn squared_median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        f64::midpoint(values[middle - 1].sqrt(), values[middle].sqrt()).powi(2)
    }
}
