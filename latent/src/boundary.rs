//! Directions by meaning: the plane between latents of high and of low score.
//!
//! Shen et al., "Interpreting the Latent Space of GANs for Semantic Face Editing" (`InterFaceGAN`),
//! 2020, <https://arxiv.org/abs/1907.10786>.

use ganscope_stats::Features;
use ganscope_stats::linalg::{mul, tr_mul};
use ganscope_stats::random::RandomState;
use nalgebra::{Cholesky, DMatrix, DVector};

use crate::{Error, Result};

/// Steps of the interior-point method. It needs some thirty.
const MOST_STEPS: usize = 100;
/// The duality gap, relative to the objective, at which it ends: the weights are known to its root.
const GAP: f64 = 1e-14;
/// The gap at which a solution counts although rounding keeps the method from going on.
const SOLVED: f64 = 1e-8;
/// Part of the way to the nearest bound that a step takes.
const TO_BOUND: f64 = 0.995;

/// Which latents a boundary is fitted to; the default is the published protocol.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BoundaryOptions {
    /// Share of the latents with the highest scores, and of those with the lowest, that take part, above 0
    /// and at most 0.5.
    pub share: f64,
    /// Part of them that the plane is fitted to, above 0 and at most 1; the others test it.
    pub train: f64,
    /// Cost of a latent on the wrong side.
    pub cost: f64,
    /// Seed of the choice of those that it is fitted to, a `RandomState`.
    pub seed: u32,
}

impl Default for BoundaryOptions {
    fn default() -> Self {
        Self { share: 0.02, train: 0.7, cost: 1.0, seed: 0 }
    }
}

impl BoundaryOptions {
    /// Fails if an option is out of range.
    fn check(&self) -> Result<()> {
        let options =
            [("share", self.share, 0.5), ("train", self.train, 1.0), ("cost", self.cost, f64::MAX)];
        match options.into_iter().find(|&(_, got, most)| !(got > 0.0 && got <= most)) {
            None => Ok(()),
            Some((name, got, most)) => Err(Error::OutOfRange {
                name,
                got,
                expected: format!("above 0 and at most {most}"),
            }),
        }
    }
}

/// A plane between latents.
#[derive(Debug, Clone, PartialEq)]
pub struct Boundary {
    /// Its unit normal, towards higher scores.
    pub normal: Vec<f64>,
    /// The weights of the support vector machine: the normal before it is scaled.
    pub weights: Vec<f64>,
    /// Its intercept: a latent is on the positive side if `weights . latent + intercept > 0`.
    pub intercept: f64,
    /// Share of the latents left out of the fit that are on the right side; none if there are none.
    pub accuracy: Option<f64>,
}

/// The plane between the rows of `codes` with the highest and those with the lowest `scores`, by a linear
/// support vector machine with hinge loss, `min |w|^2 / 2 + cost sum max(0, 1 - y (w . x + b))`.
///
/// Equal scores keep the order of the rows.
///
/// # Errors
/// If an option is out of range, scores are as many as no rows, equal or not finite, or the plane is not
/// determined.
pub fn boundary(codes: &Features, scores: &[f64], options: &BoundaryOptions) -> Result<Boundary> {
    options.check()?;
    let BoundaryOptions { share, train, cost, seed } = *options;
    if codes.len() != scores.len() || scores.iter().any(|score| !score.is_finite()) {
        let (rows, count) = (codes.len(), scores.len());
        return Err(Error::Boundary(format!("{count} scores, not all finite or not {rows}")));
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&i, &j| scores[j].total_cmp(&scores[i]));
    let chosen = (scores.len() as f64 * share) as usize;
    let fitted = (chosen as f64 * train) as usize;
    if fitted < 1 || scores[order[0]] == scores[order[order.len() - 1]] {
        let found = format!("{chosen} of {} latents on each side, {fitted} to fit", scores.len());
        return Err(Error::Boundary(format!("{found}: too few, or all have one score")));
    }
    // The published tool draws the positive ones first, then the negative ones, from one stream.
    let mut random = RandomState::new(seed);
    let (high, low) = (&order[..chosen], &order[order.len() - chosen..]);
    let mut drawn = |side: &[usize]| -> Vec<usize> {
        random.permutation(side.len()).iter().map(|&i| side[i]).collect()
    };
    let (high, low) = (drawn(high), drawn(low));
    let rows = |part: std::ops::Range<usize>| -> Vec<usize> {
        high[part.clone()].iter().chain(&low[part]).copied().collect()
    };
    let plane = support_vectors(codes, &rows(0..fitted), cost)?;
    let side = |row: &[f32]| dot(row, &plane.weights) + plane.intercept > 0.0;
    let tested = rows(fitted..chosen);
    let right = tested
        .iter()
        .enumerate()
        .filter(|&(i, &row)| side(codes.row(row)) == (i < tested.len() / 2));
    let accuracy = (!tested.is_empty()).then(|| right.count() as f64 / tested.len() as f64);
    let normal = unit(&plane.weights)
        .ok_or_else(|| Error::Boundary("high and low scores lie on no two sides".into()))?;
    Ok(Boundary { normal, weights: plane.weights, intercept: plane.intercept, accuracy })
}

fn dot(row: &[f32], weights: &[f64]) -> f64 {
    row.iter().zip(weights).map(|(&x, w)| f64::from(x) * w).sum()
}

/// The vector at length 1; none if its length is 0.
fn unit(weights: &[f64]) -> Option<Vec<f64>> {
    let length = weights.iter().map(|w| w * w).sum::<f64>().sqrt();
    (length > 0.0).then(|| weights.iter().map(|w| w / length).collect())
}

/// A direction along which a score rises at nearly all latents, given its gradient at each of them: the normal of
/// a plane through the origin with the gradients `g` on one side, by a support vector machine without intercept,
/// `min |w|^2 / 2 + cost sum max(0, 1 - w . g / m)`, where `m` is the median length of the gradients.
///
/// All gradients take part; `share` has no meaning. Those left out of the fit tell the accuracy: the share that
/// the score rises for.
///
/// # Errors
/// If an option is out of range, a gradient is not finite, there are none but zeros, or too few.
pub fn ascent(gradients: &Features, options: &BoundaryOptions) -> Result<Boundary> {
    options.check()?;
    let BoundaryOptions { train, cost, seed, .. } = *options;
    let order = RandomState::new(seed).permutation(gradients.len());
    let fitted = (gradients.len() as f64 * train) as usize;
    let length = |row: &[f32]| row.iter().map(|&g| f64::from(g).powi(2)).sum::<f64>().sqrt();
    let mut lengths: Vec<f64> = gradients.rows().map(length).collect();
    lengths.sort_by(f64::total_cmp);
    let median = lengths.get(lengths.len() / 2).copied().unwrap_or(0.0);
    if fitted < 1 || median <= 0.0 || lengths.iter().any(|length| !length.is_finite()) {
        let found = format!("{} gradients of a median length of {median}", gradients.len());
        return Err(Error::Boundary(format!("{found}: too few, zero, or not finite")));
    }
    // Gradients on one side, their opposites on the other: the plane between them has no intercept.
    let mut both = Features::new(gradients.dim())?;
    for sign in [1.0, -1.0] {
        for &i in &order[..fitted] {
            let row = gradients.row(i).iter().map(|&g| (sign * f64::from(g) / median) as f32);
            both.push_rows(&row.collect::<Vec<_>>())?;
        }
    }
    let rows: Vec<usize> = (0..2 * fitted).collect();
    // Each gradient counts twice.
    let weights = support_vectors(&both, &rows, cost / 2.0)?.weights;
    let normal = unit(&weights)
        .ok_or_else(|| Error::Boundary("the gradients have no side in common".into()))?;
    let tested = &order[fitted..];
    let rising = tested.iter().filter(|&&i| dot(gradients.row(i), &weights) > 0.0).count();
    let accuracy = (!tested.is_empty()).then(|| rising as f64 / tested.len() as f64);
    Ok(Boundary { normal, weights, intercept: 0.0, accuracy })
}

/// A unit normal made orthogonal to other normals, so that moving along it leaves their scores alone.
///
/// # Errors
/// If it is a combination of the others.
pub fn conditioned(normal: &[f64], others: &[Vec<f64>]) -> Result<Vec<f64>> {
    let mut basis: Vec<DVector<f64>> = Vec::new();
    let reduced = |basis: &[DVector<f64>], vector: &[f64]| {
        let mut rest = DVector::from_column_slice(vector);
        // Twice is enough: what rounding left of the first time goes the second.
        for _ in 0..2 {
            for known in basis {
                rest -= known * known.dot(&rest);
            }
        }
        rest
    };
    for other in others {
        let rest = reduced(&basis, other);
        let length = rest.norm();
        if length > 1e-9 {
            basis.push(rest / length);
        }
    }
    let rest = reduced(&basis, normal);
    let length = rest.norm();
    if length < 1e-9 {
        return Err(Error::Boundary("the direction is a combination of the others".into()));
    }
    Ok((rest / length).iter().copied().collect())
}

struct Plane {
    weights: Vec<f64>,
    intercept: f64,
}

/// The soft-margin plane between the first and the second half of `rows`.
///
/// The dual, `min a' Q a / 2 - sum a` with `0 <= a <= cost` and `y' a = 0`, by Mehrotra's
/// predictor-corrector method. `Q = H H'` has the rank of the latents, so that a step costs
/// `n d^2`: Ferris and Munson, "Interior-point methods for massive support vector machines", 2002.
fn support_vectors(codes: &Features, rows: &[usize], cost: f64) -> Result<Plane> {
    let (n, dim) = (rows.len(), codes.dim());
    let sign = |i: usize| if i < n / 2 { 1.0 } else { -1.0 };
    let h = DMatrix::from_fn(n, dim, |i, j| sign(i) * f64::from(codes.row(rows[i])[j]));
    let y = DVector::from_fn(n, |i, _| sign(i));
    let columns =
        |vector: &DVector<f64>| DMatrix::from_column_slice(vector.len(), 1, vector.as_slice());
    let weights = |alpha: &DVector<f64>| tr_mul(&h, &columns(alpha)).column(0).into_owned();
    let margins = |weights: &DVector<f64>| mul(&h, &columns(weights)).column(0).into_owned();

    // `u` is the room below the cost, kept beside `alpha`: a difference would round to nothing.
    let mut alpha = DVector::from_element(n, cost / 2.0);
    let mut u = alpha.clone();
    let (mut z, mut v) = (DVector::from_element(n, 1.0), DVector::from_element(n, 1.0));
    let (mut b, mut known) = (0.0, f64::INFINITY);
    for _ in 0..MOST_STEPS {
        let w = weights(&alpha);
        let dual = margins(&w).add_scalar(-1.0) + &y * b - &z + &v;
        let primal = y.dot(&alpha);
        let gap = alpha.dot(&z) + u.dot(&v);
        let objective = w.norm_squared() / 2.0 - alpha.sum();
        let scale = 1.0 + objective.abs();
        let error = (gap + dual.amax() + primal.abs()) / scale;
        if error < GAP || known < SOLVED && error > known / 2.0 {
            break;
        }
        known = error;
        let diagonal = DVector::from_fn(n, |i, _| z[i] / alpha[i] + v[i] / u[i]);
        let mut scaled = h.clone();
        for (i, mut row) in scaled.row_iter_mut().enumerate() {
            row /= diagonal[i].sqrt();
        }
        let mut inner = tr_mul(&scaled, &scaled);
        (0..dim).for_each(|i| inner[(i, i)] += 1.0);
        let Some(inner) = Cholesky::new(inner) else { break };
        // (Q + D)^-1, by the Woodbury identity.
        let solve = |x: &DVector<f64>| {
            let over = x.component_div(&diagonal);
            let below = inner.solve(&weights(&over));
            over - margins(&below).component_div(&diagonal)
        };
        let of_y = solve(&y);
        let across = y.dot(&of_y);
        let step = |target: f64, first: &DVector<f64>, second: &DVector<f64>| {
            let to_z = DVector::from_fn(n, |i, _| (target - first[i]) / alpha[i] - z[i]);
            let to_v = DVector::from_fn(n, |i, _| (target - second[i]) / u[i] - v[i]);
            let of_rest = solve(&(&to_z - &to_v - &dual));
            let db = (y.dot(&of_rest) + primal) / across;
            let da = of_rest - &of_y * db;
            let dz = to_z - z.component_mul(&da).component_div(&alpha);
            let dv = to_v + v.component_mul(&da).component_div(&u);
            (da, db, dz, dv)
        };
        let none = DVector::zeros(n);
        let (da, _, dz, dv) = step(0.0, &none, &none);
        let way = |da: &DVector<f64>, dz: &DVector<f64>, dv: &DVector<f64>| {
            let room = |value: f64, change: f64| if change < 0.0 { -value / change } else { 1.0 };
            (0..n).fold(1.0_f64, |way, i| {
                let least = room(alpha[i], da[i]).min(room(u[i], -da[i]));
                way.min(least).min(room(z[i], dz[i])).min(room(v[i], dv[i]))
            })
        };
        let t = way(&da, &dz, &dv);
        let after = (&alpha + &da * t).dot(&(&z + &dz * t)) + (&u - &da * t).dot(&(&v + &dv * t));
        let center = (after / gap).powi(3) * gap / (2 * n) as f64;
        let second = -da.component_mul(&dv);
        let (da, db, dz, dv) = step(center, &da.component_mul(&dz), &second);
        let t = TO_BOUND * way(&da, &dz, &dv);
        u -= &da * t;
        alpha += da * t;
        z += dz * t;
        v += dv * t;
        b += db * t;
    }
    let weights = weights(&alpha);
    let is_solved = known < SOLVED && b.is_finite() && weights.iter().all(|w| w.is_finite());
    if !is_solved {
        let reason =
            format!("the method ends at an error of {known:.0e}; the latents may be too large");
        return Err(Error::Boundary(reason));
    }
    Ok(Plane { weights: weights.iter().copied().collect(), intercept: b })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The root of the gap at which the solver ends.
    const ROOT_OF_GAP: f64 = 1e-6;

    #[test]
    fn the_widest_margin_between_two_clusters_is_halfway() {
        // Nearest points (1, 1) and (3, 1): the plane x = 2, w = (-1, 0), b = 2.
        let codes = [1.0, 1.0, 0.0, 2.0, -3.0, 0.0, 3.0, 1.0, 4.0, 3.0, 6.0, 1.0];
        let codes = Features::from_vec(codes.to_vec(), 2).unwrap();
        let scores = [6.0, 5.0, 4.0, 3.0, 2.0, 1.0];
        let options = BoundaryOptions { share: 0.5, train: 1.0, cost: 1e3, seed: 0 };
        let found = boundary(&codes, &scores, &options).unwrap();
        assert!(
            (found.weights[0] + 1.0).abs() < ROOT_OF_GAP && found.weights[1].abs() < ROOT_OF_GAP
        );
        assert!((found.intercept - 2.0).abs() < ROOT_OF_GAP, "{found:?}");
        assert_eq!((found.normal.len(), found.accuracy), (2, None));
    }

    #[test]
    fn an_ascent_is_where_the_margin_of_the_gradients_is_widest() {
        // Of gradients at equal angles of the x axis the widest margin is along it: w . g / m = 1 at both, so that
        // w = (sqrt 2, 0); the third is no support vector.
        let gradients = vec![1.0, 1.0, 1.0, -1.0, 2.0, 0.0];
        let gradients = Features::from_vec(gradients, 2).unwrap();
        let options = BoundaryOptions { train: 1.0, cost: 1e3, ..BoundaryOptions::default() };
        let found = ascent(&gradients, &options).unwrap();
        assert!((found.weights[0] - 2f64.sqrt()).abs() < ROOT_OF_GAP, "{found:?}");
        assert!(found.normal[1].abs() < ROOT_OF_GAP && found.accuracy.is_none(), "{found:?}");
        // A few that point the other way are left behind.
        let mut rows = [[1.0, 0.2], [1.0, -0.2]].repeat(45);
        rows.extend([[-1.0, 0.1]; 10]);
        let gradients = Features::from_vec(rows.concat(), 2).unwrap();
        let found = ascent(&gradients, &BoundaryOptions::default()).unwrap();
        assert!(found.normal[0] > 0.9, "{found:?}");
        assert!(found.accuracy.is_some_and(|share| (0.75..1.0).contains(&share)), "{found:?}");
        assert!(ascent(&Features::from_vec(vec![0.0; 8], 2).unwrap(), &options).is_err());
        let none = Features::from_vec(vec![f32::NAN; 8], 2).unwrap();
        assert!(ascent(&none, &options).is_err());
        let wrong = BoundaryOptions { train: 2.0, ..options };
        assert!(ascent(&gradients, &wrong).unwrap_err().to_string().contains("train is 2"));
    }

    #[test]
    fn a_conditioned_normal_leaves_the_others_alone() {
        let others = vec![vec![0.6, 0.8, 0.0], vec![1.2, 1.6, 0.0], vec![0.0, 1.0, 0.0]];
        let found = conditioned(&[0.36, 0.48, 0.8], &others).unwrap();
        assert_eq!(found.len(), 3);
        assert!((found[2] - 1.0).abs() < 1e-12 && found[0].abs() < 1e-12, "{found:?}");
        assert!(conditioned(&[1.0, 0.0, 0.0], &others).is_err());
    }

    #[test]
    fn what_determines_no_plane_is_an_error() {
        let codes = Features::from_vec(vec![1.0, 2.0, 3.0, 4.0], 1).unwrap();
        let fit = |scores: &[f64], share: f64, train: f64| {
            let options = BoundaryOptions { share, train, ..Default::default() };
            boundary(&codes, scores, &options).map_err(|error| error.to_string())
        };
        assert!(fit(&[1.0; 4], 0.5, 1.0).unwrap_err().contains("one score"));
        assert!(fit(&[1.0, 2.0, 3.0], 0.5, 1.0).unwrap_err().contains("3 scores"));
        assert!(fit(&[1.0, 2.0, 3.0, f64::NAN], 0.5, 1.0).is_err());
        assert!(fit(&[1.0, 2.0, 3.0, 4.0], 0.1, 1.0).unwrap_err().contains("too few"));
        assert!(fit(&[1.0, 2.0, 3.0, 4.0], 0.6, 1.0).unwrap_err().contains("share is 0.6"));
    }
}
