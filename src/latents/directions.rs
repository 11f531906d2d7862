//! Directions in W: those in which it varies most, those to which the layers answer most, and those that
//! change what a classifier sees.

mod class;
mod range;

use std::path::{Path, PathBuf};
use std::str::FromStr;

use candle_core::{DType, Tensor};
use ganscope_images::{Image, save_png};
use ganscope_latent::boundary::BoundaryOptions;
use ganscope_latent::components::{Directions, principal_components, semantic_directions};
use ganscope_latent::{Styles, shift};
use ganscope_stats::Features;
use ganscope_weights::{Array, npz};
use serde::{Deserialize, Serialize};

use super::{Drawing, DrawingRequest, EACH, ZOOM};
use crate::checks::{positive, within};
use crate::error::{Context as _, Error, Hint, Result};
use crate::figures::{Cell, Row, Sheet};
use crate::files::{check_picture, check_writable};
use crate::models::classifier::ClassifierRequest;
use crate::text;
use crate::watch::{Counter, Watch};
pub use range::Reach;

/// Latents that are mapped at once.
const MAPPED: usize = 256;
/// Pictures of a direction, and how far the first and the last are from the middle, in spreads.
const COLUMNS: usize = 7;
const REACH: f64 = 3.0;

/// How directions are found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DirectionMethod {
    /// Principal components of W (`GANSpace`).
    #[default]
    Pca,
    /// Right singular vectors of the style layers (`SeFa`).
    Sefa,
    /// Normals of the planes between pictures that a classifier calls so and others (`InterFaceGAN`).
    Class,
    /// Directions along which the odds of a class rise for as many pictures as possible.
    Gradient,
}

impl DirectionMethod {
    /// Its name in requests.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pca => "pca",
            Self::Sefa => "sefa",
            Self::Class => "class",
            Self::Gradient => "gradient",
        }
    }
}

impl std::fmt::Display for DirectionMethod {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for DirectionMethod {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let all = [Self::Pca, Self::Sefa, Self::Class, Self::Gradient];
        all.into_iter().find(|method| method.name() == text).ok_or_else(|| {
            Error::request(format!("`{text}`: expected pca, sefa, class or gradient"))
        })
    }
}

/// Which directions of a generator are sought.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DirectionsRequest {
    /// The generator and its options. Latents are drawn under its truncation, by default none; a
    /// conditional generator gets classes in turn.
    pub drawing: DrawingRequest,
    /// How they are found.
    #[serde(with = "text")]
    pub method: DirectionMethod,
    /// How many principal or semantic directions, at least 1.
    pub num: usize,
    /// Latents of seeds from 0 on: of components, of boundaries, and of the spread of W.
    pub samples: usize,
    /// Style inputs whose layers count for semantic directions; all if missing.
    #[serde(with = "text::option")]
    pub styles: Option<Styles>,
    /// The classifier of directions by class; for a shipped generator by default `fashion-cnn`.
    pub classifier: ClassifierRequest,
    /// Classes of the classifier, by number or name; all if empty.
    pub classes: Vec<String>,
    /// Classes that pictures must have to count: directions lead from them; all if empty.
    pub from: Vec<String>,
    /// Pictures of other seeds that are moved along each direction of a class, 29 (fewer show no range) to 10,000.
    pub held: usize,
    /// Share of the latents with the highest odds of a class, and of those with the lowest, between which its
    /// boundary lies, above 0 and at most 0.5.
    pub share: f64,
    /// Whether each class's direction is made orthogonal to those of the others.
    pub independent: bool,
}

impl Default for DirectionsRequest {
    /// The first ten principal components of 10,000 latents.
    fn default() -> Self {
        Self {
            drawing: DrawingRequest::default(),
            method: DirectionMethod::Pca,
            num: 10,
            samples: 10_000,
            styles: None,
            classifier: ClassifierRequest::default(),
            classes: Vec::new(),
            from: Vec::new(),
            held: 100,
            share: BoundaryOptions::default().share,
            independent: false,
        }
    }
}

/// Directions in W.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DirectionSet {
    /// Their names, such as `component 0` or that of a class.
    pub names: Vec<String>,
    /// Unit vectors of the length of `w`.
    #[serde(skip)]
    pub vectors: Vec<Vec<f32>>,
    /// Standard deviation of W along each.
    pub spread: Vec<f64>,
    /// Strength of each: the standard deviation along a component, the singular value of a semantic
    /// direction; of a class the share of pictures left out of the fit that lie on the right side of its
    /// plane, or whose odds rise along it.
    pub strength: Vec<f64>,
    /// How far one may go along each; none of directions without a class.
    pub reach: Option<Vec<Reach>>,
    /// Seed of a picture of a class from which they lead; none if they lead from all.
    pub seed: Option<u32>,
}

/// Finds directions.
///
/// A boundary is fitted to the latents with the highest and those with the lowest odds of the class, and
/// tested on three tenths of them; an ascent to the gradients of the odds, see
/// [`ascent`](ganscope_latent::boundary::ascent). Then pictures of other seeds are moved along the direction:
/// see [`Reach`].
///
/// # Errors
/// If a network cannot be opened or fails, the request does not fit it, or the task is stopped.
pub fn directions(request: &DirectionsRequest, watch: &mut dyn Watch) -> Result<DirectionSet> {
    request.check()?;
    let drawing = Drawing::open_with_class(&request.drawing, EACH, watch)?;
    request.find(&drawing, watch)
}

/// Names, unit vectors, strengths, how far one may go, and the seed of a picture to show.
type Found = (Vec<String>, Vec<Vec<f32>>, Vec<f64>, Option<Vec<Reach>>, Option<u32>);

impl DirectionsRequest {
    /// Fails if a number is out of range.
    fn check(&self) -> Result<()> {
        positive("num", self.num)?;
        within("held", self.held, 29..=10_000)?;
        within("samples", self.samples, 2..=1_000_000)
    }

    pub(super) fn find(&self, drawing: &Drawing, watch: &mut dyn Watch) -> Result<DirectionSet> {
        let codes = codes(drawing, self.samples, watch)?;
        let of = |found: Directions, what: &str| {
            let names = (0..found.vectors.len()).map(|i| format!("{what} {i}")).collect();
            (names, found.vectors, found.strengths, None, None)
        };
        let (names, vectors, strength, reach, seed) = match self.method {
            DirectionMethod::Pca => {
                of(principal_components(&codes, self.num.min(codes.dim()))?, "component")
            }
            DirectionMethod::Sefa => {
                let weights = style_rows(drawing, self.styles.as_ref())?;
                of(semantic_directions(&weights, self.num.min(weights.dim()))?, "direction")
            }
            DirectionMethod::Class | DirectionMethod::Gradient => {
                self.by_class(drawing, &codes, watch)?
            }
        };
        let spread = vectors.iter().map(|vector| spread(&codes, vector)).collect();
        Ok(DirectionSet { names, vectors, spread, strength, reach, seed })
    }
}

/// `w` of the seeds from 0 on.
fn codes(drawing: &Drawing, samples: usize, watch: &mut dyn Watch) -> Result<Features> {
    let mut counter = Counter::new(watch, "latents", 0, samples);
    let network = &*drawing.generator.network;
    let mut codes = Features::new(network.info().w_dim)?;
    for start in (0..samples).step_by(MAPPED) {
        let seeds: Vec<u32> =
            (start..samples.min(start + MAPPED)).map(|seed| seed as u32).collect();
        let ws = drawing.sampler.ws(network, &seeds)?.narrow(1, 0, 1)?.to_dtype(DType::F32)?;
        codes.push_rows(&ws.flatten_all()?.to_vec1()?)?;
        counter.at(codes.len())?;
    }
    Ok(codes)
}

/// The weights of the style layers of some style inputs, row by row.
fn style_rows(drawing: &Drawing, styles: Option<&Styles>) -> Result<Features> {
    let generator = &drawing.generator;
    let weights = generator.network.style_weights();
    if weights.is_empty() {
        let problem = format!("{} generators have no style layers", generator.family);
        return Err(Error::request(problem).with_hint(Hint::of("choose another {method}")));
    }
    let all: Vec<usize> = (0..weights.len()).collect();
    let mut rows = Features::new(generator.info().w_dim)?;
    for &style in styles.map_or(&all, |styles| &styles.0) {
        let Some(weight) = weights.get(style) else {
            let last = weights.len() - 1;
            let problem = format!("style {style} is beyond the last one, {last}");
            return Err(Error::request(problem).with_hint(Hint::of("give {styles}")));
        };
        rows.push_rows(&weight.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?)?;
    }
    Ok(rows)
}

/// Standard deviation of rows along a unit vector.
fn spread(codes: &Features, vector: &[f32]) -> f64 {
    let along =
        |row: &[f32]| row.iter().zip(vector).map(|(&x, &v)| f64::from(x) * f64::from(v)).sum();
    let places: Vec<f64> = codes.rows().map(along).collect();
    let n = places.len() as f64;
    let mean = places.iter().sum::<f64>() / n;
    (places.iter().map(|place| (place - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt()
}

/// Where directions are written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DirectionFiles {
    /// The directions, an `.npz` of `directions` (N, `w_dim`), `spread` and `strength` (N), and of classes
    /// `real` and `safe` (N, 2) of [`Reach`].
    pub output: PathBuf,
    /// A picture of the directions, a row for each; none if missing.
    pub sheet: Option<PathBuf>,
    /// Seed of the picture in the middle of each row; 0 if missing, or that of [`DirectionSet::seed`].
    pub seed: Option<u32>,
    /// By which whole factor pictures are enlarged, at least 1; small ones to 64 pixels if missing.
    pub zoom: Option<usize>,
}

impl Default for DirectionFiles {
    /// `directions.npz`, and no picture.
    fn default() -> Self {
        Self { output: "directions.npz".into(), sheet: None, seed: None, zoom: None }
    }
}

/// Finds directions and writes them, and a sheet with a row for each and the picture of a seed moved by -3
/// to 3 spreads in its columns.
///
/// # Errors
/// As [`directions`]; or if a file cannot be written.
pub fn write_directions(
    request: &DirectionsRequest,
    files: &DirectionFiles,
    watch: &mut dyn Watch,
) -> Result<DirectionSet> {
    request.check()?;
    files.zoom.map_or(Ok(()), |zoom| within("zoom", zoom, ZOOM))?;
    check_writable(&files.output)?;
    files.sheet.as_deref().map_or(Ok(()), check_picture)?;
    let drawing = Drawing::open_with_class(&request.drawing, EACH, watch)?;
    let found = request.find(&drawing, watch)?;
    found.write(&files.output)?;
    if let Some(path) = &files.sheet {
        let sheet = found.sheet(&drawing, request.styles.as_ref(), files, watch)?;
        save_png(path, &sheet.image()?)?;
    }
    Ok(found)
}

impl DirectionSet {
    /// Reads what [`write`](Self::write) writes, or an `.npz` or `.npy` of rows of W. Where a file has no
    /// spread, a step is as long as the row. How far one may go is not read back.
    ///
    /// # Errors
    /// If it cannot be read, or has no such rows.
    pub fn read(path: &Path) -> Result<Self> {
        let name = path.display();
        let reading = || format!("read directions of `{name}`");
        let npy = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npy"));
        let mut arrays = if npy {
            [("directions".to_owned(), ganscope_weights::npy::read(path).with_context(reading)?)]
                .into()
        } else {
            npz::read(path).with_context(reading)?
        };
        let found = arrays.keys().cloned().collect::<Vec<_>>().join(", ");
        let rows = arrays.remove("directions").ok_or_else(|| {
            Error::request(format!("`{name}`: expected an array `directions`, found {found}"))
                .with_hint(Hint::of("{directions.} writes such a file"))
        })?;
        let [count, dim] = *rows.shape() else {
            let shape = rows.shape();
            return Err(Error::request(format!("`{name}`: directions of shape {shape:?}")));
        };
        let mut numbers = |name, otherwise: f64| -> Vec<f64> {
            let given = arrays.remove(name).map(|array| array.to_f64()).unwrap_or_default();
            let finite = |i: usize| given.get(i).copied().filter(|value| value.is_finite());
            (0..count).map(|i| finite(i).unwrap_or(otherwise)).collect()
        };
        let (spread, strength) = (numbers("spread", 1.0), numbers("strength", f64::NAN));
        let values = rows.to_f32();
        let vectors = (0..count).map(|i| values[i * dim..(i + 1) * dim].to_vec()).collect();
        let names = (0..count).map(|i| format!("direction {i}")).collect();
        Ok(Self { names, vectors, spread, strength, reach: None, seed: None })
    }

    /// Writes an `.npz` that NumPy reads.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let arrays = self.arrays()?;
        Ok(npz::write(path, arrays.iter().map(|(name, array)| (*name, array)))?)
    }

    /// The bytes of such a file.
    ///
    /// # Errors
    /// If the vectors differ in length.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let arrays = self.arrays()?;
        Ok(npz::to_bytes(arrays.iter().map(|(name, array)| (*name, array)))?)
    }

    fn arrays(&self) -> Result<Vec<(&'static str, Array)>> {
        let (count, dim) = (self.vectors.len(), self.vectors.first().map_or(0, Vec::len));
        let directions = Array::from_f32([count, dim], &self.vectors.concat())?;
        let spread = Array::from_f64([count], &self.spread)?;
        let strength = Array::from_f64([count], &self.strength)?;
        let mut named =
            vec![("directions", directions), ("spread", spread), ("strength", strength)];
        if let Some(reach) = &self.reach {
            let range = |of: fn(&Reach) -> [f64; 2]| {
                Array::from_f64([count, 2], &reach.iter().flat_map(of).collect::<Vec<_>>())
            };
            named.push(("real", range(|reach| reach.real)?));
            named.push(("safe", range(|reach| reach.safe)?));
        }
        Ok(named)
    }

    /// The pictures of a seed moved along each direction.
    fn sheet(
        &self,
        drawing: &Drawing,
        styles: Option<&Styles>,
        files: &DirectionFiles,
        watch: &mut dyn Watch,
    ) -> Result<Sheet> {
        let network = &*drawing.generator.network;
        let seed = files.seed.or(self.seed).unwrap_or(0);
        let ws = drawing.sampler.ws(network, &[seed])?;
        let all = (0..network.info().num_ws).collect();
        let styles = styles.map_or(&all, |styles| &styles.0);
        let mut counter = Counter::new(watch, "directions", 0, self.vectors.len());
        let mut rows = Vec::new();
        for (i, vector) in self.vectors.iter().enumerate() {
            let mut cells = Vec::with_capacity(COLUMNS);
            for amount in steps(-REACH, REACH, COLUMNS) {
                let moved = moved(&ws, vector, amount * self.spread[i], styles)?;
                let picture: Image = drawing.render(&moved)?.swap_remove(0);
                let cell = Cell::new(picture.enlarged(files.zoom.unwrap_or(1)));
                cells.push(if i == 0 { cell.caption(signed(amount)) } else { cell });
            }
            rows.push(Row { label: self.names[i].clone(), cells, ..Row::default() });
            counter.add()?;
        }
        Ok(Sheet {
            title: format!("seed {seed} along directions of W"),
            legend: "columns: distance in standard deviations of W along the direction".into(),
            rows,
            gap: Sheet::TIGHT,
            ..Sheet::default()
        })
    }
}

/// `ws` moved along a direction by a distance, in some style inputs.
pub(super) fn moved(ws: &Tensor, vector: &[f32], by: f64, styles: &[usize]) -> Result<Tensor> {
    let direction = Tensor::from_slice(vector, vector.len(), ws.device())?.to_dtype(ws.dtype())?;
    Ok(shift(ws, &direction, by, styles)?)
}

/// `count` numbers from `from` to `to`, both included.
pub(super) fn steps(from: f64, to: f64, count: usize) -> impl Iterator<Item = f64> {
    let last = (count.max(2) - 1) as f64;
    (0..count).map(move |i| from + (to - from) * i as f64 / last)
}

/// A distance with its sign.
pub(super) fn signed(amount: f64) -> String {
    let text = format!("{amount:+.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if matches!(text, "+0" | "-0") { "0".into() } else { text.into() }
}

#[cfg(test)]
mod tests;
