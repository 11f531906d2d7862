//! Editing: pictures moved along directions of W.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use candle_core::Tensor;
use ganscope_images::{Image, save_png};
use ganscope_latent::{Seeds, Styles};
use serde::{Deserialize, Serialize};

use super::codes::write_codes;
use super::directions::{DirectionSet, moved, signed, steps};
use super::output::Output;
use super::{Drawing, DrawingRequest, EACH, ZOOM};
use crate::checks::within;
use crate::error::{Error, Hint, Result};
use crate::figures::{Cell, Row, Sheet};
use crate::files::check_writable;
use crate::text;
use crate::watch::{Counter, Watch};

/// A direction of a file, and how far it is gone: `FILE:2=+3`.
#[derive(Debug, Clone, PartialEq)]
pub struct Move {
    /// A file that `directions` writes, or an `.npz` or `.npy` of rows of W.
    pub file: PathBuf,
    /// The number of the direction in it, from 0 on.
    pub direction: usize,
    /// The distance, in standard deviations of W along it; in the units of W where the file has none.
    pub amount: f64,
}

impl FromStr for Move {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts = || {
            let (direction, amount) = text.rsplit_once('=')?;
            let (file, direction) = direction.rsplit_once(':')?;
            let amount: f64 = amount.parse().ok().filter(|amount: &f64| amount.is_finite())?;
            Some(Self { file: file.into(), direction: direction.parse().ok()?, amount })
        };
        parts().ok_or_else(|| Error::request(format!("`{text}`: expected FILE:NUMBER=DISTANCE")))
    }
}

impl std::fmt::Display for Move {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}={}", self.file.display(), self.direction, signed(self.amount))
    }
}

impl Move {
    /// The direction times its length in W, of the set that `file` names.
    fn vector(&self, set: &DirectionSet, w_dim: usize) -> Result<Vec<f32>> {
        let name = self.file.display();
        let count = set.vectors.len();
        let Some((row, unit)) = set.vectors.get(self.direction).zip(set.spread.get(self.direction))
        else {
            let problem =
                format!("`{name}` has {count} directions, none of number {}", self.direction);
            return Err(Error::request(problem).with_hint("they are counted from 0"));
        };
        if row.len() != w_dim {
            let dim = row.len();
            let problem =
                format!("`{name}`: directions of {dim} numbers, the generator has {w_dim}");
            return Err(Error::request(problem));
        }
        Ok(row.iter().map(|&v| (f64::from(v) * self.amount * unit) as f32).collect())
    }
}

/// The sum of moves along directions of sets, a vector of W.
pub(super) fn sum_of<'a>(
    moves: impl IntoIterator<Item = (&'a Move, &'a DirectionSet)>,
    w_dim: usize,
) -> Result<Vec<f32>> {
    let mut sum = vec![0.0; w_dim];
    for (step, set) in moves {
        sum.iter_mut().zip(step.vector(set, w_dim)?).for_each(|(sum, v)| *sum += v);
    }
    Ok(sum)
}

/// The sum of moves along directions of files.
pub(super) fn sum_of_files(moves: &[Move], w_dim: usize) -> Result<Vec<f32>> {
    let sets = moves.iter().map(|step| DirectionSet::read(&step.file));
    let sets = sets.collect::<Result<Vec<_>>>()?;
    sum_of(moves.iter().zip(&sets), w_dim)
}

/// Which pictures are moved where.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EditRequest {
    /// The generator and its options; a conditional generator gets classes in turn unless it is told
    /// another.
    pub drawing: DrawingRequest,
    /// Seeds of the pictures.
    #[serde(with = "text")]
    pub seeds: Seeds,
    /// A file of style inputs instead of seeds.
    pub ws: Option<PathBuf>,
    /// The directions, which add up.
    #[serde(with = "text::list")]
    pub direction: Vec<Move>,
    /// Style inputs that are moved; all if missing.
    #[serde(with = "text::option")]
    pub styles: Option<Styles>,
    /// Pictures from the original to the end, both included, at least 2.
    pub steps: usize,
}

impl Default for EditRequest {
    /// Five pictures of seed 0, moved nowhere.
    fn default() -> Self {
        Self {
            drawing: DrawingRequest::default(),
            seeds: (0..=0).into(),
            ws: None,
            direction: Vec::new(),
            styles: None,
            steps: 5,
        }
    }
}

/// Where edits are written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EditFiles {
    /// A `.png` with a row for each picture, a moving `.gif`, `.webp` or `.apng`, or a folder of frames.
    pub output: PathBuf,
    /// A file for the style inputs of the ends, an `.npz`.
    pub ws_output: Option<PathBuf>,
    /// By which whole factor pictures are enlarged, at least 1; small ones to 64 pixels if missing.
    pub zoom: Option<usize>,
}

/// Moved pictures.
#[derive(Debug, Clone)]
pub struct Edited {
    /// What each row is, such as `seed 3`.
    pub names: Vec<String>,
    /// One list of pictures for each row, from the original to the end.
    pub pictures: Vec<Vec<Image>>,
    /// Style inputs of the ends, (N, `num_ws`, `w_dim`).
    pub ws: Tensor,
}

/// Moves pictures along the sum of directions.
///
/// # Errors
/// If a file cannot be read or does not fit the generator, the generator fails, or the task is stopped.
pub fn edit(request: &EditRequest, watch: &mut dyn Watch) -> Result<Edited> {
    within("steps", request.steps, 2..=10_000)?;
    if request.direction.is_empty() {
        return Err(Error::request("no direction").with_hint(Hint::of("give {direction}")));
    }
    let drawing = Drawing::open_with_class(&request.drawing, EACH, watch)?;
    let network = &*drawing.generator.network;
    let info = network.info();
    let sum = sum_of_files(&request.direction, info.w_dim)?;
    let (names, ws) = drawing.points(&request.seeds, request.ws.as_deref())?;
    let all = (0..info.num_ws).collect();
    let styles = request.styles.as_ref().map_or(&all, |styles| &styles.0);
    let (rows, batch) = (ws.dim(0)?, request.drawing.batch.max(1));
    within("pictures", rows.saturating_mul(request.steps), 1..=1 << 20)?;
    let mut counter = Counter::new(watch, "pictures", 0, rows * request.steps);
    let mut pictures = vec![Vec::with_capacity(request.steps); rows];
    let mut done = 0;
    for part in steps(0.0, 1.0, request.steps) {
        let ws = moved(&ws, &sum, part, styles)?;
        for start in (0..rows).step_by(batch) {
            let found = drawing.render(&ws.narrow(0, start, batch.min(rows - start))?)?;
            done += found.len();
            pictures[start..].iter_mut().zip(found).for_each(|(row, picture)| row.push(picture));
            counter.at(done)?;
        }
    }
    Ok(Edited { names, pictures, ws: moved(&ws, &sum, 1.0, styles)? })
}

/// Moves pictures and writes them.
///
/// # Errors
/// As [`edit`]; or if a file cannot be written.
pub fn write_edit(
    request: &EditRequest,
    files: &EditFiles,
    watch: &mut dyn Watch,
) -> Result<Edited> {
    files.zoom.map_or(Ok(()), |zoom| within("zoom", zoom, ZOOM))?;
    let output = Output::of(&files.output)?;
    output.prepare()?;
    files.ws_output.as_deref().map_or(Ok(()), check_writable)?;
    let edited = edit(request, watch)?;
    if let Output::Png(path) = &output {
        save_png(path, &edited.sheet(request, files.zoom).image()?)?;
    } else {
        let frame = |i: usize| {
            let row: Vec<Image> = edited.pictures.iter().map(|row| row[i].clone()).collect();
            let zoom = files.zoom.unwrap_or(128_usize.div_ceil(row[0].width.max(1)));
            Ok(ganscope_images::grid(&row, row.len(), 0, [255; 3]).enlarged(zoom))
        };
        // There and back again, so that it may be repeated.
        let there = 0..request.steps;
        let back = (1..request.steps - 1).rev();
        let count = 2 * request.steps - 2;
        output.write_frames(count, there.chain(back).map(frame), 12.0)?;
    }
    if let Some(path) = &files.ws_output {
        write_codes(path, &edited.ws)?;
    }
    Ok(edited)
}

impl Edited {
    /// A row for each picture, from the original to the end.
    fn sheet(&self, request: &EditRequest, zoom: Option<usize>) -> Sheet {
        let parts: Vec<f64> = steps(0.0, 1.0, request.steps).collect();
        let caption = |part: f64| {
            let each = request.direction.iter().map(|step| signed(part * step.amount));
            each.collect::<Vec<_>>().join(", ")
        };
        let rows = self.names.iter().zip(&self.pictures).enumerate().map(|(i, (name, row))| Row {
            label: name.clone(),
            cells: row
                .iter()
                .zip(&parts)
                .map(|(picture, &part)| {
                    let cell = Cell::new(picture.enlarged(zoom.unwrap_or(1)));
                    if i == 0 { cell.caption(caption(part)) } else { cell }
                })
                .collect(),
            ..Row::default()
        });
        let moves: Vec<String> = request
            .direction
            .iter()
            .map(|step| {
                let file = Path::new(&step.file).file_name().unwrap_or_default();
                format!("{} of {}", step.direction, file.to_string_lossy())
            })
            .collect();
        Sheet {
            legend: format!("columns: distance along direction {}", moves.join(" and direction ")),
            rows: rows.collect(),
            gap: Sheet::TIGHT,
            ..Sheet::default()
        }
    }
}
