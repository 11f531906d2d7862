//! The section of directions: along which directions of the features the distance lies.

use ganscope_explain::looks::compare;
use ganscope_fid::directions;
use ganscope_stats::{Chance, Features};
use serde::Serialize;

use super::causes::{Cause, percent};
use super::chance::{ByChance, LEVEL};
use super::sets::{Kind, Labels, Member, Shown};
use crate::error::Result;

/// Images at each end of a direction.
const END: usize = 25;
/// The distance by directions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DirectionReport {
    /// Number of features.
    pub features: usize,
    /// Dimensions in which the reference varies; below the number of features its covariance is
    /// singular, and the split is that on its range and on the rest.
    pub rank: usize,
    /// The part of the distance that lies between the means.
    pub shift: f64,
    /// The part in which the generated images vary too little.
    pub too_little: f64,
    /// The part in which they vary too much.
    pub too_much: f64,
    /// The part in which they vary and the reference does not.
    pub outside: f64,
    /// What chance does to the largest part of a direction, where it is known.
    pub chance: Option<ByChance>,
    /// The directions with the largest parts.
    pub directions: Vec<DirectionFound>,
}

/// A direction, with the images that lie farthest along it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DirectionFound {
    /// Its part of the distance.
    pub part: f64,
    /// That part as a share of the distance.
    pub share: f64,
    /// The part of the means.
    pub shift: f64,
    /// The part of the spread.
    pub spread: f64,
    /// Standard deviation of the generated images over that of the reference; none where the reference
    /// does not vary.
    pub stretch: Option<f64>,
    /// The largest difference of the cumulative distributions along it.
    pub gap: Option<f64>,
    /// Whether the part is larger than by chance, where chance is known.
    pub beyond_chance: Option<bool>,
    /// The low end and the high end; the mean of the generated images lies higher.
    pub ends: [End; 2],
}

/// The images at one end of a direction, the farthest first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct End {
    /// Generated images.
    pub generated: Vec<Shown>,
    /// Reference images.
    pub reference: Vec<Shown>,
    /// The class of most of the generated images.
    pub generated_kind: Option<Kind>,
    /// The class of most of the reference images.
    pub reference_kind: Option<Kind>,
}

/// Positions of the lowest and of the highest values, the farthest first.
fn ends(values: &[f64]) -> [Vec<usize>; 2] {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]).then(a.cmp(&b)));
    let low = order.iter().copied().take(END).collect();
    [low, order.into_iter().rev().take(END).collect()]
}

impl DirectionReport {
    /// Splits the distance; `chance` tells of sets which differ by chance alone.
    pub(super) fn new(
        generated: &Member,
        reference: &Member,
        chance: Option<Chance>,
        count: usize,
        labels: &Labels,
    ) -> Result<Self> {
        let found = directions(&generated.stats, &reference.stats)?;
        let shown_of = found.vectors.columns(0, count.min(found.parts.len())).into_owned();
        let sum = |of: fn(Option<f64>) -> bool| -> f64 {
            found.parts.iter().filter(|part| of(part.stretch)).map(|part| part.spread).sum()
        };
        let along = |member: &Member| member.rows.as_ref().map(|rows| rows.along(&shown_of));
        let (of_generated, of_reference) =
            (along(generated).transpose()?, along(reference).transpose()?);
        let column = |rows: &Option<Features>, i: usize| -> Option<Vec<f64>> {
            rows.as_ref().map(|rows| rows.rows().map(|row| f64::from(row[i])).collect())
        };
        let mut shown = Vec::new();
        for (i, part) in found.parts.iter().take(count).enumerate() {
            let (a, b) = (column(&of_generated, i), column(&of_reference, i));
            let gap = a.as_ref().zip(b.as_ref()).and_then(|(a, b)| compare(a, b));
            let [a, b] = [a, b].map(|values| ends(&values.unwrap_or_default()));
            let end = |k: usize| End {
                generated: generated.shown(&a[k]),
                reference: reference.shown(&b[k]),
                generated_kind: generated.kind(&a[k], labels),
                reference_kind: reference.kind(&b[k], labels),
            };
            shown.push(DirectionFound {
                part: part.distance(),
                share: if found.distance > 0.0 { part.distance() / found.distance } else { 0.0 },
                shift: part.shift,
                spread: part.spread,
                stretch: part.stretch,
                gap: gap.map(|gap| gap.gap),
                beyond_chance: chance
                    .as_ref()
                    .map(|chance| chance.is_exceeded(part.distance(), LEVEL)),
                ends: [end(0), end(1)],
            });
        }
        Ok(Self {
            features: generated.stats.dim(),
            rank: found.rank,
            shift: found.parts.iter().map(|part| part.shift).sum(),
            too_little: sum(|stretch| stretch.is_some_and(|a| a < 1.0)),
            too_much: sum(|stretch| stretch.is_some_and(|a| a >= 1.0)),
            outside: sum(|stretch| stretch.is_none()),
            chance: chance.as_ref().map(ByChance::of),
            directions: shown,
        })
    }

    /// The directions that are no chance, as causes of `title`.
    pub(super) fn causes<'a>(&'a self, title: &'a str) -> impl Iterator<Item = Cause> + 'a {
        let beyond =
            self.directions.iter().enumerate().filter(|(_, d)| d.beyond_chance == Some(true));
        beyond.map(move |(i, direction)| direction.cause(i + 1, title))
    }
}

impl DirectionFound {
    /// How much the generated images vary along it, in words.
    pub(super) fn variety(&self) -> String {
        match self.stretch {
            None => "generated images vary, the reference does not".into(),
            Some(a) if a < 0.95 => {
                format!("too little variety: {a:.2} times that of the reference")
            }
            Some(a) if a > 1.05 => format!("too much variety: {a:.2} times that of the reference"),
            Some(_) => "variety as in the reference".into(),
        }
    }

    /// The class at an end: of the reference where generated images lack variety, of these elsewhere.
    fn kind(&self) -> Option<&Kind> {
        let lacks = self.stretch.is_some_and(|a| a < 1.0);
        let kind = |end: &'_ End| {
            let kind = if lacks { &end.reference_kind } else { &end.generated_kind };
            kind.as_ref().map(|kind| (kind.class, kind.count))
        };
        let clearest =
            self.ends.iter().max_by_key(|end| kind(end).map_or(0, |(_, count)| count))?;
        if lacks { clearest.reference_kind.as_ref() } else { clearest.generated_kind.as_ref() }
    }

    fn cause(&self, number: usize, title: &str) -> Cause {
        let kind = self.kind();
        let about = kind.map_or(String::new(), |kind| {
            format!("; the pictures at one end are mostly {}", kind.title)
        });
        let what = match self.stretch {
            _ if self.shift > self.spread => {
                "generated images lie elsewhere on the whole".to_owned()
            }
            None => "generated images vary and the reference does not".to_owned(),
            Some(a) => format!("generated images vary {a:.2} times as much as the reference"),
        };
        Cause {
            text: format!(
                "{} of {title} lies along one direction of the features, direction {number}, where {what}{about}.",
                percent(self.share)
            ),
            section: "directions",
            share: self.gap.unwrap_or(0.0),
            part: Some(self.share),
            class: kind.map(|kind| kind.class),
        }
    }
}
