//! k-means: a cloud of points as a few centers.
//!
//! Lloyd, "Least Squares Quantization in PCM", 1982; Arthur and Vassilvitskii, "k-means++: The
//! Advantages of Careful Seeding", 2007.

use ganscope_stats::Features;
use ganscope_stats::random::RandomState;
use nalgebra::DMatrix;

use crate::Result;

/// Rounds after which the centers stay where they are.
const MOST_ROUNDS: usize = 100;

/// The row of `centers` that is nearest to `point`; the first of several.
pub(crate) fn nearest(point: &[f32], centers: &Features) -> usize {
    let distance = |center: &[f32]| -> f64 {
        point.iter().zip(center).map(|(&p, &c)| (p as f64 - c as f64).powi(2)).sum()
    };
    let distances = centers.rows().map(distance).enumerate();
    distances.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(index, _)| index)
}

/// `count` centers of `points`, each the mean of the points that it is nearest to, if the rounds suffice
/// for that; one that lost all its points stays where it was.
///
/// Starts from points drawn with a probability proportional to their squared distance from those
/// drawn before, the best of a few each time, as in scikit-learn. Ends when no point changes its
/// center.
///
/// # Panics
/// If there are no points.
pub(crate) fn centers(
    points: &Features,
    count: usize,
    random: &mut RandomState,
) -> Result<Features> {
    let (dim, total) = (points.dim(), points.len());
    // Columns are points.
    let cloud = DMatrix::from_iterator(dim, total, points.as_slice().iter().map(|&v| v as f64));
    let mut centers = spread(&cloud, count, random)?;
    let mut members = vec![usize::MAX; total];
    for _ in 0..MOST_ROUNDS {
        let before = std::mem::replace(&mut members, memberships(&cloud, &centers));
        if members == before {
            break;
        }
        let mut sums = DMatrix::zeros(dim, count);
        let mut sizes = vec![0usize; count];
        for (point, &member) in cloud.column_iter().zip(&members) {
            let mut sum = sums.column_mut(member);
            sum += point;
            sizes[member] += 1;
        }
        for (i, &size) in sizes.iter().enumerate().filter(|&(_, &size)| size > 0) {
            centers.set_column(i, &(sums.column(i) / size as f64));
        }
    }
    Ok(Features::from_vec(centers.iter().map(|&v| v as f32).collect(), dim)?)
}

/// Points far from one another, (dim, count).
fn spread(cloud: &DMatrix<f64>, count: usize, random: &mut RandomState) -> Result<DMatrix<f64>> {
    let trials = 2 + (count as f64).ln() as usize;
    let first = random.below(cloud.ncols() as u64)? as usize;
    let (mut drawn, mut distances) = (vec![first], distances(cloud, first, None));
    while drawn.len() < count {
        let total: f64 = distances.iter().sum();
        let mut draw = || {
            let mut left = random.uniform() * total;
            let beyond = |distance: &f64| {
                left -= distance;
                left < 0.0
            };
            distances.iter().position(beyond).unwrap_or(cloud.ncols() - 1)
        };
        let candidates: Vec<usize> = (0..trials).map(|_| draw()).collect();
        let after =
            candidates.into_iter().map(|i| (i, self::distances(cloud, i, Some(&distances))));
        let sum = |(_, distances): &(usize, Vec<f64>)| distances.iter().sum::<f64>();
        let best = after.min_by(|a, b| sum(a).total_cmp(&sum(b)));
        let (index, after) = best.expect("there are two trials or more");
        drawn.push(index);
        distances = after;
    }
    Ok(cloud.select_columns(&drawn))
}

/// Squared distance of each point from the point `index`, or from those before if they are nearer.
fn distances(cloud: &DMatrix<f64>, index: usize, before: Option<&[f64]>) -> Vec<f64> {
    let from = cloud.column(index);
    let to = cloud
        .column_iter()
        .map(|point| point.iter().zip(from.iter()).map(|(a, b)| (a - b) * (a - b)).sum::<f64>());
    match before {
        Some(before) => to.zip(before).map(|(distance, &before)| distance.min(before)).collect(),
        None => to.collect(),
    }
}

/// The center nearest to each point: the least `|c|^2 - 2 c x`.
fn memberships(cloud: &DMatrix<f64>, centers: &DMatrix<f64>) -> Vec<usize> {
    let products = centers.transpose() * cloud;
    let squares: Vec<f64> = centers.column_iter().map(|c| c.norm_squared()).collect();
    let member = |products: nalgebra::DVectorView<'_, f64>| {
        let distances =
            products.iter().zip(&squares).map(|(product, square)| square - 2.0 * product);
        let nearest = distances.enumerate().min_by(|a, b| a.1.total_cmp(&b.1));
        nearest.map_or(0, |(index, _)| index)
    };
    products.column_iter().map(member).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Means are rounded to float32.
    const F32_ROUNDING: f64 = 1e-6;

    fn blobs(places: &[[f32; 2]], each: usize) -> Features {
        let mut random = RandomState::new(1);
        let mut noise = || random.standard_normal() as f32;
        let rows = places.iter().flat_map(|place| {
            (0..each).flat_map(|_| place.map(|v| v + 0.1 * noise())).collect::<Vec<_>>()
        });
        Features::from_vec(rows.collect(), 2).unwrap()
    }

    /// The mean of rows `from..from + each`.
    fn mean(points: &Features, from: usize, each: usize) -> Vec<f64> {
        let sum = |k: usize| (from..from + each).map(|i| points.row(i)[k] as f64).sum::<f64>();
        (0..points.dim()).map(|k| sum(k) / each as f64).collect()
    }

    fn close(a: &[f32], b: &[f64]) -> bool {
        a.iter().zip(b).all(|(&a, b)| (a as f64 - b).abs() < F32_ROUNDING * (1.0 + b.abs()))
    }

    #[test]
    fn clouds_apart_are_found_one_by_one() {
        let places = [[0.0, 0.0], [5.0, 0.0], [0.0, 5.0], [5.0, 5.0], [20.0, 20.0]];
        let points = blobs(&places, 30);
        for seed in 0..10 {
            let found = centers(&points, places.len(), &mut RandomState::new(seed)).unwrap();
            for (i, place) in places.iter().enumerate() {
                let center = found.row(nearest(place, &found));
                assert!(close(center, &mean(&points, 30 * i, 30)), "seed {seed}, {place:?}");
            }
        }
    }

    #[test]
    fn each_center_is_the_mean_of_the_points_nearest_to_it() {
        let points = blobs(&[[0.0, 0.0]], 400);
        let found = centers(&points, 7, &mut RandomState::new(3)).unwrap();
        for i in 0..found.len() {
            let own: Vec<f32> =
                points.rows().filter(|p| nearest(p, &found) == i).flatten().copied().collect();
            let own = Features::from_vec(own, 2).unwrap();
            assert!(close(found.row(i), &mean(&own, 0, own.len())), "center {i}");
        }
    }

    #[test]
    fn one_center_is_the_mean_and_equal_points_are_no_trouble() {
        let points = blobs(&[[1.0, 2.0], [9.0, 4.0]], 10);
        let one = centers(&points, 1, &mut RandomState::new(0)).unwrap();
        assert!(close(one.row(0), &mean(&points, 0, 20)));
        let equal = Features::from_vec(vec![3.0; 12], 2).unwrap();
        let found = centers(&equal, 4, &mut RandomState::new(0)).unwrap();
        assert_eq!(found.as_slice(), [3.0; 8]);
    }
}
