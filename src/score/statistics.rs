//! Statistics and features of a set, kept for later or for other tools.

use std::path::Path;

pub use ganscope_stats::files::{Convention, Stored};
use ganscope_stats::{Features, Needs};
use ganscope_weights::{Array, npy};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Hint, Result};
use crate::features::{FeatureRequest, Gathered, Gatherer, SetFacts, Shard};
use crate::source::Source;
use crate::text;
use crate::watch::{Warning, Watch};

/// Which statistics of which images.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StatisticsRequest {
    /// Folder, archive or array of images.
    pub images: String,
    /// The part of the set that is taken, `PART/PARTS` counted from 1.
    #[serde(with = "text")]
    pub shard: Shard,
    /// Whether the features of each image are kept, for KID and precision/recall.
    pub rows: bool,
    /// Whether the spatial features of sFID are added.
    pub spatial: bool,
    /// How images become features.
    pub features: FeatureRequest,
}

/// Statistics, ready to be written.
#[derive(Debug, Clone)]
pub struct Statistics {
    /// The statistics with their convention.
    pub stored: Stored,
    /// The set that they are of.
    pub facts: SetFacts,
}

/// Computes statistics of a set of images, or of a part of it.
///
/// # Errors
/// If the images or the extractor cannot be read, or the task is stopped.
pub fn statistics(request: &StatisticsRequest, watch: &mut dyn Watch) -> Result<Statistics> {
    request.features.check()?;
    let source = Source::open(&request.images, &request.features.set_options())?;
    statistics_of(&source, request, watch)
}

/// As [`statistics`], of images that are at hand.
///
/// # Errors
/// As [`statistics`].
pub fn statistics_of(
    source: &Source,
    request: &StatisticsRequest,
    watch: &mut dyn Watch,
) -> Result<Statistics> {
    let mut needs = Needs::STATS;
    if request.rows {
        needs |= Needs::FEATURES | Needs::LOGITS;
    }
    if request.spatial {
        needs |= Needs::SPATIAL;
    }
    let (gathered, convention) = gather(source, request.shard, needs, &request.features, watch)?;
    let Gathered { set, facts, .. } = gathered;
    Ok(Statistics { stored: Stored { set, convention: Some(convention) }, facts })
}

/// The formats of statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatisticsFormat {
    /// `.npz`: `mu` and `sigma` for other tools.
    Npz,
    /// `.safetensors`: exact and mergeable, with rows where they were kept.
    Own,
}

impl StatisticsFormat {
    /// The format of the ending of a name.
    ///
    /// # Errors
    /// If it is not an ending of statistics.
    pub fn of(path: &Path) -> Result<Self> {
        match path.extension().and_then(|e| e.to_str()) {
            Some("npz") => Ok(Self::Npz),
            Some("safetensors") => Ok(Self::Own),
            _ => Err(Error::request(format!(
                "`{}` ends neither in .safetensors nor in .npz",
                path.display()
            ))
            .with_hint("name the file .safetensors (exact, mergeable) or .npz (for other tools)")),
        }
    }

    /// Checks that a file of this format can contain all parts of a request.
    ///
    /// # Errors
    /// If an `.npz` is to contain rows.
    pub fn check(self, request: &StatisticsRequest) -> Result<()> {
        if self == Self::Npz && request.rows {
            return Err(Error::request("an npz of statistics contains no rows")
                .with_hint(Hint::of("write .safetensors, or leave {rows} out")));
        }
        Ok(())
    }
}

/// Writes statistics in the format of the ending of the name.
///
/// # Errors
/// If the name has another ending, or the file cannot be written.
pub fn write_statistics(path: &Path, stored: &Stored) -> Result<()> {
    match StatisticsFormat::of(path)? {
        StatisticsFormat::Npz => ganscope_stats::files::write_npz(path, stored)?,
        StatisticsFormat::Own => ganscope_stats::files::write(path, stored)?,
    }
    Ok(())
}

/// Which features of which images.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RowsRequest {
    /// Folder, archive or array of images.
    pub images: String,
    /// Whether the logits (without bias) are taken instead of the features.
    pub logits: bool,
    /// How images become features.
    pub features: FeatureRequest,
}

/// Rows of features.
#[derive(Debug, Clone)]
pub struct RowsOfImages {
    /// The rows, (N, dim).
    pub rows: Features,
    /// Name of the image of each row.
    pub names: Vec<String>,
    /// How they were computed.
    pub convention: Convention,
    /// The set that they are of.
    pub facts: SetFacts,
}

/// Computes the features of images, one row per image.
///
/// # Errors
/// If the images or the extractor cannot be read, or the task is stopped.
pub fn rows(request: &RowsRequest, watch: &mut dyn Watch) -> Result<RowsOfImages> {
    rows_of(&Source::open(&request.images, &request.features.set_options())?, request, watch)
}

/// As [`rows`], of images that are at hand.
///
/// # Errors
/// As [`rows`].
pub fn rows_of(
    source: &Source,
    request: &RowsRequest,
    watch: &mut dyn Watch,
) -> Result<RowsOfImages> {
    let needs = if request.logits { Needs::LOGITS } else { Needs::FEATURES };
    let images = source.need_images()?;
    let (gathered, convention) = gather(source, Shard::WHOLE, needs, &request.features, watch)?;
    let rows = match gathered.set.logits {
        Some(logits) => Some(logits.to_features()?),
        None => gathered.set.features,
    };
    let rows = rows.ok_or_else(|| Error::request(format!("`{}` has no images", source.name())))?;
    let names = gathered.places.iter().map(|&i| images.name(i)).collect();
    Ok(RowsOfImages { rows, names, convention, facts: gathered.facts })
}

fn gather(
    source: &Source,
    shard: Shard,
    needs: Needs,
    request: &FeatureRequest,
    watch: &mut dyn Watch,
) -> Result<(Gathered, Convention)> {
    request.check()?;
    let images = source.need_images()?;
    let extractor = request.open_extractor(needs, None, watch)?;
    let missing = needs.difference(extractor.computes());
    if missing != Needs::NONE {
        let name = &extractor.convention.extractor;
        return Err(Error::request(format!("{name} does not compute {missing} at this layer")));
    }
    let mut gatherer = Gatherer::new(request, &extractor);
    let gathered = gatherer.gather_images(source.name(), images, shard, needs, watch)?;
    for warning in super::warnings::about_sets(&[&gathered], Needs::NONE, None) {
        watch.warn(&warning);
    }
    Ok((gathered, extractor.convention))
}

/// Merges statistics of parts of a set into those of the whole, exactly.
///
/// # Errors
/// If a part cannot be read, contains no count, or was taken under another convention.
pub fn merge_statistics(parts: &[impl AsRef<Path>], watch: &mut dyn Watch) -> Result<Stored> {
    let merged = ganscope_stats::files::merge(parts)?;
    let paths: Vec<&Path> = parts.iter().map(AsRef::as_ref).collect();
    for (i, path) in paths.iter().enumerate() {
        if paths[..i].contains(path) {
            watch.warn(&Warning::from(format!("`{}` is merged more than once", path.display())));
        }
    }
    Ok(merged)
}

/// Writes rows as a NumPy array (N, dim) of float32, `.npy`.
///
/// # Errors
/// If the name has another ending, or the file cannot be written.
pub fn write_rows(path: &Path, rows: &Features) -> Result<()> {
    check_rows(path)?;
    let array = Array::from_f32([rows.len(), rows.dim()], rows.as_slice())?;
    Ok(npy::write(path, &array)?)
}

/// Fails if the name of a file is not one of an array.
///
/// # Errors
/// If it does not end in `.npy`.
pub fn check_rows(path: &Path) -> Result<()> {
    match path.extension().and_then(|e| e.to_str()) {
        Some("npy") => Ok(()),
        _ => Err(Error::request(format!("`{}` does not end in .npy", path.display()))
            .with_hint("rows are written as a NumPy array, .npy")),
    }
}
