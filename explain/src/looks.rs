//! How pictures look by plain measures, and how two sets differ in them.

use ganscope_images::Image;

/// Weights of red, green and blue in the luminance of ITU-R BT.601.
const LUMINANCE: [f64; 3] = [0.299, 0.587, 0.114];

/// Contrast below which a picture is of one color, and has no sharpness.
const FLAT: f64 = 0.5;

/// What a picture is measured by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Measure {
    /// Mean luminance, 0 to 255.
    Brightness,
    /// Standard deviation of the luminance.
    Contrast,
    /// Mean difference of the largest and the least of red, green and blue.
    Colorfulness,
    /// Root mean squared difference of neighboring pixels over the contrast: low where a picture is
    /// blurred, high where it is noisy. It does not depend on the contrast.
    Sharpness,
}

impl Measure {
    /// All measures.
    pub const ALL: [Self; 4] =
        [Self::Brightness, Self::Contrast, Self::Colorfulness, Self::Sharpness];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Brightness => "brightness",
            Self::Contrast => "contrast",
            Self::Colorfulness => "colorfulness",
            Self::Sharpness => "sharpness",
        }
    }

    /// The measure of a picture; zero for the sharpness of one color.
    pub fn of(self, image: &Image) -> f64 {
        let count = (image.width * image.height).max(1) as f64;
        let pixels = image.pixels.as_chunks::<3>().0.iter();
        let gray = || pixels.clone().map(|pixel| luminance(*pixel));
        let mean = gray().sum::<f64>() / count;
        let contrast = || (gray().map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt();
        match self {
            Self::Brightness => mean,
            Self::Contrast => contrast(),
            Self::Colorfulness => {
                let range = |[r, g, b]: &[u8; 3]| f64::from(r.max(g).max(b) - r.min(g).min(b));
                pixels.map(range).sum::<f64>() / count
            }
            Self::Sharpness => {
                let contrast = contrast();
                let values: Vec<f64> = gray().collect();
                if contrast < FLAT { 0.0 } else { roughness(&values, image.width) / contrast }
            }
        }
    }
}

fn luminance(pixel: [u8; 3]) -> f64 {
    pixel.iter().zip(LUMINANCE).map(|(&v, weight)| f64::from(v) * weight).sum()
}

/// Root mean squared difference of neighbors, to the right and below.
fn roughness(values: &[f64], width: usize) -> f64 {
    let (mut sum, mut pairs) = (0.0, 0_u64);
    for (i, &value) in values.iter().enumerate() {
        let right = (i % width + 1 < width).then(|| values[i + 1]);
        for neighbor in right.iter().chain(values.get(i + width)) {
            sum += (value - neighbor).powi(2);
            pairs += 1;
        }
    }
    (sum / pairs.max(1) as f64).sqrt()
}

/// A measure of two sets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// The medians of the generated set and of the reference.
    pub medians: [f64; 2],
    /// The largest difference of the shares of both sets below any value, by Kolmogorov and Smirnov:
    /// so large a share of the images lies elsewhere.
    pub gap: f64,
    /// Whether the gap is larger than chance, in one of a thousand comparisons of alike sets.
    pub differs: bool,
    /// The shares of generated images below the least and above the largest 1 % of the reference.
    pub tails: [f64; 2],
    /// Whether there are more than chance of them, by five standard deviations.
    pub tail_differs: [bool; 2],
    /// Whether the values between the tails that differ still differ by more than chance.
    pub rest_differs: bool,
}

/// Share of the reference in a tail.
const TAIL: f64 = 0.01;

/// Deviations from the expected share of a tail that are more than chance.
const DEVIATIONS: f64 = 5.0;

/// Compares a number of each image of two sets; `None` for an empty set.
pub fn compare(generated: &[f64], reference: &[f64]) -> Option<Comparison> {
    let [a, b] = [generated, reference].map(|values| {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        values
    });
    let (n, m) = (a.len() as f64, b.len() as f64);
    let gap = gap(&a, &b);
    let (first, last) = (*b.first()?, *b.last()?);
    a.first()?;
    let cut = (TAIL * m).ceil() as usize;
    let low = b.get(cut).copied().unwrap_or(first);
    let high = b.len().checked_sub(cut + 1).map_or(last, |i| b[i]);
    let below = a.partition_point(|&v| v < low) as f64 / n;
    let above = 1.0 - a.partition_point(|&v| v <= high) as f64 / n;
    // The share of the reference there is estimated, too.
    let expected = [low, high].map(|_| cut as f64 / m);
    let deviation = |p: f64| (p * (1.0 - p) * (1.0 / n + 1.0 / m)).sqrt();
    let is_more = |(share, p): (f64, f64)| share - p > DEVIATIONS * deviation(p);
    let tail_differs = [(below, expected[0]), (above, expected[1])].map(is_more);
    let [rest_of_a, rest_of_b] = [&a, &b].map(|values| {
        let start = if tail_differs[0] { values.partition_point(|&v| v < low) } else { 0 };
        let end =
            if tail_differs[1] { values.partition_point(|&v| v <= high) } else { values.len() };
        &values[start..end.max(start)]
    });
    Some(Comparison {
        medians: [a[a.len() / 2], b[b.len() / 2]],
        gap,
        differs: gap > chance(n, m),
        tails: [below, above],
        tail_differs,
        rest_differs: differ(rest_of_a, rest_of_b),
    })
}

/// Whether sorted values of two sets differ by more than chance; not without values.
fn differ(a: &[f64], b: &[f64]) -> bool {
    !a.is_empty() && !b.is_empty() && gap(a, b) > chance(a.len() as f64, b.len() as f64)
}

/// The gap that one of a thousand pairs of alike sets exceeds.
fn chance(n: f64, m: f64) -> f64 {
    // sqrt(-ln(0.001 / 2) / 2)
    1.949 * ((n + m) / (n * m)).sqrt()
}

/// The largest difference of two cumulative distributions, whose values are sorted.
fn gap(a: &[f64], b: &[f64]) -> f64 {
    let share = |values: &[f64], at: f64| {
        values.partition_point(|&v| v <= at) as f64 / values.len().max(1) as f64
    };
    a.iter().chain(b).map(|&at| (share(a, at) - share(b, at)).abs()).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use ganscope_stats::random::RandomState;

    use super::*;

    fn image(pixels: &[[u8; 3]], width: usize) -> Image {
        Image::new(width, pixels.len() / width, pixels.concat()).unwrap()
    }

    #[test]
    fn measures_are_those_of_small_pictures() {
        let picture = image(&[[0; 3], [100; 3], [100; 3], [0; 3]], 2);
        let of = |measure: Measure| measure.of(&picture);
        assert!((of(Measure::Brightness) - 50.0).abs() < 1e-9);
        assert!((of(Measure::Contrast) - 50.0).abs() < 1e-9);
        assert_eq!(of(Measure::Colorfulness), 0.0);
        // All neighbors differ by 100.
        assert!((of(Measure::Sharpness) - 2.0).abs() < 1e-9);
        let red = image(&[[200, 0, 100]; 4], 2);
        assert_eq!(Measure::Colorfulness.of(&red), 200.0);
        assert_eq!(Measure::Sharpness.of(&red), 0.0);
        assert_eq!(Measure::Brightness.of(&Image::filled(0, 0, [0; 3])), 0.0);
    }

    #[test]
    fn sharpness_does_not_depend_on_contrast() {
        let of = |factor: u8| {
            let pixels: Vec<[u8; 3]> = (0..64).map(|i| [(i * 7 % 11) as u8 * factor; 3]).collect();
            Measure::Sharpness.of(&image(&pixels, 8))
        };
        assert!((of(1) / of(20) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn the_gap_of_two_distributions_is_that_of_the_definition() {
        let found = compare(&[1.0, 2.0, 3.0], &[2.0, 3.0, 4.0, 5.0]).unwrap();
        // Up to 3 lie all of the first, and half of the second.
        assert!((found.gap - 0.5).abs() < 1e-12, "{found:?}");
        assert_eq!(found.medians, [2.0, 4.0]);
        assert!(compare(&[], &[1.0]).is_none() && compare(&[1.0], &[]).is_none());
        let same = compare(&[1.0; 9], &[1.0; 9]).unwrap();
        assert_eq!((same.gap, same.tails), (0.0, [0.0; 2]));
    }

    #[test]
    fn alike_sets_differ_in_one_of_a_thousand_comparisons() {
        let mut random = RandomState::new(0);
        let mut draw = |n: usize, shift: f64| -> Vec<f64> {
            random.standard_normals(n).into_iter().map(|v| v + shift).collect()
        };
        let alike: Vec<_> =
            (0..400).map(|_| compare(&draw(300, 0.0), &draw(200, 0.0)).unwrap()).collect();
        // 0.4 are expected.
        assert!(alike.iter().filter(|found| found.differs).count() <= 3);
        assert!(alike.iter().filter(|found| found.tail_differs.contains(&true)).count() <= 3);
        assert!(compare(&draw(300, 0.5), &draw(200, 0.0)).unwrap().differs);
        // One of twenty is far off, which moves the tail and not the whole.
        let mixed = [draw(950, 0.0), draw(50, -5.0)].concat();
        let found = compare(&mixed, &draw(1000, 0.0)).unwrap();
        assert_eq!((found.differs, found.tail_differs), (false, [true, false]), "{found:?}");
        assert!((found.tails[0] - 0.06).abs() < 0.015);
        // So large a tail moves the whole; the rest is as it was.
        let mixed = [draw(850, 0.0), draw(150, -5.0)].concat();
        let found = compare(&mixed, &draw(1000, 0.0)).unwrap();
        assert!(found.differs && found.tail_differs[0] && !found.rest_differs, "{found:?}");
        // A shift of all moves the rest, too.
        let found = compare(&draw(1000, -1.0), &draw(1000, 0.0)).unwrap();
        assert!(found.tail_differs[0] && found.rest_differs, "{found:?}");
    }
}
