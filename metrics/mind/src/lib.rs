//! MIND: a sliced Wasserstein distance of features.
//!
//! Berthet et al., 2026, <https://arxiv.org/abs/2605.06797>. Agrees with `metric_mind.py` of
//! torch-fidelity, whose random directions it draws.

use ganscope_stats::random::TorchGenerator;
use ganscope_stats::{
    Error, FeatureSet, Features, LeastImages, Metric, Needs, Result, Score, Side, Uncertainty,
    check_parameter,
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Settings of [`sliced_distance`]; the default is that of torch-fidelity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mind {
    /// Number of random directions.
    pub directions: usize,
    /// Seed of the directions, and of the images that are taken of the larger set.
    pub seed: u32,
}

impl Mind {
    /// torch-fidelity: 1000 directions.
    pub const TORCH_FIDELITY: Self = Self { directions: 1000, seed: 2020 };

    /// Largest number of directions, which are kept in memory.
    const MOST: usize = 100_000;
}

impl Default for Mind {
    fn default() -> Self {
        Self::TORCH_FIDELITY
    }
}

/// A sliced distance with its uncertainty.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The distance.
    pub distance: f64,
    /// Its uncertainty over other draws of as many generated images, the directions as given.
    pub uncertainty: Option<Uncertainty>,
}

/// `3 d mean_v mean_i (sort(X v)_i - sort(Y v)_i)^2` over random unit directions `v` of the `d`
/// features: the squared Wasserstein distance of the two sets along a line, averaged and scaled.
///
/// Of the larger set as many images are drawn as the smaller one has. Smaller is better.
///
/// # Errors
/// [`Error::Dimension`] for sets of different width, [`Error::NotFinite`] for features that are not
/// finite, [`Error::TooFewImages`] for an empty set, [`Error::Parameter`] for options out of their
/// range.
pub fn sliced_distance(
    generated: &Features,
    reference: &Features,
    options: &Mind,
) -> Result<Estimate> {
    options.validate()?;
    let dim = reference.dim();
    let mut random = TorchGenerator::new(options.seed);
    let n = generated.len().min(reference.len());
    let chosen = |set: &Features, random: &mut TorchGenerator| {
        let order = random.permutation(set.len());
        set.select(&order[..n])
    };
    let (x, y) = match generated.len().cmp(&reference.len()) {
        std::cmp::Ordering::Greater => (Some(chosen(generated, &mut random)), None),
        std::cmp::Ordering::Less => (None, Some(chosen(reference, &mut random))),
        std::cmp::Ordering::Equal => (None, None),
    };
    let (x, y) = (x.as_ref().unwrap_or(generated), y.as_ref().unwrap_or(reference));
    let mut directions = random.standard_normals(options.directions * dim);
    for direction in directions.chunks_exact_mut(dim) {
        let length = direction.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
        for v in direction.iter_mut() {
            *v = (f64::from(*v) / length) as f32;
        }
    }
    along_directions(x, y, &directions)
}

/// The distance along `directions`, rows of length one laid end to end, of sets of equally many
/// images.
///
/// # Errors
/// [`Error::Dimension`], [`Error::RowCount`], [`Error::RaggedRows`] by shape, [`Error::NotFinite`] by
/// value, and [`Error::TooFewImages`] for empty sets.
pub fn along_directions(
    generated: &Features,
    reference: &Features,
    directions: &[f32],
) -> Result<Estimate> {
    let (n, dim) = (generated.len(), generated.dim());
    if dim != reference.dim() {
        let (what, expected) = ("the generated set", reference.dim());
        return Err(Error::Dimension { what, expected, got: dim });
    }
    if n != reference.len() {
        let (what, expected) = ("the generated set", reference.len());
        return Err(Error::RowCount { what, expected, got: n });
    }
    if directions.is_empty() || !directions.len().is_multiple_of(dim) {
        return Err(Error::RaggedRows { len: directions.len(), dim });
    }
    LeastImages::always(1).check(Mind::TORCH_FIDELITY.title(), Side::Generated, n)?;
    generated.check_finite("the generated set")?;
    reference.check_finite("the reference set")?;
    let count = (directions.len() / dim) as f64;
    let several = directions.par_chunks(AT_ONCE * dim);
    let parts: Vec<_> = several.map(|few| slices(generated, reference, few)).collect();
    // In the order of the directions, whatever the number of threads.
    let (mut total, mut potentials) = (0.0, vec![0.0; n]);
    for (distance, part) in parts {
        total += distance;
        potentials.iter_mut().zip(part).for_each(|(sum, value)| *sum += value);
    }
    let factor = 3.0 * dim as f64 / count;
    for p in &mut potentials {
        *p *= factor;
    }
    let distance = factor * total;
    let uncertainty = if n < 2 {
        None
    } else {
        let error = Uncertainty::of_mean(&potentials)?.standard_error;
        let mut known = Uncertainty::normal(distance, error);
        known.interval[0] = known.interval[0].max(0.0);
        Some(known)
    };
    Ok(Estimate { distance, uncertainty })
}

/// Directions that a row is projected on while it is at hand.
const AT_ONCE: usize = 16;

/// Sums over a few directions.
fn slices(generated: &Features, reference: &Features, directions: &[f32]) -> (f64, Vec<f64>) {
    let directions: Vec<&[f32]> = directions.chunks_exact(generated.dim()).collect();
    let project = |set: &Features| -> Vec<Vec<f64>> {
        let mut along = vec![Vec::with_capacity(set.len()); directions.len()];
        for row in set.rows() {
            for (along, direction) in along.iter_mut().zip(&directions) {
                along.push(product(row, direction));
            }
        }
        along
    };
    let (mut total, mut sums) = (0.0, vec![0.0; generated.len()]);
    for (x, y) in project(generated).into_iter().zip(project(reference)) {
        let (distance, potentials) = slice(&x, y);
        total += distance;
        sums.iter_mut().zip(potentials).for_each(|(sum, value)| *sum += value);
    }
    (total, sums)
}

/// The squared distance along a direction, and what each generated image adds to it to first order:
/// the potential `2 int (x - t(x)) dx` of the map `t` from generated to reference values.
fn slice(x: &[f64], mut y: Vec<f64>) -> (f64, Vec<f64>) {
    let mut order: Vec<usize> = (0..x.len()).collect();
    order.sort_unstable_by(|&a, &b| x[a].total_cmp(&x[b]));
    y.sort_unstable_by(f64::total_cmp);
    let (mut distance, mut potential, mut potentials) = (0.0, 0.0, vec![0.0; x.len()]);
    let mut before: Option<(f64, f64)> = None;
    for (&i, &y) in order.iter().zip(&y) {
        let gap = x[i] - y;
        if let Some((x_before, gap_before)) = before {
            potential += (gap + gap_before) * (x[i] - x_before);
        }
        before = Some((x[i], gap));
        distance += gap * gap;
        potentials[i] = potential;
    }
    (distance / x.len() as f64, potentials)
}

/// The dot product in float64.
fn product(a: &[f32], b: &[f32]) -> f64 {
    let (a_lanes, a_rest) = a.as_chunks::<8>();
    let (b_lanes, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (a, b) in a_lanes.iter().zip(b_lanes) {
        for (sum, (&a, &b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += f64::from(a) * f64::from(b);
        }
    }
    let rest = a_rest.iter().zip(b_rest).map(|(&a, &b)| f64::from(a) * f64::from(b));
    sums.iter().sum::<f64>() + rest.sum::<f64>()
}

impl Metric for Mind {
    fn name(&self) -> &'static str {
        "mind"
    }

    fn title(&self) -> &'static str {
        "MIND"
    }

    fn needs(&self, _side: Side) -> Needs {
        Needs::FEATURES
    }

    fn least_images(&self, _side: Side) -> LeastImages {
        LeastImages::always(1)
    }

    fn validate(&self) -> Result<()> {
        let few = (1..=Self::MOST).contains(&self.directions);
        check_parameter("the number of directions", self.directions, "between 1 and 100000", few)
    }

    fn compute(
        &self,
        generated: &FeatureSet,
        reference: Option<&FeatureSet>,
    ) -> Result<Vec<Score>> {
        let title = self.title();
        let reference = FeatureSet::reference_for(reference, title)?;
        let found = sliced_distance(
            generated.features_for(title, Side::Generated)?,
            reference.features_for(title, Side::Reference)?,
            self,
        )?;
        let score = Score::new(self.name(), title, found.distance, false);
        Ok(vec![score.with_uncertainty(found.uncertainty)])
    }
}

#[cfg(test)]
mod tests {
    use ganscope_golden::{arrays, json, relative_l2, sets, tensor};

    use super::*;

    /// Metrics on given features and directions, both sides float64.
    const GIVEN: f64 = 1e-6;
    /// torch's normal values differ by machine, and it projects in float32.
    const FLOAT32: f64 = 1e-5;

    fn rows(case: &str, name: &str) -> Features {
        let sets::Rows { data, dim } = sets::rows(case, name);
        Features::from_vec(data, dim).unwrap()
    }

    fn near(actual: f64, expected: &serde_json::Value, tolerance: f64) {
        let error = (actual / expected.as_f64().unwrap() - 1.0).abs();
        assert!(error <= tolerance, "{actual} for {expected}, off by {error:e}");
    }

    #[test]
    fn the_distance_is_that_of_torch_fidelity() {
        let metrics = json("metrics2.json");
        for case in ["equal", "full-rank"] {
            let expected = &metrics["mind"][case];
            let (x, y) = (rows(case, "fake"), rows(case, "real"));
            let found = sliced_distance(&x, &y, &Mind::TORCH_FIDELITY).unwrap().distance;
            near(found, &expected["float64_same_directions"], FLOAT32);
            near(found, &expected["torch_fidelity"], FLOAT32);
        }
    }

    #[test]
    fn directions_are_those_of_torch() {
        let arrays = arrays("metrics2.safetensors");
        let mut random = TorchGenerator::new(2020);
        let drawn = random.standard_normals(64_000);
        let length = |row: &[f32]| row.iter().map(|x| x * x).sum::<f32>().sqrt();
        let units: Vec<f32> =
            drawn.chunks(64).flat_map(|row| row.iter().map(|x| x / length(row))).collect();
        assert!(relative_l2(&units, &arrays["mind/equal/directions"].data) < FLOAT32);
        let mut random = TorchGenerator::new(2020);
        let order: Vec<f64> = random.permutation(700)[..600].iter().map(|&i| i as f64).collect();
        assert_eq!(order, arrays["mind/full-rank/rows_of_real"].data);
    }

    #[test]
    fn given_directions_give_the_distance_of_the_formula() {
        let metrics = json("metrics2.json");
        let mut directions = tensor("mind/directions", &[128, 64], (-1.0, 1.0), 0);
        for row in directions.chunks_exact_mut(64) {
            let length = row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
            for x in row.iter_mut() {
                *x = (f64::from(*x) / length) as f32;
            }
        }
        for case in ["equal", "full-rank"] {
            let n = if case == "equal" { 500 } else { 600 };
            let first = |set: Features| set.select(&(0..n).collect::<Vec<_>>());
            let (x, y) = (first(rows(case, "fake")), first(rows(case, "real")));
            let found = along_directions(&x, &y, &directions).unwrap().distance;
            near(found, &metrics["mind"][case]["recipe_directions_128_f64"], GIVEN);
        }
    }

    #[test]
    fn the_potential_is_the_derivative_by_the_weight_of_an_image() {
        // The jackknife along one direction: leaving out an image and the matching share of the
        // reference is approximated by the distance of quantiles.
        let (x, y) = (rows("equal", "fake"), rows("equal", "real"));
        let along =
            |set: &Features| -> Vec<f64> { set.rows().map(|row| f64::from(row[3])).collect() };
        let (_, potentials) = slice(&along(&x), along(&y));
        let n = x.len();
        let value = |set: &Features| -> Vec<f64> {
            let mut values: Vec<f64> = set.rows().map(|row| f64::from(row[3])).collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let (sorted, y) = (value(&x), value(&y));
        // squared distance of n - 1 and n values: both are step functions of the share
        let without = |left_out: f64| {
            let at = sorted.iter().position(|&v| v == left_out).unwrap();
            let mut fewer = sorted.clone();
            fewer.remove(at);
            let (mut i, mut j, mut from, mut sum) = (0, 0, 0.0, 0.0);
            while i < n - 1 && j < n {
                let to = ((i + 1) as f64 / (n - 1) as f64).min((j + 1) as f64 / n as f64);
                sum += (to - from) * (fewer[i] - y[j]).powi(2);
                if (i + 1) * n <= (j + 1) * (n - 1) {
                    i += 1;
                } else {
                    j += 1;
                }
                from = to;
            }
            sum
        };
        let left_out: Vec<f64> =
            x.rows().map(|row| -(n as f64) * without(f64::from(row[3]))).collect();
        let centered = |values: &[f64]| -> Vec<f64> {
            let mean = values.iter().sum::<f64>() / n as f64;
            values.iter().map(|v| v - mean).collect()
        };
        // a finite difference over one image of 500
        let error = relative_l2(&centered(&potentials), &centered(&left_out));
        assert!(error < 0.03, "{error}");
    }

    #[test]
    fn a_shifted_set_is_as_far_as_the_shift() {
        // 3 d E (v . s)^2 = 3 |s|^2 over directions of d dimensions
        let x = rows("equal", "real");
        let moved = x.as_slice().iter().map(|v| v + 0.5).collect();
        let moved = Features::from_vec(moved, 64).unwrap();
        let found = sliced_distance(&moved, &x, &Mind::TORCH_FIDELITY).unwrap().distance;
        let expected = 3.0 * 64.0 * 0.25;
        assert!((found / expected - 1.0).abs() < 0.2, "{found} {expected}"); // 1000 directions
        assert_eq!(sliced_distance(&x, &x, &Mind::TORCH_FIDELITY).unwrap().distance, 0.0);
    }

    #[test]
    fn options_and_shapes_are_checked() {
        let (x, wide) = (rows("equal", "real"), rows("rank-deficient", "real"));
        assert!(sliced_distance(&x, &wide, &Mind::TORCH_FIDELITY).is_err());
        assert!(sliced_distance(&x, &x, &Mind { directions: 0, seed: 0 }).is_err());
        assert!(along_directions(&x, &x, &[1.0; 65]).is_err());
        let read = |text: &str| serde_json::from_str::<Mind>(text);
        assert_eq!(read("{}").unwrap(), Mind::TORCH_FIDELITY);
        assert!(read(r#"{"direction": 3}"#).is_err());
    }
}
