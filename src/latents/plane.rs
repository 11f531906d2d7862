//! A plane of seeds, to wander in: a picture at every place, blended in W of the seeds around it.
//!
//! Seeds lie on a grid, 100 in a row, as in NVIDIA's visualizer. To the blend come styles of another
//! seed, and steps along the principal components of W.

use candle_core::Tensor;
use ganscope_images::Image;
use ganscope_latent::{Styles, mix, shift};
use ganscope_model::GeneratorInfo;
use ganscope_weights::Array;
use serde::{Deserialize, Serialize};

use super::directions::{DirectionSet, DirectionsRequest, directions};
use super::{Drawing, DrawingRequest};
use crate::error::{Error, Result};
use crate::text;
use crate::watch::Watch;

/// Seeds in a row of the plane.
pub const COLUMNS: u32 = 100;

/// Farthest place from the origin, in either coordinate.
const FARTHEST: f64 = 1e7;

/// Latents whose components are taken.
const SAMPLES: usize = 2000;

/// Most components along which a picture is moved.
pub const COMPONENTS: usize = 10;

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
    /// Steps along the principal components of W, the largest first, in standard deviations; at most 10.
    pub moves: Vec<f64>,
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
    /// The principal components, of the generator that digest tells.
    components: Option<(String, DirectionSet)>,
}

impl Plane {
    /// Opens the generator of a place.
    ///
    /// # Errors
    /// If it cannot be opened, or its options do not fit it.
    pub fn open(request: &DrawingRequest, watch: &mut dyn Watch) -> Result<Self> {
        Ok(Self { drawing: Drawing::open(request, watch)?, components: None })
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
        let mut made = self.drawing.render(&ws)?;
        made.pop().ok_or_else(|| Error::request("the generator made no picture"))
    }

    fn tensor(&mut self, place: &PlaceRequest, watch: &mut dyn Watch) -> Result<Tensor> {
        let around = place.seeds()?;
        if place.moves.len() > COMPONENTS {
            let given = place.moves.len();
            return Err(Error::request(format!("{given} `moves`, expected at most {COMPONENTS}")));
        }
        self.drawing.set(&place.drawing, watch)?;
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
        if place.moves.iter().all(|&amount| amount == 0.0) {
            return Ok(ws);
        }
        let all: Vec<usize> = (0..generator.info().num_ws).collect();
        let device = ws.device().clone();
        let components = self.components(watch)?;
        let steps = place.moves.iter().zip(components.vectors.iter().zip(&components.strength));
        for (&amount, (vector, deviation)) in steps.filter(|(amount, _)| **amount != 0.0) {
            let direction = Tensor::from_slice(vector, vector.len(), &device)?;
            ws = shift(&ws, &direction, amount * deviation, &all)?;
        }
        Ok(ws)
    }

    /// The principal components of W without truncation, found when they are first needed.
    fn components(&mut self, watch: &mut dyn Watch) -> Result<&DirectionSet> {
        let digest = self.drawing.generator.digest.to_hex().to_string();
        let found = match self.components.take() {
            Some((of, found)) if of == digest => found,
            _ => {
                let class = None;
                let drawing =
                    DrawingRequest { truncation: 1.0, class, ..self.drawing.request().clone() };
                let (num, samples) = (COMPONENTS, SAMPLES);
                directions(
                    &DirectionsRequest { drawing, num, samples, ..Default::default() },
                    watch,
                )?
            }
        };
        Ok(&self.components.insert((digest, found)).1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let moved = of(&PlaceRequest { moves: vec![2.0], ..place(3.0, 1.0) });
        let length = |w: &[f32]| w.iter().map(|v| v * v).sum::<f32>().sqrt();
        let step: Vec<f32> = moved.iter().zip(&here).map(|(a, b)| a - b).collect();
        assert!(length(&step) > 0.0);
        let far = PlaceRequest { moves: vec![0.0; COMPONENTS + 1], ..place(0.0, 0.0) };
        assert!(plane.ws(&far, &mut ()).is_err());
    }
}
