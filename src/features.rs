//! Features of sets: from stored statistics, from the cache, or computed.

pub mod extraction;
mod key;
mod shard;
pub mod store;
pub(crate) mod together;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use candle_core::Device;
use etcetera::BaseStrategy as _;
use ganscope_images::{BatchOptions, Facts, ImageSet, Limits, Resize, SetOptions, Survey};
use ganscope_stats::files::Convention;
use ganscope_stats::{FeatureSet, Needs, Rows as _};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::catalog;
use crate::checks::{limits, positive, within};
use crate::error::{Context as _, Error, Hint, Result};
use crate::latents::Drawing;
use crate::models::device::device;
use crate::models::extractor::{Extractor, ExtractorEntry, ExtractorOptions};
use crate::names::find;
use crate::preset::{Preset, PresetWeights};
use crate::source::Source;
use crate::text;
use crate::watch::{Counter, Warning, Watch};
use extraction::Extraction;
use key::Key;
pub use shard::Shard;
use store::FeatureStore;

/// How images become features: the part that all requests about features share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeatureRequest {
    /// Tool whose conventions hold: resize, input scaling, weights, default metrics; the first one of
    /// the extractor if missing.
    pub preset: Option<String>,
    /// Name of the extractor; that of the reference statistics, or Inception, if missing.
    pub extractor: Option<String>,
    /// Weights of the extractor, instead of the known ones: a file, a known id,
    /// `hub:OWNER/REPO/FILE`.
    pub weights: Option<String>,
    /// A JSON file with settings of the extractor that its weights do not tell, such as the number of
    /// heads of a transformer.
    pub extractor_config: Option<PathBuf>,
    /// Layer of the features, instead of the published one.
    pub layer: Option<String>,
    /// Resize convention, instead of the preset's.
    #[serde(with = "text::option")]
    pub resize: Option<Resize>,
    /// Batch size, at least 1; does not affect results.
    pub batch: usize,
    /// Where networks run: `cpu`, `cuda`, `cuda:N` or `metal`.
    pub device: String,
    /// Number of images that are used, from the first; all if missing.
    pub num: Option<usize>,
    /// Whether folders within folders are searched.
    pub recursive: bool,
    /// What images and archives may cost.
    pub limits: Limits,
    /// Whether unreadable images are left out and reported, instead of failing.
    pub skip_unreadable: bool,
    /// Where features are kept between runs.
    pub cache: Cache,
}

/// Where features are kept between runs.
///
/// In JSON `true` for the user's folder, a path, or `false`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "CacheChoice", into = "CacheChoice")]
pub enum Cache {
    /// `$GANSCOPE_CACHE/features`, or a folder in the user's cache folder.
    #[default]
    User,
    /// This folder.
    Folder(PathBuf),
    /// Nowhere.
    Off,
}

/// A [`Cache`] as it is written.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum CacheChoice {
    Any(bool),
    Folder(PathBuf),
}

impl From<CacheChoice> for Cache {
    fn from(choice: CacheChoice) -> Self {
        match choice {
            CacheChoice::Any(true) => Self::User,
            CacheChoice::Any(false) => Self::Off,
            CacheChoice::Folder(folder) => Self::Folder(folder),
        }
    }
}

impl From<Cache> for CacheChoice {
    fn from(cache: Cache) -> Self {
        match cache {
            Cache::User => Self::Any(true),
            Cache::Off => Self::Any(false),
            Cache::Folder(folder) => Self::Folder(folder),
        }
    }
}

impl Cache {
    /// The folder, if there is one.
    pub fn folder(&self) -> Option<PathBuf> {
        match self {
            Self::Off => None,
            Self::Folder(folder) => Some(folder.clone()),
            Self::User => {
                let set = std::env::var_os("GANSCOPE_CACHE").filter(|root| !root.is_empty());
                let root = match set {
                    Some(root) => PathBuf::from(root),
                    None => etcetera::choose_base_strategy().ok()?.cache_dir().join("ganscope"),
                };
                Some(root.join("features"))
            }
        }
    }
}

impl Default for FeatureRequest {
    fn default() -> Self {
        Self {
            preset: None,
            extractor: None,
            weights: None,
            extractor_config: None,
            layer: None,
            resize: None,
            batch: 32,
            device: "cpu".into(),
            num: None,
            recursive: false,
            limits: Limits::default(),
            skip_unreadable: false,
            cache: Cache::User,
        }
    }
}

impl FeatureRequest {
    /// The extractor of the request, or the one that `reference` was taken with, or Inception.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn entry(&self, reference: Option<&Convention>) -> Result<&'static ExtractorEntry> {
        let stored = reference.map(|c| c.extractor.as_str());
        let known = |name: &&str| catalog::EXTRACTORS.iter().any(|e| e.name == *name);
        let name = self.extractor.as_deref().or(stored.filter(known));
        catalog::extractor(name.unwrap_or(catalog::EXTRACTORS[0].name))
    }

    /// The preset of that extractor.
    ///
    /// # Errors
    /// If it has none of that name.
    pub fn preset(&self, reference: Option<&Convention>) -> Result<&'static Preset> {
        self.entry(reference)?.preset(self.preset.as_deref())
    }

    /// Checks all of the request that does not depend on the images.
    ///
    /// # Errors
    /// If a name is unknown, or a number is out of range.
    pub fn check(&self) -> Result<()> {
        match (&self.extractor, &self.preset) {
            (Some(_), _) => drop(self.preset(None)?),
            // Reference statistics may be those of any extractor.
            (None, Some(name)) => drop(find(&catalog::preset_names(), |n| n, "preset", name)?),
            (None, None) => {}
        }
        within("batch", self.batch, 1..=4096)?;
        limits(self.limits)?;
        self.num.map_or(Ok(()), |num| positive("num", num))
    }

    /// How its sets are opened.
    pub fn set_options(&self) -> SetOptions {
        SetOptions { recursive: self.recursive, limits: self.limits }
    }

    /// Opens the extractor of the request, or the one that `reference` was taken with.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open_extractor(
        &self,
        needs: Needs,
        reference: Option<&Convention>,
        watch: &mut dyn Watch,
    ) -> Result<Extractor> {
        self.entry(reference)?.open(&self.extractor_options(needs, reference)?, watch)
    }

    /// How that extractor is opened.
    ///
    /// # Errors
    /// If there is none, or no weights are known.
    pub(crate) fn extractor_options(
        &self,
        needs: Needs,
        reference: Option<&Convention>,
    ) -> Result<ExtractorOptions> {
        let entry = self.entry(reference)?;
        let preset = entry.preset(self.preset.as_deref())?;
        let known = match preset.weights {
            PresetWeights::Known(id) => Some(id),
            PresetWeights::Given if self.weights.is_none() => {
                let weights = format!("no weights of {} are known for {}", entry.name, preset.name);
                return Err(Error::request(weights).with_hint(Hint::of("give {weights}")));
            }
            PresetWeights::Usual | PresetWeights::Given => None,
        };
        Ok(ExtractorOptions {
            weights: self.weights.clone(),
            known,
            config: self.extractor_config.clone(),
            layer: self.layer.clone().or(preset.layer.map(str::to_owned)),
            resize: self.resize.unwrap_or(preset.resize),
            scaling: preset.scaling.clone(),
            needs,
            device: self.open_device()?,
        })
    }

    /// The device that networks run on.
    ///
    /// # Errors
    /// If there is no such device.
    pub fn open_device(&self) -> Result<Device> {
        device(&self.device)
    }
}

/// A set of images, as it was read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SetFacts {
    /// Path as given.
    pub path: String,
    /// Number of images that were used; unknown for statistics without a count.
    pub images: Option<u64>,
    /// Convention of its features; unknown for statistics without one.
    pub convention: Option<Convention>,
    /// Names of the images that could not be read and were left out, with the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<String>,
}

/// The features of a set.
#[derive(Debug, Clone)]
pub struct Gathered {
    /// The parts that were asked for.
    pub set: FeatureSet,
    /// Facts about the set.
    pub facts: SetFacts,
    /// Formats and sizes of its images, where images were read.
    pub survey: Option<Survey>,
    /// Place in the set of each image that took part, where images were read.
    pub places: Vec<usize>,
    /// The rows of these images.
    pub(crate) rows: Option<Arc<FeatureStore>>,
}

/// Gathers features of sets for one task.
#[derive(Debug)]
pub struct Gatherer<'a> {
    request: &'a FeatureRequest,
    extractor: &'a Extractor,
    /// Stores of this task: a set that is both generated and reference is extracted once.
    stores: HashMap<String, Arc<FeatureStore>>,
}

impl<'a> Gatherer<'a> {
    /// Gathers with an extractor.
    pub fn new(request: &'a FeatureRequest, extractor: &'a Extractor) -> Self {
        Self { request, extractor, stores: HashMap::new() }
    }

    /// The parts of the features of a set that `needs` names, from its stored statistics as far as
    /// they go.
    ///
    /// # Errors
    /// If an image cannot be read, or the task is stopped.
    pub fn gather(
        &mut self,
        source: &Source,
        needs: Needs,
        watch: &mut dyn Watch,
    ) -> Result<Gathered> {
        let stored = Gathered::of_stored(source, needs, watch)?;
        match source.images().filter(|_| !stored.set.holds().contains(needs)) {
            None => Ok(stored),
            Some(images) => {
                let Gathered { set: computed, facts, survey, places, rows } =
                    self.gather_images(source.name(), images, Shard::WHOLE, needs, watch)?;
                let mut set = stored.set;
                set.stats = set.stats.or(computed.stats);
                set.spatial = set.spatial.or(computed.spatial);
                set.features = set.features.or(computed.features);
                set.logits = set.logits.or(computed.logits);
                Ok(Gathered { set, facts, survey, places, rows })
            }
        }
    }

    /// The parts of the features of images that `needs` names.
    ///
    /// # Errors
    /// If an image cannot be read, or the task is stopped.
    pub fn gather_images(
        &mut self,
        name: &str,
        images: &ImageSet,
        shard: Shard,
        needs: Needs,
        watch: &mut dyn Watch,
    ) -> Result<Gathered> {
        let request = self.request;
        let (indices, facts) = look(request, name, images, shard, watch)?;
        let convention = &self.extractor.convention;
        let key = Key::read(convention, self.extractor.network.gives(), &facts).digest()?;
        let options = BatchOptions {
            batch: request.batch,
            skip_unreadable: request.skip_unreadable,
            ..BatchOptions::default()
        };
        let Extractor { network, preprocess, .. } = self.extractor;
        let store = self.fill(key, name, indices.len(), watch, |store| {
            Extraction::of_images(images, &indices, &facts, &**network, *preprocess, store, options)
        });
        let store = store.with_context(|| format!("read `{name}`"))?;
        let skipped: Vec<usize> = store.skipped().map(|s| s.index).collect();
        let took_part = |i: &usize| !skipped.contains(i);
        let readable = indices.iter().zip(&facts).filter(|(i, _)| took_part(i));
        let readable: Vec<Facts> = readable.filter_map(|(_, facts)| *facts).collect();
        Ok(Gathered {
            facts: SetFacts {
                path: name.into(),
                images: Some(store.rows() as u64),
                convention: Some(convention.clone()),
                skipped: store.skipped().map(|s| format!("{}: {}", s.name, s.reason)).collect(),
            },
            set: extraction::collect(store.clone(), needs)?,
            survey: Some(Survey::of(&readable)),
            places: indices.into_iter().filter(took_part).collect(),
            rows: Some(store),
        })
    }

    /// The parts of the features of the images that a generator draws for consecutive seeds,
    /// `batch` at a time. They go from the generator to the extractor without touching the disk.
    ///
    /// # Errors
    /// If the generator fails, or the task is stopped.
    pub fn gather_generated(
        &mut self,
        drawing: &Drawing,
        seeds: std::ops::Range<u32>,
        needs: Needs,
        what: &str,
        watch: &mut dyn Watch,
    ) -> Result<FeatureSet> {
        let Extractor { network, preprocess, convention, .. } = self.extractor;
        let (drawn, digest) = (drawing.key(), drawing.generator.digest);
        let key = Key::generated(convention, network.gives(), digest, &drawn, &seeds).digest()?;
        let store = self.fill(key, what, seeds.len(), watch, |store| {
            Extraction::of_generated(seeds.len(), &**network, *preprocess, store, |done| {
                Box::new(drawing.pictures(seeds.start + done as u32..seeds.end))
            })
        })?;
        extraction::collect(store, needs)
    }

    /// The store of `key`, filled by what `begin` begins, unless it is full.
    fn fill<'e>(
        &mut self,
        key: String,
        what: &str,
        total: usize,
        watch: &mut dyn Watch,
        begin: impl FnOnce(FeatureStore) -> Extraction<'e>,
    ) -> Result<Arc<FeatureStore>> {
        if let Some(store) = self.stores.get(&key) {
            return Ok(store.clone());
        }
        let store = open_store(self.request, &key, what, total, watch)?;
        let mut extraction = begin(store);
        let before = extraction.done();
        if before < total {
            let mut counter = Counter::new(watch, what, before, total);
            for done in &mut extraction {
                counter.at(done?)?;
            }
        } else {
            watch.note(&format!("{what}: features of {before} images from the cache"));
        }
        let store = extraction.into_store();
        if let Some(reason) = store.lost_cache() {
            not_kept(reason, watch);
        }
        let store = Arc::new(store);
        self.stores.insert(key, store.clone());
        Ok(store)
    }
}

/// The images of a part of a set that a request takes, with their facts: no facts of an unreadable
/// one if those may be skipped.
fn look(
    request: &FeatureRequest,
    name: &str,
    images: &ImageSet,
    shard: Shard,
    watch: &mut dyn Watch,
) -> Result<(Vec<usize>, Vec<Option<Facts>>)> {
    request.check()?;
    let len = images.len();
    let count = request.num.map_or(len, |num| num.min(len));
    if let Some(num) = request.num.filter(|&num| num > len) {
        watch.warn(&format!("`{name}` contains {len} images, fewer than {num}").into());
    }
    watch_ignored(name, images.ignored(), watch);
    let indices: Vec<usize> = shard.of(count).collect();
    let facts = facts(images, &indices, request.skip_unreadable);
    Ok((indices, facts.with_context(|| format!("read `{name}`"))?))
}

/// The store of `key` where the request keeps features, or a temporary one if that cannot be used.
fn open_store(
    request: &FeatureRequest,
    key: &str,
    what: &str,
    total: usize,
    watch: &mut dyn Watch,
) -> Result<FeatureStore> {
    let store = match request.cache.folder() {
        Some(folder) => FeatureStore::open(&folder, key).or_else(|error| {
            not_kept(&error.report(), watch);
            FeatureStore::temporary()
        })?,
        None => FeatureStore::temporary()?,
    };
    let store = if store.is_read_only() && store.done() < total {
        not_kept("the cache may only be read", watch);
        FeatureStore::temporary()?
    } else {
        store
    };
    if store.was_damaged() {
        watch.note(&format!("{what}: the cache is damaged, lost features are computed again"));
    }
    Ok(store)
}

/// Warns that a later run will not find the features.
fn not_kept(reason: &str, watch: &mut dyn Watch) {
    watch.warn(&Warning {
        text: format!("features are not kept for later runs: {reason}"),
        hint: Some(Hint::of("name another folder with {cache}")),
    });
}

impl Gathered {
    /// The content of the stored statistics of a set, or what `needs` names of its rows; empty for a set of
    /// images.
    ///
    /// # Errors
    /// If the rows cannot be read, or the task is stopped.
    pub fn of_stored(source: &Source, needs: Needs, watch: &mut dyn Watch) -> Result<Self> {
        let set = match source.rows() {
            Some(rows) => {
                let mut counter = Counter::new(watch, source.name(), 0, rows.len());
                rows.read(needs, |done| counter.at(done))?
            }
            None => source.stored().map_or_else(FeatureSet::default, |stored| stored.set.clone()),
        };
        let facts = SetFacts {
            path: source.name().into(),
            images: set.count(),
            convention: source.convention().cloned(),
            skipped: Vec::new(),
        };
        Ok(Self { set, facts, survey: None, places: Vec::new(), rows: None })
    }
}

/// Warns of folders and files within a folder that take no part.
fn watch_ignored(name: &str, ignored: &[String], watch: &mut dyn Watch) {
    const LISTED: usize = 3;
    if ignored.is_empty() {
        return;
    }
    let shown: Vec<&str> = ignored.iter().take(LISTED).map(String::as_str).collect();
    let rest = ignored.len().saturating_sub(LISTED);
    let rest = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    let text = format!("`{name}`: not part of the set: {}{rest}", shown.join(", "));
    let folders = ignored.iter().any(|name| name.ends_with('/'));
    let hint = folders.then(|| Hint::of("search folders within folders with {recursive}"));
    watch.warn(&Warning { text, hint });
}

/// Facts of the images `indices` of `set`; none for an unreadable one if those may be skipped.
fn facts(set: &ImageSet, indices: &[usize], skip_unreadable: bool) -> Result<Vec<Option<Facts>>> {
    let look = |&i: &usize| match set.facts(i) {
        Ok(facts) => Ok(Some(facts)),
        Err(_) if skip_unreadable => Ok(None),
        Err(error) => Err(error.into()),
    };
    indices.par_iter().map(look).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_survives_json_and_refuses_what_it_does_not_know() {
        let request = FeatureRequest {
            resize: Some(Resize::PillowBicubic),
            cache: Cache::Folder("x".into()),
            ..FeatureRequest::default()
        };
        let json = serde_json::to_string(&request).unwrap();
        assert_eq!(serde_json::from_str::<FeatureRequest>(&json).unwrap(), request);
        assert!(serde_json::from_str::<FeatureRequest>(r#"{"presett": "x"}"#).is_err());
        assert_eq!(
            serde_json::from_str::<FeatureRequest>("{}").unwrap(),
            FeatureRequest::default()
        );
    }

    #[test]
    fn numbers_out_of_range_are_refused_before_the_work() {
        for request in [
            FeatureRequest { batch: 0, ..Default::default() },
            FeatureRequest { num: Some(0), ..Default::default() },
            FeatureRequest { preset: Some("none".into()), ..Default::default() },
            FeatureRequest {
                preset: Some("cmmd".into()),
                extractor: Some("dinov2".into()),
                ..Default::default()
            },
        ] {
            assert!(request.check().is_err(), "{request:?}");
        }
    }
    #[cfg(feature = "models")]
    #[test]
    fn images_that_change_between_two_reads_leave_no_features() {
        use std::sync::atomic::{AtomicUsize, Ordering};

        use ganscope_images::Image;

        let folder = tempfile::tempdir().unwrap();
        let request = FeatureRequest {
            extractor: Some("fashion-cnn".into()),
            cache: Cache::Folder(folder.path().to_owned()),
            batch: 2,
            ..Default::default()
        };
        let extractor = request.open_extractor(Needs::STATS, None, &mut ()).unwrap();
        let gray = |value: u8| Image::filled(28, 28, [value; 3]);
        let gather = |images: &ImageSet| {
            let mut gatherer = Gatherer::new(&request, &extractor);
            gatherer.gather_images("set", images, Shard::WHOLE, Needs::STATS, &mut ())
        };
        let mean = |gathered: &Gathered| gathered.set.stats.as_ref().unwrap().mean().clone();
        let before = ImageSet::from_fn(4, move |i| Ok(gray(i as u8)));
        let expected = mean(&gather(&before).unwrap());
        std::fs::remove_dir_all(folder.path()).unwrap();
        // Every image is looked at once before it is read: the last is another by then.
        let reads = AtomicUsize::new(0);
        let changing = ImageSet::from_fn(4, move |i| {
            let is_later = reads.fetch_add(1, Ordering::SeqCst) >= 4;
            Ok(gray(if is_later && i == 3 { 255 } else { i as u8 }))
        });
        let error = gather(&changing).unwrap_err();
        assert!(error.report().contains("was changed while it was read"), "{}", error.report());
        // The next run finds the good rows, and the features of the images as they were named.
        assert_eq!(mean(&gather(&before).unwrap()), expected);
    }
}
