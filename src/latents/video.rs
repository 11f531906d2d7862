//! Videos: smooth closed walks of many pictures at once, as the StyleGAN video tool makes them; walks of
//! the truncation, and walks along directions.

use std::f64::consts::TAU;
use std::path::{Path, PathBuf};

use candle_core::Tensor;
use ganscope_images::{Image, grid};
use ganscope_latent::{RandomState, Seeds, Spline, Styles};
use serde::{Deserialize, Serialize};

use super::codes::Codes;
use super::directions::{moved, signed};
use super::edit::{Move, sum_of_files};
use super::output::Output;
use super::pictures::GridSize;
use super::{Drawing, DrawingRequest, EACH, ZOOM};
use crate::checks::within;
use crate::error::{Error, Hint, Result};
use crate::figures::animation::Strip;
use crate::text;
use crate::watch::{Counter, Watch};

/// Frames of one video.
const MOST_FRAMES: usize = 1 << 20;
/// Pictures of one frame.
const MOST_CELLS: usize = 1 << 12;

/// What moves, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VideoRequest {
    /// The generator and its options; a conditional generator gets classes in turn unless it is told
    /// another.
    pub drawing: DrawingRequest,
    /// Seeds, one for each keyframe of each picture: those of the first picture, then those of the
    /// second. They are repeated if there are fewer.
    #[serde(with = "text")]
    pub seeds: Seeds,
    /// A file of style inputs instead of seeds.
    pub ws: Option<PathBuf>,
    /// Pictures of a frame.
    #[serde(with = "text")]
    pub grid: GridSize,
    /// Keyframes of each picture; if missing, as many as there are seeds for.
    pub num_keyframes: Option<usize>,
    /// Frames from one keyframe to the next; of other walks, all frames.
    pub w_frames: usize,
    /// Seed of a shuffle of the seeds; none if missing.
    pub shuffle_seed: Option<u32>,
    /// Truncations between which a walk goes, there and back, with one seed for each picture.
    pub psi_walk: Option<[f64; 2]>,
    /// Directions along which a walk goes, from one side to the other and back, with one seed for each
    /// picture.
    #[serde(with = "text::list")]
    pub direction: Vec<Move>,
    /// Style inputs that are moved along directions; all if missing.
    #[serde(with = "text::option")]
    pub styles: Option<Styles>,
    /// Frames per second.
    pub fps: f64,
    /// By which whole factor pictures are enlarged, at least 1; small ones to 128 pixels if missing.
    pub zoom: Option<usize>,
    /// Whether each picture has a caption: its next keyframe, and where the walk is.
    pub captions: bool,
}

impl Default for VideoRequest {
    /// One picture, seed 0, 120 frames from keyframe to keyframe, 60 frames per second.
    fn default() -> Self {
        Self {
            drawing: DrawingRequest::default(),
            seeds: (0..=0).into(),
            ws: None,
            grid: GridSize { columns: 1, rows: 1 },
            num_keyframes: None,
            w_frames: 120,
            shuffle_seed: None,
            psi_walk: None,
            direction: Vec::new(),
            styles: None,
            fps: 60.0,
            zoom: None,
            captions: false,
        }
    }
}

/// A video, ready to be drawn frame by frame. The frame after the last is the first again.
#[derive(Debug)]
pub struct Video {
    drawing: Drawing,
    columns: usize,
    zoom: usize,
    frames: usize,
    motion: Motion,
    /// Names of the keyframes of each picture, those of the first picture first; none without captions.
    names: Option<Vec<String>>,
}

/// How pictures move.
#[derive(Debug)]
enum Motion {
    /// Each along its own curve.
    Curves(Vec<Spline>),
    /// The truncation of the same `ws`, from one to the other.
    Truncation(Tensor, [f64; 2]),
    /// The same `ws` along a direction, by so many spreads of each of those that it is the sum of.
    Direction { ws: Tensor, along: Vec<f32>, amount: Vec<f64>, styles: Styles },
}

/// Opens the generator and lays out the walk.
///
/// # Errors
/// If the request contradicts itself, the generator or a file cannot be opened, or they do not fit.
pub fn video(request: &VideoRequest, watch: &mut dyn Watch) -> Result<Video> {
    request.check()?;
    let mut drawing = request.drawing.clone();
    if request.psi_walk.is_some() {
        drawing.truncation = 1.0;
    }
    let drawing = Drawing::open_with_class(&drawing, EACH, watch)?;
    let cells = request.grid.columns * request.grid.rows;
    let walks = request.psi_walk.is_some() || !request.direction.is_empty();
    let (names, ws) = request.keyframes(&drawing, cells, walks)?;
    let names = request.captions.then_some(names);
    let info = drawing.generator.info();
    let (keys, frames) = (ws.dim(0)? / cells, request.w_frames);
    let motion = if let Some(ends) = request.psi_walk {
        Motion::Truncation(ws, ends)
    } else if !request.direction.is_empty() {
        let styles = request.styles.clone();
        let styles = styles.unwrap_or_else(|| Styles((0..info.num_ws).collect()));
        let amount = request.direction.iter().map(|step| step.amount).collect();
        let along = sum_of_files(&request.direction, info.w_dim)?;
        Motion::Direction { ws, along, amount, styles }
    } else {
        let curve =
            |cell: usize| Ok(Spline::new(ws.narrow(0, cell * keys, keys)?.contiguous()?, frames)?);
        Motion::Curves((0..cells).map(curve).collect::<Result<_>>()?)
    };
    let frames = if walks { frames } else { frames.saturating_mul(keys) };
    within("frames", frames, 1..=MOST_FRAMES)?;
    let zoom = request.zoom.unwrap_or(128_usize.div_ceil(info.img_resolution.max(1)));
    Ok(Video { drawing, columns: request.grid.columns, zoom, frames, motion, names })
}

impl VideoRequest {
    /// Fails if the request could not be carried out whatever the generator.
    fn check(&self) -> Result<()> {
        within("w_frames", self.w_frames, 1..=100_000)?;
        self.num_keyframes.map_or(Ok(()), |count| within("num_keyframes", count, 1..=100_000))?;
        within("grid", self.grid.columns.saturating_mul(self.grid.rows), 1..=MOST_CELLS)?;
        self.zoom.map_or(Ok(()), |zoom| within("zoom", zoom, ZOOM))?;
        if self.psi_walk.is_some() && !self.direction.is_empty() {
            return Err(Error::request("a walk of the truncation, or along directions, not both")
                .with_hint(Hint::of("give {psi_walk} or {direction}")));
        }
        Ok(())
    }

    /// Names and `ws` of the keyframes of each picture, those of the first picture first.
    fn keyframes(
        &self,
        drawing: &Drawing,
        cells: usize,
        walks: bool,
    ) -> Result<(Vec<String>, Tensor)> {
        let network = &*drawing.generator.network;
        let codes = self.ws.as_deref().map(Codes::read).transpose()?;
        let count = codes.as_ref().map_or(self.seeds.len(), Codes::len);
        let keys = match self.num_keyframes {
            _ if walks => 1,
            Some(keys) => keys,
            None if count > 0 && count.is_multiple_of(cells) => count / cells,
            None => {
                let problem = format!("{count} seeds for the {cells} pictures of a frame");
                return Err(Error::request(problem).with_hint(Hint::of(
                    "give as many {seeds} for each picture, or say with {num_keyframes} how many it has",
                )));
            }
        };
        within("keyframes", keys.saturating_mul(cells), 1..=MOST_FRAMES)?;
        within("seeds", count, 1..=MOST_FRAMES)?;
        let mut order: Vec<usize> = (0..keys * cells).map(|i| i % count).collect();
        if let Some(seed) = self.shuffle_seed {
            RandomState::new(seed).shuffle(&mut order);
        }
        if let Some(codes) = codes {
            let ws = codes.of(network)?;
            let names = order.iter().map(|i| format!("w {i}")).collect();
            let ws =
                order.into_iter().map(|i| ws.narrow(0, i, 1)).collect::<Result<Vec<_>, _>>()?;
            return Ok((names, Tensor::cat(&ws, 0)?));
        }
        let seeds = self.seeds.to_vec();
        let seeds: Vec<u32> = order.into_iter().map(|i| seeds[i]).collect();
        let names = seeds.iter().map(|seed| format!("seed {seed}")).collect();
        Ok((names, drawing.sampler.ws(network, &seeds)?))
    }
}

impl Video {
    /// Number of frames.
    pub fn len(&self) -> usize {
        self.frames
    }

    /// Whether there are none; never so.
    pub fn is_empty(&self) -> bool {
        self.frames == 0
    }

    /// The `ws` of the pictures of a frame, (pictures, `num_ws`, `w_dim`).
    ///
    /// # Errors
    /// If the generator fails.
    pub fn ws(&self, frame: usize) -> Result<Tensor> {
        let side = self.side(frame);
        match &self.motion {
            Motion::Curves(curves) => {
                let frames_per_key = self.frames as f64 / curves[0].keys() as f64;
                let at = |curve: &Spline| curve.at(frame as f64 / frames_per_key);
                let ws = curves.iter().map(at).collect::<Result<Vec<_>, _>>()?;
                Ok(Tensor::cat(&ws, 0)?)
            }
            Motion::Truncation(ws, [from, to]) => {
                self.drawing.truncated_by(ws, between([*from, *to], side))
            }
            Motion::Direction { ws, along, styles, .. } => moved(ws, along, side, &styles.0),
        }
    }

    /// There and back: 1 at the start, -1 half-way.
    fn side(&self, frame: usize) -> f64 {
        (TAU * frame as f64 / self.frames as f64).cos()
    }

    /// The caption of each picture of a frame.
    fn captions(&self, names: &[String], frame: usize) -> Vec<String> {
        let side = self.side(frame);
        let place = match &self.motion {
            Motion::Curves(curves) => {
                let keys = curves[0].keys();
                let next = (frame * keys).div_ceil(self.frames) % keys;
                return names.iter().skip(next).step_by(keys).cloned().collect();
            }
            Motion::Truncation(_, ends) => format!("psi {:.2}", between(*ends, side)),
            Motion::Direction { amount, .. } => {
                let each = amount.iter().map(|amount| signed(amount * side));
                each.collect::<Vec<_>>().join(", ")
            }
        };
        names.iter().map(|name| format!("{name}, {place}")).collect()
    }

    /// A frame.
    ///
    /// # Errors
    /// If the generator fails.
    pub fn frame(&self, frame: usize) -> Result<Image> {
        let pictures = self.drawing.render(&self.ws(frame)?)?;
        let Some(names) = &self.names else {
            return Ok(grid(&pictures, self.columns, 0, [255; 3]).enlarged(self.zoom));
        };
        let captions = self.captions(names, frame);
        let rows = pictures.chunks(self.columns).zip(captions.chunks(self.columns));
        let rows = rows.map(|(pictures, captions)| {
            let width = pictures.iter().map(|picture| picture.width).max().unwrap_or(1);
            Ok(Strip::new(captions, width, self.zoom)?.frame(pictures))
        });
        Ok(grid(&rows.collect::<Result<Vec<_>>>()?, 1, 0, [255; 3]))
    }
}

/// `ends[0]` at side 1, `ends[1]` at side -1.
fn between([from, to]: [f64; 2], side: f64) -> f64 {
    f64::midpoint(from, to) + 0.5 * (from - to) * side
}

/// Draws a video: a moving `.gif`, `.webp` or `.apng`, a folder of frames, or the first frame as `.png`.
/// Returns the number of frames.
///
/// # Errors
/// As [`video`]; or if the generator fails, the file cannot be written, or the task is stopped.
pub fn write_video(request: &VideoRequest, output: &Path, watch: &mut dyn Watch) -> Result<usize> {
    let output = Output::of(output)?;
    output.prepare()?;
    let video = video(request, watch)?;
    let count = video.len();
    let mut counter = Counter::new(watch, "frames", 0, count);
    let frame = |i: usize| {
        let frame = video.frame(i)?;
        counter.add()?;
        Ok(frame)
    };
    output.write_frames(count, (0..count).map(frame), request.fps)?;
    Ok(count)
}

#[cfg(test)]
mod tests {
    use ganscope_golden::{arrays, data};

    use super::*;

    /// Frames of float32 latents.
    const F32_ROUNDING: f32 = 2e-5;

    fn request(seeds: &str) -> VideoRequest {
        let model = data().join("stylegan-s2-skip.pkl");
        VideoRequest {
            drawing: DrawingRequest {
                truncation: 0.7,
                ..DrawingRequest::of(model.to_str().unwrap())
            },
            seeds: seeds.parse().unwrap(),
            w_frames: 4,
            ..VideoRequest::default()
        }
    }

    fn values(ws: &Tensor) -> Vec<f32> {
        ws.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn requests_survive_json() {
        let request = VideoRequest {
            psi_walk: Some([0.0, 1.2]),
            direction: vec!["d.npz:1=2".parse().unwrap()],
            grid: GridSize { columns: 4, rows: 2 },
            ..request("1,2")
        };
        for request in [VideoRequest::default(), request] {
            let json = serde_json::to_string(&request).unwrap();
            assert_eq!(serde_json::from_str::<VideoRequest>(&json).unwrap(), request);
        }
    }

    #[test]
    fn frames_are_those_of_the_published_tool() {
        let golden = arrays("latent2.safetensors")["video/ws"].f32();
        let video = video(&request("85,265,297"), &mut ()).unwrap();
        assert_eq!(video.len(), 12);
        for (frame, expected) in golden.chunks_exact(48).enumerate() {
            let found = values(&video.ws(frame).unwrap());
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < F32_ROUNDING, "frame {frame}");
            }
        }
    }

    #[test]
    fn each_picture_has_its_own_keyframes() {
        let grid = GridSize { columns: 2, rows: 1 };
        let both = video(&VideoRequest { grid, ..request("1-4") }, &mut ()).unwrap();
        assert_eq!(both.len(), 8);
        for (cell, seeds) in ["1,2", "3,4"].into_iter().enumerate() {
            let alone = video(&request(seeds), &mut ()).unwrap();
            for frame in 0..8 {
                let ws = both.ws(frame).unwrap().narrow(0, cell, 1).unwrap();
                assert_eq!(values(&ws), values(&alone.ws(frame).unwrap()));
            }
        }
        let frame = both.frame(0).unwrap();
        assert_eq!((frame.width, frame.height), (2 * 128, 128));
        // Seeds are repeated where there are fewer.
        let few = VideoRequest { num_keyframes: Some(3), ..request("1,2") };
        assert_eq!(video(&few, &mut ()).unwrap().len(), 12);
        let odd = video(&VideoRequest { grid, ..request("1-3") }, &mut ()).unwrap_err();
        assert!(odd.to_string().contains("3 seeds for the 2 pictures"), "{odd}");
    }

    #[test]
    fn a_walk_of_the_truncation_goes_there_and_back() {
        let ends = Some([0.3, 0.9]);
        let walk = VideoRequest { psi_walk: ends, w_frames: 6, ..request("5") };
        let walk = video(&walk, &mut ()).unwrap();
        for (frame, psi) in [(0, 0.3), (3, 0.9), (2, 0.75), (4, 0.75)] {
            let drawing = DrawingRequest { truncation: psi, ..request("5").drawing };
            let drawing = Drawing::open(&drawing, &mut ()).unwrap();
            let expected = drawing.sampler.ws(&*drawing.generator.network, &[5]).unwrap();
            for (a, b) in values(&walk.ws(frame).unwrap()).iter().zip(values(&expected)) {
                assert!((a - b).abs() < F32_ROUNDING, "frame {frame}");
            }
        }
    }

    #[test]
    fn a_walk_along_a_direction_passes_its_middle() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("d.npy");
        let mut rows = vec![0.0; 48];
        rows[7] = 1.0;
        let array = ganscope_weights::Array::from_f32([1, 48], &rows).unwrap();
        ganscope_weights::npy::write(&path, &array).unwrap();
        let direction = vec![format!("{}:0=2", path.display()).parse().unwrap()];
        let walk = VideoRequest { direction, w_frames: 4, ..request("5,6") };
        let two = GridSize { columns: 1, rows: 2 };
        let walk = video(&VideoRequest { grid: two, ..walk }, &mut ()).unwrap();
        let at = |frame: usize| values(&walk.ws(frame).unwrap())[7];
        assert!((at(0) - at(1) - 2.0).abs() < F32_ROUNDING && (at(1) - at(3)).abs() < F32_ROUNDING);
        assert!((at(1) - at(2) - 2.0).abs() < F32_ROUNDING);
    }

    #[test]
    fn captions_name_the_next_keyframe_and_the_place() {
        let captioned = |request: VideoRequest| {
            video(&VideoRequest { captions: true, ..request }, &mut ()).unwrap()
        };
        let of = |video: &Video, frame| video.captions(video.names.as_ref().unwrap(), frame);
        let grid = GridSize { columns: 2, rows: 1 };
        let walk = captioned(VideoRequest { grid, ..request("1-4") });
        for (frame, names) in [
            (0, ["seed 1", "seed 3"]),
            (1, ["seed 2", "seed 4"]),
            (4, ["seed 2", "seed 4"]),
            (5, ["seed 1", "seed 3"]),
        ] {
            assert_eq!(of(&walk, frame), names, "frame {frame}");
        }
        let plain = video(&VideoRequest { grid, ..request("1-4") }, &mut ()).unwrap();
        let [with, without] = [&walk, &plain].map(|video| video.frame(0).unwrap());
        assert!(with.height > without.height && with.width > without.width);
        let psi = captioned(VideoRequest { psi_walk: Some([0.3, 0.9]), ..request("5") });
        assert_eq!(of(&psi, 2), ["seed 5, psi 0.90"]);
    }

    #[test]
    fn videos_of_all_kinds_are_written() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["v.gif", "v.webp", "v.apng", "v"] {
            let path = folder.path().join(name);
            assert_eq!(write_video(&request("1,2"), &path, &mut ()).unwrap(), 8);
            assert!(path.exists());
        }
        assert_eq!(std::fs::read_dir(folder.path().join("v")).unwrap().count(), 8);
        let both = VideoRequest {
            psi_walk: Some([0.0, 1.0]),
            direction: vec!["d.npz:1=2".parse().unwrap()],
            ..request("1")
        };
        assert!(video(&both, &mut ()).unwrap_err().to_string().contains("not both"));
    }
}
