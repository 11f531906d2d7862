//! Style mixing: the styles of one picture in another.
//!
//! Karras et al., "A Style-Based Generator Architecture for Generative Adversarial Networks", 2019,
//! <https://arxiv.org/abs/1812.04948>, section 3.1.

use std::path::{Path, PathBuf};

use candle_core::Tensor;
use ganscope_images::{Image, save_png};
use ganscope_latent::{Seeds, Styles, mix_table};
use serde::{Deserialize, Serialize};

use super::output::{Output, beside};
use super::{Drawing, DrawingRequest, ZOOM};
use crate::checks::within;
use crate::error::Result;
use crate::figures::{Cell, Row, Sheet};
use crate::files::check_writable;
use crate::text;
use crate::watch::{Counter, Watch};

/// Mixed pictures of one table.
const MOST_CELLS: usize = 1 << 16;

/// Wider than any table: its rows do not wrap.
const UNWRAPPED: usize = 1 << 24;

/// Which styles of which pictures are mixed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MixRequest {
    /// The generator and its options.
    pub drawing: DrawingRequest,
    /// Seeds of the rows.
    #[serde(with = "text")]
    pub rows: Seeds,
    /// Seeds of the columns, whose styles are taken.
    #[serde(with = "text")]
    pub cols: Seeds,
    /// A file of style inputs for the rows instead of seeds.
    pub rows_ws: Option<PathBuf>,
    /// A file of style inputs for the columns instead of seeds.
    pub cols_ws: Option<PathBuf>,
    /// Style inputs that come from the column.
    #[serde(with = "text")]
    pub styles: Styles,
}

impl Default for MixRequest {
    /// Styles 0 to 6 of seed 1 in seed 0.
    fn default() -> Self {
        Self {
            drawing: DrawingRequest::default(),
            rows: (0..=0).into(),
            cols: (1..=1).into(),
            rows_ws: None,
            cols_ws: None,
            styles: Styles((0..=6).collect()),
        }
    }
}

/// Where and how a mix is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MixFiles {
    /// A `.png` for the table; or a folder for `ROW-COL.png` each.
    pub output: PathBuf,
    /// The file of the table if `output` is a folder; `OUTPUT-table.png` beside it if missing.
    pub table_output: Option<PathBuf>,
    /// By which whole factor the pictures of the table are enlarged, at least 1; small ones to 64
    /// pixels if missing.
    pub zoom: Option<usize>,
}

/// Mixed pictures.
#[derive(Debug, Clone, PartialEq)]
pub struct Mix {
    /// Names of the rows, as `seed 3`, or `w 3` for the fourth style inputs of a file.
    pub rows: Vec<String>,
    /// Names of the columns.
    pub cols: Vec<String>,
    /// Style inputs that come from the column.
    pub styles: Styles,
    /// Unmixed pictures of the rows.
    pub row_pictures: Vec<Image>,
    /// Unmixed pictures of the columns.
    pub col_pictures: Vec<Image>,
    /// The mixed pictures, one list per row.
    pub mixed: Vec<Vec<Image>>,
}

/// Mixes styles: the picture of each row with some style inputs taken from each column. All have the
/// same noise, so that only the styles differ.
///
/// # Errors
/// If the generator cannot be opened or fails, lacks a style, or the task is stopped.
pub fn mix(request: &MixRequest, watch: &mut dyn Watch) -> Result<Mix> {
    let MixRequest { drawing, styles, .. } = request;
    let check =
        |rows: usize, cols: usize| within("rows x cols", rows.saturating_mul(cols), 1..=MOST_CELLS);
    let of_seeds = |seeds: &Seeds, file: &Option<PathBuf>| file.as_ref().map_or(seeds.len(), |_| 1);
    check(of_seeds(&request.rows, &request.rows_ws), of_seeds(&request.cols, &request.cols_ws))?;
    let drawing = Drawing::open(drawing, watch)?;
    let (rows, row_ws) = drawing.points(&request.rows, request.rows_ws.as_deref())?;
    let (cols, col_ws) = drawing.points(&request.cols, request.cols_ws.as_deref())?;
    check(rows.len(), cols.len())?;
    let table = mix_table(&row_ws, &col_ws, &styles.0)?.collect::<Result<Vec<_>, _>>()?;

    // Every latent once: the columns, the rows, then the table row by row.
    let all = Tensor::cat(&[col_ws, row_ws, Tensor::cat(&table, 0)?], 0)?;
    let (count, batch) = (all.dim(0)?, drawing.request().batch);
    let mut counter = Counter::new(watch, "pictures", 0, count);
    let mut pictures = Vec::with_capacity(count);
    for start in (0..count).step_by(batch) {
        let part = all.narrow(0, start, batch.min(count - start))?;
        pictures.extend(drawing.render(&part)?);
        counter.at(pictures.len())?;
    }
    let mixed = pictures.split_off(cols.len() + rows.len());
    let row_pictures = pictures.split_off(cols.len());
    Ok(Mix {
        mixed: mixed.chunks(cols.len()).map(<[Image]>::to_vec).collect(),
        row_pictures,
        col_pictures: pictures,
        rows,
        cols,
        styles: styles.clone(),
    })
}

impl Mix {
    /// The table: the unmixed pictures apart at the top and at the left, with their seeds.
    pub fn sheet(&self, zoom: Option<usize>) -> Sheet {
        let cell = |picture: &Image| Cell::new(picture.enlarged(zoom.unwrap_or(1)));
        let cols = self.cols.iter().zip(&self.col_pictures);
        let head = cols.map(|(name, picture)| cell(picture).caption(name.clone()));
        let head =
            Row { cells: std::iter::once(Cell::empty()).chain(head).collect(), ..Row::default() };
        let rows = self.rows.iter().zip(&self.row_pictures).zip(&self.mixed);
        let rows = rows.map(|((name, unmixed), mixed)| Row {
            label: name.clone(),
            cells: std::iter::once(unmixed).chain(mixed).map(cell).collect(),
            ..Row::default()
        });
        Sheet {
            rows: std::iter::once(head).chain(rows).collect(),
            legend: format!(
                "style inputs {} of the columns, the others of the rows",
                ranges(&self.styles.0)
            ),
            gap: Sheet::TIGHT,
            headers: [1, 1],
            least: if zoom.is_some() { 1 } else { Sheet::default().least },
            most: UNWRAPPED,
            ..Sheet::default()
        }
    }
}

/// `3` of `seed 3`, `w3` of `w 3`.
fn file_part(name: &str) -> String {
    name.trim_start_matches("seed ").replace(' ', "")
}

/// `0-3,7` for 0, 1, 2, 3, 7.
fn ranges(numbers: &[usize]) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for &number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    let text = |&(first, last): &(usize, usize)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    ranges.iter().map(text).collect::<Vec<_>>().join(",")
}

/// Mixes styles and writes the table, and into a folder each picture. Returns the file of the table.
///
/// # Errors
/// As [`mix`]; or if a file cannot be written.
pub fn write_mix(request: &MixRequest, files: &MixFiles, watch: &mut dyn Watch) -> Result<PathBuf> {
    files.zoom.map_or(Ok(()), |zoom| within("zoom", zoom, ZOOM))?;
    let output = Output::still(&files.output)?;
    let folder: Option<&Path> = match &output {
        Output::Folder(folder) => Some(folder),
        _ => None,
    };
    let table = match (folder, &files.table_output) {
        (None, _) => files.output.clone(),
        (Some(_), Some(path)) => path.clone(),
        (Some(folder), None) => beside(folder, "table", "table_output")?,
    };
    output.prepare()?;
    check_writable(&table)?;
    let mix = mix(request, watch)?;
    if let Some(folder) = folder {
        for (row, pictures) in mix.rows.iter().zip(&mix.mixed) {
            for (col, picture) in mix.cols.iter().zip(pictures) {
                let [row, col] = [row, col].map(|name| file_part(name));
                save_png(&folder.join(format!("{row}-{col}.png")), picture)?;
            }
        }
    }
    save_png(&table, &mix.sheet(files.zoom).image()?)?;
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_survive_json() {
        let request = MixRequest {
            rows: "1,4-6".parse().unwrap(),
            styles: Styles(vec![0, 3]),
            ..MixRequest::default()
        };
        for request in [MixRequest::default(), request] {
            let json = serde_json::to_string(&request).unwrap();
            assert_eq!(serde_json::from_str::<MixRequest>(&json).unwrap(), request);
        }
        let json = serde_json::to_string(&MixFiles::default()).unwrap();
        assert_eq!(serde_json::from_str::<MixFiles>(&json).unwrap(), MixFiles::default());
    }

    #[test]
    fn the_table_names_its_seeds_and_keeps_every_pixel() {
        let path = ganscope_golden::data().join("stylegan-s2-skip.pkl");
        let request = MixRequest {
            drawing: DrawingRequest::of(path.to_str().unwrap()),
            rows: "1,2".parse().unwrap(),
            cols: "55-57".parse().unwrap(),
            styles: Styles(vec![0, 1, 5]),
            ..MixRequest::default()
        };
        let mix = mix(&request, &mut ()).unwrap();
        assert_eq!((mix.mixed.len(), mix.mixed[0].len()), (2, 3));
        let sheet = mix.sheet(None);
        let svg = sheet.svg().unwrap();
        for text in ["seed 1<", "seed 2<", "seed 57<", "style inputs 0-1,5 of"] {
            assert!(svg.contains(text), "{text}");
        }
        // A style that comes from the column changes the picture, one that stays does not.
        assert!(mix.mixed[0][0] != mix.row_pictures[0] && mix.mixed[0][0] != mix.col_pictures[0]);
        let all = MixRequest { styles: Styles((0..8).collect()), ..request };
        let all = super::mix(&all, &mut ()).unwrap();
        assert_eq!(all.mixed[1], all.col_pictures);
    }
}
