//! The variance of a maximum mean discrepancy over draws of the generated images.

use crate::kernel::{Pool, Sums};

/// Parts of the variance of `mean k(x, x') - 2 mean k(x, y)` over the images `x`, with the reference
/// images `y` as given.
///
/// Hoeffding, "A class of statistics with asymptotically normal distribution", 1948: an image moves
/// the estimate by `2 (mean k(x, x') - mean k(x, y))`, and two images together by the rest of their
/// kernel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Variance {
    /// Variance of what an image adds.
    single: f64,
    /// Variance of what two images add beside that.
    pair: f64,
}

impl Variance {
    /// From the kernel of `n` images with each other and with all `m` reference images.
    pub(crate) fn of_all(within: &Sums, between: &Sums, m: usize) -> Self {
        let n = within.of_row.len();
        let single = influence_variance(within, between, m);
        let pair = pair_variance(within);
        // The mean over the other images is itself uncertain.
        Self { single: (single - 4.0 * pair / (n as f64 - 1.0)).max(0.0), pair }
    }

    /// The mean over subsets of `m` images of each set, of which `x` and `y` are the indices, from
    /// `references` reference images.
    pub(crate) fn of_subsets<'a>(
        pool: &Pool<'_>,
        references: usize,
        subsets: impl Iterator<Item = (&'a [usize], &'a [usize])>,
    ) -> Self {
        let (mut single, mut pair, mut count) = (0.0, 0.0, 0.0);
        for (x, y) in subsets {
            let m = x.len() as f64;
            let (within, between) = (pool.sums_among(x), pool.sums_between(x, y));
            let of_pairs = pair_variance(&within);
            // So are the means over the others of a subset, of both sets; the reference images are
            // drawn without replacement from those that there are.
            let drawn = (1.0 / m - 1.0 / references as f64).max(0.0);
            let uncertain = 4.0 * of_pairs / (m - 1.0) + 4.0 * interaction(&between) * drawn;
            single += influence_variance(&within, &between, x.len()) - uncertain;
            pair += of_pairs;
            count += 1.0;
        }
        Self { single: (single / count).max(0.0), pair: pair / count }
    }

    /// The variance of the unbiased estimate from `n` images.
    pub(crate) fn of_estimate(self, n: usize) -> f64 {
        let n = n as f64;
        self.single / n + 2.0 * self.pair / (n * (n - 1.0))
    }
}

/// Variance over images of `2 (mean k(x, x') - mean k(x, y))`, means over `n - 1` other images and
/// `m` reference images.
fn influence_variance(within: &Sums, between: &Sums, m: usize) -> f64 {
    let others = within.of_row.len() as f64 - 1.0;
    let influence = |(a, b): (&f64, &f64)| 2.0 * (a / others - b / m as f64);
    let influences: Vec<f64> = within.of_row.iter().zip(&between.of_row).map(influence).collect();
    variance(&influences)
}

/// Variance of the kernel of two different images beside the means of both.
fn pair_variance(within: &Sums) -> f64 {
    let n = within.of_row.len() as f64;
    let means: Vec<f64> = within.of_row.iter().map(|sum| sum / (n - 1.0)).collect();
    let mean = means.iter().sum::<f64>() / n;
    // The variance of the means contains a share of that of pairs.
    let total = within.squares / (n * (n - 1.0)) - mean * mean;
    let rest = total - 2.0 * variance(&means);
    (rest / (1.0 - 2.0 / (n - 1.0)).max(0.5)).max(0.0)
}

/// Variance of a table beside the means of its rows and columns.
fn interaction(between: &Sums) -> f64 {
    let (rows, columns) = (between.of_row.len() as f64, between.of_column.len() as f64);
    let squares = |sums: &[f64]| sums.iter().map(|sum| sum * sum).sum::<f64>();
    let total: f64 = between.of_row.iter().sum();
    let rest =
        between.squares - squares(&between.of_row) / columns - squares(&between.of_column) / rows
            + total * total / (rows * columns);
    (rest / ((rows - 1.0) * (columns - 1.0))).max(0.0)
}

fn variance(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0)
}
