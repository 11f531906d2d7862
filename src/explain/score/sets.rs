//! Both sets of a comparison: rows of features, moments, classes and pictures.

use ganscope_images::{Image, ImageSet};
use ganscope_stats::{FeatureStats, Features, Logits};
use serde::Serialize;

use crate::error::{Context as _, Error, Hint, Result};
use crate::features::{Gathered, SetFacts};
use crate::figures::thumbnail;
use crate::source::Source;

/// Pixels a side of a picture in a list.
const SIDE: usize = 64;
/// Color around pictures that are not square.
const MARGIN: [u8; 3] = [128; 3];

/// A set with everything that is known of its images.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) facts: SetFacts,
    pub(crate) stats: FeatureStats,
    /// The features of its images; not of a set that consists of moments.
    pub(crate) rows: Option<Features>,
    /// The logits of its images, where the extractor has classes.
    pub(crate) logits: Option<Logits>,
    /// The most probable class of each image.
    pub(crate) classes: Option<Vec<usize>>,
    pub(crate) album: Album,
}

impl Member {
    /// The set of `source`, of which `gathered` was read.
    pub(crate) fn new(source: &Source, gathered: Gathered) -> Result<Self> {
        let album = Album::new(source, &gathered);
        let rows = gathered.set.features;
        let stats = match (gathered.set.stats, &rows) {
            (Some(stats), _) => stats,
            (None, Some(rows)) => FeatureStats::from_features(rows),
            (None, None) => {
                let message = format!("`{}` contains no features", source.name());
                return Err(
                    Error::request(message).with_hint("give images, or a file of their features")
                );
            }
        };
        let count = rows.as_ref().map(Features::len);
        let logits = gathered.set.logits.filter(|logits| Some(logits.len()) == count);
        let classes = logits.as_ref().map(predicted).transpose()?;
        Ok(Self { facts: gathered.facts, stats, rows, logits, classes, album })
    }

    /// The moments of the set without the images at some positions.
    ///
    /// # Errors
    /// If it consists of moments, or fewer than two images stay.
    pub(crate) fn stats_without(&self, positions: &[usize]) -> Result<FeatureStats> {
        let part = FeatureStats::from_features(&self.need_rows()?.select(positions));
        Ok(self.stats.without(&part)?)
    }

    /// The features of its images.
    ///
    /// # Errors
    /// If it consists of moments.
    pub(crate) fn need_rows(&self) -> Result<&Features> {
        self.rows.as_ref().ok_or_else(|| {
            let message = format!("`{}` contains no features of single images", self.facts.path);
            Error::request(message).with_hint(Hint::of(
                "give the images, or statistics that were written with {stats.rows}",
            ))
        })
    }

    /// Images by their positions, with names.
    pub(crate) fn shown(&self, images: &[usize]) -> Vec<Shown> {
        images.iter().map(|&i| Shown { index: i, name: self.album.name(i) }).collect()
    }

    /// The class that most of these images belong to, if it is that of more than half.
    pub(crate) fn kind(&self, images: &[usize], labels: &Labels) -> Option<Kind> {
        let classes = self.classes.as_ref()?;
        let mut counts = std::collections::BTreeMap::new();
        for &i in images {
            *counts.entry(classes[i]).or_insert(0_usize) += 1;
        }
        let (&class, &count) = counts.iter().max_by_key(|(_, count)| **count)?;
        let of = images.len();
        (2 * count > of).then(|| Kind { class, title: labels.title(class), count, of })
    }
}

/// The index of the largest value of each row.
pub(super) fn predicted(logits: &Logits) -> Result<Vec<usize>> {
    let mut classes = Vec::with_capacity(logits.len());
    for batch in logits.batches() {
        let largest = |row: &[f32]| {
            let best = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
            best.map_or(0, |(class, _)| class)
        };
        classes.extend(batch?.rows().map(largest));
    }
    Ok(classes)
}

/// Names of classes, as far as they are known.
#[derive(Debug, Clone, Default)]
pub(crate) struct Labels(pub(crate) Vec<String>);

impl Labels {
    pub(crate) fn title(&self, class: usize) -> String {
        self.0.get(class).cloned().unwrap_or_else(|| format!("class {class}"))
    }
}

/// An image that is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Shown {
    /// Its position among the images that took part.
    #[serde(skip)]
    pub index: usize,
    /// Its name in the set.
    pub name: String,
}

/// The class of most of several images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kind {
    /// The class.
    pub class: usize,
    /// Its name.
    pub title: String,
    /// Images of that class.
    pub count: usize,
    /// All images.
    pub of: usize,
}

/// The pictures of a set beside its rows of features.
#[derive(Debug, Clone)]
pub(crate) struct Album {
    set: Option<ImageSet>,
    /// Place in the set of each row.
    places: Vec<usize>,
}

impl Album {
    fn new(source: &Source, gathered: &Gathered) -> Self {
        let rows = gathered.set.features.as_ref().map_or(0, Features::len);
        let set = source.images().filter(|_| gathered.places.len() == rows && rows > 0);
        Self { set: set.cloned(), places: gathered.places.clone() }
    }

    /// Pictures at hand.
    #[cfg(test)]
    pub(crate) fn of(set: ImageSet) -> Self {
        Self { places: (0..set.len()).collect(), set: Some(set) }
    }

    /// Whether there are pictures.
    pub(crate) fn has_pictures(&self) -> bool {
        self.set.is_some()
    }

    /// Name of an image; its row where there are only features.
    pub(crate) fn name(&self, i: usize) -> String {
        self.set.as_ref().map_or_else(|| format!("row {i}"), |set| set.name(self.places[i]))
    }

    /// The class that the set gives an image: its label, or the first folder of its name.
    pub(crate) fn label(&self, i: usize) -> Option<String> {
        let set = self.set.as_ref()?;
        let place = self.places[i];
        if let Some(label) = set.label(place) {
            return Some(label.to_string());
        }
        let name = set.name(place);
        name.split_once('/').map(|(folder, _)| folder.to_owned())
    }

    /// The image at position `i`, where there are pictures.
    ///
    /// # Errors
    /// If it cannot be read any more.
    pub(crate) fn image(&self, i: usize) -> Result<Option<Image>> {
        let Some(set) = &self.set else { return Ok(None) };
        let place = self.places[i];
        let image = set.get(place).with_context(|| format!("read `{}`", set.name(place)))?;
        Ok(Some(image.image))
    }

    /// Small pictures of equal size.
    ///
    /// # Errors
    /// As [`image`](Self::image).
    pub(crate) fn tiles(&self, images: &[Shown]) -> Result<Vec<Image>> {
        let mut tiles = Vec::with_capacity(images.len());
        for shown in images {
            let Some(image) = self.image(shown.index)? else { return Ok(Vec::new()) };
            let small = thumbnail(&image, SIDE);
            let mut tile = Image::filled(SIDE, SIDE, MARGIN);
            let middle = |length: usize| (SIDE.saturating_sub(length)) / 2;
            tile.paste(&small, [middle(small.width), middle(small.height)]);
            tiles.push(tile);
        }
        Ok(tiles)
    }
}
