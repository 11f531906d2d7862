//! Clustering by k-means.

use ganscope_stats::random::RandomState;
use ganscope_stats::{Error, Features, Result};
use rayon::prelude::*;

/// Turns of Lloyd's algorithm, as many as scikit-learn allows.
const TURNS: usize = 300;

/// Rows that are summed before their sums are added up, whatever the number of threads.
const ROWS_AT_ONCE: usize = 256;

/// Centers of clusters.
#[derive(Debug, Clone, PartialEq)]
pub struct Clusters {
    /// The centers, one after another.
    centers: Vec<Vec<f64>>,
    /// Sum over the rows of the squared distance to the nearest center.
    pub inertia: f64,
}

/// The best of several clusterings into `count` cells: Lloyd's algorithm from centers that are drawn
/// far apart (k-means++), until the labels stay.
///
/// Arthur and Vassilvitskii, "k-means++: The Advantages of Careful Seeding", 2007.
///
/// # Errors
/// [`Error::TooFewSamples`] for fewer rows than cells, or neither.
pub fn cluster(rows: &Features, count: usize, starts: usize, seed: u32) -> Result<Clusters> {
    if count == 0 || rows.len() < count {
        let (what, needed) = ("a clustering", count.max(1));
        return Err(Error::TooFewSamples { what, needed, got: rows.len() });
    }
    let mut random = RandomState::new(seed);
    let mut best = lloyd(rows, spread(rows, count, &mut random)?);
    for _ in 1..starts {
        let other = lloyd(rows, spread(rows, count, &mut random)?);
        if other.inertia < best.inertia {
            best = other;
        }
    }
    Ok(best)
}

impl Clusters {
    /// The center nearest to a row, and its squared distance.
    pub(crate) fn nearest(&self, row: &[f32]) -> (usize, f64) {
        let distances = self.centers.iter().map(|center| squared_distance(row, center));
        let nearer =
            |best: (usize, f64), next: (usize, f64)| if next.1 < best.1 { next } else { best };
        distances.enumerate().fold((0, f64::INFINITY), nearer)
    }
}

/// Rows drawn one after another, each with a chance in proportion to its squared distance to those
/// drawn before.
fn spread(rows: &Features, count: usize, random: &mut RandomState) -> Result<Vec<Vec<f64>>> {
    let place = |i: usize| -> Vec<f64> { rows.row(i).iter().map(|&x| f64::from(x)).collect() };
    let first = random.below(rows.len() as u64)? as usize;
    let mut centers = vec![place(first)];
    let mut nearest = vec![f64::INFINITY; rows.len()];
    while centers.len() < count {
        let last = &centers[centers.len() - 1];
        for (nearest, row) in nearest.iter_mut().zip(rows.rows()) {
            *nearest = nearest.min(squared_distance(row, last));
        }
        let mut left = random.uniform() * nearest.iter().sum::<f64>();
        let drawn = nearest.iter().position(|distance| {
            left -= distance;
            left < 0.0
        });
        centers.push(place(drawn.unwrap_or(rows.len() - 1)));
    }
    Ok(centers)
}

/// Moves centers to the mean of their rows until no label changes.
fn lloyd(rows: &Features, centers: Vec<Vec<f64>>) -> Clusters {
    let mut clusters = Clusters { centers, inertia: f64::INFINITY };
    let mut labels = Vec::new();
    for _ in 0..TURNS {
        let all: Vec<&[f32]> = rows.rows().collect();
        let nearest: Vec<(usize, f64)> = all.par_iter().map(|row| clusters.nearest(row)).collect();
        clusters.inertia = nearest.iter().map(|(_, distance)| distance).sum();
        let now: Vec<usize> = nearest.iter().map(|(label, _)| *label).collect();
        if now == labels {
            break;
        }
        labels = now;
        clusters.centers = means(rows, &labels, clusters.centers);
    }
    clusters
}

/// The mean of the rows of each label; a center without rows stays.
fn means(rows: &Features, labels: &[usize], centers: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    let dim = rows.dim();
    let none = || vec![(0usize, vec![0.0; dim]); centers.len()];
    let parts: Vec<_> = rows
        .as_slice()
        .par_chunks(ROWS_AT_ONCE * dim)
        .zip(labels.par_chunks(ROWS_AT_ONCE))
        .map(|(rows, labels)| {
            let mut sums = none();
            for (row, &label) in rows.chunks_exact(dim).zip(labels) {
                sums[label].0 += 1;
                sums[label].1.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
            }
            sums
        })
        .collect();
    let mut sums = none();
    for part in parts {
        for (sum, part) in sums.iter_mut().zip(part) {
            sum.0 += part.0;
            sum.1.iter_mut().zip(part.1).for_each(|(sum, x)| *sum += x);
        }
    }
    let mean = |((count, sum), old): ((usize, Vec<f64>), Vec<f64>)| match count {
        0 => old,
        count => sum.into_iter().map(|x| x / count as f64).collect(),
    };
    sums.into_iter().zip(centers).map(mean).collect()
}

fn squared_distance(row: &[f32], center: &[f64]) -> f64 {
    row.iter().zip(center).map(|(&x, c)| (f64::from(x) - c).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_heaps_are_found() {
        let heap = |i: usize| [0.0, 10.0, 20.0][i % 3] + (i / 3) as f32 * 0.1;
        let rows = Features::from_vec((0..12).map(heap).collect(), 1).unwrap();
        let found = cluster(&rows, 3, 4, 1).unwrap();
        // each heap has squared deviations 2 (0.15^2 + 0.05^2)
        assert!((found.inertia - 3.0 * 0.05).abs() < 1e-5, "{}", found.inertia);
        let labels = found.labels(&rows);
        assert!((0..12).all(|i| labels[i] == labels[i % 3]));
        assert!(cluster(&rows, 13, 1, 0).is_err() && cluster(&rows, 0, 1, 0).is_err());
    }
}
