//! A truncation sweep: scores of one model at many truncations, as tables, curves and a page.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ganscope_images::{Image, save_png};
use ganscope_stats::files::Convention;
use ganscope_weights::write_atomically;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::plot::Curve;
use crate::report::Row;

/// Between the names of two scores in the name of the curve of one over the other.
const AGAINST: &str = "-against-";

/// Scores at one truncation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Point {
    /// The truncation: psi, or the threshold of BigGAN.
    pub truncation: f64,
    /// The scores.
    pub scores: Vec<Row>,
}

/// What a sweep found.
#[derive(Debug, Clone, Serialize)]
pub struct Sweep {
    /// The model as it was named.
    pub model: String,
    /// Its family, its class, and how latents were drawn for it.
    pub generator: Map<String, Value>,
    /// The reference set as it was named.
    pub reference: String,
    /// Images of the reference set, where they are counted.
    pub reference_images: Option<u64>,
    /// Images at each truncation.
    pub images: usize,
    /// First seed; image `i` has this seed plus `i`, at every truncation.
    pub first_seed: u32,
    /// Extractor, its weights, layer, resize and scaling.
    pub convention: Convention,
    /// Parameters of the metrics.
    pub metrics: Value,
    /// What makes the numbers doubtful.
    pub warnings: Vec<String>,
    /// Version of this program.
    pub ganscope: &'static str,
    /// The points, in the order asked for.
    pub points: Vec<Point>,
}

impl Sweep {
    /// One line a truncation, one column a score; spreads follow their score.
    pub fn csv(&self) -> String {
        let mut csv = "truncation".to_owned();
        for row in self.points.first().map_or(&[][..], |p| &p.scores) {
            let std = row.std.map(|_| format!(",{}_std", row.name)).unwrap_or_default();
            write!(csv, ",{}{std}", row.name).expect("writing to a string");
        }
        for point in &self.points {
            write!(csv, "\n{}", point.truncation).expect("writing to a string");
            for row in &point.scores {
                let std = row.std.map(|std| format!(",{std}")).unwrap_or_default();
                write!(csv, ",{}{std}", row.value).expect("writing to a string");
            }
        }
        csv + "\n"
    }

    /// The curves that the scores allow: each score over truncation, FID over the Inception Score,
    /// recall over precision. The name is that of a file.
    pub fn curves(&self) -> Vec<(String, Curve)> {
        let Some(first) = self.points.first() else { return Vec::new() };
        let mut curves = Vec::new();
        let mut against = |x: &str, y: &str| {
            let find = |name: &str| first.scores.iter().find(|row| row.name == name);
            if let (Some(a), Some(b)) = (find(x), find(y)) {
                let names = (a.title.clone(), b.title.clone());
                let value = |p: &Point, name: &str| {
                    p.scores.iter().find(|row| row.name == name).map_or(f64::NAN, |row| row.value)
                };
                let points =
                    self.points.iter().map(|p| (value(p, x), value(p, y), label(p.truncation)));
                curves.push((format!("{y}{AGAINST}{x}"), self.curve(names, points)));
            }
        };
        against("is", "fid");
        against("precision", "recall");
        for (i, row) in first.scores.iter().enumerate() {
            let names = ("truncation".to_owned(), row.title.clone());
            let points =
                self.points.iter().map(|p| (p.truncation, p.scores[i].value, String::new()));
            curves.push((row.name.clone(), self.curve(names, points)));
        }
        curves
    }

    fn curve(
        &self,
        (x_name, y_name): (String, String),
        points: impl Iterator<Item = (f64, f64, String)>,
    ) -> Curve {
        Curve { title: self.model.clone(), x_name, y_name, points: points.collect() }
    }

    /// Writes `sweep.csv`, `sweep.json`, the curves, `grid.png` and `report.html` into `folder`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, folder: &Path, grid: &Image) -> Result<()> {
        let text = |name: &str, content: &str| -> Result<()> {
            let write = |file: &mut std::io::BufWriter<&std::fs::File>| {
                Ok(std::io::Write::write_all(file, content.as_bytes())?)
            };
            Ok(write_atomically(&folder.join(name), write)?)
        };
        text("sweep.csv", &self.csv())?;
        text("sweep.json", &(serde_json::to_string_pretty(self)? + "\n"))?;
        let mut drawn = Vec::new();
        for (name, curve) in self.curves() {
            let svg = curve.svg()?;
            text(&format!("{name}.svg"), &svg)?;
            save_png(&folder.join(format!("{name}.png")), &curve.image()?)?;
            drawn.push((name, svg));
        }
        let grid_path = folder.join("grid.png");
        save_png(&grid_path, grid)?;
        let png = std::fs::read(&grid_path).with_context(|| grid_path.display().to_string())?;
        text("report.html", &self.html(&drawn, &png))
    }

    /// A page that shows it all and needs no other file.
    fn html(&self, curves: &[(String, String)], grid: &[u8]) -> String {
        let columns = self.points.first().map_or(&[][..], |p| &p.scores);
        let mut head = String::new();
        for row in columns {
            let arrow = if row.higher_is_better { '↑' } else { '↓' };
            write!(head, "<th>{} {arrow}</th>", escape(&row.title)).expect("writing to a string");
        }
        let best: Vec<f64> = (0..columns.len()).map(|i| self.best(i)).collect();
        let mut rows = String::new();
        for point in &self.points {
            write!(rows, "<tr><td>{}</td>", label(point.truncation)).expect("writing to a string");
            for (row, &best) in point.scores.iter().zip(&best) {
                let std = row.std.map(|s| format!(" <small>± {s:.4}</small>")).unwrap_or_default();
                let class = if row.value == best { " class=\"best\"" } else { "" };
                write!(rows, "<td{class}>{:.4}{std}</td>", row.value).expect("writing to a string");
            }
            rows += "</tr>\n";
        }
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let drawn = self.generator.iter();
        let drawn =
            drawn.map(|(name, value)| format!("{}: {}", name.replace('_', " "), text(value)));
        let warnings =
            self.warnings.iter().map(|w| format!("<p class=\"warning\">{}</p>", escape(w)));
        let drawings = |trade: bool| -> String {
            let wanted = curves.iter().filter(|(name, _)| name.contains(AGAINST) == trade);
            wanted.map(|(_, svg)| svg.as_str()).collect()
        };
        format!(
            include_str!("sweep/report.html"),
            model = escape(&self.model),
            reference = escape(&self.reference),
            images = self.images,
            first = self.first_seed,
            drawn = escape(&drawn.collect::<Vec<_>>().join("; ")),
            convention = escape(&self.convention.to_string()),
            version = self.ganscope,
            warnings = warnings.collect::<String>(),
            head = head,
            rows = rows,
            trades = drawings(true),
            curves = drawings(false),
            grid = BASE64_STANDARD.encode(grid),
        )
    }

    /// The best value of the score `i`.
    fn best(&self, i: usize) -> f64 {
        let better = |a: f64, row: &Row| {
            if row.higher_is_better { a.max(row.value) } else { a.min(row.value) }
        };
        self.points.iter().map(|p| &p.scores[i]).fold(f64::NAN, better)
    }
}

/// A truncation in as few digits as it has, four at most.
pub(crate) fn label(truncation: f64) -> String {
    format!("{truncation:.4}").trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sweep() -> Sweep {
        let row = |name: &str, value, std| Row {
            generated: "m".into(),
            reference: Some("r".into()),
            name: name.into(),
            title: name.to_uppercase(),
            value,
            std,
            higher_is_better: name == "is",
        };
        let point = |truncation: f64| Point {
            truncation,
            scores: vec![row("is", 2.0 - truncation, Some(0.5)), row("fid", truncation, None)],
        };
        Sweep {
            model: "a <model>".into(),
            reference: "r".into(),
            reference_images: None,
            images: 10,
            first_seed: 0,
            generator: Map::from_iter([("class".to_owned(), "each & all".into())]),
            convention: Convention {
                extractor: "e".into(),
                weights_sha256: "0".into(),
                layer: "l".into(),
                resize: "r".into(),
                scaling: "s".into(),
            },
            metrics: Value::Null,
            warnings: vec!["few <images>".into()],
            ganscope: "0",
            points: vec![point(0.5), point(1.0)],
        }
    }

    #[test]
    fn the_table_has_a_line_a_truncation_and_spreads_beside_their_score() {
        assert_eq!(sweep().csv(), "truncation,is,is_std,fid\n0.5,1.5,0.5,0.5\n1,1,0.5,1\n");
    }

    #[test]
    fn fid_is_drawn_against_the_inception_score() {
        let curves = sweep().curves();
        let (name, curve) = &curves[0];
        assert_eq!(name, "fid-against-is");
        assert_eq!(curve.points[0], (1.5, 0.5, "0.5".into()));
        assert_eq!(curves.len(), 3);
    }

    #[test]
    fn the_page_escapes_names_and_refers_to_nothing_outside() {
        let curves = [("fid-against-is".into(), "<svg/>".into())];
        let html = sweep().html(&curves, b"png");
        for text in ["a &lt;model&gt;", "class: each &amp; all", "few &lt;images&gt;", "<svg/>"] {
            assert!(html.contains(text), "{text}");
        }
        assert!(!html.contains("src=\"http") && !html.contains("{model}"));
    }

    #[test]
    fn the_best_of_each_column_stands_out() {
        let html = sweep().html(&[], b"png");
        let best: Vec<&str> = html.split("<td class=\"best\">").skip(1).map(|s| &s[..6]).collect();
        assert_eq!(best, ["1.5000", "0.5000"], "the higher score, the lower distance");
    }
}
