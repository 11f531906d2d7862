//! Sanity checks of metrics, on features of known distributions: which metrics see what they should,
//! and stay where nothing changed.
//!
//! `cargo run --release --example metric_sanity` prints the tables of `docs/metric-sanity.md`.
//!
//! After the checks of Räisä et al., "Position: All Current Generative Fidelity and Diversity Metrics
//! are Flawed", 2025, <https://arxiv.org/abs/2505.22450>; sizes and thresholds are those of this file.
#![expect(clippy::print_stdout, reason = "an example prints its table")]

use ganscope::Result;
use ganscope::catalog::metric;
use ganscope::metrics::MetricOptions;
use ganscope::stats::random::RandomState;
use ganscope::stats::{FeatureSet, Features, Score};

/// Images of a set.
const IMAGES: usize = 1000;
/// Features of an image.
const DIM: usize = 32;
/// Kinds of images where there are several.
const MODES: usize = 10;

/// A share that changes by at most this stays.
const SAME: f64 = 0.1;
/// A share that falls to at most this part of what it was falls.
const FALLEN: f64 = 0.7;
/// Standard errors by which a distance has to change.
const ERRORS: f64 = 3.0;

/// What a score measures.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// How good single images are, as a share.
    Fidelity,
    /// How much of the reference there is, as a share.
    Diversity,
    /// How far apart the sets are.
    Distance,
}

/// The scores under test, by the metric of the catalog.
const SCORES: &[(&str, &str, Kind)] = &[
    ("prdc", "precision", Kind::Fidelity),
    ("prdc", "density", Kind::Fidelity),
    ("prc", "prc_precision", Kind::Fidelity),
    ("clipped", "clipped_density", Kind::Fidelity),
    ("p-prc", "p_precision", Kind::Fidelity),
    ("prdc", "recall", Kind::Diversity),
    ("prdc", "coverage", Kind::Diversity),
    ("prc", "prc_recall", Kind::Diversity),
    ("clipped", "clipped_coverage", Kind::Diversity),
    ("p-prc", "p_recall", Kind::Diversity),
    ("fid", "fid", Kind::Distance),
    ("kid", "kid", Kind::Distance),
    ("cmmd", "cmmd", Kind::Distance),
    ("mind", "mind", Kind::Distance),
];

/// What a score should do.
#[derive(Clone, Copy)]
enum Expected {
    /// A share is close to one, a distance close to zero.
    Perfect,
    /// A share stays within a tenth, a distance within a tenth of itself and its errors.
    Same,
    /// A share falls by a third at least, a distance rises by more than its errors.
    Worse,
}

/// Generated and reference features.
type Pair = (Features, Features);

/// A check: sets before and after a change, and what fidelity, diversity and distance should do.
struct Check {
    name: &'static str,
    about: &'static str,
    expected: [Expected; 3],
    make: fn(&mut Draw) -> Result<[Pair; 2]>,
}

use Expected::{Perfect, Same, Worse};

const CHECKS: &[Check] = &[
    Check {
        name: "perfect",
        about: "generated and real images are draws of one normal distribution",
        expected: [Perfect; 3],
        make: |draw| {
            let pair = (draw.normal(IMAGES, 0.0)?, draw.normal(IMAGES, 0.0)?);
            Ok([pair.clone(), pair])
        },
    },
    Check {
        name: "shift",
        about: "the mean of the generated images moves by 2 in every feature",
        expected: [Worse; 3],
        make: |draw| {
            let real = draw.normal(IMAGES, 0.0)?;
            Ok([(draw.normal(IMAGES, 0.0)?, real.clone()), (draw.normal(IMAGES, 2.0)?, real)])
        },
    },
    Check {
        name: "real outlier",
        about: "generated images are off by 1; one of the real images moves to 3 in every feature",
        expected: [Same; 3],
        make: |draw| {
            let (generated, real) = (draw.normal(IMAGES, 1.0)?, draw.normal(IMAGES, 0.0)?);
            let outlier = with_outlier(&real)?;
            Ok([(generated.clone(), real), (generated, outlier)])
        },
    },
    Check {
        name: "generated outlier",
        about: "generated images are off by 1 (to below); one of them moves to 3 in every feature",
        expected: [Same; 3],
        make: |draw| {
            let (generated, real) = (draw.normal(IMAGES, -1.0)?, draw.normal(IMAGES, 0.0)?);
            let outlier = with_outlier(&generated)?;
            Ok([(generated, real.clone()), (outlier, real)])
        },
    },
    Check {
        name: "modes at once",
        about: "nine of ten kinds of images shrink to a hundredth each",
        expected: [Same, Worse, Worse],
        make: |draw| {
            let real = draw.modes(|i| i % MODES)?;
            let few = draw.modes(|i| if i % 100 < 91 { 0 } else { i % 100 - 90 })?;
            Ok([(draw.modes(|i| i % MODES)?, real.clone()), (few, real)])
        },
    },
    Check {
        name: "modes in turn",
        about: "five of ten kinds of images are missing",
        expected: [Same, Worse, Worse],
        make: |draw| {
            let real = draw.modes(|i| i % MODES)?;
            Ok([(draw.modes(|i| i % MODES)?, real.clone()), (draw.modes(|i| i % 5)?, real)])
        },
    },
    Check {
        name: "invention",
        about: "half of the generated images are of kinds that are not real",
        expected: [Worse, Same, Worse],
        make: |draw| {
            let real = draw.modes(|i| i % 5)?;
            let invented = draw.modes(|i| i % 10)?;
            Ok([(draw.modes(|i| i % 5)?, real.clone()), (invented, real)])
        },
    },
    Check {
        name: "sphere, inside",
        about: "real images are on a sphere of radius 1, generated ones on one of 0.7",
        expected: [Worse; 3],
        make: |draw| {
            let real = draw.sphere(1.0)?;
            Ok([(draw.sphere(1.0)?, real.clone()), (draw.sphere(0.7)?, real)])
        },
    },
    Check {
        name: "sphere, outside",
        about: "real images are on a sphere of radius 1, generated ones on one of 1.3",
        expected: [Worse; 3],
        make: |draw| {
            let real = draw.sphere(1.0)?;
            Ok([(draw.sphere(1.0)?, real.clone()), (draw.sphere(1.3)?, real)])
        },
    },
    Check {
        name: "scaling",
        about: "generated images are off by 0.5; one feature of both sets is in a unit a thousandth as large",
        expected: [Same; 3],
        make: |draw| {
            let (generated, real) = (draw.normal(IMAGES, 0.5)?, draw.normal(IMAGES, 0.0)?);
            let scaled = (first(&generated, |x| 1000.0 * x)?, first(&real, |x| 1000.0 * x)?);
            Ok([(generated, real), scaled])
        },
    },
    Check {
        name: "disjoint",
        about: "one feature of the generated images is off by 6, the 31 others are as they should be",
        expected: [Worse; 3],
        make: |draw| {
            let (generated, real) = (draw.normal(IMAGES, 0.0)?, draw.normal(IMAGES, 0.0)?);
            let moved = first(&generated, |x| x + 6.0)?;
            Ok([(generated, real.clone()), (moved, real)])
        },
    },
    Check {
        name: "numbers",
        about: "a quarter of the generated images is left",
        expected: [Same; 3],
        make: |draw| {
            let (generated, real) = (draw.normal(IMAGES, 0.3)?, draw.normal(IMAGES, 0.0)?);
            let some = generated.select(&(0..IMAGES / 4).collect::<Vec<_>>());
            Ok([(generated, real.clone()), (some, real)])
        },
    },
];

/// Draws features.
struct Draw {
    random: RandomState,
    /// (kinds, dim), far from each other.
    centers: Features,
}

impl Draw {
    fn new() -> Result<Self> {
        let mut random = RandomState::new(0);
        let centers = (0..MODES * DIM).map(|_| 5.0 * random.standard_normal() as f32).collect();
        Ok(Self { random, centers: Features::from_vec(centers, DIM)? })
    }

    /// Independent normal features of deviation one.
    fn normal(&mut self, images: usize, mean: f64) -> Result<Features> {
        let values = (0..images * DIM).map(|_| (mean + self.random.standard_normal()) as f32);
        Ok(Features::from_vec(values.collect(), DIM)?)
    }

    /// Normal features about the center of the kind of each image.
    fn modes(&mut self, kind: impl Fn(usize) -> usize) -> Result<Features> {
        let noise = self.normal(IMAGES, 0.0)?;
        let at = |(i, x): (usize, &f32)| x + self.centers.row(kind(i / DIM))[i % DIM];
        Ok(Features::from_vec(noise.as_slice().iter().enumerate().map(at).collect(), DIM)?)
    }

    /// Points of a sphere, evenly.
    fn sphere(&mut self, radius: f32) -> Result<Features> {
        let rows = self.normal(IMAGES, 0.0)?;
        let on_sphere = rows.rows().flat_map(|row| {
            let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
            row.iter().map(move |x| x * radius / length)
        });
        Ok(Features::from_vec(on_sphere.collect(), DIM)?)
    }
}

/// The same features with another first one.
fn first(of: &Features, change: impl Fn(f32) -> f32) -> Result<Features> {
    let changed = |(i, &x): (usize, &f32)| if i % DIM == 0 { change(x) } else { x };
    Ok(Features::from_vec(of.as_slice().iter().enumerate().map(changed).collect(), DIM)?)
}

/// The same features with the first image far away.
fn with_outlier(of: &Features) -> Result<Features> {
    let mut values = of.as_slice().to_vec();
    values[..DIM].fill(3.0);
    Ok(Features::from_vec(values, DIM)?)
}

/// A score before and after the change of a check.
struct Found {
    before: Score,
    after: Score,
    passed: bool,
}

/// All scores of a pair of sets.
fn scores((generated, reference): Pair) -> Result<Vec<Score>> {
    let options = MetricOptions { kid_subset_size: IMAGES / 4, ..MetricOptions::default() };
    let (generated, reference) = (FeatureSet::of_rows(generated)?, FeatureSet::of_rows(reference)?);
    let mut found = Vec::new();
    let mut metrics: Vec<&str> = SCORES.iter().map(|(metric, ..)| *metric).collect();
    metrics.sort_unstable();
    metrics.dedup();
    for name in metrics {
        found.extend(metric(name, &options)?.score(&generated, Some(&reference))?);
    }
    Ok(found)
}

/// The outcome of a check for each score under test.
fn outcomes(check: &Check, draw: &mut Draw) -> Result<Vec<Found>> {
    let [before, after] = (check.make)(draw)?;
    let (before, after) = (scores(before)?, scores(after)?);
    let of = |&(_, name, kind): &(&str, &str, Kind)| {
        let pick = |scores: &[Score]| scores.iter().find(|score| score.name == name).cloned();
        let (before, after) = (pick(&before)?, pick(&after)?);
        let passed = passes(kind, check.expected[kind as usize], &before, &after);
        Some(Found { before, after, passed })
    };
    Ok(SCORES.iter().filter_map(of).collect())
}

/// Whether a score does what it should.
fn passes(kind: Kind, expected: Expected, before: &Score, after: &Score) -> bool {
    let error = |score: &Score| score.standard_error.unwrap_or(0.0);
    let (old, new) = (before.value, after.value);
    let errors = ERRORS * error(before).hypot(error(after));
    match (kind, expected) {
        (Kind::Distance, Perfect) => new.abs() <= ERRORS * error(after),
        (Kind::Distance, Same) => (new - old).abs() <= 0.1 * old.abs() + errors,
        (Kind::Distance, Worse) => new - old > errors,
        (_, Perfect) => (new - 1.0).abs() <= SAME,
        (_, Same) => (new - old).abs() <= SAME,
        (_, Worse) => new <= FALLEN * old,
    }
}

/// The table of verdicts, and the tables of numbers.
fn tables() -> Result<[String; 2]> {
    let mut draw = Draw::new()?;
    let all: Vec<Vec<Found>> =
        CHECKS.iter().map(|check| outcomes(check, &mut draw)).collect::<Result<_>>()?;
    let names: Vec<&str> = CHECKS.iter().map(|check| check.name).collect();
    let head = format!("| score | {} |", names.join(" | "));
    let line = format!("|---|{}", "---|".repeat(CHECKS.len()));
    let (mut verdicts, mut numbers) =
        (vec![format!("{head} passed |"), format!("{line}---|")], vec![head, line]);
    for (i, (_, name, _)) in SCORES.iter().enumerate() {
        let found = || all.iter().map(|check| &check[i]);
        let verdict = |found: &Found| if found.passed { "✓" } else { "✗" };
        let cells: Vec<&str> = found().map(verdict).collect();
        let passed = found().filter(|found| found.passed).count();
        verdicts.push(format!(
            "| `{name}` | {} | {passed} of {} |",
            cells.join(" | "),
            CHECKS.len()
        ));
        let cells: Vec<String> =
            found().zip(CHECKS).map(|(found, check)| pair(found, check)).collect();
        numbers.push(format!("| `{name}` | {} |", cells.join(" | ")));
    }
    Ok([verdicts, numbers].map(|lines| lines.join("\n") + "\n"))
}

/// A score before and after.
fn pair(found: &Found, check: &Check) -> String {
    let number = |score: &Score| match score.value {
        value if value.abs() >= 1000.0 => format!("{value:.1e}"),
        value if value.abs() >= 10.0 => format!("{value:.0}"),
        // An unbiased estimate can be a rounded zero from below.
        value => format!("{:.2}", value + 0.0).replace("-0.00", "0.00"),
    };
    match check.expected[0] {
        Perfect => number(&found.after),
        _ => format!("{} → {}", number(&found.before), number(&found.after)),
    }
}

fn main() -> Result<()> {
    for check in CHECKS {
        println!("- **{}**: {}", check.name, check.about);
    }
    println!();
    for table in tables()? {
        println!("{table}");
    }
    Ok(())
}

#[test]
fn the_page_has_the_verdicts_of_this_program() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metric-sanity.md");
    let page = std::fs::read_to_string(page).unwrap();
    let [verdicts, _] = tables().unwrap();
    assert!(
        page.contains(&verdicts),
        "run the example and put its tables into the page:\n{verdicts}"
    );
    for check in CHECKS {
        assert!(page.contains(&format!("- **{}**: {}", check.name, check.about)), "{}", check.name);
    }
}

#[test]
fn verdicts_by_hand() {
    let score =
        |value: f64| Score { standard_error: Some(0.1), ..Score::new("s", "s", value, true) };
    let share =
        |expected, before, after| passes(Kind::Diversity, expected, &score(before), &score(after));
    assert!(share(Perfect, 0.0, 0.95) && !share(Perfect, 0.0, 0.8) && !share(Perfect, 0.0, 1.2));
    assert!(share(Same, 0.5, 0.55) && !share(Same, 0.5, 0.65) && !share(Same, 0.5, 0.3));
    assert!(share(Worse, 1.0, 0.6) && !share(Worse, 1.0, 0.8));
    let distance =
        |expected, before, after| passes(Kind::Distance, expected, &score(before), &score(after));
    assert!(distance(Perfect, 0.0, -0.2) && !distance(Perfect, 0.0, 0.4));
    // Errors of a difference: 0.14, three times 0.42.
    assert!(distance(Same, 1.0, 1.5) && !distance(Same, 1.0, 1.6));
    assert!(distance(Worse, 1.0, 1.5) && !distance(Worse, 1.0, 1.4));
}
