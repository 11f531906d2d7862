//! Walks between seeds and classes: straight in Z, on arcs in Z, straight in W, smooth in W.

use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use ganscope_images::{Image, grid, save_png};
use ganscope_latent::{Lengths, Seeds, Space, Summary, Waypoint, is_same_walk, walk_through};
use serde::{Deserialize, Serialize};

use super::codes::Codes;
use super::output::Output;
use super::{DRAWN, Drawing, DrawingRequest, EACH, ZOOM, class};
use crate::catalog;
use crate::checks::within;
use crate::error::{Error, Hint, Result};
use crate::figures::animation::Strip;
use crate::figures::{Cell, Row, Sheet};
use crate::models::device::device;
use crate::models::distance::Distance;
use crate::text;
use crate::watch::{Counter, Watch};

/// Least width and height of the pictures of a moving picture, unless told.
const LEAST_MOVING: usize = 128;

/// Where a walk goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WalkRequest {
    /// The generator and its options; its class is that of all seeds unless `class` names others.
    pub drawing: DrawingRequest,
    /// Seeds that are passed, as `85,265`.
    #[serde(with = "text")]
    pub seeds: Seeds,
    /// A file of style inputs that are passed instead of seeds, in those of the spaces that are in W.
    pub ws: Option<PathBuf>,
    /// Classes: one for all seeds, or one for each; [`EACH`] is `seed mod classes`. With one seed, the
    /// classes are walked through.
    pub class: Vec<String>,
    /// Pictures from one seed to the next, both included, at least 2.
    pub steps: usize,
    /// Spaces; a spline is for closed walks.
    #[serde(with = "text::list")]
    pub spaces: Vec<Space>,
    /// Whether the walk returns to the first seed.
    pub closed: bool,
    /// Name of the distance that measures steps; pixels if missing.
    pub distance: Option<String>,
    /// Weights of the distance, instead of the known ones.
    pub weights: Option<String>,
}

impl Default for WalkRequest {
    /// Nine pictures from seed 0 to seed 1, in Z, on an arc in Z, and in W.
    fn default() -> Self {
        Self {
            drawing: DrawingRequest::default(),
            seeds: (0..=1).into(),
            ws: None,
            class: Vec::new(),
            steps: 9,
            spaces: vec![Space::Z, Space::ZSlerp, Space::W],
            closed: false,
            distance: None,
            weights: None,
        }
    }
}

/// How a walk is drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WalkStyle {
    /// Whether captions stand above the rows of a picture and above the pictures of a frame.
    pub captions: bool,
    /// By which whole factor pictures are enlarged, at least 1. If missing, small ones are enlarged to
    /// 64 pixels in a picture and to 128 in frames, but not without captions.
    pub zoom: Option<usize>,
    /// Frames per second of a moving picture.
    pub fps: f64,
}

impl Default for WalkStyle {
    /// Captions, 24 frames per second.
    fn default() -> Self {
        Self { captions: true, zoom: None, fps: 24.0 }
    }
}

/// A walk, measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Walk {
    /// What the steps are measured in.
    pub meter: String,
    /// Whether the last picture is the first again.
    pub closed: bool,
    /// The walks, those that are the same as one.
    pub rows: Vec<WalkRow>,
    /// The pictures: one list per step, one picture per row. None if they were handed out one by one.
    #[serde(skip)]
    pub frames: Vec<Vec<Image>>,
}

/// A walk in one space, or in several in which it is the same.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WalkRow {
    /// Names of the spaces.
    pub spaces: Vec<&'static str>,
    /// Lengths of the steps.
    pub lengths: Vec<f64>,
}

impl WalkRow {
    /// Names of the spaces, as `z, w`.
    pub fn name(&self) -> String {
        self.spaces.join(", ")
    }

    /// Path, mean and longest step.
    pub fn summary(&self) -> Summary {
        Summary::of(&self.lengths)
    }
}

/// A walk under way: an iterator over its steps, one picture per row.
pub struct Walking<'w> {
    drawing: Drawing,
    spaces: Vec<Vec<&'static str>>,
    walks: Vec<Tensor>,
    meter: Meter,
    lengths: Lengths<Image>,
    closed: bool,
    next: usize,
    counter: Counter<'w, 'static>,
}

impl std::fmt::Debug for Walking<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Walking")
            .field("spaces", &self.spaces)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

/// Walks, with all pictures in memory.
///
/// # Errors
/// As [`begin_walk`]; or if the generator or the distance fails, or the task is stopped.
pub fn walk(request: &WalkRequest, watch: &mut dyn Watch) -> Result<Walk> {
    let mut walking = begin_walk(request, watch)?;
    let frames = walking.by_ref().collect::<Result<_>>()?;
    Ok(Walk { frames, ..walking.finish() })
}

/// Begins a walk whose pictures are handed out step by step.
///
/// # Errors
/// If the request is not sound, or the generator or the distance cannot be opened.
pub fn begin_walk<'w>(request: &WalkRequest, watch: &'w mut dyn Watch) -> Result<Walking<'w>> {
    request.check()?;
    let meter = Meter::open(request, watch)?;
    let drawing = Drawing::open_with_class(&request.drawing, EACH, watch)?;
    let mut spaces: Vec<Vec<&'static str>> = Vec::new();
    let mut walks: Vec<Tensor> = Vec::new();
    for (space, ws) in request.walks(&drawing)? {
        let mut same = None;
        for (i, other) in walks.iter().enumerate() {
            if is_same_walk(other, &ws)? {
                same = Some(i);
                break;
            }
        }
        match same {
            None => {
                walks.push(ws);
                spaces.push(vec![space.name()]);
            }
            Some(i) if spaces[i].contains(&space.name()) => {}
            Some(i) => spaces[i].push(space.name()),
        }
    }
    let count = walks[0].dim(0)?;
    Ok(Walking {
        lengths: Lengths::new(walks.len()),
        closed: request.closed,
        next: 0,
        counter: Counter::new(watch, "steps", 0, count),
        drawing,
        spaces,
        walks,
        meter,
    })
}

/// Walks and writes the pictures: a `.png` with a row for each space, a moving picture, or a folder of
/// frames. Frames are written as they are computed; the frames of a closed walk lack the last picture,
/// which is the first again.
///
/// # Errors
/// As [`walk`]; or if nothing can be written at `output`.
pub fn write_walk(
    request: &WalkRequest,
    style: &WalkStyle,
    output: &Path,
    watch: &mut dyn Watch,
) -> Result<Walk> {
    style.zoom.map_or(Ok(()), |zoom| within("zoom", zoom, ZOOM))?;
    request.check()?;
    let output = Output::of(output)?;
    output.prepare()?;
    if let Output::Png(path) = &output {
        let walk = walk(request, watch)?;
        save_png(path, &walk.picture(style)?)?;
        return Ok(Walk { frames: Vec::new(), ..walk });
    }
    let mut walking = begin_walk(request, watch)?;
    let strip = if style.captions { Some(walking.strip(style.zoom)?) } else { None };
    let (frames, rows) = (walking.len() - usize::from(request.closed), walking.walks.len());
    let frame = |pictures: Result<Vec<Image>>| {
        Ok(match &strip {
            Some(strip) => strip.frame(&pictures?),
            None => plain(&pictures?, rows, style.zoom),
        })
    };
    output.write_frames(frames, walking.by_ref().take(frames).map(frame), style.fps)?;
    // The last step of a closed walk is measured, too.
    walking.by_ref().try_for_each(|pictures| pictures.map(drop))?;
    Ok(walking.finish())
}

impl WalkRequest {
    /// Fails if the request could not be carried out whatever the generator.
    fn check(&self) -> Result<()> {
        within("steps", self.steps, 2..=100_000)?;
        if self.spaces.is_empty() {
            return Err(Error::request("no space").with_hint(Hint::of("give {spaces}")));
        }
        if self.spaces.contains(&Space::WSpline) && !self.closed {
            return Err(Error::request("a spline has no ends")
                .with_hint(Hint::of("close the walk with {closed}")));
        }
        if let Some(name) = &self.distance {
            catalog::distance(name)?;
        }
        Ok(())
    }

    /// The `ws` of each space.
    fn walks(&self, drawing: &Drawing) -> Result<Vec<(Space, Tensor)>> {
        let (network, steps) = (&*drawing.generator.network, self.steps);
        if let Some(path) = &self.ws {
            let mut keys = Codes::read(path)?.of(network)?;
            if keys.dim(0)? < 2 {
                return Err(Error::request(format!("`{}`: one latent", path.display()))
                    .with_hint("a walk needs two end points"));
            }
            if self.closed {
                keys = Tensor::cat(&[&keys, &keys.narrow(0, 0, 1)?], 0)?;
            }
            let in_w = self.spaces.iter().filter(|s| matches!(s, Space::W | Space::WSpline));
            let walks = in_w.map(|&space| Ok((space, walk_through(&keys, steps, space)?)));
            let walks = walks.collect::<Result<Vec<_>>>()?;
            if walks.is_empty() {
                return Err(Error::request("style inputs have no latents in Z")
                    .with_hint(Hint::of("give {spaces} of W")));
            }
            return Ok(walks);
        }
        let (points, truncation) = (self.waypoints(drawing)?, drawing.sampler.truncation);
        let walk = |&space: &Space| {
            Ok((space, ganscope_latent::walk(network, &points, steps, space, truncation)?))
        };
        self.spaces.iter().map(walk).collect()
    }

    /// The latents and classes that are passed.
    fn waypoints(&self, drawing: &Drawing) -> Result<Vec<Waypoint>> {
        let generator = &drawing.generator;
        let info = generator.info();
        let seeds = self.seeds.to_vec();
        let of_drawing = self.drawing.class.as_slice();
        let names = if self.class.is_empty() { of_drawing } else { &self.class };
        // Without a name: names the classes there are, if the generator has any and needs one.
        let drawn = match names {
            [] => class(generator, None)?,
            [name] if [EACH, DRAWN].contains(&name.as_str()) => class(generator, Some(name))?,
            _ => None,
        };
        let classes = match (names, drawn) {
            (_, Some(drawn)) => {
                let of = |&seed: &u32| drawn.of(seed, info.c_dim);
                seeds.iter().map(of).collect::<Result<_, _>>()?
            }
            (names, None) => {
                names.iter().map(|name| generator.class(name)).collect::<Result<Vec<_>>>()?
            }
        };
        let pairs: Vec<(u32, Option<u32>)> = match (&seeds[..], &classes[..]) {
            (seeds, []) => seeds.iter().map(|&seed| (seed, None)).collect(),
            (&[seed], classes) => classes.iter().map(|&class| (seed, Some(class))).collect(),
            (seeds, &[class]) => seeds.iter().map(|&seed| (seed, Some(class))).collect(),
            (seeds, classes) if seeds.len() == classes.len() => {
                seeds.iter().copied().zip(classes.iter().copied().map(Some)).collect()
            }
            (seeds, classes) => {
                let message = format!("{} classes for {} seeds", classes.len(), seeds.len());
                return Err(Error::request(message)
                    .with_hint(Hint::of("give {class} once, or once for each seed")));
            }
        };
        if pairs.len() < 2 {
            return Err(Error::request("a walk needs two end points").with_hint(Hint::of(
                if info.c_dim > 0 {
                    "give two {seeds}, or one seed and {class} twice"
                } else {
                    "give two {seeds}"
                },
            )));
        }
        let point = |(seed, class)| {
            Ok(Waypoint { z: drawing.sampler.prior.latent(seed, info.z_dim)?, class })
        };
        let mut points: Vec<Waypoint> = pairs.into_iter().map(point).collect::<Result<_>>()?;
        if self.closed {
            points.push(points[0].clone());
        }
        Ok(points)
    }
}

impl Walking<'_> {
    /// Pictures of each row in all.
    pub fn len(&self) -> usize {
        self.walks[0].dims()[0]
    }

    /// Whether there are none; never so.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was measured up to here.
    pub fn finish(self) -> Walk {
        let rows = self.spaces.into_iter().zip(self.lengths.into_walks());
        Walk {
            meter: self.meter.name(),
            closed: self.closed,
            rows: rows.map(|(spaces, lengths)| WalkRow { spaces, lengths }).collect(),
            frames: Vec::new(),
        }
    }

    /// What makes frames with captions of the pictures of a step.
    fn strip(&self, zoom: Option<usize>) -> Result<Strip> {
        let [_, width] = self.drawing.generator.network.image_size();
        let captions: Vec<String> = self.spaces.iter().map(|spaces| spaces.join(", ")).collect();
        let zoom = zoom.unwrap_or(LEAST_MOVING.div_ceil(width.max(1)));
        Ok(Strip::new(&captions, width, zoom)?)
    }

    fn step(&mut self) -> Result<Vec<Image>> {
        let at = |ws: &Tensor| ws.narrow(0, self.next, 1);
        let ws = self.walks.iter().map(at).collect::<Result<Vec<_>, _>>()?;
        let pictures = self.drawing.render(&Tensor::cat(&ws, 0)?)?;
        let Self { lengths, meter, .. } = self;
        lengths.push(pictures.clone(), |from, to| meter.lengths(from, to))?;
        self.next += 1;
        self.counter.at(self.next)?;
        Ok(pictures)
    }
}

impl Iterator for Walking<'_> {
    type Item = Result<Vec<Image>>;

    fn next(&mut self) -> Option<Self::Item> {
        (self.next < self.len()).then(|| self.step())
    }
}

impl Walk {
    /// Number of pictures of each row, and of steps between them.
    pub fn counts(&self) -> (usize, usize) {
        let steps = self.rows.first().map_or(0, |row| row.lengths.len());
        (steps + 1, steps)
    }

    /// A row of pictures for each walk.
    fn row(&self, row: usize) -> impl Iterator<Item = &Image> {
        self.frames.iter().map(move |frame| &frame[row])
    }

    /// The pictures as a sheet, with a caption above each row.
    pub fn sheet(&self, zoom: Option<usize>) -> Sheet {
        let rows = self.rows.iter().enumerate().map(|(i, row)| {
            let Summary { sum, mean, longest } = row.summary();
            let [mean, longest, sum] = [mean, longest, sum].map(digits);
            let (name, unit) = (row.name(), &self.meter);
            let cell = |picture: &Image| Cell::new(picture.enlarged(zoom.unwrap_or(1)));
            Row {
                heading: format!(
                    "{name}: mean step {mean}, longest {longest}, path {sum} ({unit})"
                ),
                cells: self.row(i).map(cell).collect(),
                ..Row::default()
            }
        });
        let least = if zoom.is_some() { 1 } else { Sheet::default().least };
        Sheet { rows: rows.collect(), gap: Sheet::TIGHT, least, ..Sheet::default() }
    }

    /// The pictures as `style` says.
    fn picture(&self, style: &WalkStyle) -> Result<Image> {
        if style.captions {
            return Ok(self.sheet(style.zoom).image()?);
        }
        let pictures: Vec<Image> =
            (0..self.rows.len()).flat_map(|row| self.row(row)).cloned().collect();
        Ok(plain(&pictures, self.frames.len(), style.zoom))
    }
}

/// Pictures side by side in rows of `columns`, without gaps.
fn plain(pictures: &[Image], columns: usize, zoom: Option<usize>) -> Image {
    grid(pictures, columns, 0, [255; 3]).enlarged(zoom.unwrap_or(1))
}

/// A length with the digits that matter.
pub fn digits(length: f64) -> String {
    if length < 10.0 { format!("{length:.3}") } else { format!("{length:.1}") }
}

/// What steps are measured by.
enum Meter {
    /// Root mean square of the differences of pixels on 0..255.
    Pixels,
    /// Distance of networks.
    Distance(Distance),
}

impl Meter {
    fn open(request: &WalkRequest, watch: &mut dyn Watch) -> Result<Self> {
        let Some(name) = &request.distance else { return Ok(Self::Pixels) };
        let device = device(&request.drawing.device)?;
        let entry = catalog::distance(name)?;
        Ok(Self::Distance(entry.open(request.weights.as_deref(), &device, watch)?))
    }

    fn name(&self) -> String {
        match self {
            Self::Pixels => "RMS of pixels".into(),
            Self::Distance(distance @ Distance::Lpips(_)) => distance.name().into(),
            Self::Distance(distance) => format!("features of {}", distance.name()),
        }
    }

    /// Lengths of the steps from each picture of `from` to that of `to`.
    fn lengths(&self, from: &[Image], to: &[Image]) -> Result<Vec<f64>> {
        let pairs = from.iter().zip(to);
        match self {
            Self::Pixels => Ok(pairs.map(|(a, b)| root_mean_square(a, b)).collect()),
            Self::Distance(distance) => {
                let tensors: Vec<Tensor> =
                    pairs.flat_map(|(a, b)| [a, b]).map(from_image).collect::<Result<_>>()?;
                let distances = distance.pair_distances(&Tensor::stack(&tensors, 0)?)?;
                let lpips = matches!(distance, Distance::Lpips(_));
                Ok(distances.into_iter().map(|d| if lpips { d } else { d.sqrt() }).collect())
            }
        }
    }
}

fn root_mean_square(a: &Image, b: &Image) -> f64 {
    let square = |(&a, &b): (&u8, &u8)| f64::from(a.abs_diff(b)).powi(2);
    let sum: f64 = a.pixels.iter().zip(&b.pixels).map(square).sum();
    (sum / a.pixels.len() as f64).sqrt()
}

/// (3, H, W) in [-1, 1].
fn from_image(image: &Image) -> Result<Tensor> {
    let values: Vec<f32> = image.pixels.iter().map(|&v| f32::from(v) / 127.5 - 1.0).collect();
    let tensor = Tensor::from_vec(values, (image.height, image.width, 3), &Device::Cpu)?;
    Ok(tensor.permute((2, 0, 1))?.contiguous()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(model: &str, seeds: &str) -> WalkRequest {
        let path = ganscope_golden::data().join(model);
        WalkRequest {
            drawing: DrawingRequest::of(path.to_str().unwrap()),
            seeds: seeds.parse().unwrap(),
            steps: 3,
            ..WalkRequest::default()
        }
    }

    #[test]
    fn requests_survive_json() {
        let request = WalkRequest {
            spaces: Space::ALL.to_vec(),
            class: vec!["1".into()],
            distance: Some("lpips".into()),
            ..request("x", "85,265")
        };
        for request in [WalkRequest::default(), request] {
            let json = serde_json::to_string(&request).unwrap();
            assert_eq!(serde_json::from_str::<WalkRequest>(&json).unwrap(), request);
        }
        let json = serde_json::to_string(&WalkStyle::default()).unwrap();
        assert_eq!(serde_json::from_str::<WalkStyle>(&json).unwrap(), WalkStyle::default());
    }

    #[test]
    fn a_request_that_cannot_be_carried_out_fails_before_the_work() {
        let good = WalkRequest::default();
        for wrong in [
            WalkRequest { steps: 1, ..good.clone() },
            WalkRequest { spaces: Vec::new(), ..good.clone() },
            WalkRequest { spaces: vec![Space::WSpline], ..good.clone() },
            WalkRequest { distance: Some("x".into()), ..good.clone() },
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
        assert!(good.check().is_ok());
    }

    #[test]
    fn walks_that_are_the_same_are_one_row() {
        // W of BigGAN is Z beside the class.
        for truncation in [1.0, 0.4] {
            let mut between = request("biggan-tiny.bin", "1,2");
            between.class = vec!["each".into()];
            between.drawing.truncation = truncation;
            let found = walk(&between, &mut ()).unwrap();
            // Classes 1 and 2 are mixed by the same share as the latents.
            let names: Vec<String> = found.rows.iter().map(WalkRow::name).collect();
            assert_eq!(names, ["z, w", "z-slerp"], "{truncation}");
            assert_eq!(found.frames.len(), 3);
            assert!(found.frames.iter().all(|pictures| pictures.len() == 2));
        }
        let mut classes = request("biggan-tiny.bin", "7");
        classes.class = ["1", "8"].map(str::to_owned).to_vec();
        let found = walk(&classes, &mut ()).unwrap();
        assert_eq!(found.rows[0].name(), "z, z-slerp, w");
        // Half-way, a StyleGAN, which normalizes z, sees the same of a chord and an arc.
        let style = WalkRequest { steps: 4, ..request("stylegan-s2-skip.pkl", "1,2") };
        assert_eq!(walk(&style, &mut ()).unwrap().rows.len(), 3);
    }

    #[test]
    fn steps_are_measured_between_all_pictures() {
        let request = WalkRequest { closed: true, ..request("stylegan-s2-skip.pkl", "1,2") };
        let found = walk(&request, &mut ()).unwrap();
        assert_eq!((found.frames.len(), found.counts()), (5, (5, 4)));
        assert_eq!(found.frames[0], found.frames[4]);
        for (i, row) in found.rows.iter().enumerate() {
            let pictures: Vec<&Image> = found.row(i).collect();
            let expected: Vec<f64> =
                pictures.windows(2).map(|pair| root_mean_square(pair[0], pair[1])).collect();
            assert_eq!(row.lengths, expected);
        }
        // The same numbers where the pictures are written one by one and the last is left out.
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("frames");
        let written = write_walk(&request, &WalkStyle::default(), &output, &mut ()).unwrap();
        assert_eq!(written.rows, found.rows);
        assert_eq!(std::fs::read_dir(&output).unwrap().count(), 4);
    }

    #[test]
    fn a_sheet_has_a_caption_for_each_row() {
        let request = WalkRequest { steps: 4, ..request("stylegan-s2-skip.pkl", "85,265") };
        let found = walk(&request, &mut ()).unwrap();
        let svg = found.sheet(None).svg().unwrap();
        for name in ["z: mean step", "z-slerp: mean step", "w: mean step", "RMS of pixels"] {
            assert!(svg.contains(name), "{name}");
        }
        let plain = found.picture(&WalkStyle { captions: false, ..Default::default() }).unwrap();
        assert_eq!((plain.width, plain.height), (4 * 32, 3 * 32));
    }
}
