//! The section of looks: how the pictures of both sets differ by plain measures.

use ganscope_explain::looks::{Comparison, Measure, compare};
use ganscope_fid::frechet_distance;
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
    /// Whether the pictures between the tails that differ still differ by more than chance.
    pub rest_differs: bool,
    /// Shares of the distance that would vanish without the pictures of a tail that differs, where all
    /// pictures were measured.
    pub tail_parts: [Option<f64>; 2],
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

/// Measures the pictures of both sets, which are `distance` apart, or of as many as suffice, drawn by `seed`;
/// nothing if a set has no pictures.
pub(super) fn looks(
    generated: &Member,
    reference: &Member,
    distance: f64,
    seed: u32,
) -> Result<Vec<Look>> {
    let (Some(Measured { drawn, values: a }), Some(Measured { values: b, .. })) =
        (measured(generated, seed)?, measured(reference, seed)?)
    else {
        return Ok(Vec::new());
    };
    // What vanishes without some pictures is known of all of them.
    let is_whole = generated.rows.as_ref().is_some_and(|rows| rows.len() == drawn.len());
    let part = |places: &[usize]| -> Result<Option<f64>> {
        if !is_whole || places.is_empty() || places.len() + 2 > drawn.len() {
            return Ok(None);
        }
        let rest = frechet_distance(&generated.stats_without(places)?, &reference.stats)?;
        Ok(Some(1.0 - rest / distance))
    };
    let mut looks = Vec::new();
    for (k, measure) in Measure::ALL.into_iter().enumerate() {
        let [a, b] = [&a, &b].map(|values| values.iter().map(|v| v[k]).collect::<Vec<f64>>());
        let Some(found) = compare(&a, &b) else { continue };
        let Comparison { medians, gap, differs, tails, tail_differs, rest_differs } = found;
        let mut order: Vec<usize> = (0..a.len()).collect();
        order.sort_by(|&x, &y| a[x].total_cmp(&a[y]).then(x.cmp(&y)));
        // The pictures of both tails, if they differ, the farthest first.
        let places = |tail: usize| -> Vec<usize> {
            let count = (tails[tail] * a.len() as f64).round() as usize;
            let count = if tail_differs[tail] { count } else { 0 };
            let place = |&i: &usize| drawn[i];
            if tail == 0 {
                order.iter().take(count).map(place).collect()
            } else {
                order.iter().rev().take(count).map(place).collect()
            }
        };
        let [low, high] = [places(0), places(1)];
        let shown = |places: &[usize]| generated.shown(&places[..places.len().min(SHOWN)]);
        looks.push(Look {
            measure: measure.name(),
            medians,
            gap,
            differs,
            tails,
            tail_differs,
            rest_differs,
            tail_parts: [part(&low)?, part(&high)?],
            tail_images: [shown(&low), shown(&high)],
        });
    }
    Ok(looks)
}

impl Look {
    /// What is said about it: the whole set if its tails do not explain that, and the tails that this does not
    /// say already. `title` is the name of the distance.
    pub(super) fn causes(&self, title: &str) -> Vec<Cause> {
        let measure = Measure::ALL.into_iter().find(|measure| measure.name() == self.measure);
        let [less, more] = measure.map_or(["less", "more"], words);
        let cause = |text, share, part| Cause { text, section: "pixels", share, part, class: None };
        let mut causes = Vec::new();
        let [a, b] = self.medians;
        let all_differ = self.differs && self.rest_differs;
        if all_differ {
            let word = if a < b { less } else { more };
            let change =
                if b > 0.0 { format!(" ({:+.0} %)", 100.0 * (a / b - 1.0)) } else { String::new() };
            let text = format!(
                "Generated pictures are {word} on the whole: median {} {a:.3}, reference {b:.3}{change}.",
                self.measure
            );
            causes.push(cause(text, self.gap, None));
        }
        for (tail, word) in [less, more].into_iter().enumerate() {
            let is_said = all_differ && (tail == 0) == (a < b);
            if self.tail_differs[tail] && !is_said {
                let part = self.tail_parts[tail].filter(|&part| part > 0.0);
                let without = part.map_or(String::new(), |part| {
                    format!(" Without them {title} would be {} smaller.", percent(part))
                });
                let text = format!(
                    "{} of the generated pictures are {word} than 99 % of the reference.{without}",
                    percent(self.tails[tail])
                );
                causes.push(cause(text, self.tails[tail], part));
            }
        }
        causes
    }
}
