//! Which differences between generated sets are larger than chance.

mod letters;

use serde::Serialize;
use statrs::distribution::{ContinuousCDF as _, Normal};

use super::Row;

/// Chance of calling any difference of one score real if all sets are alike.
pub const LEVEL: f64 = 0.05;

/// The differences of all pairs of generated sets in one score.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScoreDifferences {
    /// Name of the score.
    pub name: String,
    /// Letters for each generated set, the best set has `a`: sets that share a letter do not differ
    /// significantly. None for a set without a standard error.
    pub letters: Vec<Option<String>>,
    /// The pairs, where both have a standard error.
    pub pairs: Vec<Difference>,
}

/// The difference of two generated sets in one score.
///
/// The reference set is shared and taken as given, so the sets are independent draws, and the
/// squared error of the difference is the sum of their squared errors: what the reference adds to
/// both scores is no part of it. The error of a set is the longer arm of its 95 % interval, divided
/// by the normal quantile, which allows for errors that were estimated from few values.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// The first set.
    pub first: String,
    /// The second set.
    pub second: String,
    /// Score of the first set minus that of the second.
    pub difference: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// Two-sided p-value of no difference.
    pub p: f64,
    /// The same, corrected for the number of pairs (Holm, "A simple sequentially rejective multiple
    /// test procedure", 1979).
    pub p_holm: f64,
    /// Whether that is at most [`LEVEL`].
    pub significant: bool,
}

/// The differences of `sets` generated sets whose rows follow each other, for each score; none for a
/// single set.
pub(super) fn differences(rows: &[Row], sets: usize) -> Vec<ScoreDifferences> {
    let each = rows.len() / sets.max(1);
    if sets < 2 || each == 0 {
        return Vec::new();
    }
    let of_score = |i: usize| rows.iter().skip(i).step_by(each).collect::<Vec<_>>();
    (0..each).map(|i| of_one_score(&of_score(i))).collect()
}

/// The differences of sets in one score.
fn of_one_score(rows: &[&Row]) -> ScoreDifferences {
    let errors: Vec<Option<f64>> = rows.iter().map(|row| error(row)).collect();
    let (mut places, mut pairs) = (Vec::new(), Vec::new());
    for (i, first) in rows.iter().enumerate() {
        for (j, second) in rows.iter().enumerate().skip(i + 1) {
            let (Some(a), Some(b)) = (errors[i], errors[j]) else { continue };
            let (difference, standard_error) = (first.value - second.value, a.hypot(b));
            let p = p_value(difference, standard_error);
            places.push((i, j));
            pairs.push(Difference {
                first: first.generated.clone(),
                second: second.generated.clone(),
                difference,
                standard_error,
                p,
                p_holm: p,
                significant: false,
            });
        }
    }
    let corrected = holm(&pairs.iter().map(|pair| pair.p).collect::<Vec<_>>());
    for (pair, p_holm) in pairs.iter_mut().zip(corrected) {
        (pair.p_holm, pair.significant) = (p_holm, p_holm <= LEVEL);
    }
    let mut order: Vec<usize> = (0..rows.len()).filter(|&i| errors[i].is_some()).collect();
    let better = |&i: &usize| if rows[i].higher_is_better { -rows[i].value } else { rows[i].value };
    order.sort_by(|a, b| better(a).total_cmp(&better(b)));
    let rank = |i: usize| order.iter().position(|&of| of == i);
    let differ: Vec<(usize, usize)> = places
        .iter()
        .zip(&pairs)
        .filter(|(_, pair)| pair.significant)
        .filter_map(|(&(i, j), _)| Some((rank(i)?, rank(j)?)))
        .collect();
    let shared = letters::letters(order.len(), &differ);
    let letters = (0..rows.len()).map(|i| Some(shared.as_ref()?[rank(i)?].clone())).collect();
    ScoreDifferences { name: rows[0].name.clone(), letters, pairs }
}

/// The error of a score that makes a normal interval as long as its own.
pub(super) fn error(row: &Row) -> Option<f64> {
    let ([low, high], error) = (row.interval?, row.standard_error?);
    let arm = (row.value - low).max(high - row.value);
    Some((arm / Normal::standard().inverse_cdf(0.975)).max(error))
}

/// The chance of a normal value of this deviation to be as far from zero.
fn p_value(difference: f64, deviation: f64) -> f64 {
    if difference == 0.0 {
        return 1.0;
    }
    2.0 * Normal::standard().sf(difference.abs() / deviation)
}

/// P-values that are at most `x` where Holm's procedure at the level `x` rejects.
fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let (mut corrected, mut largest) = (vec![0.0; p.len()], 0.0_f64);
    for (rank, &i) in order.iter().enumerate() {
        largest = largest.max((p[i] * (p.len() - rank) as f64).min(1.0));
        corrected[i] = largest;
    }
    corrected
}

#[cfg(test)]
mod tests {
    use ganscope_fid::Fid;
    use ganscope_stats::random::RandomState;
    use ganscope_stats::{FeatureSet, Features, Metric as _};

    use super::*;

    /// Tables are printed with three or four decimals.
    const PRINTED: f64 = 5e-4;

    fn row(set: &str, value: f64, error: Option<f64>) -> Row {
        Row {
            generated: set.into(),
            reference: None,
            name: "fid".into(),
            title: "FID".into(),
            value,
            std: None,
            standard_error: error,
            interval: error.map(|e| [value - 1.959_964 * e, value + 1.959_964 * e]),
            higher_is_better: false,
        }
    }

    #[test]
    fn corrected_p_values_are_those_of_r() {
        // p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")
        let found = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (found, expected) in found.into_iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((found - expected).abs() < 1e-15, "{found} {expected}");
        }
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }

    #[test]
    fn p_values_are_those_of_tables() {
        for (z, p) in [(1.96, 0.05), (2.576, 0.01), (3.291, 0.001), (0.0, 1.0)] {
            assert!((p_value(-z, 1.0) - p).abs() < PRINTED, "{z}");
        }
    }

    #[test]
    fn sets_by_hand() {
        // Errors of a difference: sqrt(2). b and c differ from a by 10 and 11, from each other by 1.
        let rows = [row("a", 20.0, Some(1.0)), row("b", 10.0, Some(1.0)), row("c", 9.0, Some(1.0))];
        let found = &differences(&rows, 3)[0];
        let letters: Vec<_> = found.letters.iter().flatten().map(String::as_str).collect();
        assert_eq!(letters, ["b", "a", "a"]);
        let pairs: Vec<_> = found.pairs.iter().map(|p| (p.difference, p.significant)).collect();
        assert_eq!(pairs, [(10.0, true), (11.0, true), (1.0, false)]);
        let last = &found.pairs[2];
        assert!((last.standard_error - 2f64.sqrt()).abs() < 1e-6);
        // 2 (1 - Phi(0.7071)), the largest p-value, is not corrected
        assert!((last.p - 0.4795).abs() < PRINTED && last.p == last.p_holm, "{}", last.p);
    }

    #[test]
    fn a_set_without_an_error_has_no_letter() {
        let rows = [row("a", 1.0, Some(0.1)), row("b", 5.0, None), row("c", 5.0, Some(0.1))];
        let found = &differences(&rows, 3)[0];
        assert_eq!(found.letters, [Some("a".to_owned()), None, Some("b".to_owned())]);
        assert_eq!(found.pairs.len(), 1);
        assert!(differences(&rows[..1], 1).is_empty());
    }

    #[test]
    fn an_interval_longer_than_its_error_counts() {
        let mut wide = row("a", 0.0, Some(0.0));
        wide.interval = Some([0.0, 1.96]);
        assert!((error(&wide).unwrap() - 1.0).abs() < PRINTED);
    }

    /// Normal features, the first of them moved.
    fn drawn(n: usize, shift: f64, random: &mut RandomState) -> FeatureSet {
        let value = |i: usize, random: &mut RandomState| {
            random.standard_normal() + if i.is_multiple_of(6) { shift } else { 0.0 }
        };
        let rows = (0..n * 6).map(|i| value(i, random) as f32).collect();
        FeatureSet::of_rows(Features::from_vec(rows, 6).unwrap()).unwrap()
    }

    #[test]
    fn equal_generators_are_rarely_told_apart_and_different_ones_often() {
        let mut random = RandomState::new(3);
        let reference = drawn(2000, 0.0, &mut random);
        let repetitions = 200;
        let (mut false_alarms, mut found) = (0, 0);
        for _ in 0..repetitions {
            let rows: Vec<Row> = [0.5, 0.5, 0.5, 0.8]
                .into_iter()
                .enumerate()
                .map(|(i, shift)| {
                    let set = drawn(300, shift, &mut random);
                    let score = Fid.score(&set, Some(&reference)).unwrap().remove(0);
                    Row::new(score, None, &i.to_string(), None)
                })
                .collect();
            let pairs = |rows: &[Row]| differences(rows, rows.len()).remove(0).pairs;
            false_alarms += usize::from(pairs(&rows[..3]).iter().any(|pair| pair.significant));
            found += usize::from(pairs(&rows[2..]).iter().any(|pair| pair.significant));
        }
        // At most 5 % in expectation: 200 trials exceed 21 once in a thousand times.
        assert!(false_alarms <= 21, "{false_alarms}");
        // 0.64 - 0.25 = 0.39 against errors of about 4 (0.5 | 0.8) / sqrt(300), 0.066 and 0.1.
        assert!(found > 180, "{found}");
    }
}
