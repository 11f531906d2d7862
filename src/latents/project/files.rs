//! Files of projections, and states to go on from.

use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use ganscope_images::{Image, save_png};
use ganscope_weights::{Array, Dtype, npz};
use serde::{Deserialize, Serialize};

use super::run::{Saved, Task};
use super::{ProjectRequest, Projected, Projections, digits};
use crate::checks::within;
use crate::error::Result;
use crate::figures::{Cell, Curve, Point, Row, Sheet};
use crate::files::{make_folder, write_text};
use crate::latents::ZOOM;
use crate::latents::codes::write_codes;
use crate::latents::output::check_folder_name;
use crate::watch::Watch;

/// Points of a curve.
const POINTS: usize = 40;
/// Rows of the sheet.
const ROWS: usize = 64;
/// Digits of the key that a state carries.
const KEY: &str = "key";

/// Where projections are written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProjectFiles {
    /// The folder. It gets `projected_w.npz`, `project.json`, `steps.png`; and for each image, with its
    /// name before that if there are several, `proj.png`, `target.png`, `loss.png`.
    pub outdir: PathBuf,
    /// By which whole factor pictures of the sheet are enlarged, at least 1; small ones to 64 pixels if
    /// missing.
    pub zoom: Option<usize>,
}

impl Default for ProjectFiles {
    /// The folder `projected`.
    fn default() -> Self {
        Self { outdir: "projected".into(), zoom: None }
    }
}

/// Projects images and writes the results. A run that was stopped is continued: its states are kept in
/// the folder until all images are done.
///
/// # Errors
/// As [`project`](super::project); or if a file cannot be written.
pub fn write_projections(
    request: &ProjectRequest,
    files: &ProjectFiles,
    watch: &mut dyn Watch,
) -> Result<Projections> {
    files.zoom.map_or(Ok(()), |zoom| within("zoom", zoom, ZOOM))?;
    check_folder_name(&files.outdir)?;
    let task = Task::open(request, watch)?;
    make_folder(&files.outdir)?;
    let path = |i: usize| files.outdir.join(format!(".{}.state.npz", task.stem(i)));
    let keys = (0..task.len()).map(|i| task.key(i)).collect::<Result<Vec<_>>>()?;
    let saved = |i: usize| Ok(read_state(&path(i), &keys[i]));
    let mut keep = |i: usize, saved: &Saved| write_state(&path(i), &keys[i], saved);
    let found = task.run(watch, saved, &mut keep)?;
    found.write(files)?;
    for i in 0..task.len() {
        // A state that stays is only used by the same request.
        std::fs::remove_file(path(i)).ok();
    }
    Ok(found)
}

fn key_array(key: &blake3::Hash) -> Result<Array> {
    Ok(Array::from_u8([32], key.as_bytes().to_vec())?)
}

fn write_state(path: &Path, key: &blake3::Hash, saved: &Saved) -> Result<()> {
    let of = |tensor: &Tensor| -> Result<Array> {
        let flat = tensor.flatten_all()?;
        Ok(match tensor.dtype() {
            DType::F64 => Array::from_f64(tensor.dims(), &flat.to_vec1()?)?,
            _ => Array::from_f32(tensor.dims(), &flat.to_vec1()?)?,
        })
    };
    let mut arrays = vec![
        (KEY.to_owned(), key_array(key)?),
        ("distances".to_owned(), Array::from_f64([saved.distances.len()], &saved.distances)?),
    ];
    for (name, tensor) in &saved.state {
        arrays.push((format!("state.{name}"), of(tensor)?));
    }
    for (i, tensor) in saved.way.iter().enumerate() {
        arrays.push((format!("way.{i}"), of(tensor)?));
    }
    Ok(npz::write(path, arrays.iter().map(|(name, array)| (name.as_str(), array)))?)
}

/// The state of a file, if it is one of this key.
fn read_state(path: &Path, key: &blake3::Hash) -> Option<Saved> {
    let mut arrays = npz::read(path).ok()?;
    if arrays.remove(KEY)? != key_array(key).ok()? {
        return None;
    }
    let of = |array: &Array| {
        let (shape, device) = (array.shape(), &Device::Cpu);
        match array.dtype() {
            Dtype::F64 => Tensor::from_vec(array.to_f64(), shape, device).ok(),
            _ => Tensor::from_vec(array.to_f32(), shape, device).ok(),
        }
    };
    let distances = arrays.remove("distances")?.to_f64();
    let way = (0..).map_while(|i| arrays.get(&format!("way.{i}"))).map(of);
    let way = way.collect::<Option<Vec<_>>>()?;
    let states =
        arrays.iter().filter_map(|(name, array)| Some((name.strip_prefix("state.")?, array)));
    let state = states.map(|(name, array)| Some((name.to_owned(), of(array)?)));
    let state = state.collect::<Option<_>>()?;
    Some(Saved { step: distances.len(), state, distances, way })
}

impl Projections {
    /// Writes everything into a folder.
    fn write(&self, files: &ProjectFiles) -> Result<()> {
        let ws: Vec<&Tensor> = self.images.iter().map(|image| &image.ws).collect();
        write_codes(&files.outdir.join("projected_w.npz"), &Tensor::cat(&ws, 0)?)?;
        for image in &self.images {
            let before =
                if self.images.len() == 1 { String::new() } else { format!("{}-", image.stem) };
            let path = |name: &str| files.outdir.join(format!("{before}{name}"));
            save_png(&path("target.png"), &image.target)?;
            save_png(&path("proj.png"), image.picture())?;
            save_png(&path("loss.png"), &image.curve(&self.loss).image()?)?;
        }
        save_png(&files.outdir.join("steps.png"), &self.sheet(files.zoom).image()?)?;
        let record = serde_json::to_string_pretty(self)? + "\n";
        write_text(&files.outdir.join("project.json"), &record)
    }

    /// A row for each image: the pictures on the way, and the image.
    pub fn sheet(&self, zoom: Option<usize>) -> Sheet {
        let cell = |picture: &Image| Cell::new(picture.enlarged(zoom.unwrap_or(1)));
        let rows = self.images.iter().take(ROWS).enumerate().map(|(i, image)| {
            let captioned = |cell: Cell, caption: String| {
                if i == 0 { cell.caption(caption) } else { cell }
            };
            let way = image.way.iter();
            let way = way.map(|(step, picture)| captioned(cell(picture), format!("step {step}")));
            let target = captioned(cell(&image.target), "image".into());
            Row {
                label: image.stem.clone(),
                cells: way.chain([target]).collect(),
                ..Row::default()
            }
        });
        let ProjectRequest { space, optimizer, .. } = &self.request;
        Sheet {
            rows: rows.collect(),
            legend: format!("projection in {space} by {optimizer}, loss: {}", self.loss),
            gap: Sheet::TIGHT,
            least: if zoom.is_some() { 1 } else { Sheet::default().least },
            ..Sheet::default()
        }
    }
}

impl Projected {
    /// The distance over the steps.
    pub fn curve(&self, loss: &str) -> Curve {
        let count = self.steps.len();
        let mut steps: Vec<usize> =
            (0..POINTS).map(|i| i * count.saturating_sub(1) / (POINTS - 1)).collect();
        steps.dedup();
        let point = |step: usize| Point { x: step as f64, y: self.steps[step], ..Point::default() };
        Curve {
            title: format!(
                "{}: from {} to {}",
                self.stem,
                digits(self.start),
                digits(self.distance)
            ),
            x: "step".into(),
            y: format!("{loss} ↓"),
            points: steps.into_iter().map(point).collect(),
        }
    }
}
