//! How often the 95 % intervals of scores contain the expected score, by simulation.
//!
//! `cargo run --release --example interval_coverage`, or with names of scores and a number of
//! repetitions: `cargo run --release --example interval_coverage -- fid kid 100`.
#![expect(clippy::print_stdout, reason = "an example prints its table")]

use ganscope::Result;
use ganscope::catalog::metric;
use ganscope::metrics::MetricOptions;
use ganscope::stats::random::RandomState;
use ganscope::stats::{FeatureSet, FeatureStats, Features, Needs, Side};

/// Kinds of images in a population.
const KINDS: usize = 10;

/// Features of images: normal about the center of their kind, in directions of falling variance.
struct Population {
    /// (kinds, dim).
    centers: Features,
    /// Standard deviation of each feature.
    deviations: Vec<f64>,
    /// Chance of each kind, up to a factor.
    weights: [f64; KINDS],
}

impl Population {
    /// The real images, of `dim` features.
    fn real(dim: usize) -> Result<Self> {
        let mut random = RandomState::new(1);
        let deviations: Vec<f64> = (0..dim).map(|i| (1.0 + i as f64 / 4.0).powf(-0.5)).collect();
        let centers = (0..KINDS * dim).map(|i| random.standard_normal() * deviations[i % dim]);
        let centers = Features::from_vec(centers.map(|x| x as f32).collect(), dim)?;
        Ok(Self { centers, deviations, weights: [1.0; KINDS] })
    }

    /// Generated images: less variety within a kind, kinds out of proportion, all a little off.
    fn generated(dim: usize) -> Result<Self> {
        let real = Self::real(dim)?;
        let centers = real.centers.as_slice().iter().map(|x| 0.95 * x + 0.05).collect();
        let mut weights = [1.0; KINDS];
        weights.iter_mut().enumerate().for_each(|(i, weight)| *weight = 1.0 + i as f64 / 5.0);
        Ok(Self {
            centers: Features::from_vec(centers, dim)?,
            deviations: real.deviations.iter().map(|d| 0.9 * d).collect(),
            weights,
        })
    }

    /// Features and logits of `n` images.
    fn draw(&self, n: usize, random: &mut RandomState) -> Result<FeatureSet> {
        let dim = self.deviations.len();
        let total: f64 = self.weights.iter().sum();
        let (mut rows, mut logits) = (Vec::with_capacity(n * dim), Vec::new());
        for _ in 0..n {
            let mut left = random.uniform() * total;
            let kind = self.weights.iter().position(|weight| {
                left -= weight;
                left < 0.0
            });
            let kind = kind.unwrap_or(KINDS - 1);
            let center = self.centers.row(kind);
            let row: Vec<f32> = center
                .iter()
                .zip(&self.deviations)
                .map(|(&c, d)| c + (random.standard_normal() * d) as f32)
                .collect();
            // The classifier sees the kind through the features.
            logits.extend(self.centers.rows().map(|center| {
                let square = |(&x, &c): (&f32, &f32)| (x - c) * (x - c);
                -row.iter().zip(center).map(square).sum::<f32>() / 4.0
            }));
            rows.extend(row);
        }
        let features = Features::from_vec(rows, dim)?;
        Ok(FeatureSet {
            stats: Some(FeatureStats::from_features(&features)),
            features: Some(features),
            logits: Some(Features::from_vec(logits, KINDS)?.into()),
            spatial: None,
        })
    }
}

/// A line of the table: a metric on sets of some size, again and again.
#[derive(Clone, Copy)]
struct Case {
    metric: &'static str,
    dim: usize,
    images: usize,
    repetitions: usize,
}

/// What the repetitions of one score showed.
struct Found {
    name: &'static str,
    case: Case,
    mean: f64,
    /// Standard deviation over the repetitions.
    deviation: f64,
    /// Mean of the standard errors.
    error: f64,
    /// Share of the intervals that contain the mean.
    coverage: f64,
}

/// Images of the reference set, which stays as it is.
const REFERENCE: usize = 5000;

fn simulate(case: Case, reference: Option<&FeatureSet>) -> Result<Vec<Found>> {
    let subset = case.images.min(1000) / 2;
    let options = MetricOptions { kid_subset_size: subset, ..MetricOptions::default() };
    let metric = metric(case.metric, &options)?;
    let generated = Population::generated(case.dim)?;
    let mut random = RandomState::new(case.images as u32);
    let mut scores = Vec::new();
    for _ in 0..case.repetitions {
        let mut set = generated.draw(case.images, &mut random)?;
        if !metric.needs(Side::Generated).contains(Needs::FEATURES) {
            set.features = None;
        }
        scores.push(metric.score(&set, reference)?);
    }
    let found = |i: usize| {
        let n = scores.len() as f64;
        let of = |pick: &dyn Fn(&ganscope::stats::Score) -> f64| {
            scores.iter().map(|scores| pick(&scores[i])).sum::<f64>() / n
        };
        let mean = of(&|score| score.value);
        let variance = of(&|score| (score.value - mean).powi(2)) * n / (n - 1.0);
        let contains = |[low, high]: [f64; 2]| f64::from(u8::from(low <= mean && mean <= high));
        Found {
            name: scores[0][i].name,
            case,
            mean,
            deviation: variance.sqrt(),
            error: of(&|score| score.standard_error.unwrap_or(f64::NAN)),
            coverage: of(&|score| score.interval.map_or(f64::NAN, contains)),
        }
    };
    Ok((0..scores[0].len()).map(found).collect())
}

fn print(found: &Found) {
    let Found { name, case, mean, deviation, error, coverage } = found;
    println!(
        "| `{name}` | {} | {} | {} | {mean:.4} | {deviation:.4} | {error:.4} | {:.1} % |",
        case.dim,
        case.images,
        case.repetitions,
        100.0 * coverage
    );
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let repetitions = arguments.iter().find_map(|word| word.parse().ok());
    let asked = |name: &str| {
        let mut names = arguments.iter().filter(|word| word.parse::<usize>().is_err()).peekable();
        names.peek().is_none() || names.any(|word| word == name)
    };
    println!(
        "| score | features | images | repetitions | mean | deviation | mean error | coverage |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for dim in [64, 2048] {
        let metrics: &[&str] = match dim {
            64 => &["fid", "kid", "cmmd", "is", "prdc", "prc", "clipped", "vendi", "mind"],
            _ => &["fid"],
        };
        let reference = Population::real(dim)?.draw(REFERENCE, &mut RandomState::new(0))?;
        for metric in metrics.iter().filter(|name| asked(name)) {
            // Sets of many wide rows take seconds.
            for (images, wide) in [(500, 400), (2000, 100), (10_000, 50)] {
                let usual = if dim > 64 { wide } else { 400 };
                let repetitions = repetitions.unwrap_or(usual);
                let case = Case { metric, dim, images, repetitions };
                simulate(case, Some(&reference))?.iter().for_each(print);
            }
        }
    }
    Ok(())
}

#[test]
fn intervals_of_small_sets_mostly_hold() {
    let reference = Population::real(16).unwrap().draw(400, &mut RandomState::new(0)).unwrap();
    for metric in ["fid", "kid", "is", "prc", "vendi"] {
        let case = Case { metric, dim: 16, images: 200, repetitions: 100 };
        for found in simulate(case, Some(&reference)).unwrap() {
            // 100 trials at 95 % fall below 88 % once in three hundred times
            assert!(found.coverage >= 0.88, "{}: {}", found.name, found.coverage);
            let ratio = found.error / found.deviation;
            assert!((0.7..1.6).contains(&ratio), "{}: {ratio}", found.name);
        }
    }
}
