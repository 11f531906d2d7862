//! Pictures of seeds.

use std::path::{Path, PathBuf};

use candle_core::Tensor;
use ganscope_images::{EXTENSIONS, Image, grid, save_png};
use ganscope_latent::Seeds;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::codes::{Codes, write_codes};
use super::output::{beside, check_folder_name};
use super::{Drawing, DrawingRequest, ZOOM};
use crate::checks::within;
use crate::error::{Error, Hint, Result};
use crate::files::{check_writable, make_folder, write_text};
use crate::score::VERSION;
use crate::text;
use crate::watch::{Counter, Warning, Watch};

/// Name of the record of settings among the pictures.
const RECORD: &str = "generate.json";

/// Of which seeds a generator draws pictures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PicturesRequest {
    /// The generator and its options.
    pub drawing: DrawingRequest,
    /// The seeds, as `0,1,4-6`.
    #[serde(with = "text")]
    pub seeds: Seeds,
    /// A file of style inputs that are drawn instead of seeds.
    pub ws: Option<PathBuf>,
}

impl Default for PicturesRequest {
    /// Seed 0.
    fn default() -> Self {
        Self { drawing: DrawingRequest::default(), seeds: (0..=0).into(), ws: None }
    }
}

/// Where pictures are written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PictureFiles {
    /// The folder; a picture is called `seed0000.png`.
    pub outdir: PathBuf,
    /// Columns and rows of a grid of all pictures; no grid if missing.
    #[serde(with = "text::option")]
    pub grid: Option<GridSize>,
    /// The file of the grid, a PNG; `OUTDIR-grid.png` beside the folder if missing.
    pub grid_output: Option<PathBuf>,
    /// A file for the style inputs of the pictures, an `.npz` with the array `w`.
    pub ws_output: Option<PathBuf>,
    /// By which whole factor the pictures of the grid are enlarged, at least 1.
    pub zoom: usize,
}

impl Default for PictureFiles {
    /// The folder `out`, no grid.
    fn default() -> Self {
        Self { outdir: "out".into(), grid: None, grid_output: None, ws_output: None, zoom: 1 }
    }
}

/// Columns and rows of a grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GridSize {
    /// Pictures in a row, at least 1.
    pub columns: usize,
    /// Rows, at least 1.
    pub rows: usize,
}

impl std::fmt::Display for GridSize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.columns, self.rows)
    }
}

impl std::str::FromStr for GridSize {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let number = |part: &str| part.parse().ok().filter(|&n| n > 0);
        let pair = text.split_once('x').and_then(|(columns, rows)| {
            Some(Self { columns: number(columns)?, rows: number(rows)? })
        });
        pair.ok_or_else(|| Error::request("expected columns and rows, as `8x4`"))
    }
}

/// What was drawn.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pictures {
    /// Version of this library.
    pub ganscope: &'static str,
    /// The request.
    pub request: PicturesRequest,
    /// The options of the family of the generator, defaults included.
    pub generator: Map<String, Value>,
    /// The file of the grid.
    #[serde(skip)]
    pub grid: Option<PathBuf>,
}

/// Draws pictures and hands each with its seed, or its place among the style inputs, to `take` as soon
/// as it is there.
///
/// # Errors
/// If the generator cannot be opened or fails, `take` fails, or the task is stopped.
pub fn pictures(
    request: &PicturesRequest,
    watch: &mut dyn Watch,
    take: &mut dyn FnMut(u32, Image) -> Result<()>,
) -> Result<Pictures> {
    let drawing = Drawing::open(&request.drawing, watch)?;
    draw(&drawing, request, watch, take)
}

/// Pictures in batches.
type Batches<'a> = Box<dyn Iterator<Item = Result<Vec<Image>>> + 'a>;

fn draw(
    drawing: &Drawing,
    request: &PicturesRequest,
    watch: &mut dyn Watch,
    take: &mut dyn FnMut(u32, Image) -> Result<()>,
) -> Result<Pictures> {
    let codes = request.ws.as_deref().map(Codes::read).transpose()?;
    let ws = codes.map(|codes| codes.of(&*drawing.generator.network)).transpose()?;
    let (numbers, batches): (Vec<u32>, Batches<'_>) = match &ws {
        None => (request.seeds.to_vec(), Box::new(drawing.pictures(request.seeds.iter()))),
        Some(ws) => {
            let (count, batch) = (ws.dim(0)?, request.drawing.batch);
            let starts = (0..count).step_by(batch);
            let part = move |start| ws.narrow(0, start, batch.min(count - start));
            let render = move |start| drawing.render(&part(start)?);
            ((0..count as u32).collect(), Box::new(starts.map(render)))
        }
    };
    let mut counter = Counter::new(watch, "pictures", 0, numbers.len());
    let mut numbers = numbers.into_iter();
    for batch in batches {
        for (picture, number) in batch?.into_iter().zip(numbers.by_ref()) {
            take(number, picture)?;
            counter.add()?;
        }
    }
    Ok(Pictures {
        ganscope: VERSION,
        request: request.clone(),
        generator: drawing.conditions(),
        grid: None,
    })
}

/// Draws pictures into a folder, with a record of the settings, `generate.json`; and a grid of them
/// beside it. Warns if the folder contains other pictures.
///
/// # Errors
/// As [`pictures`]; or if the grid is too small, or a file cannot be written.
pub fn write_pictures(
    request: &PicturesRequest,
    files: &PictureFiles,
    watch: &mut dyn Watch,
) -> Result<Pictures> {
    let PictureFiles { outdir, grid: size, grid_output, ws_output, zoom } = files;
    within("zoom", *zoom, ZOOM)?;
    check_folder_name(outdir)?;
    let count = request.count()?;
    let grid_file = match size {
        None => None,
        Some(size) if count > size.columns.saturating_mul(size.rows) => {
            let cells = size.columns.saturating_mul(size.rows);
            let rows = count.div_ceil(size.columns);
            return Err(Error::request(format!(
                "{count} pictures for the {cells} cells of {size}"
            ))
            .with_hint(Hint::of("give {grid}").then(format!(", here `{}x{rows}`", size.columns))));
        }
        Some(_) => Some(match grid_output {
            Some(path) => path.clone(),
            None => beside(outdir, "grid", "grid_output")?,
        }),
    };
    let drawing = Drawing::open(&request.drawing, watch)?;
    make_folder(outdir)?;
    grid_file.as_deref().map_or(Ok(()), check_writable)?;
    ws_output.as_deref().map_or(Ok(()), check_writable)?;
    if let Some(warning) = about_others(outdir, request) {
        watch.warn(&warning);
    }
    let mut cells = Vec::new();
    let found = draw(&drawing, request, watch, &mut |number, picture| {
        save_png(&outdir.join(request.file_name(number)), &picture)?;
        if size.is_some() {
            cells.push(picture.enlarged(*zoom));
        }
        Ok(())
    })?;
    let record = serde_json::to_string_pretty(&found)? + "\n";
    write_text(&outdir.join(RECORD), &record)?;
    if let Some(path) = ws_output {
        write_codes(path, &request.style_inputs(&drawing)?)?;
    }
    if let (Some(path), Some(size)) = (&grid_file, size) {
        save_png(path, &grid(&cells, size.columns, 0, [255; 3]))?;
    }
    Ok(Pictures { grid: grid_file, ..found })
}

impl PicturesRequest {
    /// How many pictures are drawn.
    ///
    /// # Errors
    /// If the file of style inputs cannot be read.
    pub fn count(&self) -> Result<usize> {
        match &self.ws {
            None => Ok(self.seeds.len()),
            Some(path) => Ok(Codes::read(path)?.len()),
        }
    }

    fn file_name(&self, number: u32) -> String {
        let what = if self.ws.is_some() { "w" } else { "seed" };
        format!("{what}{number:04}.png")
    }

    /// The style inputs of the pictures, (N, `num_ws`, `w_dim`).
    fn style_inputs(&self, drawing: &Drawing) -> Result<Tensor> {
        let network = &*drawing.generator.network;
        match &self.ws {
            Some(path) => Codes::read(path)?.of(network),
            None => Ok(drawing.sampler.ws(network, &self.seeds.to_vec())?),
        }
    }
}

/// A warning if a folder contains pictures that `request` does not draw: a score of the folder would
/// count them.
fn about_others(folder: &Path, request: &PicturesRequest) -> Option<Warning> {
    let numbers: Vec<u32> = match request.count() {
        Ok(count) if request.ws.is_some() => (0..count as u32).collect(),
        _ => request.seeds.to_vec(),
    };
    let drawn: std::collections::HashSet<String> =
        numbers.into_iter().map(|number| request.file_name(number)).collect();
    let entries = std::fs::read_dir(folder).ok()?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let is_picture = |name: &String| {
        let ending = Path::new(name).extension().map(std::ffi::OsStr::to_ascii_lowercase);
        ending.is_some_and(|e| EXTENSIONS.iter().any(|known| e == *known))
    };
    let mut others: Vec<String> =
        names.filter(|name| is_picture(name) && !drawn.contains(name)).collect();
    others.sort_unstable();
    let first = others.first()?;
    let settings = match settings(folder) {
        Some(before) if is_same(&before, &request.drawing) => ", drawn with the same settings",
        Some(_) => ", drawn with other settings",
        None => "",
    };
    let (folder, count) = (folder.display(), others.len());
    let pictures = if count == 1 { "other picture" } else { "other pictures" };
    Some(Warning {
        text: format!(
            "`{folder}` contains {count} {pictures}, such as `{first}`{settings}; a score of the \
             folder counts them"
        ),
        hint: Some(Hint::of("name an empty folder with {outdir}")),
    })
}

/// The settings of the pictures that were last drawn into a folder.
fn settings(folder: &Path) -> Option<DrawingRequest> {
    let text = std::fs::read_to_string(folder.join(RECORD)).ok()?;
    let record: Value = serde_json::from_str(&text).ok()?;
    serde_json::from_value(record.get("request")?.get("drawing")?.clone()).ok()
}

/// Whether two requests draw the same picture of a seed.
fn is_same(a: &DrawingRequest, b: &DrawingRequest) -> bool {
    *a == DrawingRequest { batch: a.batch, device: a.device.clone(), ..b.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(seeds: &str) -> PicturesRequest {
        let path = ganscope_golden::data().join("biggan-tiny.bin");
        let drawing = DrawingRequest {
            class: Some("each".into()),
            ..DrawingRequest::of(path.to_str().unwrap())
        };
        PicturesRequest { drawing, seeds: seeds.parse().unwrap(), ws: None }
    }

    #[derive(Default)]
    struct Warned(Vec<String>);

    impl Watch for Warned {
        fn warn(&mut self, warning: &Warning) {
            self.0.push(warning.text.clone());
        }
    }

    #[test]
    fn requests_survive_json() {
        for request in [PicturesRequest::default(), request("3,5-9")] {
            let json = serde_json::to_string(&request).unwrap();
            assert_eq!(serde_json::from_str::<PicturesRequest>(&json).unwrap(), request);
        }
        let grid = Some(GridSize { columns: 8, rows: 4 });
        for files in [PictureFiles::default(), PictureFiles { grid, ..Default::default() }] {
            let json = serde_json::to_string(&files).unwrap();
            assert_eq!(serde_json::from_str::<PictureFiles>(&json).unwrap(), files);
        }
        assert!(serde_json::from_str::<PicturesRequest>(r#"{"seed": "1"}"#).is_err());
    }

    #[test]
    fn a_grid_is_columns_by_rows() {
        assert_eq!("8x4".parse::<GridSize>().unwrap(), GridSize { columns: 8, rows: 4 });
        for wrong in ["8", "8x", "0x4", "8x-1", "8*4", ""] {
            assert!(wrong.parse::<GridSize>().is_err(), "{wrong}");
        }
    }

    struct Stop;

    impl Watch for Stop {
        fn stop(&self) -> bool {
            true
        }
    }

    #[test]
    fn pictures_come_with_their_seeds_and_can_be_stopped() {
        let mut seen = Vec::new();
        let mut take = |seed, picture: Image| {
            seen.push((seed, picture.width));
            Ok(())
        };
        pictures(&request("6,2-3"), &mut (), &mut take).unwrap();
        assert_eq!(seen, [(6, 64), (2, 64), (3, 64)]);
        let stopped = pictures(&request("0-9"), &mut Stop, &mut |_, _| Ok(()));
        assert!(matches!(stopped, Err(Error::Cancelled)));
    }

    #[test]
    fn the_grid_lies_beside_the_folder_and_other_pictures_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let grid = Some(GridSize { columns: 2, rows: 1 });
        let files = PictureFiles { outdir: folder.path().join("out"), grid, ..Default::default() };
        let mut warned = Warned::default();
        let found = write_pictures(&request("3,4"), &files, &mut warned).unwrap();
        assert_eq!(found.grid, Some(folder.path().join("out-grid.png")));
        let mut names: Vec<_> = std::fs::read_dir(&files.outdir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["generate.json", "seed0003.png", "seed0004.png"]);
        write_pictures(&request("3-4"), &files, &mut warned).unwrap();
        assert!(warned.0.is_empty(), "the same pictures again");
        write_pictures(&request("4-5"), &files, &mut warned).unwrap();
        assert!(
            warned.0[0].contains("1 other picture, such as `seed0003.png`, drawn with the same")
        );
        let mut other = request("4-5");
        other.drawing.truncation = 0.5;
        write_pictures(&other, &files, &mut warned).unwrap();
        assert!(warned.0[1].contains("drawn with other settings"), "{:?}", warned.0);
        let small = PictureFiles { outdir: folder.path().join("small"), ..files };
        assert!(write_pictures(&request("0-2"), &small, &mut ()).is_err());
        assert!(
            !small.outdir.exists(),
            "nothing was made for a request that cannot be carried out"
        );
    }
}
