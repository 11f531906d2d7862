//! What each image adds to a score: leave-one-out contributions, as tables, pictures and a page.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ganscope_explain::fid::{Frechet, inception_score_contributions, worst_first};
use ganscope_fid::frechet_distance;
use ganscope_images::{Image, save_png};
use ganscope_inception_score::{InceptionScore, inception_score};
use ganscope_prdc::realism;
use ganscope_stats::{FeatureSet, FeatureStats};
use serde::Serialize;

use crate::plot::Curve;
use crate::report::write_text;

/// Most points of the curve of contributions.
const POINTS: usize = 60;

/// What one image adds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Contribution {
    /// Its name in the set.
    pub name: String,
    /// The distance less that of the set without the image: positive where the image hurts.
    pub distance: f64,
    /// The Inception Score less that of the set without the image: negative where the image hurts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inception_score: Option<f64>,
    /// Its realism: at least 1 inside the reference manifold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realism: Option<f64>,
}

/// A generated set and what its images add to its scores.
#[derive(Debug, Clone, Serialize)]
pub struct Contributions {
    /// The generated set.
    pub generated: String,
    /// The reference set.
    pub reference: String,
    /// Extractor, layer and resize, in words.
    pub convention: String,
    /// Name of the distance: `FID`, or `FD (fashion-cnn)`.
    pub title: String,
    /// The distance.
    pub distance: f64,
    /// How many images are listed as the worst.
    pub top: usize,
    /// The distance of the set without those.
    pub without_worst: f64,
    /// The Inception Score of the whole set at once, where there are logits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inception_score: Option<f64>,
    /// The images in the order of the set.
    pub images: Vec<Contribution>,
    /// Version of this program.
    pub ganscope: &'static str,
}

/// A picture of the page.
#[derive(Debug, Clone)]
pub struct Figure {
    /// Name of the file without its ending.
    pub name: &'static str,
    /// Heading.
    pub title: String,
    /// What it shows.
    pub about: String,
    /// The picture.
    pub picture: Image,
}

impl Contributions {
    /// Leaves out each image of `generated`, which are called `names`, in turn. Realism takes
    /// `nearest_k` neighbours in the reference, if that holds its features.
    ///
    /// # Errors
    /// When the sets lack moments or features, or do not fit together.
    pub fn new(
        generated: &FeatureSet,
        reference: &FeatureSet,
        names: Vec<String>,
        (top, nearest_k): (usize, usize),
    ) -> Result<(Self, Frechet)> {
        let (Some(stats), Some(features)) = (&generated.stats, &generated.features) else {
            anyhow::bail!("the generated set lacks the features of its images");
        };
        let reference_stats =
            reference.stats.as_ref().context("the reference lacks its moments")?;
        let frechet = Frechet::new(stats, reference_stats)?;
        let distances = frechet.contributions(features)?;
        let scores = match &generated.logits {
            Some(logits) => {
                let logits = logits.to_features()?;
                let score = inception_score(&logits, &InceptionScore::WHOLE)?.mean;
                Some((score, inception_score_contributions(&logits)?))
            }
            None => None,
        };
        let realism = reference.features.as_ref().map(|r| realism(features, r, nearest_k));
        let realism = realism.transpose()?;
        let image = |(i, name): (usize, String)| Contribution {
            name,
            distance: distances[i],
            inception_score: scores.as_ref().map(|(_, parts)| parts[i]),
            realism: realism.as_ref().map(|r| r[i]),
        };
        let images: Vec<_> = names.into_iter().enumerate().map(image).collect();
        // Moments need a few images that stay.
        let top = top.min(images.len().saturating_sub(2));
        let mut stay = worst_first(&distances).split_off(top);
        stay.sort_unstable();
        let rest = FeatureStats::from_features(&features.select(&stay));
        let contributions = Self {
            generated: String::new(),
            reference: String::new(),
            convention: String::new(),
            title: String::new(),
            distance: frechet.value(),
            top,
            without_worst: frechet_distance(&rest, reference_stats)?,
            inception_score: scores.map(|(score, _)| score),
            images,
            ganscope: env!("CARGO_PKG_VERSION"),
        };
        Ok((contributions, frechet))
    }

    /// Positions of the images, the one that hurts the distance most first.
    pub fn worst(&self) -> Vec<usize> {
        worst_first(&self.images.iter().map(|i| i.distance).collect::<Vec<_>>())
    }

    /// Positions of the images, the one that lowers the Inception Score most first.
    pub fn worst_by_score(&self) -> Option<Vec<usize>> {
        let parts: Option<Vec<f64>> =
            self.images.iter().map(|i| Some(-i.inception_score?)).collect();
        Some(worst_first(&parts?))
    }

    /// Positions of the images, the least realistic first.
    pub fn least_realistic(&self) -> Option<Vec<usize>> {
        let parts: Option<Vec<f64>> = self.images.iter().map(|i| Some(-i.realism?)).collect();
        Some(worst_first(&parts?))
    }

    /// One line an image, the worst first.
    pub fn csv(&self) -> String {
        let mut csv = "rank,name,distance".to_owned();
        let first = self.images.first();
        let score = first.is_some_and(|i| i.inception_score.is_some());
        let realism = first.is_some_and(|i| i.realism.is_some());
        csv += if score { ",inception_score" } else { "" };
        csv += if realism { ",realism" } else { "" };
        for (rank, i) in self.worst().into_iter().enumerate() {
            let image = &self.images[i];
            let name = quoted(&image.name);
            write!(csv, "\n{},{name},{}", rank + 1, image.distance).expect("writing to a string");
            for value in [image.inception_score, image.realism].into_iter().flatten() {
                write!(csv, ",{value}").expect("writing to a string");
            }
        }
        csv + "\n"
    }

    /// Contribution over rank.
    pub fn curve(&self) -> Curve {
        let order = self.worst();
        let last = order.len().saturating_sub(1);
        let points = POINTS.min(order.len());
        let rank = |i: usize| i * last / points.saturating_sub(1).max(1);
        let point =
            |rank: usize| ((rank + 1) as f64, self.images[order[rank]].distance, String::new());
        Curve {
            title: "the worst image first".into(),
            x_name: "rank".into(),
            y_name: format!("part of {}", self.title),
            points: (0..points).map(|i| point(rank(i))).collect(),
        }
    }

    /// Writes `contributions.csv`, `contributions.json`, the figures and `report.html` into
    /// `folder`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, folder: &Path, figures: &[Figure]) -> Result<()> {
        write_text(&folder.join("contributions.csv"), &self.csv())?;
        let json = serde_json::to_string_pretty(self)? + "\n";
        write_text(&folder.join("contributions.json"), &json)?;
        let mut pictures = Vec::new();
        for figure in figures {
            let path = folder.join(format!("{}.png", figure.name));
            save_png(&path, &figure.picture)?;
            pictures.push(std::fs::read(&path).with_context(|| path.display().to_string())?);
        }
        write_text(&folder.join("report.html"), &self.html(figures, &pictures)?)
    }

    /// A page that shows it all and needs no other file.
    fn html(&self, figures: &[Figure], pictures: &[Vec<u8>]) -> Result<String> {
        let mut sections = String::new();
        for (figure, png) in figures.iter().zip(pictures) {
            let (title, about) = (escape(&figure.title), escape(&figure.about));
            let png = BASE64_STANDARD.encode(png);
            write!(
                sections,
                "<h2>{title}</h2>\n<p>{about}</p>\n<img alt=\"{title}\" \
                 src=\"data:image/png;base64,{png}\">\n"
            )?;
        }
        let score = self.inception_score.map_or(String::new(), |score| {
            format!("<tr><td>Inception Score of all images at once</td><td>{score:.4}</td></tr>")
        });
        Ok(format!(
            include_str!("contributions/report.html"),
            title = escape(&self.title),
            generated = escape(&self.generated),
            reference = escape(&self.reference),
            images = self.images.len(),
            convention = escape(&self.convention),
            version = self.ganscope,
            distance = self.distance,
            top = self.top,
            without = self.without_worst,
            score = score,
            curve = self.curve().svg()?,
            sections = sections,
        ))
    }
}

/// A field of a CSV file.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use ganscope_stats::Features;
    use ganscope_stats::random::RandomState;

    use super::*;

    /// Images of four features, of which every tenth is far away; their logits are their features.
    fn set(n: usize, seed: u32, far: f32) -> FeatureSet {
        let mut random = RandomState::new(seed);
        let shift = |i: usize| if i / 4 % 10 == 3 { far } else { 0.0 };
        let rows = (0..4 * n).map(|i| random.standard_normal() as f32 + shift(i)).collect();
        let features = Features::from_vec(rows, 4).unwrap();
        FeatureSet {
            stats: Some(FeatureStats::from_features(&features)),
            logits: Some(features.clone().into()),
            features: Some(features),
            spatial: None,
        }
    }

    fn contributions() -> Contributions {
        let names = (0..60).map(|i| format!("{i},<x>")).collect();
        Contributions::new(&set(60, 1, 4.0), &set(80, 2, 0.0), names, (6, 3)).unwrap().0
    }

    #[test]
    fn outliers_are_the_worst_by_distance_and_by_realism() {
        let found = contributions();
        for mut order in [found.worst(), found.least_realistic().unwrap()] {
            order.truncate(6);
            order.sort_unstable();
            assert_eq!(order, [3, 13, 23, 33, 43, 53]);
        }
        assert!(found.without_worst < 0.5 * found.distance, "{}", found.without_worst);
        let order = found.worst_by_score().unwrap();
        let part = |i: usize| found.images[i].inception_score.unwrap();
        assert!(part(order[0]) < 0.0 && part(order[59]) > 0.0);
    }

    #[test]
    fn the_table_has_a_line_an_image() {
        let csv = contributions().csv();
        assert_eq!(csv.lines().count(), 61);
        assert!(csv.starts_with("rank,name,distance,inception_score,realism\n1,\""), "{csv}");
        assert!(csv.lines().all(|line| line.split(',').count() >= 5));
    }

    #[test]
    fn the_page_escapes_names_and_refers_to_nothing_outside() {
        let mut found = contributions();
        found.generated = "a <set>".into();
        let figure = Figure {
            name: "worst",
            title: "the \"worst\"".into(),
            about: "a & b".into(),
            picture: Image::filled(1, 1, [0; 3]),
        };
        let html = found.html(&[figure], &[vec![1, 2, 3]]).unwrap();
        for text in ["a &lt;set&gt;", "a &amp; b", "the &quot;worst&quot;", "<svg"] {
            assert!(html.contains(text), "{text}");
        }
        assert!(!html.contains("src=\"http") && !html.contains("{title}"));
    }
}
