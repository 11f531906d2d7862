//! What a sweep looks like: curves, a grid of samples, a page; and the folder that holds them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ganscope_images::save_png;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Point, Sweep, SweepRequest, labels, sweep};
use crate::error::{Error, Hint, Result};
use crate::features::{Cache, FeatureRequest};
use crate::figures::page::{Page, TableCell};
use crate::figures::{self, Cell, Curve, Row as SheetRow, Sheet};
use crate::files::{make_folder, write_text};
use crate::latents::DrawingRequest;
use crate::score::Row;
use crate::watch::Watch;

/// Pairs of scores of which one is drawn over the other: x and y.
const TRADES: [[&str; 2]; 3] =
    [["is", "fid"], ["precision", "recall"], ["prc_precision", "prc_recall"]];
/// Most width of the samples of a grid, in pixels.
const SAMPLE: usize = 128;
/// Wider than any grid: its rows do not wrap.
const UNWRAPPED: usize = 1 << 24;
/// The record of a sweep, by which a later one finds out what it was.
const RECORD: &str = "sweep.json";

/// Where a sweep is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SweepFiles {
    /// The folder.
    pub output: PathBuf,
    /// Whether the sweep of another request in that folder is replaced.
    pub overwrite: bool,
}

/// A curve of a sweep, and the name of its file.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepCurve {
    /// Name without ending, as `fid-against-is`.
    pub name: String,
    /// Whether it draws one score over another, not over the truncation.
    pub is_trade: bool,
    /// The curve.
    pub curve: Curve,
}

/// Sweeps and writes tables, curves, samples and a page, see [`Sweep::write`]. The same request again
/// continues a sweep that was stopped, or replaces its files.
///
/// # Errors
/// As [`sweep`]; if the folder contains the sweep of another request, unless that may be overwritten; or
/// if a file cannot be written.
pub fn write_sweep(
    request: &SweepRequest,
    files: &SweepFiles,
    watch: &mut dyn Watch,
) -> Result<Sweep> {
    let folder = &files.output;
    if !files.overwrite
        && let Some(difference) = difference(folder, request)
    {
        return Err(Error::request(format!(
            "`{}` contains another sweep: {difference}",
            folder.display()
        ))
        .with_hint(Hint::of("name another folder with {output}, or replace it with {overwrite}")));
    }
    make_folder(folder)?;
    let found = sweep(request, watch)?;
    found.write(folder)?;
    Ok(found)
}

/// A request without all that does not affect its results.
pub(super) fn decisive(request: &SweepRequest) -> SweepRequest {
    let plain = SweepRequest::default();
    SweepRequest {
        drawing: DrawingRequest {
            truncation: plain.drawing.truncation,
            batch: plain.drawing.batch,
            device: plain.drawing.device,
            ..request.drawing.clone()
        },
        features: FeatureRequest {
            batch: plain.features.batch,
            device: plain.features.device,
            cache: Cache::User,
            ..request.features.clone()
        },
        ..request.clone()
    }
}

/// In what the sweep in a folder differs from that of `request`, if there is one.
fn difference(folder: &Path, request: &SweepRequest) -> Option<String> {
    let text = std::fs::read_to_string(folder.join(RECORD)).ok()?;
    let record: Value = serde_json::from_str(&text).ok()?;
    let Ok(before) = serde_json::from_value::<SweepRequest>(record["request"].clone()) else {
        return Some("its settings are unknown".into());
    };
    let columns = request.columns;
    let [before, now] = [SweepRequest { columns, ..before }, decisive(request)]
        .map(|request| serde_json::to_value(request).unwrap_or_default());
    let mut names = Vec::new();
    differences(&before, &now, &mut names);
    (!names.is_empty()).then(|| format!("it has other {}", names.join(", ")))
}

/// Names of the fields in which two objects differ.
fn differences(a: &Value, b: &Value, names: &mut Vec<String>) {
    let (Some(a), Some(b)) = (a.as_object(), b.as_object()) else { return };
    for (name, a) in a {
        match b.get(name) {
            Some(b) if a == b => {}
            Some(b) if a.is_object() && b.is_object() => differences(a, b, names),
            _ => names.push(name.replace('_', " ")),
        }
    }
}

/// Files of curves in a folder that an earlier sweep wrote.
fn earlier_curves(folder: &Path) -> BTreeSet<PathBuf> {
    let read = || -> Option<Vec<String>> {
        let text = std::fs::read_to_string(folder.join(RECORD)).ok()?;
        let record: Value = serde_json::from_str(&text).ok()?;
        let scores = record.get("points")?.get(0)?.get("scores")?.as_array()?;
        let names = scores.iter().filter_map(|score| score.get("name")?.as_str());
        // Names of files, and of nothing outside the folder.
        Some(names.filter(|n| !n.contains(['/', '\\'])).map(str::to_owned).collect())
    };
    let scores = read().unwrap_or_default();
    let trades = TRADES.iter().map(|[x, y]| trade_name(x, y));
    let names = scores.into_iter().chain(trades);
    let files = names.flat_map(|name| ["svg", "png"].map(|e| folder.join(format!("{name}.{e}"))));
    files.filter(|path| path.is_file()).collect()
}

fn trade_name(x: &str, y: &str) -> String {
    format!("{y}-against-{x}")
}

/// A title with the direction of better values.
fn directed(row: &Row) -> String {
    format!("{} {}", row.title, if row.higher_is_better { '↑' } else { '↓' })
}

impl Sweep {
    /// The curves that the scores allow: FID over the Inception Score and recall over precision, then
    /// each score over truncation. Error bars are one standard deviation to either side.
    pub fn curves(&self) -> Vec<SweepCurve> {
        let Some(first) = self.points.first() else { return Vec::new() };
        let labels = self.labels();
        let place = |name: &str| first.scores.iter().position(|row| row.name == name);
        let trades = TRADES.iter().filter_map(|[x, y]| {
            let (i, j) = (place(x)?, place(y)?);
            let (a, b) = (&first.scores[i], &first.scores[j]);
            let point = |(point, label): (&Point, &String)| figures::Point {
                x: point.scores[i].value,
                y: point.scores[j].value,
                std: point.scores[j].std,
                label: label.clone(),
            };
            let curve = Curve {
                title: format!("{} over {}", b.title, a.title),
                x: directed(a),
                y: directed(b),
                points: self.points.iter().zip(&labels).map(point).collect(),
            };
            Some(SweepCurve { name: trade_name(x, y), is_trade: true, curve })
        });
        let scores = first.scores.iter().enumerate().map(|(i, row)| {
            let point = |point: &Point| figures::Point {
                x: point.truncation,
                y: point.scores[i].value,
                std: point.scores[i].std,
                label: String::new(),
            };
            let curve = Curve {
                title: format!("{} over truncation", row.title),
                x: "truncation".into(),
                y: directed(row),
                points: self.points.iter().map(point).collect(),
            };
            SweepCurve { name: row.name.clone(), is_trade: false, curve }
        });
        trades.chain(scores).collect()
    }

    /// The samples: a row per truncation, a column per seed.
    pub fn sheet(&self) -> Sheet {
        let rows = self.samples.iter().zip(self.labels()).enumerate();
        let rows = rows.map(|(i, (samples, label))| SheetRow {
            label,
            cells: (self.first_seed..)
                .zip(samples)
                .map(|(seed, sample)| {
                    let cell = Cell::new(sample.reduced(SAMPLE));
                    if i == 0 { cell.caption(format!("seed {seed}")) } else { cell }
                })
                .collect(),
            ..SheetRow::default()
        });
        Sheet { rows: rows.collect(), gap: Sheet::TIGHT, most: UNWRAPPED, ..Sheet::default() }
    }

    /// The truncations in one number of digits.
    fn labels(&self) -> Vec<String> {
        labels(&self.points.iter().map(|p| p.truncation).collect::<Vec<_>>())
    }

    /// A page with the table, the curves and the samples, which needs no other file.
    ///
    /// # Errors
    /// If a figure cannot be drawn.
    pub fn page(&self) -> Result<String> {
        let mut page = Page::new(&self.model);
        let (images, first) = (self.images, self.first_seed);
        let reference = match self.reference_images {
            Some(count) => format!("{} ({count} images)", self.reference),
            None => self.reference.clone(),
        };
        page.paragraph(&format!(
            "{images} images at each truncation, with the same seeds from {first} on, scored against \
             {reference}."
        ));
        for warning in &self.warnings {
            page.warning(&warning.text.replace('`', ""));
        }
        let rows = self.points.first().map_or(&[][..], |p| &p.scores);
        let head = std::iter::once("truncation".to_owned()).chain(rows.iter().map(directed));
        let best: Vec<f64> = (0..rows.len()).map(|i| self.best(i)).collect();
        let cells = |(point, label): (&Point, String)| -> Vec<TableCell> {
            let scores = point.scores.iter().zip(&best).map(|(row, &best)| TableCell {
                text: format!("{:.4}", row.value),
                detail: row.std.map(|std| format!("± {std:.4}")).unwrap_or_default(),
                is_best: row.value == best,
            });
            std::iter::once(label.into()).chain(scores).collect()
        };
        let table: Vec<_> = self.points.iter().zip(self.labels()).map(cells).collect();
        page.table(&head.collect::<Vec<_>>(), &table);
        let has_std = rows.iter().any(|row| row.std.is_some());
        let mut notes =
            vec!["↑ higher is better, ↓ lower is better; the best of each column is bold."];
        if has_std {
            notes.push("± and error bars: one standard deviation over splits or subsets.");
        }
        page.paragraph(&notes.join(" "));
        let curves = self.curves();
        for (trade, heading) in
            [(true, "One score over another"), (false, "Scores over truncation")]
        {
            let chosen: Vec<&Curve> =
                curves.iter().filter(|c| c.is_trade == trade).map(|c| &c.curve).collect();
            if chosen.is_empty() {
                continue;
            }
            page.heading(heading);
            if trade {
                page.paragraph("One point per truncation, which stands beside it.");
            }
            page.curves(&chosen)?;
        }
        if self.samples.iter().any(|row| !row.is_empty()) {
            page.heading("Samples");
            page.paragraph("One row per truncation, one column per seed.");
            page.picture(&self.sheet().image()?, "samples at each truncation")?;
        }
        page.footer(&[
            format!("Generator: {}.", self.drawn()),
            format!("Features: {}.", self.convention),
            format!("ganscope {}", self.ganscope),
        ]);
        Ok(page.html())
    }

    /// How the images were drawn, in words.
    fn drawn(&self) -> String {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let drawn = self.generator.iter();
        let drawn =
            drawn.map(|(name, value)| format!("{} {}", name.replace('_', " "), text(value)));
        drawn.collect::<Vec<_>>().join(", ")
    }

    /// Writes `sweep.csv`, `sweep.json`, the curves as SVG and PNG, `grid.png` and `report.html` into a
    /// folder, and removes the curves of an earlier sweep that this one does not have.
    ///
    /// # Errors
    /// If a figure cannot be drawn, or a file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let mut stale = earlier_curves(folder);
        for SweepCurve { name, curve, .. } in self.curves() {
            let [svg, png] = ["svg", "png"].map(|ending| folder.join(format!("{name}.{ending}")));
            write_text(&svg, &curve.svg()?)?;
            save_png(&png, &curve.image()?)?;
            stale.remove(&svg);
            stale.remove(&png);
        }
        for path in stale {
            std::fs::remove_file(&path).map_err(Error::file("remove", &path))?;
        }
        save_png(&folder.join("grid.png"), &self.sheet().image()?)?;
        write_text(&folder.join("report.html"), &self.page()?)?;
        write_text(&folder.join("sweep.csv"), &self.csv())?;
        write_text(&folder.join(RECORD), &(serde_json::to_string_pretty(self)? + "\n"))
    }
}

#[cfg(test)]
mod tests {
    use ganscope_images::Image;
    use ganscope_stats::files::Convention;
    use serde_json::Map;

    use super::*;

    fn found(names: &[&str]) -> Sweep {
        let row = |name: &str, value, std| Row {
            generated: "m".into(),
            reference: Some("r".into()),
            name: name.into(),
            title: name.to_uppercase(),
            value,
            std,
            standard_error: None,
            interval: None,
            higher_is_better: name != "fid",
        };
        let point = |truncation: f64| Point {
            truncation,
            scores: names
                .iter()
                .map(|&name| match name {
                    "is" => row("is", 2.0 - truncation, Some(0.5)),
                    name => row(name, truncation, None),
                })
                .collect(),
        };
        Sweep {
            model: "a <model>".into(),
            reference: "r".into(),
            reference_images: None,
            reference_convention: None,
            images: 10,
            first_seed: 4,
            generator: Map::from_iter([("class".to_owned(), "each & all".into())]),
            convention: Convention {
                extractor: "e".into(),
                weights_sha256: "0".into(),
                layer: "l".into(),
                resize: "r".into(),
                scaling: "s".into(),
            },
            metrics: Value::Null,
            warnings: vec!["`few` <images>".into()],
            ganscope: "0",
            request: SweepRequest::default(),
            points: vec![point(0.5), point(1.0)],
            samples: vec![vec![Image::filled(32, 32, [9, 9, 9]); 2]; 2],
        }
    }

    #[test]
    fn requests_survive_json() {
        let request = SweepRequest { metrics: vec!["kid".into()], ..SweepRequest::default() };
        let json = serde_json::to_string(&request).unwrap();
        assert_eq!(serde_json::from_str::<SweepRequest>(&json).unwrap(), request);
        let json = serde_json::to_string(&SweepFiles::default()).unwrap();
        assert_eq!(serde_json::from_str::<SweepFiles>(&json).unwrap(), SweepFiles::default());
    }

    #[test]
    fn the_table_has_a_line_per_truncation_and_deviations_beside_their_score() {
        let csv = found(&["is", "fid"]).csv();
        assert_eq!(csv, "truncation,is,is_std,fid\n0.5,1.5,0.5,0.5\n1,1,0.5,1\n");
    }

    #[test]
    fn curves_are_called_by_their_scores_and_have_error_bars() {
        let curves = found(&["is", "fid"]).curves();
        assert_eq!(
            curves.iter().map(|c| &*c.name).collect::<Vec<_>>(),
            ["fid-against-is", "is", "fid"]
        );
        let trade = &curves[0].curve;
        assert_eq!((&*trade.title, &*trade.x, &*trade.y), ("FID over IS", "IS ↑", "FID ↓"));
        let labels: Vec<&str> = trade.points.iter().map(|p| &*p.label).collect();
        assert_eq!(labels, ["0.5", "1.0"]);
        assert_eq!((trade.points[0].x, trade.points[0].y), (1.5, 0.5));
        assert_eq!(curves[1].curve.title, "IS over truncation");
        assert_eq!(curves[1].curve.points[0].std, Some(0.5));
    }

    #[test]
    fn the_page_escapes_names_and_has_no_empty_section() {
        let html = found(&["is", "fid"]).page().unwrap();
        for text in
            ["a &lt;model&gt;", "class each &amp; all", "few &lt;images&gt;", "One score over"]
        {
            assert!(html.contains(text), "{text}");
        }
        assert!(!html.contains("src=\"http") && !html.contains('`'));
        let best: Vec<&str> = html.split("<td class=\"best\">").skip(1).map(|s| &s[..6]).collect();
        assert_eq!(best, ["1.5000", "0.5000"], "the higher score, the lower distance");
        let html = found(&["fid"]).page().unwrap();
        assert!(!html.contains("One score over") && !html.contains("standard deviation"));
    }

    #[test]
    fn curves_of_an_earlier_sweep_are_removed_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let has = |name: &str| folder.path().join(name).is_file();
        std::fs::write(folder.path().join("notes.png"), "").unwrap();
        found(&["is", "fid", "coverage"]).write(folder.path()).unwrap();
        assert!(has("coverage.png") && has("coverage.svg") && has("fid-against-is.svg"));
        found(&["fid"]).write(folder.path()).unwrap();
        for stale in ["coverage.png", "coverage.svg", "is.png", "fid-against-is.svg"] {
            assert!(!has(stale), "{stale}");
        }
        for kept in ["notes.png", "fid.png", "fid.svg", "grid.png", "report.html", "sweep.csv"] {
            assert!(has(kept), "{kept}");
        }
    }

    #[test]
    fn another_sweep_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let request = SweepRequest::default();
        assert_eq!(difference(folder.path(), &request), None);
        let sweep = Sweep { request: decisive(&request), ..found(&["fid"]) };
        sweep.write(folder.path()).unwrap();
        let mut same = request.clone();
        (same.drawing.batch, same.features.batch, same.features.cache) = (1, 2, Cache::Off);
        assert_eq!(difference(folder.path(), &same), None, "it can be continued");
        let mut other = SweepRequest { first_seed: 9, ..request };
        other.drawing.class = Some("3".into());
        let difference = difference(folder.path(), &other).unwrap();
        assert_eq!(difference, "it has other class, first seed");
        let files = SweepFiles { output: folder.path().to_owned(), overwrite: false };
        let error = write_sweep(&other, &files, &mut ()).unwrap_err();
        assert!(error.to_string().contains("another sweep"), "{error}");
    }
}
