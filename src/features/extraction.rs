//! From images to rows of features on disk: decode, resize, network, store.

use std::sync::Arc;

use ganscope_images::{BatchOptions, Facts, Image, ImageBatch, ImageSet, Preprocess, batches};
use ganscope_model::FeatureExtractor;
use ganscope_stats::{FeatureBatch, FeatureSet, FeatureSetBuilder, Logits, Needs};
use rayon::prelude::*;

use super::store::FeatureStore;
use crate::error::{Error, Kind, Result};

/// Batches of images, each with the number of images of the set that it accounts for.
type Batches<'a> = Box<dyn Iterator<Item = Result<(usize, ImageBatch)>> + 'a>;

/// An extraction under way: an iterator that runs one batch at a time.
///
/// Each item is the number of images accounted for so far; rows that an earlier run left in the
/// store are not computed again. The rows do not depend on the batch size, the threads or
/// interruptions.
pub struct Extraction<'a> {
    extractor: &'a dyn FeatureExtractor,
    batches: Batches<'a>,
    store: FeatureStore,
    total: usize,
}

impl std::fmt::Debug for Extraction<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Extraction")
            .field("extractor", &self.extractor)
            .field("store", &self.store)
            .field("total", &self.total)
            .finish_non_exhaustive()
    }
}

impl<'a> Extraction<'a> {
    /// Starts or continues to fill `store` with the rows of the images `indices` of `set`, whose
    /// digests were `facts` when the store was named after them.
    pub fn of_images(
        set: &ImageSet,
        indices: &'a [usize],
        facts: &'a [Option<Facts>],
        extractor: &'a dyn FeatureExtractor,
        preprocess: Preprocess,
        store: FeatureStore,
        options: BatchOptions,
    ) -> Self {
        let left = indices.iter().skip(store.done()).copied();
        let names = set.clone();
        let mut expected = indices.iter().copied().zip(facts).skip(store.done());
        let batches = batches(set, left, preprocess, options).map(move |batch| {
            let batch = batch?;
            // Rows of other bytes than the store is named after would be wrong for ever.
            for (digest, (i, facts)) in batch.digests.iter().zip(expected.by_ref()) {
                if facts.is_some_and(|facts| Some(facts.digest) != *digest) {
                    return Err(changed(&names.name(i)));
                }
            }
            Ok((batch.n + batch.skipped.len(), batch))
        });
        Self { extractor, batches: Box::new(batches), store, total: indices.len() }
    }

    /// Starts or continues to fill `store` with the rows of the images that `make` returns for the
    /// images from the number it is called with to `total`.
    pub fn of_generated(
        total: usize,
        extractor: &'a dyn FeatureExtractor,
        preprocess: Preprocess,
        store: FeatureStore,
        make: impl FnOnce(usize) -> Box<dyn Iterator<Item = Result<Vec<Image>>> + 'a>,
    ) -> Self {
        let batches = make(store.done()).map(move |images| {
            let images = images?;
            Ok((images.len(), prepare(&images, preprocess)))
        });
        Self { extractor, batches: Box::new(batches), store, total }
    }

    /// Images in all.
    pub fn total(&self) -> usize {
        self.total
    }

    /// Images accounted for.
    pub fn done(&self) -> usize {
        self.store.done()
    }

    /// The store, as far as it is filled.
    pub fn into_store(self) -> FeatureStore {
        self.store
    }

    fn step(&mut self, counted: usize, images: &ImageBatch) -> Result<usize> {
        let features = match images.n {
            0 => None,
            _ => Some(self.extractor.extract(images)?),
        };
        let done = self.store.done() + counted;
        self.store.append(features.as_ref(), &images.skipped, done)?;
        Ok(done)
    }
}

pub(super) fn changed(name: &str) -> Error {
    let problem = format!("`{name}` was changed while it was read");
    Error::problem(Kind::UnreadableInput, problem).with_hint("run it again")
}

/// Resizes images in memory, in parallel.
pub(super) fn prepare(images: &[Image], preprocess: Preprocess) -> ImageBatch {
    let mut data = vec![0.0; images.len() * preprocess.values()];
    let places = data.par_chunks_mut(preprocess.values());
    places.zip(images).for_each(|(out, image)| preprocess.apply(image, out));
    ImageBatch {
        data,
        n: images.len(),
        height: preprocess.size,
        width: preprocess.size,
        indices: (0..images.len()).collect(),
        skipped: Vec::new(),
        digests: Vec::new(),
    }
}

impl Iterator for Extraction<'_> {
    type Item = Result<usize>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.batches.next()?;
        Some(batch.and_then(|(counted, images)| self.step(counted, &images)))
    }
}

/// Collects from a store what `needs` names; logits stay on disk, since they are read but once.
///
/// # Errors
/// If the store cannot be read, lacks a part, or contains a value that is not finite.
pub fn collect(store: Arc<FeatureStore>, needs: Needs) -> Result<FeatureSet> {
    let held = needs.difference(Needs::LOGITS);
    let mut builder = FeatureSetBuilder::new(held);
    if held != Needs::NONE {
        for batch in store.read() {
            builder.push(&batch?)?;
        }
    }
    let logits: Option<Logits> = needs.contains(Needs::LOGITS).then_some(Logits::Kept(store));
    Ok(FeatureSet { logits: logits.filter(|rows| !rows.is_empty()), ..builder.finish() })
}

/// Collects from a store what `needs` names for each of `count` groups of rows; rows without a group
/// are left out.
///
/// # Errors
/// As [`collect`].
pub(crate) fn collect_groups(
    store: &FeatureStore,
    needs: Needs,
    groups: &[Option<usize>],
    count: usize,
) -> Result<Vec<FeatureSet>> {
    let mut builders = vec![FeatureSetBuilder::new(needs); count];
    let mut from = 0;
    for batch in store.read() {
        let batch = batch?;
        let mut rows: Vec<Vec<usize>> = vec![Vec::new(); count];
        for i in 0..batch.features.len() {
            if let Some(group) = groups.get(from + i).copied().flatten() {
                rows[group].push(i);
            }
        }
        from += batch.features.len();
        for (builder, rows) in builders.iter_mut().zip(&rows).filter(|(_, rows)| !rows.is_empty()) {
            builder.push(&FeatureBatch {
                features: batch.features.select(rows),
                logits: batch.logits.as_ref().map(|logits| logits.select(rows)),
                spatial: batch.spatial.as_ref().map(|spatial| spatial.select(rows)),
            })?;
        }
    }
    Ok(builders.into_iter().map(FeatureSetBuilder::finish).collect())
}
