//! The section of images: how much each image adds to a score, by leaving it out.

pub mod figures;

use std::fmt::Write as _;

use ganscope_fid::{LeaveOneOut, frechet_distance, worst_first};
use ganscope_images::Image;
use ganscope_inception_score::leave_one_out as leave_out_of_inception_score;
use ganscope_prdc::{rarity, realism};
use ganscope_stats::FeatureStats;
use serde::Serialize;

use super::sets::{Album, Member};
use crate::error::Result;
use crate::explain::distance::PixelMaps;
use crate::watch::Warning;

/// What one image adds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Contribution {
    /// Its name in the set.
    pub name: String,
    /// The distance of the set minus that of the set without the image: positive where the image
    /// hurts.
    pub distance: f64,
    /// The Inception Score of the set minus that of the set without the image: negative where the
    /// image hurts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inception_score: Option<f64>,
    /// Its realism: at least 1 inside the reference manifold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realism: Option<f64>,
    /// Its rarity: the radius of the smallest ball of the reference that contains it, 0 outside of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rarity: Option<f64>,
}

/// What the images of a generated set add to its scores.
#[derive(Debug, Clone, Serialize)]
pub struct Contributions {
    /// Name of the distance: `FID`, or `FD (fashion-cnn)`.
    #[serde(skip)]
    pub title: String,
    /// Name of the Inception Score on these features.
    #[serde(skip)]
    pub inception_score_title: String,
    /// The distance of all images.
    pub distance: f64,
    /// How many images are left out as the worst.
    pub top: usize,
    /// How many images each list shows.
    #[serde(skip)]
    pub listed: usize,
    /// The distance of the set without those.
    pub without_worst: f64,
    /// The Inception Score of all images at once, where there are logits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inception_score: Option<f64>,
    /// The images in the order of the set.
    pub images: Vec<Contribution>,
    /// Positions of the images whose pixels are explained, with their maps.
    #[serde(skip)]
    pub maps: Vec<(usize, PixelMaps)>,
    /// The generated images.
    #[serde(skip)]
    album: Album,
}

impl Contributions {
    /// Warnings where the contributions say less than a reader may think.
    pub(super) fn about_sums(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        let title = &self.title;
        if self.images.iter().all(|image| image.distance <= 0.0) {
            let text =
                format!("no image raises {title} by itself: a smaller set lies farther away");
            warnings.push(text.into());
        } else if self.without_worst > self.distance {
            let text = format!(
                "contributions do not add up: {title} is larger without the {} worst images at once",
                self.top
            );
            warnings.push(text.into());
        }
        warnings
    }

    /// Leaves out each image, in closed form.
    pub(super) fn new(
        generated: &Member,
        reference: &Member,
        (top, nearest_k): (usize, usize),
    ) -> Result<(Self, LeaveOneOut)> {
        let features = generated.need_rows()?;
        let decomposed = LeaveOneOut::new(&generated.stats, &reference.stats)?;
        let distances = decomposed.contributions(features)?;
        let scores = generated.logits.as_ref().map(leave_out_of_inception_score).transpose()?;
        let neighbors = reference.rows.as_ref().filter(|rows| rows.len() > nearest_k);
        let realism = neighbors.map(|r| realism(features, r, nearest_k)).transpose()?;
        let rarity = neighbors.map(|r| rarity(features, r, nearest_k)).transpose()?;
        let image = |i: usize| Contribution {
            name: generated.album.name(i),
            distance: distances[i],
            inception_score: scores.as_ref().map(|scores| scores.contributions[i]),
            realism: realism.as_ref().map(|realism| realism[i]),
            rarity: rarity.as_ref().map(|rarity| rarity[i]),
        };
        let images: Vec<_> = (0..features.len()).map(image).collect();
        // Moments need a few images that stay.
        let left_out = top.min(images.len().saturating_sub(2));
        let mut stay = worst_first(&distances).split_off(left_out);
        stay.sort_unstable();
        let rest = FeatureStats::from_features(&features.select(&stay));
        let contributions = Self {
            title: String::new(),
            inception_score_title: String::new(),
            distance: decomposed.distance(),
            top: left_out,
            listed: top,
            without_worst: frechet_distance(&rest, &reference.stats)?,
            inception_score: scores.map(|scores| scores.score),
            images,
            maps: Vec::new(),
            album: generated.album.clone(),
        };
        Ok((contributions, decomposed))
    }

    /// The image at position `i`; none of a set without pictures.
    ///
    /// # Errors
    /// If it cannot be read any more.
    pub fn image(&self, i: usize) -> Result<Option<Image>> {
        self.album.image(i)
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

    /// Positions of the images within the reference manifold, the rarest first.
    pub fn rarest(&self) -> Option<Vec<usize>> {
        let parts: Option<Vec<f64>> = self.images.iter().map(|i| i.rarity).collect();
        let mut order = worst_first(&parts?);
        order.retain(|&i| self.images[i].rarity.is_some_and(|rarity| rarity > 0.0));
        Some(order)
    }

    /// One line per image, the worst first.
    pub fn csv(&self) -> String {
        let mut csv = "rank,name,distance".to_owned();
        let first = self.images.first();
        let score = first.is_some_and(|i| i.inception_score.is_some());
        let realism = first.is_some_and(|i| i.realism.is_some());
        csv += if score { ",inception_score" } else { "" };
        csv += if realism { ",realism,rarity" } else { "" };
        for (rank, i) in self.worst().into_iter().enumerate() {
            let image = &self.images[i];
            let name = quoted(&image.name);
            write!(csv, "\n{},{name},{}", rank + 1, image.distance).expect("writing to a string");
            for value in [image.inception_score, image.realism, image.rarity].into_iter().flatten()
            {
                write!(csv, ",{value}").expect("writing to a string");
            }
        }
        csv + "\n"
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

#[cfg(test)]
mod tests {
    use ganscope_images::ImageSet;
    use ganscope_stats::Features;
    use ganscope_stats::random::RandomState;

    use crate::features::SetFacts;

    use super::*;

    /// Images of four features, of which every tenth is far away; their logits are their features.
    fn set(n: usize, seed: u32, far: f32) -> Member {
        let mut random = RandomState::new(seed);
        let shift = |i: usize| if i / 4 % 10 == 3 { far } else { 0.0 };
        let rows = (0..4 * n).map(|i| random.standard_normal() as f32 + shift(i)).collect();
        let features = Features::from_vec(rows, 4).unwrap();
        let facts =
            SetFacts { path: "set".into(), images: None, convention: None, skipped: vec![] };
        let images = ImageSet::from_images(vec![Image::filled(1, 1, [0; 3]); n]);
        Member {
            facts,
            stats: FeatureStats::from_features(&features),
            logits: Some(features.clone().into()),
            rows: Some(features),
            classes: None,
            album: Album::of(images),
        }
    }

    pub(super) fn contributions() -> Contributions {
        let generated = set(60, 1, 4.0);
        Contributions::new(&generated, &set(80, 2, 0.0), (6, 3)).unwrap().0
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
    fn the_table_has_one_line_per_image() {
        let csv = contributions().csv();
        assert_eq!(csv.lines().count(), 61);
        assert!(csv.starts_with("rank,name,distance,inception_score,realism,rarity\n1,"), "{csv}");
        assert!(csv.lines().all(|line| line.split(',').count() == 6));
        assert_eq!(quoted("a,\"b\""), "\"a,\"\"b\"\"\"");
    }
}
