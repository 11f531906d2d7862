//! The section of looks: how the pictures of both sets differ by plain measures.

use ganscope_explain::looks::{Comparison, Measure, compare};
use ganscope_stats::random::RandomState;
use rayon::prelude::*;
use serde::Serialize;

use super::causes::{Cause, percent};
use super::sets::{Member, Shown};
use crate::error::Result;

/// Pictures of each set that are measured at most.
const MEASURED: usize = 2000;
/// Pictures of a tail that are shown.
const SHOWN: usize = 25;

/// A measure of the pictures of both sets.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Look {
    /// Its name: brightness, contrast, colorfulness or sharpness.
    pub measure: &'static str,
    /// Medians of the generated pictures and of the reference.
    pub medians: [f64; 2],
    /// The largest difference of the cumulative distributions.
    pub gap: f64,
    /// Whether that is more than chance.
    pub differs: bool,
    /// Shares of generated pictures below and above 99 % of the reference.
    pub tails: [f64; 2],
    /// Whether these are more than chance.
    pub tail_differs: [bool; 2],
    /// Generated pictures of the tails that differ, the farthest first.
    pub tail_images: [Vec<Shown>; 2],
}

/// Words for less and for more of each measure.
fn words(measure: Measure) -> [&'static str; 2] {
    match measure {
        Measure::Brightness => ["darker", "brighter"],
        Measure::Contrast => ["flatter (less contrast)", "richer in contrast"],
        Measure::Colorfulness => ["less colorful", "more colorful"],
        Measure::Sharpness => ["blurrier", "sharper or noisier"],
    }
}

/// Measures of some pictures of a set.
struct Measured {
    /// Positions of the pictures.
    drawn: Vec<usize>,
    values: Vec<[f64; 4]>,
}

fn measured(member: &Member, seed: u32) -> Result<Option<Measured>> {
    let Some(rows) = member.rows.as_ref().filter(|_| member.album.has_pictures()) else {
        return Ok(None);
    };
    let mut drawn = RandomState::new(seed).choice(rows.len(), rows.len().min(MEASURED))?;
    drawn.sort_unstable();
    let measure = |&i: &usize| -> Result<[f64; 4]> {
        let image = member.album.image(i)?;
        Ok(image.map_or([0.0; 4], |image| Measure::ALL.map(|measure| measure.of(&image))))
    };
    let values = drawn.par_iter().map(measure).collect::<Result<_>>()?;
    Ok(Some(Measured { drawn, values }))
}

/// Measures the pictures of both sets, or of as many as suffice, drawn by `seed`; nothing if a set has no
/// pictures.
pub(super) fn looks(generated: &Member, reference: &Member, seed: u32) -> Result<Vec<Look>> {
    let (Some(Measured { drawn, values: a }), Some(Measured { values: b, .. })) =
        (measured(generated, seed)?, measured(reference, seed)?)
    else {
        return Ok(Vec::new());
    };
    let look = |(k, measure): (usize, Measure)| {
        let [a, b] = [&a, &b].map(|values| values.iter().map(|v| v[k]).collect::<Vec<f64>>());
        let Comparison { medians, gap, differs, tails, tail_differs } = compare(&a, &b)?;
        let mut order: Vec<usize> = (0..a.len()).collect();
        order.sort_by(|&x, &y| a[x].total_cmp(&a[y]).then(x.cmp(&y)));
        let outside = tails.map(|share| (share * a.len() as f64).round() as usize);
        let shown = |order: &mut dyn Iterator<Item = usize>, tail: usize| {
            let count = if tail_differs[tail] { outside[tail].min(SHOWN) } else { 0 };
            let places: Vec<usize> = order.take(count).map(|i| drawn[i]).collect();
            generated.shown(&places)
        };
        let low = shown(&mut order.iter().copied(), 0);
        let high = shown(&mut order.iter().rev().copied(), 1);
        let measure = measure.name();
        Some(Look { measure, medians, gap, differs, tails, tail_differs, tail_images: [low, high] })
    };
    Ok(Measure::ALL.into_iter().enumerate().filter_map(look).collect())
}

impl Look {
    /// What is said about it: the whole set, and its tails.
    pub(super) fn causes(&self) -> Vec<Cause> {
        let measure = Measure::ALL.into_iter().find(|measure| measure.name() == self.measure);
        let [less, more] = measure.map_or(["less", "more"], words);
        let cause = |text, share| Cause { text, section: "pixels", share, class: None };
        let mut causes = Vec::new();
        if self.differs {
            let [a, b] = self.medians;
            let word = if a < b { less } else { more };
            let change =
                if b > 0.0 { format!(" ({:+.0} %)", 100.0 * (a / b - 1.0)) } else { String::new() };
            let text = format!(
                "Generated pictures are {word} on the whole: median {} {a:.3}, reference {b:.3}{change}.",
                self.measure
            );
            causes.push(cause(text, self.gap));
        }
        for (tail, word) in [less, more].into_iter().enumerate() {
            if self.tail_differs[tail] {
                let text = format!(
                    "{} of the generated pictures are {word} than 99 % of the reference.",
                    percent(self.tails[tail])
                );
                causes.push(cause(text, self.tails[tail]));
            }
        }
        causes
    }
}
