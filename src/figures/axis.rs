//! Axes with round ticks.

use std::ops::Range;

/// An axis: its range, and ticks at whole multiples of a round step.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    /// Values at both ends.
    pub(super) range: Range<f64>,
    /// Values of the ticks with their labels, in rising order.
    pub(super) ticks: Vec<(f64, String)>,
}

impl Axis {
    /// From the smallest to the largest finite value with some space around them, and at most
    /// `most` ticks. A single value gets a range of 1 around it.
    pub(super) fn new(values: impl Iterator<Item = f64> + Clone, most: usize) -> Self {
        let finite = values.filter(|v| v.is_finite());
        let low = finite.clone().fold(f64::INFINITY, f64::min);
        let high = finite.fold(f64::NEG_INFINITY, f64::max);
        let range = match high - low {
            spread if spread > 0.0 => low - 0.13 * spread..high + 0.13 * spread,
            _ if low.is_finite() => low - 0.5..low + 0.5,
            _ => 0.0..1.0,
        };
        let ticks = ticks(&range, most);
        Self { range, ticks }
    }

    /// Where `value` lies: 0 at the lower end, 1 at the upper end.
    pub(super) fn share(&self, value: f64) -> f64 {
        (value - self.range.start) / (self.range.end - self.range.start)
    }
}

/// Multiples of the least step of 1, 2 or 5 times a power of ten that results in at most `most`
/// ticks.
fn ticks(range: &Range<f64>, most: usize) -> Vec<(f64, String)> {
    let least = (range.end - range.start) / most.max(1) as f64;
    let mut exponent = least.log10().floor() as i32 - 1;
    loop {
        for factor in [1, 2, 5] {
            let value = |k: i64| scaled(k * factor, exponent);
            let step = value(1);
            let first = (range.start / step).ceil() as i64;
            let last = (range.end / step).floor() as i64;
            if last - first < most.max(1) as i64 {
                let largest = value(first.abs().max(last.abs()));
                let label = |v| label(v, exponent, largest);
                return (first..=last).map(value).map(|v| (v, label(v))).collect();
            }
        }
        exponent += 1;
    }
}

/// `k 10^exponent`, rounded once.
fn scaled(k: i64, exponent: i32) -> f64 {
    let power = 10_f64.powi(exponent.abs());
    if exponent < 0 { k as f64 / power } else { k as f64 * power }
}

/// A multiple of `10^exponent` with just the digits that it can have; in powers of ten where the
/// labels of the axis, of which `largest` is the longest, would have many zeros.
fn label(value: f64, exponent: i32, largest: f64) -> String {
    let (minus, size) = (if value < 0.0 { "\u{2212}" } else { "" }, value.abs());
    if exponent < -5 || largest >= 1e6 {
        if size == 0.0 {
            return "0".into();
        }
        let digits = (size.log10().floor() as i32 - exponent).clamp(0, 15) as usize;
        return format!("{minus}{size:.digits$e}");
    }
    let digits = (-exponent).max(0) as usize;
    format!("{minus}{size:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(range: Range<f64>, most: usize) -> Vec<String> {
        ticks(&range, most).into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn ticks_are_round_and_have_the_digits_of_their_step() {
        let cases: [(Range<f64>, usize, &[&str]); 7] = [
            (0.0..1.0, 6, &["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
            (0.896..0.917, 5, &["0.900", "0.905", "0.910", "0.915"]),
            (0.36..0.9, 6, &["0.4", "0.5", "0.6", "0.7", "0.8", "0.9"]),
            (-12.0..13.0, 6, &["\u{2212}10", "\u{2212}5", "0", "5", "10"]),
            (900.0..5000.0, 5, &["1000", "2000", "3000", "4000", "5000"]),
            (0.0..3e-6, 4, &["0", "1e-6", "2e-6", "3e-6"]),
            (0.0..2.4e6, 5, &["0", "5e5", "1.0e6", "1.5e6", "2.0e6"]),
        ];
        for (range, most, expected) in cases {
            assert_eq!(labels(range.clone(), most), expected, "{range:?}");
        }
    }

    #[test]
    fn ticks_lie_inside_and_neighbors_differ_by_one_step() {
        for k in 0..200 {
            let low = 0.37 * f64::from(k) - 20.0;
            let range = low..low + 0.013 * f64::from(k * k + 1);
            let values: Vec<f64> = ticks(&range, 7).into_iter().map(|(v, _)| v).collect();
            assert!((2..=7).contains(&values.len()), "{range:?}: {values:?}");
            assert!(values.iter().all(|v| range.contains(v)), "{range:?}: {values:?}");
            let step = values[1] - values[0];
            let even = values.windows(2).all(|w| (w[1] - w[0] - step).abs() < 1e-9 * step.max(1.0));
            assert!(even, "{values:?}");
        }
    }

    #[test]
    fn a_single_point_has_a_range_around_it() {
        assert_eq!(Axis::new([3.0].into_iter(), 5).range, 2.5..3.5);
        assert_eq!(Axis::new([f64::NAN].into_iter(), 5).range, 0.0..1.0);
        let axis = Axis::new([0.0, 10.0].into_iter(), 5);
        assert!((axis.share(10.0) - 1.13 / 1.26).abs() < 1e-12);
    }
}
