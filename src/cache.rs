//! What is kept between runs: downloaded weights, and features.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use ganscope_hub::{Hub, Kept};
use serde::{Deserialize, Serialize};

use crate::catalog::{CLASSIFIERS, EXTRACTORS};
use crate::error::{Error, Hint, Result};
use crate::features::Cache;
use crate::features::store::FeatureStore;
use crate::models::weights::{WeightSource, locate};
use crate::watch::{Counter, Watch};

/// What a file of a cache is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sort {
    /// Weights, downloaded once.
    Weights,
    /// Features of a set of images.
    Features,
    /// The beginning of a download, which the next run continues.
    Part,
}

/// A file of a cache.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    /// What it is.
    pub sort: Sort,
    /// Its short name.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Days since it was last written or read.
    pub days: u64,
    /// Whether other programs use it, too: the cache of the hub.
    pub shared: bool,
    #[serde(skip)]
    weights: Option<Kept>,
}

/// What is kept between runs.
///
/// Of features that is the content of the folder of `cache`; of the hub's cache, which other programs
/// use, the weights that are known by name.
///
/// # Errors
/// If there is no home folder, and no variable that names the caches.
pub fn kept(cache: &Cache) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for file in Hub::from_env()?.kept() {
        let sort = if file.is_part { Sort::Part } else { Sort::Weights };
        entries.extend(Entry::new(sort, file.name.clone(), file.path.clone(), Some(file)));
    }
    let files = cache.folder().map(std::fs::read_dir).into_iter().flatten().flatten().flatten();
    for path in files.map(|file| file.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_file = std::fs::symlink_metadata(&path).is_ok_and(|kind| kind.is_file());
        if let Some(key) = name.strip_suffix(".rows").filter(|_| is_file) {
            let name = key.get(..12).unwrap_or(key).to_owned();
            entries.extend(Entry::new(Sort::Features, name, path, None));
        }
    }
    entries.sort_by(|a, b| (a.sort, &a.name, &a.path).cmp(&(b.sort, &b.name, &b.path)));
    Ok(entries)
}

impl Entry {
    /// The entry of a file; none if it has gone meanwhile.
    fn new(sort: Sort, name: String, path: PathBuf, weights: Option<Kept>) -> Option<Self> {
        let metadata = std::fs::metadata(&path).ok()?;
        let times = [metadata.modified(), metadata.accessed()];
        let used = times.into_iter().flatten().max().unwrap_or(SystemTime::UNIX_EPOCH);
        let age = used.elapsed().unwrap_or(Duration::ZERO);
        let shared = weights.as_ref().is_some_and(|file| file.is_shared);
        let (bytes, days) = (metadata.len(), age.as_secs() / 86_400);
        Some(Self { sort, name, path, bytes, days, shared, weights })
    }

    fn is_whole(&self) -> Result<Option<bool>> {
        match &self.weights {
            Some(file) => Ok(file.is_whole()?),
            None => Ok(Some(FeatureStore::is_whole(&self.path))),
        }
    }

    /// Removes the file unless a run uses it; returns whether it is gone.
    fn remove(&self) -> Result<bool> {
        match &self.weights {
            Some(file) => Ok(file.remove()?),
            None => FeatureStore::remove(&self.path),
        }
    }
}

/// Whether a file of a cache is as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Every byte is as it was: its digests agree.
    Whole,
    /// Its digests do not agree: weights are refused, features after the first such are computed anew.
    Damaged,
    /// No digest is known.
    Unverified,
}

/// A file of a cache, and its state.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verified {
    /// The file.
    #[serde(flatten)]
    pub entry: Entry,
    /// Its state.
    pub state: State,
}

/// Compares everything that is kept with its digests.
///
/// # Errors
/// As [`kept`], if a file cannot be read, or the task is stopped.
pub fn verify(cache: &Cache, watch: &mut dyn Watch) -> Result<Vec<Verified>> {
    let entries = kept(cache)?;
    let mut counter = Counter::new(watch, "files", 0, entries.len());
    let mut verified = Vec::new();
    for entry in entries {
        let state = match entry.is_whole()? {
            Some(true) => State::Whole,
            Some(false) => State::Damaged,
            None => State::Unverified,
        };
        verified.push(Verified { entry, state });
        counter.add()?;
    }
    Ok(verified)
}

/// What is removed from the caches. Without any choice that is nothing but the beginnings of downloads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PruneRequest {
    /// Where features are kept.
    pub cache: Cache,
    /// Whether weights are removed, too, and not features alone. Those in the cache of the hub stay.
    pub weights: bool,
    /// Files that were not used for so many days.
    pub older_than: Option<u64>,
    /// The files not used for the longest time, until the others have at most so many megabytes
    /// together.
    pub down_to: Option<u64>,
    /// All files.
    pub all: bool,
    /// Whether nothing is removed, and the result is what would be.
    pub dry_run: bool,
}

/// What was removed from the caches.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Pruned {
    /// The files that were removed.
    pub removed: Vec<Entry>,
    /// Files that were to be removed, but are in use.
    pub in_use: Vec<Entry>,
    /// Bytes of the files that were removed.
    pub freed: u64,
    /// Bytes of the files that stay.
    pub kept: u64,
}

/// Removes files from the caches, one after the other: whenever it is stopped, each is whole or gone.
///
/// # Errors
/// As [`kept`], if a file cannot be removed, or the task is stopped.
pub fn prune(request: &PruneRequest, watch: &mut dyn Watch) -> Result<Pruned> {
    let mut entries = kept(&request.cache)?;
    // Those that were not used for the longest time go first.
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.days));
    let is_open = |entry: &Entry| match entry.sort {
        Sort::Weights => request.weights && !entry.shared,
        Sort::Features | Sort::Part => true,
    };
    let mut left: u64 = entries.iter().filter(|e| is_open(e)).map(|entry| entry.bytes).sum();
    let budget = request.down_to.map(|megabytes| megabytes.saturating_mul(1_000_000));
    let mut pruned = Pruned::default();
    let mut counter = Counter::new(watch, "files", 0, entries.len());
    for entry in entries {
        let is_chosen = request.all
            || entry.sort == Sort::Part
            || request.older_than.is_some_and(|days| entry.days >= days)
            || budget.is_some_and(|budget| left > budget);
        let bytes = entry.bytes;
        if !is_open(&entry) || !is_chosen {
            pruned.kept += bytes;
        } else if request.dry_run || entry.remove()? {
            left -= bytes;
            pruned.freed += bytes;
            pruned.removed.push(entry);
        } else {
            pruned.kept += bytes;
            pruned.in_use.push(entry);
        }
        counter.add()?;
    }
    Ok(pruned)
}

/// Downloads weights unless they are in a cache, and compares them with their digest where one is
/// known: a known id, the name of an entry of the catalog, `hub:OWNER/REPO/FILE` or an address.
///
/// # Errors
/// If nothing has this name, the file cannot be downloaded, or has another digest.
pub fn fetch(name: &str, watch: &mut dyn Watch) -> Result<PathBuf> {
    let id = match WeightSource::of(name) {
        Some(WeightSource::Known(id)) => id,
        Some(WeightSource::Shipped(_)) => {
            return Err(Error::request(format!("`{name}` is shipped with the program")));
        }
        None => name,
    };
    let path = locate(Path::new(id), watch)?;
    if path == Path::new(id) {
        let names = ganscope_hub::KNOWN.iter().map(|known| known.id);
        let similar = crate::names::similar(name, names);
        let similar = similar.map(|id| format!("; did you mean `{id}`?"));
        let hint = Hint::of("{list.} has all names").then(similar.unwrap_or_default());
        return Err(Error::not_found(format!("no weights are known as `{name}`")).with_hint(hint));
    }
    Ok(path)
}

impl WeightSource {
    /// Where the weights of the entry `name` of the catalog come from.
    fn of(name: &str) -> Option<Self> {
        let of = |found: &str| found == name;
        let classifiers = CLASSIFIERS.iter().find(|e| of(e.name)).and_then(|e| e.weights);
        let extractors = EXTRACTORS.iter().find(|e| of(e.name)).map(|e| e.weights);
        extractors.or(classifiers)
    }
}
