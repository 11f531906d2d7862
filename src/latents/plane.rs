//! A plane of seeds, to wander in: a picture at every place, blended in W of the seeds around it.
//!
//! Seeds lie on a grid, 100 in a row, as in NVIDIA's visualizer. To the blend come styles of another
//! seed, and steps along directions of W.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use candle_core::Tensor;
use ganscope_images::Image;
use ganscope_latent::{Styles, mix};
use ganscope_model::GeneratorInfo;
use ganscope_weights::Array;
use serde::{Deserialize, Serialize};

use super::directions::{DirectionMethod, DirectionSet, DirectionsRequest, moved};
use super::edit::{Move, sum_of};
use super::{Drawing, DrawingRequest, EACH};
use crate::error::{Error, Result};
use crate::text;
use crate::watch::Watch;

/// Seeds in a row of the plane.
pub const COLUMNS: u32 = 100;

/// Farthest place from the origin, in either coordinate.
const FARTHEST: f64 = 1e7;

/// Sets of directions that are computed, not read.
pub const COMPUTED: [DirectionMethod; 2] = [DirectionMethod::Pca, DirectionMethod::Sefa];

/// Directions of such a set, and the latents whose components and spread are taken.
pub const COUNT: usize = 10;
/// See [`COUNT`].
pub const SAMPLES: usize = 2000;

/// Time in which a picture that follows a hand is drawn.
pub const IN_TIME: Duration = Duration::from_millis(50);

/// Lowest preview that shows something.
const LOWEST: usize = 16;

/// Most steps of a place.
const MOST_STEPS: usize = 256;

/// A place on the plane, and what is done to its style inputs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlaceRequest {
    /// The generator and its options.
    pub drawing: DrawingRequest,
    /// The column: seed `i + 100 j` is at column `i`, row `j`, for whole `i` and `j`, modulo 2^32.
    pub x: f64,
    /// The row.
    pub y: f64,
    /// The seed whose styles are taken in.
    pub mixed: Option<u32>,
    /// Which of its styles; none if missing.
    #[serde(with = "text::option")]
    pub styles: Option<Styles>,
    /// Steps along directions of W, as `pca:0=+2`, in standard deviations. Beside files there are
    /// `pca`, the principal components of W, and `sefa`, the semantic directions of all styles: 10 each,
    /// those of 2,000 latents.
    #[serde(with = "text::list")]
    pub direction: Vec<Move>,
    /// Style inputs that are moved; all if missing.
    #[serde(with = "text::option")]
    pub moved: Option<Styles>,
    /// Height that is enough for a picture: the largest preview of the generator that is at most so high. The
    /// whole picture if missing, or if the generator has no previews.
    pub preview: Option<usize>,
}

/// A set of directions that a generator can be moved along.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SetRequest {
    /// The generator and its options.
    pub drawing: DrawingRequest,
    /// `pca`, `sefa`, or a file.
    pub set: PathBuf,
}

impl PlaceRequest {
    /// The seeds around the place with their weights, which sum to one; a seed without weight is left
    /// out, so that a whole place is that of its seed alone.
    ///
    /// # Errors
    /// If the place is not finite, or farther than 10^7 from the origin.
    pub fn seeds(&self) -> Result<Vec<(u32, f64)>> {
        for (name, value) in [("x", self.x), ("y", self.y)] {
            if value.is_nan() || value.abs() > FARTHEST {
                let expected = "expected -10000000 to 10000000";
                return Err(Error::request(format!("`{name}` is {value}, {expected}")));
            }
        }
        let (left, top) = (self.x.floor(), self.y.floor());
        let corners = [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)];
        let weighted = corners.map(|(i, j)| {
            let (column, row) = (left + i, top + j);
            let weight = (1.0 - (self.x - column).abs()) * (1.0 - (self.y - row).abs());
            let seed = column as i64 + row as i64 * i64::from(COLUMNS);
            (seed.rem_euclid(1 << 32) as u32, weight)
        });
        Ok(weighted.into_iter().filter(|(_, weight)| *weight > 0.0).collect())
    }
}

/// An open generator to wander in.
#[derive(Debug)]
pub struct Plane {
    drawing: Drawing,
    /// Sets of directions by their names, for the generator of that digest.
    sets: BTreeMap<PathBuf, DirectionSet>,
    digest: String,
}

impl Plane {
    /// Opens the generator of a place; a conditional one without a class gets classes in turn.
    ///
    /// # Errors
    /// If it cannot be opened, or its options do not fit it.
    pub fn open(request: &DrawingRequest, watch: &mut dyn Watch) -> Result<Self> {
        let drawing = Drawing::open_with_class(request, EACH, watch)?;
        Ok(Self { digest: digest(&drawing), drawing, sets: BTreeMap::new() })
    }

    /// The drawing of the last place.
    pub fn drawing(&self) -> &Drawing {
        &self.drawing
    }

    /// The style inputs at a place, (1, `num_ws`, `w_dim`) float32. Another generator is opened as needed.
    ///
    /// # Errors
    /// If the request does not fit the generator, or the generator fails.
    pub fn ws(&mut self, place: &PlaceRequest, watch: &mut dyn Watch) -> Result<Array> {
        let ws = self.tensor(place, watch)?;
        let GeneratorInfo { num_ws, w_dim, .. } = self.drawing.generator.info();
        Ok(Array::from_f32([1, num_ws, w_dim], &ws.flatten_all()?.to_vec1::<f32>()?)?)
    }

    /// The picture at a place.
    ///
    /// # Errors
    /// As [`ws`](Self::ws).
    pub fn picture(&mut self, place: &PlaceRequest, watch: &mut dyn Watch) -> Result<Image> {
        let ws = self.tensor(place, watch)?;
        self.drawing.picture(&ws, place.preview, watch)
    }

    /// The height of the largest preview that is drawn within [`IN_TIME`] on this machine, as measured; that of
    /// the smallest of at least 16 pixels if none is. None if the whole picture is in time, or the generator
    /// has no such preview.
    ///
    /// # Errors
    /// If the generator fails, or the task is stopped.
    pub fn preview(&self, watch: &mut dyn Watch) -> Result<Option<usize>> {
        let Drawing { generator, sampler, .. } = &self.drawing;
        let mut sizes = generator.network.preview_sizes();
        sizes.retain(|&height| height >= LOWEST);
        let Some(&smallest) = sizes.first() else { return Ok(None) };
        let ws = sampler.ws(&*generator.network, &[0])?;
        // What is done only once is not counted.
        self.drawing.picture(&ws, Some(smallest), watch)?;
        let mut in_time = smallest;
        for size in sizes.into_iter().map(Some).chain([None]) {
            let began = Instant::now();
            self.drawing.picture(&ws, size, watch)?;
            if began.elapsed() > IN_TIME {
                return Ok(Some(in_time));
            }
            in_time = size.unwrap_or(in_time);
        }
        Ok(None)
    }

    fn tensor(&mut self, place: &PlaceRequest, watch: &mut dyn Watch) -> Result<Tensor> {
        let around = place.seeds()?;
        if place.direction.len() > MOST_STEPS {
            let given = place.direction.len();
            return Err(Error::request(format!(
                "{given} steps along directions, expected at most {MOST_STEPS}"
            )));
        }
        self.set(&place.drawing, watch)?;
        for step in &place.direction {
            self.find(&step.file, watch)?;
        }
        let Drawing { generator, sampler, .. } = &self.drawing;
        let seeds: Vec<u32> = around.iter().map(|(seed, _)| *seed).collect();
        let corners = sampler.ws(&*generator.network, &seeds)?;
        let mut ws = corners.narrow(0, 0, 1)?;
        if around.len() > 1 {
            let weights: Vec<f32> = around.iter().map(|(_, weight)| *weight as f32).collect();
            let weights = Tensor::from_vec(weights, (around.len(), 1, 1), corners.device())?;
            ws = corners.broadcast_mul(&weights)?.sum_keepdim(0)?;
        }
        if let (Some(seed), Some(Styles(styles))) = (place.mixed, &place.styles) {
            ws = mix(&ws, &sampler.ws(&*generator.network, &[seed])?, styles)?;
        }
        if place.direction.is_empty() {
            return Ok(ws);
        }
        let GeneratorInfo { num_ws, w_dim, .. } = generator.info();
        let sets =
            place.direction.iter().filter_map(|step| Some((step, self.sets.get(&step.file)?)));
        let sum = sum_of(sets, w_dim)?;
        let all: Vec<usize> = (0..num_ws).collect();
        moved(&ws, &sum, 1.0, place.moved.as_ref().map_or(&all, |styles| &styles.0))
    }

    /// A set of directions of a generator, found or read when it is first needed.
    ///
    /// # Errors
    /// If the generator cannot be opened, has no such directions, or the file cannot be read.
    pub fn directions(
        &mut self,
        request: &SetRequest,
        watch: &mut dyn Watch,
    ) -> Result<&DirectionSet> {
        self.set(&request.drawing, watch)?;
        self.find(&request.set, watch)
    }

    fn set(&mut self, request: &DrawingRequest, watch: &mut dyn Watch) -> Result<()> {
        self.drawing.set(request, watch)?;
        let digest = digest(&self.drawing);
        if digest != self.digest {
            self.sets.clear();
            self.digest = digest;
        }
        Ok(())
    }

    fn find(&mut self, name: &Path, watch: &mut dyn Watch) -> Result<&DirectionSet> {
        let set = match self.sets.remove(name) {
            Some(known) => known,
            None => match COMPUTED.into_iter().find(|method| Path::new(method.name()) == name) {
                Some(method) => self.compute(method, watch)?,
                None => DirectionSet::read(name)?,
            },
        };
        Ok(self.sets.entry(name.to_owned()).or_insert(set))
    }

    /// Directions of W without truncation, of all classes.
    fn compute(&mut self, method: DirectionMethod, watch: &mut dyn Watch) -> Result<DirectionSet> {
        let here = self.drawing.request().clone();
        let class = here.class.as_ref().map(|_| EACH.to_owned());
        let drawing = DrawingRequest { truncation: 1.0, class, ..here.clone() };
        let wanted =
            DirectionsRequest { method, num: COUNT, samples: SAMPLES, ..Default::default() };
        self.drawing.set(&drawing, watch)?;
        let found = wanted.find(&self.drawing, watch);
        self.drawing.set(&here, watch)?;
        found
    }
}

fn digest(drawing: &Drawing) -> String {
    drawing.generator.digest.to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(feature = "models")]
    use crate::latents::directions::{DirectionFiles, write_directions};
    #[cfg(feature = "models")]
    use crate::latents::edit::{EditRequest, edit};

    /// Two roundings of numbers near one.
    const ROUNDING: f32 = 1e-6;

    fn place(x: f64, y: f64) -> PlaceRequest {
        let drawing = DrawingRequest { truncation: 0.7, ..DrawingRequest::of("fashion-stylegan2") };
        PlaceRequest { drawing, x, y, ..PlaceRequest::default() }
    }

    #[test]
    fn weights_are_those_of_the_corners_and_seeds_wrap_around() {
        let seeds = |x, y| place(x, y).seeds().unwrap();
        assert_eq!(seeds(3.0, 2.0), [(203, 1.0)]);
        assert_eq!(seeds(0.25, 0.0), [(0, 0.75), (1, 0.25)]);
        assert_eq!(seeds(0.5, 0.5), [(0, 0.25), (1, 0.25), (100, 0.25), (101, 0.25)]);
        assert_eq!(seeds(-1.0, 0.0), [(u32::MAX, 1.0)]);
        assert!(place(f64::NAN, 0.0).seeds().is_err());
        assert!(place(0.0, 1e9).seeds().is_err());
    }

    #[test]
    #[cfg(feature = "models")]
    fn a_whole_place_is_the_picture_of_its_seed() {
        let (place, watch) = (place(3.0, 1.0), &mut ());
        let mut plane = Plane::open(&place.drawing, watch).unwrap();
        let picture = plane.picture(&place, watch).unwrap();
        let drawn: Vec<_> = plane.drawing().pictures([103]).map(Result::unwrap).collect();
        assert_eq!(picture, drawn[0][0]);
    }

    #[test]
    #[cfg(feature = "models")]
    fn between_two_seeds_w_is_their_mean() {
        let place = place(3.5, 1.0);
        let mut plane = Plane::open(&place.drawing, &mut ()).unwrap();
        let blend = plane.ws(&place, &mut ()).unwrap().to_f32();
        let ends = plane.drawing().ws(&[103, 104]).unwrap().to_f32();
        let (a, b) = ends.split_at(blend.len());
        for ((w, a), b) in blend.iter().zip(a).zip(b) {
            assert!((w - f32::midpoint(*a, *b)).abs() < ROUNDING, "{w} of {a} and {b}");
        }
    }

    #[test]
    #[cfg(feature = "models")]
    fn styles_of_another_seed_are_taken_over_and_moves_go_along_components() {
        let mut plane = Plane::open(&place(3.0, 1.0).drawing, &mut ()).unwrap();
        let mut of = |place: &PlaceRequest| plane.ws(place, &mut ()).unwrap().to_f32();
        let here = of(&place(3.0, 1.0));
        let styles = Some("0-2".parse().unwrap());
        let mixed = of(&PlaceRequest { mixed: Some(5), styles, ..place(3.0, 1.0) });
        let other = of(&place(5.0, 0.0));
        let w_dim = 128.min(here.len());
        assert_eq!(mixed[..w_dim], other[..w_dim]);
        assert_eq!(mixed[mixed.len() - w_dim..], here[here.len() - w_dim..]);
        let there = |steps: &[&str]| {
            let direction = steps.iter().map(|step| step.parse().unwrap()).collect();
            PlaceRequest { direction, ..place(3.0, 1.0) }
        };
        assert_ne!(of(&there(&["pca:0=+2"])), here);
        assert_eq!(of(&there(&["pca:0=0", "sefa:3=0"])), here);
        let fails = |steps: &[&str]| plane.ws(&there(steps), &mut ()).is_err();
        let mut fails = fails;
        assert!(fails(&["pca:10=+2"]));
        assert!(fails(&["nowhere.npz:0=+2"]));
        assert!(fails(&["pca:0=+1"; MOST_STEPS + 1]));
    }

    /// The pictures of 4, 8 and 16 pixels that the shipped StyleGAN2 makes before that of 32.
    #[test]
    #[cfg(feature = "models")]
    fn a_preview_is_the_largest_that_is_low_enough_and_else_the_whole_picture() {
        let mut plane = Plane::open(&place(3.5, 1.0).drawing, &mut ()).unwrap();
        let mut of =
            |preview| plane.picture(&PlaceRequest { preview, ..place(3.5, 1.0) }, &mut ()).unwrap();
        let whole = of(None);
        for (asked, height) in [(1, 4), (4, 4), (7, 4), (8, 8), (31, 16)] {
            let preview = of(Some(asked));
            assert_eq!((preview.width, preview.height), (height, height), "{asked}");
        }
        assert_eq!(of(Some(32)), whole);
        assert_eq!(of(Some(1000)), whole);
        let in_time = plane.preview(&mut ()).unwrap();
        assert!(in_time.is_none_or(|height| height == LOWEST), "{in_time:?}");

        let drawing =
            DrawingRequest { class: Some("3".into()), ..DrawingRequest::of("fashion-biggan") };
        let place = PlaceRequest { drawing, ..PlaceRequest::default() };
        let mut plane = Plane::open(&place.drawing, &mut ()).unwrap();
        let whole = plane.picture(&place, &mut ()).unwrap();
        let preview = PlaceRequest { preview: Some(4), ..place };
        assert_eq!(plane.picture(&preview, &mut ()).unwrap(), whole, "it has no previews");
        assert_eq!(plane.preview(&mut ()).unwrap(), None);
    }

    #[test]
    #[cfg(feature = "models")]
    fn a_picture_that_is_not_wanted_any_more_is_not_drawn() {
        struct Stopped;
        impl Watch for Stopped {
            fn stop(&self) -> bool {
                true
            }
        }
        let place = place(3.0, 1.0);
        let mut plane = Plane::open(&place.drawing, &mut ()).unwrap();
        let error = plane.picture(&place, &mut Stopped).unwrap_err();
        assert_eq!(error.kind(), crate::Kind::Cancelled);
    }

    /// A place moved along a set is the picture that is moved along the file of the set.
    #[test]
    #[cfg(feature = "models")]
    fn computed_directions_are_those_that_are_saved() {
        let folder = tempfile::tempdir().unwrap();
        for (method, model, class) in [
            (DirectionMethod::Pca, "fashion-stylegan2", None),
            (DirectionMethod::Sefa, "fashion-stylegan2", None),
            (DirectionMethod::Pca, "fashion-biggan", Some("3".to_owned())),
        ] {
            let output = folder.path().join(format!("{method}.npz"));
            let drawing = DrawingRequest::of(model);
            let wanted =
                DirectionsRequest { drawing, method, samples: SAMPLES, ..Default::default() };
            let files = DirectionFiles { output: output.clone(), ..DirectionFiles::default() };
            write_directions(&wanted, &files, &mut ()).unwrap();

            let drawing = DrawingRequest { truncation: 0.7, class, ..DrawingRequest::of(model) };
            let steps = |set: &str| [format!("{set}:1=+2.5"), format!("{set}:4=-1")];
            let parsed = |set: &str| steps(set).map(|step| step.parse().unwrap()).to_vec();
            let here = PlaceRequest {
                direction: parsed(method.name()),
                moved: Some("1-2".parse().unwrap()),
                ..PlaceRequest { drawing: drawing.clone(), x: 3.0, ..PlaceRequest::default() }
            };
            let mut plane = Plane::open(&drawing, &mut ()).unwrap();
            let picture = plane.picture(&here, &mut ()).unwrap();
            let set = SetRequest { drawing: drawing.clone(), set: method.name().into() };
            let bytes = plane.directions(&set, &mut ()).unwrap().to_bytes().unwrap();
            assert_eq!(bytes, std::fs::read(&output).unwrap());

            let request = EditRequest {
                drawing,
                seeds: "3".parse().unwrap(),
                direction: parsed(output.to_str().unwrap()),
                styles: Some("1-2".parse().unwrap()),
                steps: 2,
                ..EditRequest::default()
            };
            let edited = edit(&request, &mut ()).unwrap();
            assert_eq!(picture, edited.pictures[0][1], "{method} of {model}");
            assert_ne!(picture, edited.pictures[0][0], "{method} of {model}");
        }
    }
}
