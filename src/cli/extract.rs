//! What `score`, `stats` and `features` share: opening an extractor and running it over images.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use candle_core::Device;
use clap::builder::PossibleValuesParser;
use ganscope_images::{BatchOptions, Facts, ImageSet, Resize, SetOptions, Survey};
use ganscope_stats::Needs;
use ganscope_stats::files::Convention;

use super::terminal::Terminal;
use crate::cache;
use crate::device::device;
use crate::extraction::Extraction;
use crate::extractors::{self, ExtractorOptions, OpenExtractor};
use crate::preset::{PRESETS, Preset, preset};
use crate::registry;
use crate::store::Store;

fn preset_names() -> PossibleValuesParser {
    PRESETS.iter().map(|p| p.name).collect::<Vec<_>>().into()
}

fn extractor_names() -> PossibleValuesParser {
    registry::EXTRACTORS.iter().map(|e| e.name).collect::<Vec<_>>().into()
}

/// How images become features.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Features")]
pub(super) struct ExtractArgs {
    /// Tool whose conditions hold: resize, input scaling, metrics
    ///
    /// torch-fidelity: numbers to compare with papers. pytorch-fid: with that tool's. clean-fid:
    /// antialiased, for sets of different resolutions.
    #[arg(long, default_value = "torch-fidelity", value_parser = preset_names())]
    preset: String,

    /// Network whose features are compared [default: that of the reference statistics, or inception]
    #[arg(long, value_parser = extractor_names())]
    extractor: Option<String>,

    /// Weights of the network, instead of the known ones: a checkpoint of any format, or
    /// `hub:owner/repo/file`
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,

    /// Layer of the features: 64, 192, 768 or 2048 for Inception
    #[arg(long, value_name = "NAME")]
    layer: Option<String>,

    /// Resize convention, instead of the preset's
    #[arg(long, value_name = "NAME")]
    resize: Option<Resize>,

    /// Images that go through the network together; changes no number
    #[arg(long, default_value_t = 32, value_name = "N")]
    pub(super) batch: usize,

    /// Where networks run: `cpu`, or `cuda`, `cuda:N`, `metal` in builds with those features
    #[arg(long, default_value = "cpu", value_name = "NAME", value_parser = device)]
    pub(super) device: Device,

    /// Take only the first N images of each set
    #[arg(long, value_name = "N")]
    pub(super) num: Option<usize>,

    /// Search folders within folders
    #[arg(long)]
    pub(super) recursive: bool,

    /// Leave out images that cannot be read, and report them, instead of ending
    #[arg(long)]
    skip_unreadable: bool,

    /// Folder where features are kept between runs [default: the user's cache folder]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,

    /// Keep no features between runs
    #[arg(long, conflicts_with = "cache")]
    no_cache: bool,
}

impl ExtractArgs {
    /// The same for whole sets.
    pub(super) fn without_num(&self) -> Self {
        Self { num: None, ..self.clone() }
    }

    pub(super) fn preset(&self) -> &'static Preset {
        preset(&self.preset).expect("clap let only presets pass")
    }

    /// The extractor that is asked for, or the one that `reference` was taken with.
    pub(super) fn open(
        &self,
        needs: Needs,
        reference: Option<&Convention>,
        terminal: &Terminal,
    ) -> Result<OpenExtractor> {
        let stored = reference.map(|c| c.extractor.as_str());
        let known = |name: &&str| registry::EXTRACTORS.iter().any(|e| e.name == *name);
        let name = self.extractor.as_deref().or(stored.filter(known));
        let name = name.unwrap_or(registry::EXTRACTORS[0].name);
        let options = ExtractorOptions {
            name,
            weights: self.weights.as_deref(),
            layer: self.layer.as_deref(),
            resize: self.resize.unwrap_or(self.preset().resize),
            scaling: self.preset().scaling,
            needs,
            device: self.device.clone(),
        };
        let bar = std::cell::OnceCell::new();
        extractors::open(&options, &mut |done, total| {
            let what = format!("weights of {name}");
            bar.get_or_init(|| terminal.bytes(total.unwrap_or(0), &what)).set_position(done);
        })
    }

    pub(super) fn images(&self, path: &Path) -> Result<ImageSet> {
        Ok(ImageSet::open(path, &SetOptions { recursive: self.recursive })?)
    }

    /// Rows of the images of `set` that `shard` names, from the cache as far as they are there.
    pub(super) fn rows(
        &self,
        (name, set): (&str, &ImageSet),
        shard: Shard,
        open: &OpenExtractor,
        terminal: &Terminal,
    ) -> Result<(Store, Survey)> {
        ensure!(self.batch > 0, "--batch must be at least 1");
        let count = self.num.map_or(set.len(), |num| num.min(set.len()));
        if let Some(num) = self.num.filter(|&num| num > set.len()) {
            terminal.warn(&format!("`{name}` holds {} images, fewer than --num {num}", set.len()));
        }
        let indices: Vec<usize> = shard.of(count).collect();
        let facts = cache::facts(set, &indices, self.skip_unreadable)
            .with_context(|| format!("read `{name}`"))?;
        let store = match self.cache_folder() {
            Some(folder) => Store::open(&folder, &cache::key(&facts, open)?)?,
            None => Store::temporary()?,
        };
        let readable: Vec<Facts> = facts.into_iter().flatten().collect();
        let options = BatchOptions {
            batch: self.batch,
            skip_unreadable: self.skip_unreadable,
            ..BatchOptions::default()
        };
        let extractor = &*open.extractor;
        let mut extraction =
            Extraction::of_images(set, &indices, extractor, open.preprocess, store, options);
        let before = extraction.done();
        if before < extraction.total() {
            let bar = terminal.bar(extraction.total(), name);
            bar.set_position(before as u64);
            bar.reset_eta();
            for done in &mut extraction {
                bar.set_position(done.with_context(|| format!("read `{name}`"))? as u64);
            }
            bar.finish_and_clear();
        } else {
            terminal.note(&format!("{name}: features of {before} images from the cache"));
        }
        Ok((extraction.into_store(), Survey::of(&readable)))
    }

    pub(super) fn cache_folder(&self) -> Option<PathBuf> {
        match (&self.cache, self.no_cache) {
            (_, true) => None,
            (Some(folder), _) => Some(folder.clone()),
            (None, _) => cache::folder(),
        }
    }
}

/// Every image of a set, or one part of it: `3/16` is the third of sixteen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shard {
    part: usize,
    parts: usize,
}

impl Shard {
    /// The whole set.
    pub(super) const WHOLE: Self = Self { part: 1, parts: 1 };

    /// Indices of the images, of `count`.
    fn of(self, count: usize) -> std::ops::Range<usize> {
        (self.part - 1) * count / self.parts..self.part * count / self.parts
    }
}

impl std::str::FromStr for Shard {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let parse = |(part, parts): (&str, &str)| Some((part.parse().ok()?, parts.parse().ok()?));
        match s.split_once('/').and_then(parse) {
            Some((part, parts)) if 1 <= part && part <= parts => Ok(Self { part, parts }),
            _ => Err("expected PART/PARTS, counted from 1, as in 3/16".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_cover_every_image_once() {
        let part = |part| Shard { part, parts: 7 }.of(100);
        assert_eq!((1..=7).flat_map(part).collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_shard_beyond_the_last_is_refused() {
        assert_eq!("3/16".parse(), Ok(Shard { part: 3, parts: 16 }));
        for wrong in ["17/16", "0/16", "3", "a/b", "-1/2"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }
}
